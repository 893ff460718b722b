import type { IDToken, TokenEndpointResponse } from 'openid-client';

import { AuthError } from '../errors.js';

/** What the token endpoint granted, checked and in our own words. */
export interface TokenSet {
  readonly accessToken: string;
  readonly tokenType: string;
  readonly expiresAt: string;
  /** Null: the provider issued none, or on a refresh no new one. */
  readonly refreshToken: string | null;
  readonly idToken: string | null;
  /** Of the ID token, its signature verified. */
  readonly claims: IDToken | undefined;
  /** Null when the provider does not say: then it is what was asked for (RFC 6749 5.1). */
  readonly scope: string | null;
}

const oneHour = 3600;
const oneYear = 365 * 24 * oneHour;

export function readTokenSet(
  response: TokenEndpointResponse & { claims(): IDToken | undefined },
  now: Date,
): TokenSet {
  assertPrintable(response.access_token, 'access_token');
  if (response.refresh_token !== undefined) assertPrintable(response.refresh_token, 'refresh_token');
  const lifetime = Math.min(response.expires_in ?? oneHour, oneYear);
  return {
    accessToken: response.access_token,
    tokenType: response.token_type === 'bearer' ? 'Bearer' : response.token_type,
    expiresAt: new Date(now.getTime() + lifetime * 1000).toISOString(),
    refreshToken: response.refresh_token ?? null,
    idToken: response.id_token ?? null,
    claims: response.claims(),
    scope: response.scope ?? null,
  };
}

/** RFC 6749 A.12 and A.17, without the space: a line break here would end up in a header or a terminal. */
function assertPrintable(token: string, field: string): void {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new AuthError('protocol', `the provider's ${field} holds characters that no token may have`);
  }
}
