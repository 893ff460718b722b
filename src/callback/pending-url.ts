import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';

import { connectToLoopback } from '../loopback-connection.js';

/**
 * Where a listener tells its authorization URL to another process of the same user. The path is the digest of the URL:
 * nobody guesses it, because the URL holds the state, and nobody who has the address can be told another URL.
 */
export function pendingUrlAddress(authorizationUrl: URL, redirectUri: URL): URL {
  return new URL(`/${digest(authorizationUrl.href)}`, redirectUri);
}

const longestAnswer = 64 * 1024;

/** Undefined where nobody listens any more, or somebody else does. */
export async function fetchPendingUrl(address: string): Promise<URL | undefined> {
  try {
    const text = await read(new URL(address), AbortSignal.timeout(2_000));
    return new URL(address).pathname === `/${digest(text)}` ? new URL(text) : undefined;
  } catch {
    return undefined;
  }
}

/** The answer is opened in the browser, so the request goes to this machine, even where the process has a proxy. */
async function read(url: URL, signal: AbortSignal): Promise<string> {
  const answer = new Promise<AsyncIterable<unknown>>((resolve, reject) => {
    httpRequest({
      path: url.pathname,
      headers: { host: url.host },
      createConnection: () => connectToLoopback(url),
      signal,
    })
      .once('response', resolve)
      .on('error', reject)
      .on('close', () => reject(new Error('closed without a response')))
      .end();
  });
  let text = '';
  for await (const chunk of await answer) {
    text += String(chunk);
    if (text.length > longestAnswer) throw new Error('too long an answer');
  }
  return text;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
