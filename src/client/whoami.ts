import type { Claims } from '../oauth/userinfo.js';
import type { Provider } from '../providers/provider.js';
import type { OpenSession } from '../store/session-store.js';
import type { Account } from '../store/session.js';
import type { AcquiredToken } from './acquired-token.js';
import { connect } from './connect.js';
import type { ClientSurroundings } from './surroundings.js';

/** Who a session belongs to: the ID token of the sign-in, completed by what the provider says now. */
export async function whoami(
  provider: Provider,
  { session }: OpenSession,
  acquire: () => Promise<AcquiredToken>,
  surroundings: ClientSurroundings,
): Promise<Claims> {
  const { fetchClaims, hasUserinfo, isTokenRefusal } = await import('../oauth/userinfo.js');
  const stated = session.idToken === null ? accountClaims(session.account) : idTokenClaims(session.idToken);
  const client = await connect(provider, surroundings);
  if (!hasUserinfo(client)) return stated;
  const { token, scope } = await acquire();
  surroundings.conceal(token);
  const held = { accessToken: token, proofKey: session.proofKey };
  try {
    return { ...stated, ...(await fetchClaims(client, held, session.account.sub, surroundings)) };
  } catch (error) {
    // Any other token that is refused is no good: it was revoked, or the person is gone.
    if (session.idToken === null || !isForApiAlone(scope) || !isTokenRefusal(error)) throw error;
    surroundings.ownership.warn(
      `as of the sign-in, for the access token is not for userinfo: ${error.message}`,
    );
    return stated;
  }
}

/** OpenID Connect Core 5.3: userinfo takes tokens of the scope `openid`, which one for an API (RFC 8707) is not granted. */
function isForApiAlone(scope: string | null): boolean {
  return Boolean(scope) && !scope?.split(' ').includes('openid');
}

/** What was said at the sign-in where there is no ID token. */
function accountClaims({ sub, username, email, name }: Account): Claims {
  const claims = { sub, preferred_username: username, email, name };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
}

/** Its signature was verified when it came. */
function idTokenClaims(idToken: string): Claims {
  const claims: Claims = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString());
  return claims;
}
