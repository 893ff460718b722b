import { accountNameAt } from '../client/account-name.js';
import { findOwner } from '../client/find-owner.js';
import { AuthClient } from '../client/auth-client.js';
import type { SignedOut, SignOutRequest } from '../client/sign-out.js';
import { AuthError } from '../errors.js';
import { providerNames, resolveProvider, type KnownProviders } from '../providers/resolve-provider.js';
import { distinctLabels, findNamed, publicAccount } from '../store/account.js';
import { ownerKey, type SessionListing, type StoredSession } from '../store/session-store.js';
import type { SessionSummary } from '../store/session.js';
import { browserOptions, chosenBrowser } from './browser-options.js';
import { printableJson } from '../remote-text.js';
import { allProviders, clientSurroundings, type Command, type Context } from './command.js';
import { endSessions } from './end-sessions.js';
import { entryChange, leftNotices, leftOf, meantName, narrowed, resolveOrFault } from './left-sessions.js';
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
    const listing = client.getSessions();
    const sessions = choose(client, listing, options.all ?? false, known, context);
    const signedOut: SignedOut[] = [];
    const failures: unknown[] = [];
    const tried = new Set(sessions.map(({ fileName }) => fileName));
    // Before any of them is gone that another one looks like.
    const label = distinctLabels(listing.sessions);
    const labelled = sessions.map((session) => ({ session, who: label(session.summary) }));
    for (const { session, who } of labelled) {
      try {
        const provider = findOwner(known, session.summary);
        const request = { revoke: !options.noRevoke, provider };
        const done = await signOut(client, session, who, request, options.all ?? false);
        signedOut.push(done);
        report(done, who, context);
      } catch (error) {
        failures.push(error);
      }
    }
    const remaining = client.getSessions().sessions.filter(({ fileName }) => !tried.has(fileName));
    const notices = leftNotices(remaining, known, context.asked);
    if (sessions.length === 0) {
      const isNone = notices.length === 0;
      terminal.notice(
        isNone ? nothingToEnd(client, known, context) : 'not signed in by what is configured now',
      );
    }
    for (const line of notices) terminal.notice(line);
    if (globals.json) world.stdout.write(`${printableJson({ sessions: signedOut.map(describe) })}\n`);
    if (options.endSession)
      await endSessions(client, signedOut, known, chosenBrowser(options, world), context);
    if (failures.length > 0) throw failures[0];
  },
};

function choose(
  client: AuthClient,
  listing: SessionListing,
  all: boolean,
  known: KnownProviders,
  context: Context,
): readonly StoredSession[] {
  const { provider: named, account, store } = context.globals;
  if (all) {
    const ofProvider = listed(listing, context).filter(
      ({ summary }) => named === undefined || summary.provider === named,
    );
    const sessions = account === undefined ? ofProvider : onlyNamed(ofProvider, account, known);
    // A name that neither the configuration nor a session knows is a mistake.
    if (named !== undefined && sessions.length === 0) resolveProvider(known, named);
    return sessions;
  }
  const chosen = resolveOrFault(known, named);
  const provider = 'provider' in chosen ? chosen.provider : undefined;
  const found = provider && client.findSession(provider, { account, store });
  if (found !== undefined) return [found];
  const sessions = listed(listing, context);
  const name = meantName(known, chosen, named);
  // A session outlives its entry, and a project's file that may no longer be used.
  const left = name === undefined ? [] : narrowed(leftOf(name, sessions, known), account, client);
  if (left.length === 1) return left;
  if (left.length > 1) {
    throw new AuthError('usage', `several sessions of ${name} are left from entries that have changed`, {
      remedy: { kind: 'logout', provider: name, isAll: true },
    });
  }
  if (named === undefined && providerNames(known).length === 0)
    return onlyLeft(sessions, account, known, client);
  if ('fault' in chosen) throw chosen.fault;
  return [];
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

/** Where nothing is configured, the only session that there is can only be the one that is meant. */
function onlyLeft(
  sessions: readonly StoredSession[],
  account: string | undefined,
  known: KnownProviders,
  client: AuthClient,
): readonly StoredSession[] {
  const [only, ...others] = sessions;
  if (only === undefined || others.length > 0 || entryChange(known, only.summary) === undefined) return [];
  return narrowed([only], account, client);
}

/** One of each provider; a name that fits several there ends the command before anything is revoked. */
function onlyNamed(
  sessions: readonly StoredSession[],
  account: string,
  known: KnownProviders,
): readonly StoredSession[] {
  const byOwner = new Map<string, { owner: SessionSummary; sessions: StoredSession[] }>();
  for (const session of sessions) {
    const owner = ownerKey(session.summary);
    const group = byOwner.get(owner) ?? { owner: session.summary, sessions: [] };
    group.sessions.push(session);
    byOwner.set(owner, group);
  }
  const named = new Set(
    [...byOwner.values()].map(({ owner, sessions: own }) =>
      findNamed(own, accountNameAt(findOwner(known, owner), account)),
    ),
  );
  return sessions.filter((session) => named.has(session));
}

function listed({ sessions, damaged }: SessionListing, { terminal, globals }: Context): StoredSession[] {
  for (const { message } of damaged) terminal.warn(message);
  return sessions.filter(({ store }) => globals.store === undefined || store === globals.store);
}

async function signOut(
  client: AuthClient,
  session: StoredSession,
  who: string,
  request: SignOutRequest,
  isAll: boolean,
): Promise<SignedOut> {
  try {
    return await client.signOut(session, request);
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== 'store') throw error;
    const { provider } = session.summary;
    const { hint, remedy } = error;
    throw new AuthError('store', `still signed in to ${provider} as ${who}: ${error.message}`, {
      hint,
      remedy: remedy?.kind === 'logout' ? { ...remedy, isAll } : remedy,
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
