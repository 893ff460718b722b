import { createHash } from 'node:crypto';

import type { IDToken } from 'openid-client';

import { AuthError } from '../errors.js';
import type { TokenSet } from './token-set.js';

const toleranceSeconds = 5 * 60;
/** What a Date can hold. */
const longestExpiry = 8.64e12;

/**
 * What openid-client leaves unchecked in the code flow (OpenID Connect Core 3.1.3.7): foreign audiences, `azp`, `at_hash`,
 * the shape of `sub`, and an `iat` far from now. Signature, issuer, nonce and expiry are checked before.
 */
export function assertIdToken({ claims, idToken, accessToken }: TokenSet, clientId: string): void {
  if (claims === undefined || idToken === null) return;
  const audience = [claims.aud].flat();
  if (audience.length !== 1 || audience[0] !== clientId) refuse('it is meant for another audience as well');
  if (claims.exp > longestExpiry) refuse('its expiry is no time');
  if (claims.azp !== undefined && claims.azp !== clientId) refuse('it was issued to another client (azp)');
  // OpenID Connect Core 2: at most 255 ASCII characters.
  if (!/^[\x20-\x7e]{1,255}$/.test(claims.sub)) refuse('its subject is empty or malformed');
  assertAccessTokenHash(claims, idToken, accessToken);
}

/**
 * Only at a sign-in. On a refresh the provider has already replaced the refresh token, and a machine that woke up with a wrong
 * clock must not lose its session over a comparison that OpenID Connect Core 12.2 does not ask for.
 */
export function assertIssuedNow({ claims }: TokenSet, now: Date): void {
  if (claims === undefined) return;
  const difference = Math.round(now.getTime() / 1000 - claims.iat);
  if (Math.abs(difference) <= toleranceSeconds) return;
  throw new AuthError(
    'protocol',
    `the clocks differ by ${Math.abs(difference)} s: the provider says ${timeOf(claims.iat)}, this machine ${timeOf(now.getTime() / 1000)}`,
    { hint: 'set the clock of this machine, then sign in again' },
  );
}

/** OpenID Connect Core 5.5: `null`, or an object of `essential`, `value` and `values`. */
interface ClaimRequest {
  readonly essential?: unknown;
  readonly value?: unknown;
  readonly values?: unknown;
}

export interface RequestedClaims {
  readonly id_token?: Readonly<Record<string, ClaimRequest | null>>;
  readonly userinfo?: Readonly<Record<string, ClaimRequest | null>>;
  readonly [destination: string]: unknown;
}

/** OpenID Connect Core 5.5.1.1: an `acr` that was essential and has another value is a failed sign-in. */
export function assertRequestedClaims({ claims }: TokenSet, requested: RequestedClaims | undefined): void {
  const acr = requested?.id_token?.['acr'];
  if (acr?.essential !== true) return;
  const wanted = [
    ...(acr.value === undefined ? [] : [acr.value]),
    ...(Array.isArray(acr.values) ? acr.values : []),
  ];
  if (claims?.['acr'] === undefined || (wanted.length > 0 && !wanted.includes(claims['acr']))) {
    refuse('the sign-in is not of the kind that was asked for (acr)');
  }
}

/** OpenID Connect Core 12.2: a refreshed ID token is about the same person. */
export function assertSameSubject(claims: IDToken | undefined, expected: string | null): void {
  if (claims !== undefined && claims.sub !== expected) refuse('it is about somebody else than the session');
}

function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString();
}

/** OpenID Connect Core 3.1.3.6: the left half of the hash that the signature's algorithm uses. */
function assertAccessTokenHash(claims: IDToken, idToken: string, accessToken: string): void {
  if (claims['at_hash'] === undefined) return;
  const header: { alg?: unknown } = JSON.parse(
    Buffer.from(idToken.split('.')[0] ?? '', 'base64url').toString(),
  );
  const bits = typeof header.alg === 'string' ? (/(256|384|512)$/.exec(header.alg)?.[1] ?? '512') : '256';
  const digest = createHash(`sha${bits}`).update(accessToken, 'ascii').digest();
  if (claims['at_hash'] !== digest.subarray(0, digest.length / 2).toString('base64url')) {
    refuse('its hash of the access token is wrong (at_hash)');
  }
}

function refuse(reason: string): never {
  throw new AuthError('protocol', `the ID token is refused: ${reason}`);
}
