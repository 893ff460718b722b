import { assertEndpoint, type ServerMetadata } from './discovery.js';

export interface EndSessionRequest {
  readonly clientId: string;
  /** Who the provider should sign out, where it knows several. */
  readonly logoutHint?: string | undefined;
  /** Where the browser should come back to, and with what; absent: it stays where the provider leaves it. */
  readonly postLogout?: { readonly redirectUri: string; readonly state: string };
}

/** OpenID Connect RP-Initiated Logout 1.0, 2. No `id_token_hint`: an address ends up in histories and logs. */
export function buildEndSessionUrl(
  metadata: ServerMetadata,
  { clientId, logoutHint, postLogout }: EndSessionRequest,
): URL {
  const url = assertEndpoint(metadata, 'end_session_endpoint');
  url.searchParams.set('client_id', clientId);
  if (logoutHint !== undefined) url.searchParams.set('logout_hint', logoutHint);
  if (postLogout !== undefined) {
    url.searchParams.set('post_logout_redirect_uri', postLogout.redirectUri);
    url.searchParams.set('state', postLogout.state);
  }
  return url;
}
