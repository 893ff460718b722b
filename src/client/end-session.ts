import { randomBytes } from 'node:crypto';

import { trustedUsers, type RefusedCaller } from '../callback/caller.js';
import { listenForAuthorizationResponse, type AuthorizationResponseListener } from '../callback/listener.js';
import { carriesState } from '../callback/response-parameters.js';
import { AuthError } from '../errors.js';
import { buildEndSessionUrl } from '../oauth/end-session.js';
import type { Provider } from '../providers/provider.js';
import { chooseRedirect, type Redirect } from '../providers/redirect.js';
import { serverMetadata } from './server-metadata.js';
import { aborted, showInBrowser } from './show-in-browser.js';
import type { ClientSurroundings } from './surroundings.js';

export interface EndSessionRequest {
  readonly logoutHint?: string | undefined;
  /** `none` leaves it to the person; absent means the system's browser. */
  readonly browser?: string | undefined;
}

/** What the person is told while the browser does its work. */
export interface EndSessionConversation {
  endSessionUrl(url: URL, isManual: boolean): void;
  browserNotLaunched(reason: string): void;
  /** A browser of another user came back; the wait goes on. */
  refusedCaller(caller: RefusedCaller): void;
}

/** What is known of the session at the provider, which lives in the browser. */
export type SessionEnd =
  | 'ended'
  /** The browser came back with another state than ours, or none: by whose doing is not known. */
  | 'unconfirmed'
  /** The provider cannot send the browser back to us. */
  | 'left_to_browser'
  /** The provider has no end session endpoint. */
  | 'unsupported';

/** Ends the session at the provider itself, so that the next sign-in asks who it is. Nothing of ours depends on it any more. */
export async function endSession(
  provider: Provider,
  { logoutHint, browser }: EndSessionRequest,
  conversation: EndSessionConversation,
  surroundings: ClientSurroundings,
): Promise<SessionEnd> {
  const { name, clientId } = provider;
  const metadata = await serverMetadata(provider, surroundings, { isFresh: false });
  if (metadata.end_session_endpoint === undefined) return 'unsupported';
  const visit = (postLogout?: { redirectUri: string; state: string }) => {
    const url = buildEndSessionUrl(metadata, { clientId, logoutHint, ...(postLogout && { postLogout }) });
    conversation.endSessionUrl(url, browser === 'none');
    return showInBrowser(url, browser, (reason) => conversation.browserNotLaunched(reason), surroundings);
  };
  const listener = await listenForReturn(chooseRedirect(provider.redirect), conversation, surroundings);
  if (listener === undefined) {
    await visit();
    return 'left_to_browser';
  }
  try {
    const state = randomBytes(32).toString('base64url');
    const returning = listener.receive(state);
    void visit({ redirectUri: listener.redirectUri, state });
    const { url, respond } = await Promise.race([returning, aborted(surroundings.signal)]);
    const isConfirmed = carriesState(url.searchParams, state);
    await respond({ kind: 'signed_out', provider: name, isConfirmed });
    return isConfirmed ? 'ended' : 'unconfirmed';
  } finally {
    await listener.close();
  }
}

/** Undefined where the browser cannot come back to us: to sign out it needs not. */
async function listenForReturn(
  redirect: Redirect,
  conversation: EndSessionConversation,
  { ownership, env, trace }: ClientSurroundings,
): Promise<AuthorizationResponseListener | undefined> {
  if (redirect.kind === 'elsewhere') return undefined;
  try {
    return await listenForAuthorizationResponse({
      ...redirect,
      expects: 'any_return',
      trustedUsers: trustedUsers(ownership.uid, env),
      onRefusedCaller: (caller) => conversation.refusedCaller(caller),
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    trace(`nothing listens for the browser: ${error.message}`);
    return undefined;
  }
}
