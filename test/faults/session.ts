import { expect } from 'vitest';

import type { Answer, Provider } from '../support/provider.js';
import { refreshTokensUsed } from '../support/refresh-tokens.js';
import type { Outcome } from '../support/run.js';

/** Of `authcli token`. */
export const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };

/** To a refresh: the new access token has expired already. */
export const expired: Answer = {
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: '{"access_token":"old","token_type":"bearer","expires_in":0}',
};

/** A second use of a refresh token ends its whole family, whether anybody noticed by now or not. */
export function expectNoneUsedTwice(acme: Provider): void {
  const used = refreshTokensUsed(acme);
  expect(new Set(used).size).toBe(used.length);
}

/** Settles when the next request is at that endpoint, which then answers as it would have. */
export function requestReached(acme: Provider, path = '/token'): Promise<void> {
  return new Promise((resolve) => acme.answerNext(path, async () => resolve()));
}

export interface Timed {
  readonly outcome: Outcome;
  readonly ms: number;
}

export async function timed(work: Promise<Outcome>): Promise<Timed> {
  const startedAt = performance.now();
  const outcome = await work;
  return { outcome, ms: performance.now() - startedAt };
}
