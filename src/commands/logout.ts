import { AuthClient } from '../client/auth-client.js';
import type { SignedOut, SignOutRequest } from '../client/sign-out.js';
import { AuthError } from '../errors.js';
import { findOwner, resolveProvider } from '../providers/resolve-provider.js';
import { printableJson } from '../remote-text.js';
import type { StoredSession } from '../store/session-store.js';
import { accountLabel, isAccount } from '../store/session.js';
import { browserOptions, chosenBrowser } from './browser-options.js';
import { clientSurroundings, configuration, type Command, type Context } from './command.js';
import { endSessions } from './end-sessions.js';
import type { OptionTable } from './options.js';

const logoutOptions = {
  all: { summary: 'sign out of every session (with -p: of that provider)' },
  noRevoke: { summary: 'only forget; the tokens stay good at the provider' },
  endSession: { summary: 'sign out at the provider too, in the browser' },
  ...browserOptions,
} as const satisfies OptionTable;

export const logout: Command<typeof logoutOptions> = {
  name: 'logout',
  summary: 'revoke and forget',
  options: logoutOptions,

  async run(options, context) {
    const { world, terminal, globals } = context;
    const client = new AuthClient(clientSurroundings(context));
    const sessions = await choose(client, options.all ?? false, context);
    if (sessions.length === 0) terminal.notice('not signed in: there is nothing to log out of');
    const signedOut: SignedOut[] = [];
    const failures: unknown[] = [];
    const known = await configuration(context);
    for (const session of sessions) {
      try {
        const provider = findOwner(known, session.summary);
        const done = await signOut(client, session, { revoke: !options.noRevoke, provider });
        signedOut.push(done);
        report(done, context);
      } catch (error) {
        failures.push(error);
      }
    }
    if (globals.json) world.stdout.write(`${printableJson({ sessions: signedOut.map(describe) })}\n`);
    if (options.endSession)
      await endSessions(client, signedOut, known, chosenBrowser(options, world), context);
    if (failures.length > 0) throw failures[0];
  },
};

async function choose(client: AuthClient, all: boolean, context: Context): Promise<readonly StoredSession[]> {
  const { provider: named, account, store } = context.globals;
  const known = await configuration(context);
  if (all) {
    const sessions = listed(client, context).filter(
      ({ summary }) =>
        (named === undefined || summary.provider === named) &&
        (account === undefined || isAccount(summary.account, account)),
    );
    // A name that neither the configuration nor a session knows is a mistake.
    if (named !== undefined && sessions.length === 0) resolveProvider(known, named);
    return sessions;
  }
  if (named === undefined && Object.keys(known.providers).length === 0) return [];
  const found = client.findSession(resolveProvider(known, named), { account, store });
  return found === undefined ? [] : [found];
}

function listed(client: AuthClient, { terminal, globals }: Context): StoredSession[] {
  const { sessions, damaged } = client.getSessions();
  for (const { message } of damaged) terminal.warn(message);
  return sessions.filter(({ store }) => globals.store === undefined || store === globals.store);
}

async function signOut(
  client: AuthClient,
  session: StoredSession,
  request: SignOutRequest,
): Promise<SignedOut> {
  try {
    return await client.signOut(session, request);
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== 'store') throw error;
    const { provider, account } = session.summary;
    throw new AuthError(
      'store',
      `still signed in to ${provider} as ${accountLabel(account)}: ${error.message}`,
      {
        hint: error.hint,
        remedy: error.remedy,
        cause: error,
      },
    );
  }
}

function report({ session, revoked, notRevoked, reason }: SignedOut, { terminal }: Context): void {
  const who = `${session.provider} as ${accountLabel(session.account)}`;
  if (reason !== null) {
    terminal.warn(`${names(notRevoked)} not revoked (${reason}): good at ${session.provider} until expiry`);
  }
  const what = revoked.length > 0 ? `${names(revoked)} revoked, session forgotten` : 'session forgotten';
  terminal.notice(`Signed out of ${who}: ${what}.`, { text: '✓', style: 'green' });
}

function names(kinds: readonly string[]): string {
  return kinds.map((kind) => kind.replace('_', ' ')).join(' and ');
}

function describe({ session, revoked, notRevoked, reason }: SignedOut): object {
  return { provider: session.provider, account: session.account, revoked, notRevoked, reason };
}
