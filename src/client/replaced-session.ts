import { AuthError } from '../errors.js';
import type { Client } from '../oauth/configuration.js';
import type { Session } from '../store/session.js';
import { storedClaims } from './acquired-token.js';
import { limited, noAnswer, refreshTokensOf } from './revocation-limits.js';
import type { ClientSurroundings } from './surroundings.js';

/**
 * A sign-in that brought no refresh token goes on with that of the session in whose place it comes: some providers give one at
 * the first consent only. Returns the session as it is to be kept.
 * @param orphans gets the earlier session where its refresh token cannot go on
 */
export function takeOverRefreshToken(
  session: Session,
  earlier: Session,
  orphans: Session[],
  { ownership }: ClientSurroundings,
): Session {
  const { refreshToken, unverifiedRefreshToken, refreshExpiresAt = null, refreshNonce } = earlier;
  if (session.refreshToken !== null || refreshToken === null) return session;
  if (!isOfSameHolder(session, earlier)) {
    orphans.push(earlier);
    return session;
  }
  ownership.warn(`${session.provider} gave no refresh token: that of the earlier sign-in goes on`);
  return {
    ...session,
    refreshable: true,
    refreshToken,
    unverifiedRefreshToken,
    refreshExpiresAt,
    refreshNonce: refreshNonce === undefined ? nonceOf(earlier) : refreshNonce,
  };
}

/** The same person, and tokens that are bound to the same key (RFC 9449) or to none. Without a name it may be anybody. */
function isOfSameHolder(session: Session, earlier: Session): boolean {
  return (
    session.account.sub !== null &&
    session.account.sub === earlier.account.sub &&
    session.proofKey === earlier.proofKey &&
    session.resource === earlier.resource
  );
}

function nonceOf({ idToken }: Session): string | null {
  const nonce = idToken === null ? undefined : storedClaims(idToken).nonce;
  return typeof nonce === 'string' ? nonce : null;
}

/** It would stay good at the provider, and nobody could sign out of it any more. A failure is told, and fails nothing. */
export async function revokeReplaced(
  replaced: Session,
  client: Client,
  surroundings: ClientSurroundings,
): Promise<void> {
  const { warn } = surroundings.ownership;
  const about = `${replaced.provider} gave no refresh token, and that of the session before this one`;
  try {
    const { canRevoke, revoke } = await import('../oauth/revocation.js');
    if (!canRevoke(client)) {
      warn(`${about} stays good there: the provider has no revocation endpoint`);
      return;
    }
    const wire = limited(surroundings, noAnswer);
    for (const token of refreshTokensOf(replaced)) {
      wire.conceal(token);
      await revoke(client, token, 'refresh_token', wire);
    }
    warn(`${about} was revoked`);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    warn(`${about} could not be revoked: ${error.message}`);
  }
}
