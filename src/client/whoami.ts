import { isDeepStrictEqual } from 'node:util';

import { AuthError } from '../errors.js';
import type { Claims } from '../oauth/userinfo.js';
import type { Provider } from '../providers/provider.js';
import type { Account } from '../store/account.js';
import { SessionStore, type OpenSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { timeLimit } from '../time-limit.js';
import { withClaims } from './account-claims.js';
import type { AcquiredToken } from './acquired-token.js';
import { connect } from './connect.js';
import type { ClientSurroundings } from './surroundings.js';

/** Who a session belongs to: the ID token of the sign-in, completed by what the provider says now. */
export async function whoami(
  provider: Provider,
  open: OpenSession,
  acquire: () => Promise<AcquiredToken>,
  surroundings: ClientSurroundings,
): Promise<Claims> {
  const { session } = open;
  const { fetchClaims, hasUserinfo, isTokenRefusal } = await import('../oauth/userinfo.js');
  const stated = session.idToken === null ? accountClaims(session.account) : idTokenClaims(session.idToken);
  const client = await connect(provider, surroundings);
  if (!hasUserinfo(client)) return stated;
  const { token, scope } = await acquire();
  surroundings.conceal(token);
  const held = { accessToken: token, proofKey: session.proofKey };
  try {
    const claims = await fetchClaims(client, held, session.account.sub, surroundings);
    await keepWhatIsNew(open, claims, surroundings);
    return { ...stated, ...claims };
  } catch (error) {
    // Any other token that is refused is no good: it was revoked, or the person is gone.
    if (session.idToken === null || !isForApiAlone(scope) || !isTokenRefusal(error)) throw error;
    surroundings.ownership.warn(
      `as of the sign-in, for the access token is not for userinfo: ${error.message}`,
    );
    return stated;
  }
}

const longestWaitMs = 2_000;

/** Others show and choose the account by what is kept of it. Not being able to keep more takes nothing from the answer. */
async function keepWhatIsNew(
  { fileName, session, key }: OpenSession,
  claims: Claims,
  surroundings: ClientSurroundings,
): Promise<void> {
  const isNew = (account: Account) => !isDeepStrictEqual(account, withClaims(account, claims));
  // Without a sub there is nothing that says whom the claims are about.
  if (session.account.sub === null || !isNew(session.account)) return;
  const busy = new AuthError('timeout', 'another authcli works on the session');
  const signal = timeLimit(surroundings.signal, longestWaitMs, busy);
  const store = new SessionStore({ ...surroundings, signal });
  const writer = new SessionWriter(store);
  try {
    await writer.exclusively(fileName, async (latest) => {
      if (latest === undefined || latest.summary.ended !== null) return;
      const open = await store.open(latest, key);
      writer.writeAccount(open, withClaims(open.session.account, claims));
    });
  } catch (error) {
    surroundings.signal.throwIfAborted();
    if (!(error instanceof AuthError)) throw error;
    surroundings.trace(`what userinfo says of the account is not kept: ${error.message}`);
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
