import { listenForAuthorizationResponse, type ReceivedResponse } from '../callback/listener.js';
import { readPastedResponse } from '../callback/pasted-response.js';
import { AuthError, Interrupted } from '../errors.js';
import { beginAuthorization, type Transaction } from '../oauth/authorization-code.js';
import { defaultScope } from '../oauth/discovery.js';
import type { TokenSet } from '../oauth/token-set.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import type { StoreName } from '../store/key-source.js';
import type { SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { oneLine, redactedLine } from '../remote-text.js';
import { accountLabel, isAccount, type Account, type Session } from '../store/session.js';
import { fetchServerMetadata } from './server-metadata.js';
import type { ClientSurroundings } from './surroundings.js';

export interface InteractiveRequest {
  readonly store: StoreName;
  /** Who is expected to sign in; anybody else is refused, and nothing is kept. */
  readonly account?: string | undefined;
  /** Instead of the provider's own. */
  readonly scope?: string | undefined;
  readonly prompt?: string | undefined;
  /** `query` when absent; the provider is told only what is given here. */
  readonly responseMode?: 'query' | 'form_post' | undefined;
  readonly loginHint?: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
  /** Of the loopback listener; 0 lets the system choose. */
  readonly port: number;
  /** `none` leaves it to the person; absent means the system's browser. */
  readonly browser?: string | undefined;
}

export interface SignedIn {
  readonly stored: StoredSession;
  readonly session: Session;
  readonly requestedScope: string | null;
}

/** What the person is told, and what the person may answer, while the browser does its work. */
export interface SignInConversation {
  /** Another process waits for the same sign-in: this is where its browser went. */
  pendingElsewhere(url: URL): void;
  /** Told before a browser is started, or with `isManual` in its place. */
  authorizationUrl(url: URL, isManual: boolean): void;
  browserNotLaunched(reason: string): void;
  /** Requests with a wrong state have come in, `count` so far. */
  ignoredRequests(count: number): void;
  /** What the person types or pastes into the terminal, line by line; nothing where nobody can. */
  pastedLines(signal: AbortSignal): AsyncIterable<string>;
  pasteRejected(reason: string): void;
}

const path = '/callback';

/**
 * Authorization code with PKCE over a loopback redirect (RFC 6749 4.1, RFC 7636, RFC 8252).
 * `announce` is told where another process of the same user can learn the URL.
 */
export async function signIn(
  provider: Provider,
  request: InteractiveRequest,
  conversation: SignInConversation,
  store: SessionStore,
  surroundings: ClientSurroundings,
  announce?: (address: string) => void,
): Promise<SignedIn> {
  const keep = await new SessionWriter(store).prepareForLogin(ownerOf(provider), request.store);
  const listener = await listenForAuthorizationResponse({
    ports: [request.port],
    path,
    method: request.responseMode === 'form_post' ? 'POST' : 'GET',
    onIgnored: (count) => conversation.ignoredRequests(count),
  });
  const ended = new AbortController();
  try {
    const metadata = await fetchServerMetadata(provider.issuer, surroundings);
    const {
      prompt,
      responseMode,
      parameters,
      account,
      loginHint = account,
      scope = provider.scope ?? defaultScope(metadata),
    } = request;
    const transaction = await beginAuthorization(
      { metadata, clientId: provider.clientId },
      { redirectUri: listener.redirectUri, responseMode, scope, prompt, parameters, loginHint },
      surroundings,
    );
    const { origin } = transaction.authorizationUrl;
    const arriving = listener.receive(transaction.state, [origin, new URL(provider.issuer).origin]);
    announce?.(listener.offer(transaction.authorizationUrl));
    conversation.authorizationUrl(transaction.authorizationUrl, request.browser === 'none');
    showInBrowser(transaction.authorizationUrl, request.browser, conversation, surroundings);
    const received = await Promise.race([
      arriving,
      // A form leaves nothing to paste in the address bar.
      ...(responseMode === 'form_post'
        ? []
        : [pasted(conversation, listener.redirectUri, transaction, ended.signal)]),
      aborted(surroundings.signal),
    ]);
    return await answering(received, surroundings.redact, async () => {
      const tokenSet = await transaction.redeem(received.url);
      const session = newSession(provider, tokenSet, scope, surroundings.now());
      assertExpected(session.account, account);
      return { stored: await keep(session), session, requestedScope: scope };
    });
  } finally {
    ended.abort();
    await listener.close();
  }
}

/** A browser may take its time, or never say anything: nobody waits for it. */
function showInBrowser(
  url: URL,
  browser: string | undefined,
  conversation: SignInConversation,
  { openBrowser }: ClientSurroundings,
): void {
  if (browser === 'none') return;
  openBrowser(url, browser).then(
    (launch) => {
      if (launch.kind === 'not_launched') conversation.browserNotLaunched(launch.reason);
    },
    (error: unknown) =>
      conversation.browserNotLaunched(error instanceof Error ? error.message : 'unknown failure'),
  );
}

async function pasted(
  conversation: SignInConversation,
  redirectUri: string,
  transaction: Transaction,
  signal: AbortSignal,
): Promise<ReceivedResponse> {
  for await (const line of conversation.pastedLines(signal)) {
    const read = readPastedResponse(line, redirectUri, transaction.state);
    if (read.kind === 'rejected') conversation.pasteRejected(read.reason);
    else
      return {
        url: read.kind === 'response' ? read.url : transaction.responseOf(read.code),
        respond: async () => {},
      };
  }
  // Nothing was pasted: the answer comes through the listener, or not at all.
  return new Promise(() => {});
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** The page in the browser says what the terminal will say, and only once it is true. */
async function answering(
  received: ReceivedResponse,
  redact: (text: string) => string,
  work: () => Promise<SignedIn>,
): Promise<SignedIn> {
  try {
    const result = await work();
    const { provider, account } = result.stored.summary;
    await received.respond({ kind: 'signed_in', provider, account: oneLine(accountLabel(account)) });
    return result;
  } catch (error) {
    const { message, hint } = explain(error);
    await received.respond({
      kind: 'failed',
      message: redactedLine(message, redact),
      hint: hint && redactedLine(hint, redact),
    });
    throw error;
  }
}

function explain(error: unknown): AuthError {
  if (error instanceof AuthError) return error;
  const isCancelled = error instanceof Interrupted;
  return new AuthError(
    'bug',
    isCancelled ? 'the sign-in was cancelled in the terminal' : 'an unexpected failure',
  );
}

function newSession(
  { name, issuer, clientId }: Provider,
  tokenSet: TokenSet,
  asked: string | null,
  now: Date,
): Session {
  const { accessToken, tokenType, expiresAt, refreshToken, refreshExpiresAt, idToken, claims, scope } =
    tokenSet;
  const obtainedAt = now.toISOString();
  return {
    provider: name,
    issuer,
    clientId,
    account: {
      sub: claims?.sub ?? null,
      username: textClaim(claims?.['preferred_username']),
      email: textClaim(claims?.['email']),
      name: textClaim(claims?.['name']),
    },
    scope: scope ?? asked,
    expiresAt,
    refreshable: refreshToken !== null,
    refreshExpiresAt,
    signedInAt: obtainedAt,
    ended: null,
    accessToken: { value: accessToken, type: tokenType, expiresAt, obtainedAt, scope: scope ?? asked },
    otherAccessTokens: {},
    refreshToken,
    idToken,
  };
}

function textClaim(claim: unknown): string | null {
  return typeof claim === 'string' && claim !== '' ? claim : null;
}

function assertExpected(account: Account, expected: string | undefined): void {
  if (expected === undefined || isAccount(account, expected)) return;
  throw new AuthError(
    'denied',
    `${accountLabel(account)} signed in, but ${expected} was expected; nothing was kept`,
    {
      hint: 'sign in as the right account, or leave out -a',
    },
  );
}
