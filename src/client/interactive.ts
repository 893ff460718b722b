import { trustedUsers, type RefusedCaller } from '../callback/caller.js';
import {
  listenForAuthorizationResponse,
  type AuthorizationResponseListener,
  type ReceivedResponse,
} from '../callback/listener.js';
import { readPastedResponse } from '../callback/pasted-response.js';
import { AuthError, Interrupted } from '../errors.js';
import {
  beginAuthorization,
  type AuthorizationRequest,
  type RequestOptions,
  type Transaction,
} from '../oauth/authorization-code.js';
import { adviceToRegister } from '../oauth/advice.js';
import type { Client } from '../oauth/configuration.js';
import { defaultScope } from '../oauth/discovery.js';
import type { RequestedClaims } from '../oauth/id-token.js';
import { joinScopes } from '../oauth/parameters.js';
import { newProofKey } from '../oauth/signing-key.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import { registeredUri, type Redirect, type RedirectChoice } from '../providers/redirect.js';
import type { StoreName } from '../store/key-source.js';
import type { SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { oneLine } from '../remote-text.js';
import { distinctLabel } from '../store/account.js';
import type { Session } from '../store/session.js';
import { accountNameAt } from './account-name.js';
import { connect } from './connect.js';
import { identify } from './identify.js';
import { newSession } from './new-session.js';
import { revokeReplaced, takeOverRefreshToken } from './replaced-session.js';
import { requestDigest } from './request-digest.js';
import { aborted, showInBrowser } from './show-in-browser.js';
import type { ClientSurroundings } from './surroundings.js';

export type { RefusedCaller, RequestedClaims };

export interface InteractiveRequest extends RequestOptions {
  readonly store: StoreName;
  /** Who is expected to sign in; anybody else is refused, and nothing is kept. */
  readonly account?: string | undefined;
  /** Instead of the provider's own. */
  readonly scope?: string | undefined;
  /** Send the authorization request ahead (RFC 9126). */
  readonly par?: boolean | undefined;
  /** Bind the tokens to a key that is kept with the session (RFC 9449). */
  readonly dpop?: boolean | undefined;
  /** Where the authorization response is to come in, over what the provider's entry says. */
  readonly redirect?: RedirectChoice | undefined;
  /** `none` leaves it to the person; absent means the system's browser. */
  readonly browser?: string | undefined;
}

export interface SignedIn {
  readonly stored: StoredSession;
  readonly session: Session;
  readonly requestedScope: string | null;
  /** The kind of sign-in that the ID token tells of; undefined when another process has read it. */
  readonly acr?: string | null;
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
  /** An answer to this sign-in came from another user, and was not taken. @param canBePasted whether pasting it would help */
  refusedCaller(caller: RefusedCaller, canBePasted: boolean): void;
  readonly canPaste: boolean;
  /** What the person types or pastes into the terminal, line by line; nothing where nobody can. */
  pastedLines(signal: AbortSignal): AsyncIterable<string>;
  pasteRejected(reason: string): void;
  /** The remedy of a failure in words, for the page in the browser. */
  hintOf(failure: AuthError): string | undefined;
}

/**
 * Authorization code with PKCE (RFC 6749 4.1, RFC 7636), over a loopback redirect (RFC 8252) or by hand.
 * `announce` is told where another process of the same user can learn the URL.
 */
export async function signIn(
  provider: Provider,
  request: InteractiveRequest,
  redirect: Redirect,
  conversation: SignInConversation,
  store: SessionStore,
  surroundings: ClientSurroundings,
  announce?: (address: string) => void,
): Promise<SignedIn> {
  const keep = await new SessionWriter(store).prepareForLogin(ownerOf(provider), request.store);
  const listener = await listen(redirect, request, conversation, surroundings);
  const registered = registeredUri(redirect, listener.redirectUri);
  const ended = new AbortController();
  try {
    const client = await connect(provider, surroundings, { isFresh: true });
    const proofKey = provider.dpop || request.dpop ? newProofKey() : null;
    const asked = authorizationRequest(provider, client, request, listener.redirectUri, registered);
    const transaction = await beginAuthorization(
      { ...client, isPushed: client.isPushed || (request.par ?? false) },
      { ...asked, proofKey: proofKey ?? undefined },
      surroundings,
    );
    const { origin } = transaction.authorizationUrl;
    const arriving = listener.receive(transaction.state, [origin, new URL(provider.issuer).origin]);
    const address = listener.offer(transaction.authorizationUrl);
    if (address !== undefined) announce?.(address);
    conversation.authorizationUrl(transaction.authorizationUrl, request.browser === 'none');
    const notLaunched = (reason: string) => conversation.browserNotLaunched(reason);
    void showInBrowser(transaction.authorizationUrl, request.browser, notLaunched, surroundings);
    const received = await Promise.race([
      arriving,
      // A form leaves nothing to paste in the address bar.
      ...(request.responseMode === 'form_post'
        ? []
        : [pasted(conversation, listener.redirectUri, transaction, ended.signal)]),
      aborted(surroundings.signal).catch((reason: unknown) => {
        throw listener.ignored === 0 ? withoutAnswer(reason, { ...client, redirectUri: registered }) : reason;
      }),
    ]);
    const replaced: Session[] = [];
    const expected = request.account === undefined ? undefined : accountNameAt(provider, request.account);
    const signedIn = await answering(received, conversation, store, surroundings, async () => {
      const tokenSet = await transaction.redeem(received.url);
      const { account, acr } = await identify(client, tokenSet, proofKey, expected, surroundings);
      const session = newSession(provider, tokenSet, {
        account,
        proofKey,
        scope: asked.scope,
        requestDigest: requestDigest(provider, request),
        at: surroundings.now(),
      });
      const takeOver = (earlier: Session) => takeOverRefreshToken(session, earlier, replaced, surroundings);
      return { stored: await keep(session, takeOver), session, requestedScope: asked.scope, acr };
    });
    for (const earlier of replaced) await revokeReplaced(earlier, client, surroundings);
    return signedIn;
  } finally {
    ended.abort();
    await listener.close();
  }
}

type Listener = Pick<AuthorizationResponseListener, 'redirectUri' | 'ignored' | 'receive' | 'close'> & {
  offer(authorizationUrl: URL): string | undefined;
};

async function listen(
  redirect: Redirect,
  { responseMode }: InteractiveRequest,
  conversation: SignInConversation,
  { ownership, env, trace }: ClientSurroundings,
): Promise<Listener> {
  if (redirect.kind === 'loopback') {
    const isForm = responseMode === 'form_post';
    return listenForAuthorizationResponse({
      ...redirect,
      method: isForm ? 'POST' : 'GET',
      trustedUsers: trustedUsers(ownership.uid, env),
      onIgnored: (count) => conversation.ignoredRequests(count),
      onRefusedCaller: (caller) => conversation.refusedCaller(caller, conversation.canPaste && !isForm),
      onUnknownCallers: () =>
        trace(
          'the system does not say which user a connection comes from, so an answer of every user counts',
        ),
    });
  }
  // Nothing of ours is there: the person reads the response off the address bar.
  return {
    redirectUri: redirect.uri,
    ignored: 0,
    receive: () => new Promise(() => {}),
    offer: () => undefined,
    close: async () => {},
  };
}

/** What the person wants now, over what the provider's entry says. */
export function authorizationRequest(
  { scope, authorization }: Provider,
  { metadata }: Client,
  request: Omit<InteractiveRequest, 'store' | 'redirect'>,
  redirectUri: string,
  registeredRedirectUri = redirectUri,
): AuthorizationRequest {
  return {
    ...request,
    redirectUri,
    registeredRedirectUri,
    scope: joinScopes([request.scope ?? scope ?? defaultScope(metadata), authorization?.alwaysScope]) ?? null,
    loginHint: request.loginHint ?? request.account,
    parameters: { ...authorization?.parameters, ...request.parameters },
  };
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

/** A provider that refuses the redirect URI shows that on a page of its own, and nothing ever comes back (RFC 6749 4.1.2.1). */
function withoutAnswer(reason: unknown, about: Parameters<typeof adviceToRegister>[0]): unknown {
  if (!(reason instanceof AuthError) || reason.code !== 'timeout') return reason;
  const patience = reason.hint === undefined ? '' : `${reason.hint}; or, `;
  return new AuthError(reason.code, reason.message, {
    hint: `${patience}if the provider's page shows an error, ${adviceToRegister(about)}`,
    cause: reason,
  });
}

/** The page in the browser says what the terminal will say, and only once it is true. */
async function answering(
  received: ReceivedResponse,
  conversation: SignInConversation,
  store: SessionStore,
  { shown }: Pick<ClientSurroundings, 'shown'>,
  work: () => Promise<SignedIn>,
): Promise<SignedIn> {
  try {
    const result = await work();
    const { summary } = result.stored;
    const account = oneLine(distinctLabel(summary, store.list().sessions));
    await received.respond({ kind: 'signed_in', provider: summary.provider, account });
    return result;
  } catch (error) {
    const failure = explain(error);
    const hint = conversation.hintOf(failure);
    await received.respond({
      kind: 'failed',
      message: await shown(failure.message),
      hint: hint && (await shown(hint)),
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
