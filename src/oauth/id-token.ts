import { createHash } from 'node:crypto';

import type { IDToken } from 'openid-client';

import { AuthError } from '../errors.js';
import type { TokenSet } from './token-set.js';

/** What clocks may differ. */
const toleranceSeconds = 30;
/** From the issue of an ID token until we have it; Entra ID dates its own five minutes back. */
const longestDelaySeconds = 7 * 60;
/** What a Date can hold. */
const longestExpiry = 8.64e12;

/**
 * What openid-client leaves unchecked in the code flow (OpenID Connect Core 3.1.3.7): foreign audiences, `azp`, `at_hash`,
 * and the shape of `sub`. Signature, issuer and nonce are checked before.
 */
export function assertIdToken({ claims, idToken, accessToken }: TokenSet, clientId: string): void {
  if (claims === undefined || idToken === null) return;
  const audience = [claims.aud].flat();
  if (audience.length !== 1 || audience[0] !== clientId) refuse('it is meant for another audience as well');
  if (claims.exp > longestExpiry) refuse('its expiry is not a time');
  if (claims.azp !== undefined && claims.azp !== clientId) refuse('it was issued to another client (azp)');
  // OpenID Connect Core 2: at most 255 ASCII characters.
  if (!/^[\x20-\x7e]{1,255}$/.test(claims.sub)) refuse('its subject is empty or malformed');
  assertAccessTokenHash(claims, idToken, accessToken);
}

/**
 * Only at a sign-in. On a refresh the provider has already replaced the refresh token, and a machine that woke up with a wrong
 * clock must not lose its session over a comparison that OpenID Connect Core 12.2 does not ask for.
 */
export function assertCurrent({ claims }: TokenSet, now: Date, maxAgeSeconds?: number): void {
  if (claims === undefined) return;
  const { iat, exp, nbf, auth_time: signedInAt } = claims;
  const seconds = now.getTime() / 1000;
  const apart = (time: number) => `${Math.abs(Math.round(seconds - time))} s`;
  if (Math.abs(seconds - iat) > longestDelaySeconds) {
    throw new AuthError(
      'protocol',
      `the clocks differ by ${apart(iat)}: the provider says ${timeOf(iat)}, this machine ${timeOf(seconds)}`,
      { hint: 'set the clock of this machine, then sign in again' },
    );
  }
  if (exp <= seconds - toleranceSeconds) {
    refuse(`it expired ${timeOf(exp)}, and this machine says ${timeOf(seconds)}, ${apart(exp)} later`);
  }
  if (nbf !== undefined && nbf > seconds + toleranceSeconds) {
    refuse(
      `it is good from ${timeOf(nbf)} on, and this machine says ${timeOf(seconds)}, ${apart(nbf)} earlier`,
    );
  }
  // openid-client demands it where it was asked for, and its own comparison has our tolerance for every clock.
  if (maxAgeSeconds === undefined || signedInAt === undefined) return;
  if (signedInAt + maxAgeSeconds < seconds - toleranceSeconds) {
    refuse(`the sign-in at the provider is of ${timeOf(signedInAt)}, older than --max-age allows`);
  }
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

/** OpenID Connect Core 12.2: a refreshed ID token is about the same person, and of the same sign-in where it says of which. */
export function assertSameSignIn(
  claims: IDToken | undefined,
  sub: string | null,
  { iss, nonce }: { readonly iss?: unknown; readonly nonce?: unknown },
): void {
  if (claims === undefined) return;
  if (claims.sub !== sub) refuse('it is about somebody else than the session');
  if (iss !== undefined && claims.iss !== iss) refuse('it is of another issuer than that of the sign-in');
  if (nonce !== undefined && claims.nonce !== undefined && claims.nonce !== nonce) {
    refuse('it is of another sign-in (nonce)');
  }
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
