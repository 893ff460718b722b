import type { TokenSet } from '../oauth/token-set.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import type { Account } from '../store/account.js';
import type { Session } from '../store/session.js';

interface SignIn {
  readonly account: Account;
  readonly proofKey: string | null;
  /** As it was asked for. */
  readonly scope: string | null;
  /** The result of `requestDigest`. */
  readonly requestDigest: string;
  readonly at: Date;
}

export function newSession(provider: Provider, tokenSet: TokenSet, signIn: SignIn): Session {
  const { accessToken, tokenType, expiresAt, lifetime, refreshToken, refreshExpiresAt, idToken } = tokenSet;
  const scope = tokenSet.scope ?? signIn.scope;
  const obtainedAt = signIn.at.toISOString();
  return {
    ...ownerOf(provider),
    resource: null,
    account: signIn.account,
    scope,
    expiresAt,
    obtainedAt,
    refreshable: refreshToken !== null,
    refreshExpiresAt,
    signedInAt: obtainedAt,
    ended: null,
    accessToken: { value: accessToken, type: tokenType, expiresAt, obtainedAt, lifetime, scope },
    otherAccessTokens: {},
    refreshToken,
    unverifiedRefreshToken: null,
    idToken,
    proofKey: signIn.proofKey,
    requestDigest: signIn.requestDigest,
  };
}
