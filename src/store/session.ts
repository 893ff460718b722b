import type { SessionOwner } from '../session-owner.js';
import type { Account } from './account.js';

export interface AccessToken {
  readonly value: string;
  readonly type: string;
  /** ISO 8601; null for a token that does not expire. */
  readonly expiresAt: string | null;
  readonly obtainedAt: string;
  /** Seconds, as the provider last said it of such a token; null where it never did, absent in what the first versions wrote. */
  readonly lifetime?: number | null;
  readonly scope: string | null;
}

/** What anybody who may read the state folder can see of a session: no secret is in here. */
export interface SessionSummary extends SessionOwner {
  /** The API that the session was asked for by its address (RFC 9728); null where there is none. */
  readonly resource: string | null;
  readonly account: Account;
  readonly scope: string | null;
  /** Of the access token. */
  readonly expiresAt: string | null;
  /** When the access token came; absent in what the first versions wrote. */
  readonly obtainedAt?: string | null;
  readonly refreshable: boolean;
  /** Of the refresh token, where the provider says it; null or absent where it does not. */
  readonly refreshExpiresAt?: string | null;
  readonly signedInAt: string;
  /** Set once the provider has definitively ended the session (RFC 6749 5.2, `invalid_grant`). */
  readonly ended: { readonly at: string; readonly reason: string } | null;
}

export interface Session extends SessionSummary {
  /** As granted at the sign-in. */
  readonly accessToken: AccessToken;
  /** For other scopes, resources or audiences, by what was asked for. */
  readonly otherAccessTokens: Readonly<Record<string, AccessToken>>;
  readonly refreshToken: string | null;
  /** It came with an answer that failed a check: the next refresh goes on with it, and nothing else of that answer is kept. */
  readonly unverifiedRefreshToken: string | null;
  /**
   * The nonce of the sign-in that brought the refresh token, where that sign-in is earlier than that of the ID token; null where
   * it had none, absent where both tokens are of one sign-in.
   */
  readonly refreshNonce?: string | null;
  readonly idToken: string | null;
  /** What the tokens are bound to (RFC 9449): a private key, PEM. */
  readonly proofKey: string | null;
  /** A digest of the sign-in's request; null where an earlier authcli made the session. Sealed, because a parameter may be a secret. */
  readonly requestDigest: string | null;
}

/** Whether the provider is likely to give a new token: by what it said of the refresh token, and by the clock of this machine. */
export function canRefresh({ refreshable, refreshExpiresAt }: SessionSummary, now: Date): boolean {
  return refreshable && (!refreshExpiresAt || Date.parse(refreshExpiresAt) > now.getTime());
}

/** Clocks may differ by this much. */
const toleranceMs = 30_000;

/**
 * Whether the clock of this machine was ahead when the token came, or is behind now. Then the time at which the token ends says
 * nothing: its lifetime was counted from a moment that is still to come.
 */
export function isOfWrongClock(obtainedAt: string | null | undefined, now: Date): boolean {
  return Date.parse(obtainedAt ?? '') - now.getTime() > toleranceMs;
}
