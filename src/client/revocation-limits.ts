import { AuthError } from '../errors.js';
import type { Session } from '../store/session.js';
import { timeLimit } from '../time-limit.js';
import type { ClientSurroundings } from './surroundings.js';

/** Nobody waits for a provider, or for the keeper of a client secret, that does not answer when tokens are to be revoked. */
const longestWaitMs = 8_000;

export const noAnswer = 'the provider does not answer';

/** @param reason what is said when the time is over */
export function limited(surroundings: ClientSurroundings, reason: string): ClientSurroundings {
  const silent = new AuthError('timeout', reason);
  return { ...surroundings, signal: timeLimit(surroundings.signal, longestWaitMs, silent) };
}

/** The newest first. */
export function refreshTokensOf({ unverifiedRefreshToken, refreshToken }: Session): string[] {
  return [unverifiedRefreshToken, refreshToken].filter((token) => token !== null);
}
