import { AuthError } from '../errors.js';
import { accountLabel, type Account, type Session } from '../store/session.js';

export interface SilentRequest {
  readonly account?: string | undefined;
  readonly store?: 'keychain' | 'file' | undefined;
  /** How long the token must still be good for. */
  readonly minTtlMs: number;
  readonly forceRefresh: boolean;
  readonly kind: 'access' | 'id';
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

export function isUsable(
  session: Session,
  { kind, minTtlMs }: Pick<SilentRequest, 'kind' | 'minTtlMs'>,
  now: Date,
): boolean {
  const expiresAt = kind === 'id' ? idTokenExpiry(session) : session.accessToken.expiresAt;
  return expiresAt === null || Date.parse(expiresAt) - now.getTime() >= minTtlMs;
}

export function currentToken(session: Session, { kind }: Pick<SilentRequest, 'kind'>): AcquiredToken {
  const { scope, issuer, provider, account, accessToken } = session;
  const about = { scope, issuer, provider, account };
  if (kind === 'access') {
    return {
      ...about,
      token: accessToken.value,
      tokenType: accessToken.type,
      expiresAt: accessToken.expiresAt,
    };
  }
  return { ...about, token: idTokenOf(session), tokenType: 'Bearer', expiresAt: idTokenExpiry(session) };
}

function idTokenOf({ idToken, provider, account }: Session): string {
  if (idToken !== null) return idToken;
  throw new AuthError('login_required', `${provider} issued no ID token for ${accountLabel(account)}`, {
    hint: `authcli login -p ${provider} --scope openid`,
  });
}

/** Its signature was verified when it came. */
function idTokenExpiry(session: Session): string | null {
  const payload = Buffer.from(idTokenOf(session).split('.')[1] ?? '', 'base64url').toString();
  const claims: { exp?: unknown } = JSON.parse(payload);
  return typeof claims.exp === 'number' ? new Date(claims.exp * 1000).toISOString() : null;
}
