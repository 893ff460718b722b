import { AuthError } from '../errors.js';
import type { Session } from './session.js';

/** Far more than is written, so that what an earlier authcli wrote without a limit is read and made smaller. */
export const largestSession = 4 * 1024 * 1024;

/** Room for two dozen access tokens of 20 kB beside the largest tokens of a sign-in. Whoever needs a token reads all of this. */
const largestWritten = 768 * 1024;

/** Base64 writes three bytes in four. */
const largestUnsealed = (largestWritten * 3) / 4;

type Bounded = Pick<Session, 'otherAccessTokens'>;

/**
 * Access tokens for other targets can be had again, so the oldest of them make room. The newest one stays: somebody waits for it.
 * @param more bytes that are written beside the secrets
 * @throws {AuthError} `protocol` where the result would not be read again
 */
export function withoutOldest<T extends Bounded>(secrets: T, provider: string, more: number): T {
  let size = more + sizeOf({ ...secrets, otherAccessTokens: {} });
  const kept: [string, Session['otherAccessTokens'][string]][] = [];
  // They lie there in the order in which they came. Their times say less, for a clock may have been wrong.
  for (const entry of Object.entries(secrets.otherAccessTokens).toReversed()) {
    const larger = size + sizeOf(entry);
    if (kept.length > 0 && larger > largestUnsealed) break;
    size = larger;
    kept.unshift(entry);
  }
  if ((size * 4) / 3 > largestSession) {
    throw new AuthError('protocol', `what ${provider} says of the session is too large to be kept`);
  }
  return { ...secrets, otherAccessTokens: Object.fromEntries(kept) };
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
