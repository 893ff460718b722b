import { AuthError } from '../errors.js';
import type { Client } from '../oauth/configuration.js';
import type { TokenSet } from '../oauth/token-set.js';
import { claimsOfAnswer, fetchClaims, hasUserinfo, type Claims } from '../oauth/userinfo.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import { accountLabel, isAccount, type Account, type Session } from '../store/session.js';
import type { ClientSurroundings } from './surroundings.js';

/** A provider without ID tokens may still say who signed in; one that does not gets a session without a name. */
export async function askWho(
  client: Client,
  tokenSet: TokenSet,
  proofKey: string | null,
  surroundings: ClientSurroundings,
): Promise<Claims | undefined> {
  const isSaidThere = client.userinfo !== undefined || client.tokenAnswer.idToken !== undefined;
  if (!isSaidThere || !hasUserinfo(client)) return claimsOfAnswer(client, tokenSet);
  return fetchClaims(client, { accessToken: tokenSet.accessToken, proofKey }, null, surroundings);
}

export function newSession(
  provider: Provider,
  tokenSet: TokenSet,
  claims: Claims | undefined,
  proofKey: string | null,
  asked: string | null,
  now: Date,
): Session {
  const { accessToken, tokenType, expiresAt, refreshToken, refreshExpiresAt, idToken, scope, lifetime } =
    tokenSet;
  const obtainedAt = now.toISOString();
  return {
    ...ownerOf(provider),
    resource: null,
    account: {
      sub: textClaim(claims, 'sub'),
      username: textClaim(claims, 'preferred_username'),
      email: textClaim(claims, 'email'),
      name: textClaim(claims, 'name'),
    },
    scope: scope ?? asked,
    expiresAt,
    obtainedAt,
    refreshable: refreshToken !== null,
    refreshExpiresAt,
    signedInAt: obtainedAt,
    ended: null,
    accessToken: {
      value: accessToken,
      type: tokenType,
      expiresAt,
      obtainedAt,
      lifetime,
      scope: scope ?? asked,
    },
    otherAccessTokens: {},
    refreshToken,
    unverifiedRefreshToken: null,
    idToken,
    proofKey,
  };
}

export function textClaim(claims: Claims | undefined, name: string): string | null {
  const claim = claims?.[name];
  return typeof claim === 'string' && claim !== '' ? claim : null;
}

export function assertExpected(account: Account, expected: string | undefined): void {
  if (expected === undefined || isAccount(account, expected)) return;
  throw new AuthError(
    'denied',
    `${accountLabel(account)} signed in, but ${expected} was expected; nothing was kept`,
    {
      hint: 'sign in as the right account, or leave out -a',
    },
  );
}
