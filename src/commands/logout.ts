import { accountNameAt } from '../client/account-name.js';
import { findOwner } from '../client/find-owner.js';
import { AuthClient } from '../client/auth-client.js';
import type { SignedOut, SignOutRequest } from '../client/sign-out.js';
import { AuthError } from '../errors.js';
import { providerNames, resolveProvider, type KnownProviders } from '../providers/resolve-provider.js';
import type { Provider } from '../providers/provider.js';
import { findNamed, isAccount, publicAccount } from '../store/account.js';
import { belongsTo, type StoredSession } from '../store/session-store.js';
import { browserOptions, chosenBrowser } from './browser-options.js';
import { printableJson } from '../remote-text.js';
import { allProviders, clientSurroundings, type Command, type Context } from './command.js';
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
    const known = await allProviders(context);
    const sessions = choose(client, options.all ?? false, known, context);
    if (sessions.length === 0) terminal.notice(nothingToEnd(client, known, context));
    const signedOut: SignedOut[] = [];
    const failures: unknown[] = [];
    // Before any of them is gone that another one looks like.
    const labelled = sessions.map((session) => ({ session, who: client.labelOf(session.summary) }));
    for (const { session, who } of labelled) {
      try {
        const provider = findOwner(known, session.summary);
        const done = await signOut(client, session, who, { revoke: !options.noRevoke, provider });
        signedOut.push(done);
        report(done, who, context);
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

function choose(
  client: AuthClient,
  all: boolean,
  known: KnownProviders,
  context: Context,
): readonly StoredSession[] {
  const { provider: named, account, store } = context.globals;
  if (all) {
    const ofProvider = listed(client, context).filter(
      ({ summary }) => named === undefined || summary.provider === named,
    );
    const sessions = account === undefined ? ofProvider : onlyNamed(ofProvider, account, known);
    // A name that neither the configuration nor a session knows is a mistake.
    if (named !== undefined && sessions.length === 0) resolveProvider(known, named);
    return sessions;
  }
  if (named === undefined && providerNames(known).length === 0) return [];
  const chosen = resolveOrFault(known, named);
  const provider = 'provider' in chosen ? chosen.provider : undefined;
  const found = provider && client.findSession(provider, { account, store });
  if (found !== undefined) return [found];
  // A session outlives its entry, and a project's file that may no longer be used.
  const name = provider?.name ?? named ?? known.project?.defaultProvider;
  const left = listed(client, context).filter(
    ({ summary }) =>
      summary.provider === name &&
      (summary.project === null ||
        provider === undefined ||
        summary.project.file === provider.project?.file) &&
      (account === undefined || isAccount(summary.account, accountNameAt(provider, account))),
  );
  if (left.length === 0 && 'fault' in chosen) throw chosen.fault;
  if (left.length < 2) return left;
  throw new AuthError('usage', `several sessions of ${name} are left from entries that have changed`, {
    remedy: { kind: 'logout', provider: name, isAll: true },
  });
}

/** Where others are signed in, a name that fits none of them may be a mistake. */
function nothingToEnd(client: AuthClient, known: KnownProviders, { globals }: Context): string {
  const { provider: named, account } = globals;
  const chosen = account === undefined ? undefined : resolveOrFault(known, named);
  const isSomebodyThere =
    chosen !== undefined && 'provider' in chosen && client.getSessions(chosen.provider).sessions.length > 0;
  return isSomebodyThere
    ? client.notSignedIn(chosen.provider, account).message
    : 'not signed in: there is nothing to log out of';
}

function resolveOrFault(
  known: KnownProviders,
  named: string | undefined,
): { readonly provider: Provider } | { readonly fault: AuthError } {
  try {
    return resolveProvider(known, named);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return { fault: error };
  }
}

/** One of each provider; a name that fits several there ends the command before anything is revoked. */
function onlyNamed(
  sessions: readonly StoredSession[],
  account: string,
  known: KnownProviders,
): readonly StoredSession[] {
  return sessions.filter((session) => {
    const { summary } = session;
    const sameOwner = sessions.filter((other) => belongsTo(other.summary, summary));
    return findNamed(sameOwner, accountNameAt(findOwner(known, summary), account)) === session;
  });
}

function listed(client: AuthClient, { terminal, globals }: Context): StoredSession[] {
  const { sessions, damaged } = client.getSessions();
  for (const { message } of damaged) terminal.warn(message);
  return sessions.filter(({ store }) => globals.store === undefined || store === globals.store);
}

async function signOut(
  client: AuthClient,
  session: StoredSession,
  who: string,
  request: SignOutRequest,
): Promise<SignedOut> {
  try {
    return await client.signOut(session, request);
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== 'store') throw error;
    const { provider } = session.summary;
    throw new AuthError('store', `still signed in to ${provider} as ${who}: ${error.message}`, {
      hint: error.hint,
      remedy: error.remedy,
      cause: error,
    });
  }
}

function report(
  { session, revoked, notRevoked, reason }: SignedOut,
  who: string,
  { terminal }: Context,
): void {
  if (reason !== null) {
    terminal.warn(`${names(notRevoked)} not revoked (${reason}): good at ${session.provider} until expiry`);
  }
  const what = revoked.length > 0 ? `${names(revoked)} revoked, session forgotten` : 'session forgotten';
  terminal.notice(`Signed out of ${session.provider} as ${who}: ${what}.`, { text: '✓', style: 'green' });
}

function names(kinds: readonly string[]): string {
  return kinds.map((kind) => kind.replace('_', ' ')).join(' and ');
}

function describe({ session, revoked, notRevoked, reason }: SignedOut): object {
  const account = publicAccount(session.account);
  return { provider: session.provider, account, revoked, notRevoked, reason };
}
