import { AuthClient } from '../client/auth-client.js';
import type { Provider } from '../providers/provider.js';
import { resolveProvider } from '../providers/resolve-provider.js';
import { printableJson } from '../remote-text.js';
import type { StoredSession } from '../store/session-store.js';
import { accountLabel, canRefresh, type SessionSummary } from '../store/session.js';
import { formatTable } from '../terminal/table.js';
import { clientSurroundings, configuration, type Command, type Context } from './command.js';

type State = 'valid' | 'expired' | 'login_required';

export const status: Command = {
  name: 'status',
  summary: 'show every session, one line each',
  options: {},

  async run(_options, context) {
    const { world, terminal, globals } = context;
    const known = await configuration(context);
    const client = new AuthClient(clientSurroundings(context));
    const isAboutOne = globals.provider !== undefined || globals.account !== undefined;
    const provider = isAboutOne ? resolveProvider(known, globals.provider) : undefined;
    const sessions = provider ? one(client, provider, context) : all(client, context);
    const now = world.now();
    if (globals.json) {
      world.stdout.write(
        `${printableJson({ sessions: sessions.map((session) => describe(session, client, now)) })}\n`,
      );
    } else if (sessions.length > 0) {
      world.stdout.write(tabulate(sessions, client, now));
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

function all(client: AuthClient, { terminal, globals }: Context): StoredSession[] {
  const { sessions, damaged } = client.getSessions();
  for (const { message } of damaged) terminal.warn(message);
  return sessions
    .filter(({ store }) => globals.store === undefined || store === globals.store)
    .toSorted((a, b) => sortKey(a).localeCompare(sortKey(b)));
}

function sortKey({ summary }: StoredSession): string {
  return `${summary.provider} ${accountLabel(summary.account)}`;
}

function stateOf(session: SessionSummary, now: Date): State {
  const { ended, expiresAt } = session;
  if (ended !== null) return 'login_required';
  if (expiresAt === null || Date.parse(expiresAt) > now.getTime()) return 'valid';
  return canRefresh(session, now) ? 'expired' : 'login_required';
}

function describe(session: StoredSession, client: AuthClient, now: Date): object {
  const { provider, issuer, account, scope, expiresAt, refreshable } = session.summary;
  return {
    provider,
    issuer,
    account,
    scope,
    state: stateOf(session.summary, now),
    expiresAt,
    refreshable,
    store: session.store,
    default: client.isCurrent(session),
  };
}

function tabulate(sessions: readonly StoredSession[], client: AuthClient, now: Date): string {
  return formatTable(
    ['', 'PROVIDER', 'ACCOUNT', 'STATE', 'TOKEN', 'STORE', 'SCOPE'],
    sessions.map((session) => {
      const { summary, store } = session;
      return [
        client.isCurrent(session) ? '*' : '',
        summary.provider,
        accountLabel(summary.account),
        explain(stateOf(summary, now), summary),
        expiry(summary.expiresAt, now),
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

function expiry(expiresAt: string | null, now: Date): string {
  if (expiresAt === null) return 'does not expire';
  const minutes = Math.round((Date.parse(expiresAt) - now.getTime()) / 60_000);
  if (minutes < 0) return 'expired';
  return minutes < 120 ? `${minutes} min left` : `${Math.round(minutes / 60)} h left`;
}
