import { AuthClient } from '../client/auth-client.js';
import type { Provider } from '../providers/provider.js';
import type { SessionListing, StoredSession } from '../store/session-store.js';
import { distinctLabels, publicAccount } from '../store/account.js';
import { canRefresh, isOfWrongClock, type SessionSummary } from '../store/session.js';
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
    const provider = isAboutOne ? (await chosenProvider(context)).provider : undefined;
    if (provider === undefined) await allProviders(context);
    const client = new AuthClient(clientSurroundings(context));
    const listing = client.getSessions();
    const label = distinctLabels(listing.sessions);
    const sessions = provider ? one(client, provider, context) : all(listing, label, context);
    const now = world.now();
    const current = client.currentFileNames(listing);
    if (globals.json) {
      world.stdout.write(
        `${printableJson({ sessions: sessions.map((session) => describe(session, current, now)) })}\n`,
      );
    } else if (sessions.length > 0) {
      world.stdout.write(tabulate(sessions, label, current, now));
    } else {
      const nobody = provider && client.notSignedIn(provider, globals.account).message;
      terminal.notice(nobody ?? 'no sessions: authcli login');
    }
    if (!isAboutOne) return 0;
    return sessions.some(({ summary }) => stateOf(summary, now) !== 'login_required') ? 0 : 4;
  },
};

function one(client: AuthClient, provider: Provider, { globals }: Context): StoredSession[] {
  const { account, store } = globals;
  const found = client.findSession(provider, { account, store });
  return found === undefined ? [] : [found];
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

function stateOf(session: SessionSummary, now: Date): State {
  const { ended, expiresAt } = session;
  if (ended !== null) return 'login_required';
  const isGood = expiresAt === null || Date.parse(expiresAt) > now.getTime();
  if (isGood && !isOfWrongClock(session.obtainedAt, now)) return 'valid';
  return canRefresh(session, now) ? 'expired' : 'login_required';
}

function describe(session: StoredSession, current: ReadonlySet<string>, now: Date): object {
  const { provider, issuer, account, scope, expiresAt, refreshable } = session.summary;
  return {
    provider,
    issuer,
    account: publicAccount(account),
    scope,
    state: stateOf(session.summary, now),
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
        explain(stateOf(summary, now), summary),
        expiry(summary, now),
        store,
        summary.scope ?? '',
      ];
    }),
  );
}

function explain(state: State, { refreshable }: SessionSummary): string {
  if (state === 'login_required') return 'sign in again';
  return refreshable ? 'signed in' : 'until the token expires';
}

function expiry({ expiresAt, obtainedAt }: SessionSummary, now: Date): string {
  if (isOfWrongClock(obtainedAt, now)) return 'unknown: the clock was changed';
  if (expiresAt === null) return 'does not expire';
  const minutes = Math.round((Date.parse(expiresAt) - now.getTime()) / 60_000);
  if (minutes < 0) return 'expired';
  return minutes < 120 ? `${minutes} min left` : `${Math.round(minutes / 60)} h left`;
}
