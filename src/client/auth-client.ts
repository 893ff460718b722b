import { AuthError } from '../errors.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import type { StoreName } from '../store/key-source.js';
import {
  SessionStore,
  type FoundSessions,
  type SessionListing,
  type StoredSession,
} from '../store/session-store.js';
import { accountLabel, distinctLabel, distinctLabels, isSameName, labelWithSub } from '../store/account.js';
import type { SessionSummary } from '../store/session.js';
import { accountNameAt } from './account-name.js';
import { currentToken, isUsable, type AcquiredToken, type SilentRequest } from './acquired-token.js';
import type { EndSessionConversation, EndSessionRequest, SessionEnd } from './end-session.js';
import type { InteractiveRequest, SignedIn, SignInConversation } from './interactive.js';
import type { SignedOut, SignOutRequest } from './sign-out.js';
import type { ClientSurroundings } from './surroundings.js';

export interface SessionFilter {
  /** A sub, an e-mail address or a username; the current account when absent. */
  readonly account?: string | undefined;
  /** Only a session that is kept there. */
  readonly store?: StoreName | undefined;
}

/** Signs in, keeps the session, and hands out access tokens for as long as the provider allows. */
export class AuthClient {
  readonly #surroundings: ClientSurroundings;
  readonly #store: SessionStore;

  constructor(surroundings: ClientSurroundings) {
    this.#surroundings = surroundings;
    this.#store = new SessionStore(surroundings);
  }

  /**
   * A token without asking anybody: from the store when it is good for `minTtlMs`, else through one refresh.
   * @throws {AuthError} `login_required` when only a person can help; `network` when the provider cannot be reached
   */
  async acquireTokenSilent(provider: Provider, request: SilentRequest): Promise<AcquiredToken> {
    const stored = this.findSession(provider, request);
    if (stored === undefined) throw this.notSignedIn(provider, request.account);
    assertNotEnded(stored);
    const { session, key } = await this.#store.open(stored);
    if (!request.forceRefresh && isUsable(session, request, this.#surroundings.now())) {
      return currentToken(session, request);
    }
    const { refreshSession } = await import('./refresh-session.js');
    return refreshSession({ ...stored, key }, provider, request, this.#store, this.#surroundings);
  }

  /** Signs a person in through the browser and keeps the session, which becomes the provider's current one. */
  async acquireTokenInteractive(
    provider: Provider,
    request: InteractiveRequest,
    conversation: SignInConversation,
  ): Promise<SignedIn> {
    const { signInOnce } = await import('./sign-in-once.js');
    return signInOnce(provider, request, conversation, this.#store, this.#surroundings);
  }

  /**
   * A session that gives tokens without a person and is what `request` would bring, whatever store it would bring it to;
   * undefined where only a sign-in helps.
   */
  async findAlive(
    provider: Provider,
    request: InteractiveRequest,
    filter: SessionFilter,
  ): Promise<StoredSession | undefined> {
    const { findAlive } = await import('./find-alive.js');
    return findAlive(provider, request, filter, this, this.#store, this.#surroundings.now());
  }

  /** The sessions that are kept, of one provider or of all. */
  getSessions(provider?: Provider): SessionListing {
    const { sessions, damaged } = this.findSessions(provider);
    return { sessions, damaged };
  }

  /** The same, for `currentFileNames`: which one is current depends on those that cannot be read, too. */
  findSessions(provider?: Provider): FoundSessions {
    return this.#store.list(provider && ownerOf(provider));
  }

  findSession(provider: Provider, { account, store }: SessionFilter): StoredSession | undefined {
    const name = account === undefined ? undefined : accountNameAt(provider, account);
    return this.#store.find(ownerOf(provider), name, store);
  }

  /** Of what was listed, the file names of those that a command takes which names no account. */
  currentFileNames(listing: FoundSessions): ReadonlySet<string> {
    return this.#store.currentFileNames(listing);
  }

  /** How a person would name the account of a session: with its sub where another one of that provider looks the same. */
  labelOf(summary: SessionSummary): string {
    return distinctLabel(summary, this.#store.list().sessions);
  }

  /** The claims of the ID token, completed by userinfo. */
  async whoami(provider: Provider, filter: SessionFilter): Promise<Readonly<Record<string, unknown>>> {
    const stored = this.findSession(provider, filter);
    if (stored === undefined) throw this.notSignedIn(provider, filter.account);
    assertNotEnded(stored);
    const { whoami } = await import('./whoami.js');
    const request = { ...filter, kind: 'access', minTtlMs: 60_000, forceRefresh: false } as const;
    const acquire = () => this.acquireTokenSilent(provider, request);
    return whoami(provider, await this.#store.open(stored), acquire, this.#surroundings);
  }

  /** Makes this account the provider's current one. */
  async makeCurrent(stored: StoredSession): Promise<void> {
    const { SessionWriter } = await import('../store/session-writer.js');
    new SessionWriter(this.#store).makeCurrent(stored);
  }

  /** Moves every session into `store`, without a sign-in; returns those that were elsewhere. */
  async migrate(store: StoreName): Promise<readonly StoredSession[]> {
    const { SessionWriter } = await import('../store/session-writer.js');
    return new SessionWriter(this.#store).migrate(store);
  }

  /** Revokes what the provider lets us revoke, then forgets; a revocation that fails does not keep the session. */
  async signOut(stored: StoredSession, request: SignOutRequest): Promise<SignedOut> {
    const { signOut } = await import('./sign-out.js');
    return signOut(stored, request, this.#store, this.#surroundings);
  }

  /** Ends the session that the provider itself keeps in the browser. */
  async endSession(
    provider: Provider,
    request: EndSessionRequest,
    conversation: EndSessionConversation,
  ): Promise<SessionEnd> {
    const { endSession } = await import('./end-session.js');
    return endSession(provider, request, conversation, this.#surroundings);
  }

  /** What to say of somebody whose session is not there, with those that are. */
  notSignedIn(provider: Provider, account: string | undefined): AuthError {
    const { name } = provider;
    const login = `authcli login -p ${name}`;
    const { sessions } = this.#store.list(ownerOf(provider));
    if (account === undefined || sessions.length === 0) {
      const changed = sessions.length === 0 ? this.#madeWithAnotherEntry(provider) : undefined;
      const why = changed && `: the session of ${this.labelOf(changed)} was made with another entry`;
      return new AuthError('login_required', `not signed in to ${name}${why ?? ''}`, { hint: login });
    }
    // One that is shown by this name all the same: the e-mail address is not verified, or it is a username that looks like one.
    const isShownSo = (summary: SessionSummary) => isSameName(accountLabel(summary.account), account);
    const label = distinctLabels(sessions);
    const known = sessions.map(({ summary }) =>
      isShownSo(summary) ? labelWithSub(summary.account) : label(summary),
    );
    const subjects = sessions.flatMap(({ summary }) =>
      isShownSo(summary) && summary.account.sub !== null ? [summary.account.sub] : [],
    );
    return new AuthError(
      'login_required',
      `${account} is not signed in to ${name} (signed in: ${known.join(', ')})`,
      subjects.length > 0
        ? { remedy: { kind: 'choose_account', subjects } }
        : { hint: `${login} -a ${account}` },
    );
  }

  /** A project has no say in the sessions of other folders. */
  #madeWithAnotherEntry({ name, project }: Provider): SessionSummary | undefined {
    const isOurs = (summary: SessionSummary) =>
      summary.provider === name && (summary.project === null || summary.project.file === project?.file);
    return this.#store.list().sessions.find(({ summary }) => isOurs(summary))?.summary;
  }
}

function assertNotEnded({ summary }: StoredSession): void {
  if (summary.ended === null) return;
  throw new AuthError(
    'login_required',
    `the session at ${summary.provider} ended on ${summary.ended.at}: ${summary.ended.reason}`,
    { hint: `authcli login -p ${summary.provider}` },
  );
}
