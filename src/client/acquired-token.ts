import { AuthError } from '../errors.js';
import { unverifiedClaims } from '../oauth/jwt.js';
import { accountLabel, type Account } from '../store/account.js';
import { isOfWrongClock, type AccessToken, type Session } from '../store/session.js';

/** What an access token is asked for; nothing of it means: as at the sign-in. */
export interface TokenTarget {
  readonly scope?: string | undefined;
  /** RFC 8707. */
  readonly resource?: string | undefined;
  /** What some providers have in place of `resource`. */
  readonly audience?: string | undefined;
}

/** Which token is needed, and how good it must be. */
export interface TokenNeed extends TokenTarget {
  readonly kind: 'access' | 'id';
  /** How long the token must still be good for. */
  readonly minTtlMs: number;
}

export interface SilentRequest extends TokenNeed {
  readonly account?: string | undefined;
  readonly store?: 'keychain' | 'file' | undefined;
  readonly forceRefresh: boolean;
}

export interface AcquiredToken {
  readonly token: string;
  readonly tokenType: string;
  /** ISO 8601; null when it does not expire. */
  readonly expiresAt: string | null;
  readonly scope: string | null;
  readonly issuer: string;
  readonly provider: string;
  readonly account: Account;
}

export function isUsable(session: Session, need: TokenNeed, now: Date): boolean {
  if (need.kind === 'id') return isGoodUntil(idTokenExpiry(session), need, now);
  const token = accessTokenFor(session, need);
  return (
    token !== undefined && !isOfWrongClock(token.obtainedAt, now) && isGoodUntil(token.expiresAt, need, now)
  );
}

function isGoodUntil(expiresAt: string | null, { minTtlMs }: TokenNeed, now: Date): boolean {
  return expiresAt === null || Date.parse(expiresAt) - now.getTime() >= minTtlMs;
}

/** Whether the token for that target came after `askedAt`. One that is to come yet proves nothing: a clock was wrong. */
export function isNewerThan(askedAt: string, session: Session, target: TokenTarget, now: Date): boolean {
  const obtainedAt = accessTokenFor(session, target)?.obtainedAt ?? '';
  return obtainedAt > askedAt && obtainedAt <= now.toISOString();
}

/** @throws {Error} when there is none for that target */
export function currentToken(session: Session, need: TokenNeed): AcquiredToken {
  const { scope, issuer, provider, account } = session;
  const about = { scope, issuer, provider, account };
  if (need.kind === 'id') {
    return { ...about, token: idTokenOf(session), tokenType: 'Bearer', expiresAt: idTokenExpiry(session) };
  }
  const token = accessTokenFor(session, need);
  if (token === undefined) throw new Error('there is no access token for that target');
  return {
    ...about,
    scope: token.scope,
    token: token.value,
    tokenType: token.type,
    expiresAt: token.expiresAt,
  };
}

export function accessTokenFor(session: Session, target: TokenTarget): AccessToken | undefined {
  const key = targetKey(target);
  return key === undefined ? session.accessToken : session.otherAccessTokens[key];
}

/** One key for all ways to ask for the same; undefined for what was granted at the sign-in. */
export function targetKey({ scope, resource, audience }: TokenTarget): string | undefined {
  if (scope === undefined && resource === undefined && audience === undefined) return undefined;
  return JSON.stringify([scope?.split(' ').toSorted().join(' '), resource, audience]);
}

function idTokenOf({ idToken, provider, account }: Session): string {
  if (idToken !== null) return idToken;
  throw new AuthError('login_required', `${provider} issued no ID token for ${accountLabel(account)}`, {
    hint: `authcli login -p ${provider} --scope openid`,
  });
}

function idTokenExpiry(session: Session): string | null {
  const { exp } = storedClaims(idTokenOf(session));
  return typeof exp === 'number' ? new Date(exp * 1000).toISOString() : null;
}

interface StoredClaims {
  readonly iss?: unknown;
  readonly exp?: unknown;
  readonly nonce?: unknown;
  readonly auth_time?: unknown;
  readonly acr?: unknown;
}

/** Of an ID token whose signature was verified when it came. */
export function storedClaims(idToken: string): StoredClaims {
  return unverifiedClaims(idToken);
}
