import { isUtf8 } from 'node:buffer';

import type { IDToken, TokenEndpointResponse } from 'openid-client';

import { AuthError } from '../errors.js';
import { isJson } from '../json-document.js';
import { unverifiedClaims } from './jwt.js';

/** What the token endpoint granted, checked and in our own words. */
export interface TokenSet {
  readonly accessToken: string;
  readonly tokenType: string;
  readonly expiresAt: string;
  /** Seconds, where the provider said it. */
  readonly lifetime: number | null;
  /** Null: the provider issued none, or on a refresh no new one. */
  readonly refreshToken: string | null;
  /** Null where the provider does not say. */
  readonly refreshExpiresAt: string | null;
  readonly idToken: string | null;
  /** Of the ID token, its signature verified. */
  readonly claims: IDToken | undefined;
  /** Null when the provider does not say: then it is what was asked for (RFC 6749 5.1). */
  readonly scope: string | null;
  /** All of it: some providers say in it who signed in. */
  readonly answer: Readonly<Record<string, unknown>>;
}

/** Entra ID issues about 5 kB, and 20 kB happens. */
const longestToken = 65_536;
const oneHour = 3600;
const oneYear = 365 * 24 * oneHour;
/** What is longer says nothing. */
const longestRefreshLifetime = 100 * oneYear;

export function readTokenSet(
  response: TokenEndpointResponse & { claims(): IDToken | undefined },
  now: Date,
  isBound: boolean,
  lastLifetime?: number,
): TokenSet {
  const wanted = isBound ? 'dpop' : 'bearer';
  if (response.token_type !== wanted) {
    throw new AuthError(
      'protocol',
      `the provider issued a token of another type than ${wanted}: ${response.token_type}`,
    );
  }
  assertPrintable(response.access_token, 'access_token');
  if (response.id_token !== undefined) assertSigned(response.id_token);
  if (response.refresh_token !== undefined) assertPrintable(response.refresh_token, 'refresh_token');
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(response.scope ?? '')) {
    throw new AuthError('protocol', "the provider's scope holds characters that no scope may have");
  }
  const given = response.expires_in;
  const lifetime = Math.min(given ?? assumedLifetime(response.access_token, lastLifetime, now), oneYear);
  return {
    accessToken: response.access_token,
    tokenType: isBound ? 'DPoP' : 'Bearer',
    expiresAt: new Date(now.getTime() + lifetime * 1000).toISOString(),
    lifetime: given === undefined ? null : lifetime,
    refreshToken: response.refresh_token ?? null,
    refreshExpiresAt: refreshExpiry(response, now),
    idToken: response.id_token ?? null,
    claims: response.claims(),
    scope: response.scope ?? null,
    answer: response,
  };
}

/** As the provider said it last, or as the token says it where it is a JWT (RFC 9068): whichever is sooner. */
function assumedLifetime(accessToken: string, lastLifetime: number | undefined, now: Date): number {
  const { exp } = unverifiedClaims(accessToken);
  const left = typeof exp === 'number' ? exp - now.getTime() / 1000 : Number.NaN;
  // A token that has expired before it came is none: then the clocks differ, and `exp` says nothing here.
  const known = [lastLifetime, left].filter((seconds) => seconds !== undefined && seconds > 0);
  return known.length === 0 ? oneHour : Math.min(...known.map(Number));
}

/** No standard has it: Keycloak's name, and that of Google, GitHub and Microsoft. Keycloak means by 0 that there is no end. */
function refreshExpiry(
  { refresh_expires_in, refresh_token_expires_in }: TokenEndpointResponse,
  now: Date,
): string | null {
  const given = refresh_expires_in ?? refresh_token_expires_in;
  const lifetime = typeof given === 'number' || typeof given === 'string' ? Number(given) : 0;
  if (lifetime === 0 || !(Math.abs(lifetime) <= longestRefreshLifetime)) return null;
  return new Date(now.getTime() + lifetime * 1000).toISOString();
}

/** RFC 7515 5.2: base64url of JSON in UTF-8. openid-client takes the other base64, a byte order mark and broken letters as well. */
function assertSigned(idToken: string): void {
  assertPrintable(idToken, 'id_token');
  const isWellFormed = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(idToken);
  if (!isWellFormed || !idToken.split('.', 2).every(isPartOfJws)) {
    throw new AuthError('protocol', "the provider's id_token is malformed");
  }
}

function isPartOfJws(part: string): boolean {
  const bytes = Buffer.from(part, 'base64url');
  return isUtf8(bytes) && isJson(bytes.toString());
}

/** A text that can be sent, and kept, as a token. */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestToken && printable.test(value);
}

/** RFC 6749 A.12 and A.17, without the space: a line break here would end up in a header or a terminal. */
const printable = /^[\x21-\x7e]+$/;

function assertPrintable(token: string, field: string): void {
  if (token.length > longestToken) {
    throw new AuthError('protocol', `the provider's ${field} is longer than any token`);
  }
  if (!printable.test(token)) {
    throw new AuthError('protocol', `the provider's ${field} holds characters that no token may have`);
  }
}
