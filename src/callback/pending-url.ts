import { createHash } from 'node:crypto';

/**
 * Where a listener tells its authorization URL to another process of the same user. The path is the digest of the URL:
 * nobody guesses it, because the URL holds the state, and nobody who has the address can be told another URL.
 */
export function pendingUrlAddress(authorizationUrl: URL, redirectUri: URL): URL {
  return new URL(`/${digest(authorizationUrl.href)}`, redirectUri);
}

/** Undefined where nobody listens any more, or somebody else does. */
export async function fetchPendingUrl(address: string): Promise<URL | undefined> {
  try {
    const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(2_000) });
    const text = await response.text();
    return new URL(address).pathname === `/${digest(text)}` ? new URL(text) : undefined;
  } catch {
    return undefined;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
