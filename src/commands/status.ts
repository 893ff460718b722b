import { AuthClient } from '../client/auth-client.js';
import type { Provider } from '../providers/provider.js';
import type { SessionListing, StoredSession } from '../store/session-store.js';
import { distinctLabels, publicAccount } from '../store/account.js';
import { canRefresh, isOfWrongClock, type SessionSummary } from '../store/session.js';
import { findOwner } from '../client/find-owner.js';
import { type KnownProviders } from '../providers/resolve-provider.js';
import { entryChange, leftOf, meantName, narrowed, resolveOrFault } from './left-sessions.js';
import { formatTable } from '../terminal/table.js';
import { printableJson } from '../remote-text.js';
import { allProviders, chosenProvider, clientSurroundings, type Command, type Context } from './command.js';

type State = 'valid' | 'expired' | 'login_required';

export const status: Command = {
  name: 'status',
  summary: 'show every session, one line each',
  options: {},

  async run(_options, context) {
    const { world, terminal, globals } = context;
    const isAboutOne = globals.provider !== undefined || globals.account !== undefined;
    const known = await allProviders(context);
    const client = new AuthClient(clientSurroundings(context));
    const listing = client.findSessions();
    const label = distinctLabels(listing.sessions);
    const { sessions, provider } = isAboutOne
      ? await one(client, listing.sessions, known, context)
      : { sessions: all(listing, label, context) };
    const change = (summary: SessionSummary) => entryChange(known, summary);
    const now = world.now();
    const current = client.currentFileNames(listing);
    if (globals.json) {
      world.stdout.write(
        `${printableJson({ sessions: sessions.map((session) => describe(session, current, change(session.summary), now)) })}\n`,
      );
    } else if (sessions.length > 0) {
      world.stdout.write(tabulate(sessions, label, current, change, now));
    } else {
      const nobody = provider && client.notSignedIn(provider, globals.account).message;
      terminal.notice(nobody ?? 'no sessions: authcli login');
    }
    if (!isAboutOne) return 0;
    const isUsable = ({ summary }: StoredSession) =>
      findOwner(known, summary) !== undefined && stateOf(summary, undefined, now) !== 'login_required';
    return sessions.some(isUsable) ? 0 : 4;
  },
};

interface One {
  readonly sessions: readonly StoredSession[];
  readonly provider?: Provider | undefined;
}

/** The session that a command would take, else what another entry of that name has left. */
async function one(
  client: AuthClient,
  everybody: readonly StoredSession[],
  known: KnownProviders,
  context: Context,
): Promise<One> {
  const { provider: named, account, store } = context.globals;
  const chosen = resolveOrFault(known, named);
  const provider = 'provider' in chosen ? chosen.provider : undefined;
  const found = provider && client.findSession(provider, { account, store });
  if (found !== undefined) return { sessions: [found], provider };
  const name = meantName(known, chosen, named) ?? '';
  const kept = everybody.filter((session) => store === undefined || session.store === store);
  const sessions = narrowed(leftOf(name, kept, known), account, client);
  // Throws, and says what there is.
  if (sessions.length === 0 && 'fault' in chosen) await chosenProvider(context);
  return { sessions, provider };
}

type Label = ReturnType<typeof distinctLabels>;

function all(
  { sessions, damaged }: SessionListing,
  label: Label,
  { terminal, globals }: Context,
): StoredSession[] {
  for (const { message } of damaged) terminal.warn(message);
  return sessions
    .filter(({ store }) => globals.store === undefined || store === globals.store)
    .map((session) => ({ session, key: `${session.summary.provider} ${label(session.summary)}` }))
    .toSorted((a, b) => a.key.localeCompare(b.key))
    .map(({ session }) => session);
}

type Change = ReturnType<typeof entryChange>;

/** A session whose entry has changed gives no tokens. */
function stateOf(session: SessionSummary, change: Change, now: Date): State {
  const { ended, expiresAt } = session;
  if (ended !== null || change !== undefined) return 'login_required';
  const isGood = expiresAt === null || Date.parse(expiresAt) > now.getTime();
  if (isGood && !isOfWrongClock(session.obtainedAt, now)) return 'valid';
  return canRefresh(session, now) ? 'expired' : 'login_required';
}

function describe(session: StoredSession, current: ReadonlySet<string>, change: Change, now: Date): object {
  const { provider, issuer, account, scope, expiresAt, refreshable } = session.summary;
  return {
    provider,
    issuer,
    account: publicAccount(account),
    scope,
    state: stateOf(session.summary, change, now),
    expiresAt,
    refreshable,
    store: session.store,
    default: current.has(session.fileName),
  };
}

function tabulate(
  sessions: readonly StoredSession[],
  label: Label,
  current: ReadonlySet<string>,
  changeOf: (summary: SessionSummary) => Change,
  now: Date,
): string {
  return formatTable(
    ['', 'PROVIDER', 'ACCOUNT', 'STATE', 'TOKEN', 'STORE', 'SCOPE'],
    sessions.map((session) => {
      const { summary, store } = session;
      return [
        current.has(session.fileName) ? '*' : '',
        summary.provider,
        label(summary),
        explain(summary, changeOf(summary), now),
        expiry(summary, now),
        store,
        summary.scope ?? '',
      ];
    }),
  );
}

function explain(summary: SessionSummary, change: Change, now: Date): string {
  if (change === 'gone') return 'entry gone: sign out';
  if (change === 'changed') return 'entry changed: sign in again';
  if (stateOf(summary, change, now) === 'login_required') return 'sign in again';
  return summary.refreshable ? 'signed in' : 'until the token expires';
}

function expiry({ expiresAt, obtainedAt }: SessionSummary, now: Date): string {
  if (isOfWrongClock(obtainedAt, now)) return 'unknown: the clock was changed';
  if (expiresAt === null) return 'does not expire';
  const minutes = Math.round((Date.parse(expiresAt) - now.getTime()) / 60_000);
  if (minutes < 0) return 'expired';
  return minutes < 120 ? `${minutes} min left` : `${Math.round(minutes / 60)} h left`;
}
