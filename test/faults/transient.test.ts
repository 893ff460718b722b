import { env } from 'node:process';

import { expect, test } from 'vitest';

import { signedIn } from '../support/newcomer.js';
import type { Answer } from '../support/provider.js';
import { randomNumbers } from '../support/random.js';
import { success } from './session.js';

/** 1,000 in `npm run test:faults`. */
const rounds = Number(env['AUTHCLI_FAULT_TRANSIENTS'] ?? 30);
const random = randomNumbers('transient');
const json = { 'content-type': 'application/json' };

const faults: readonly Answer[] = [
  { status: 500 },
  { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' },
  { status: 503, headers: { ...json, 'retry-after': '1' }, body: '{"error":"invalid_grant"}' },
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 408 },
  { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' },
  { status: 200, headers: json, body: '{"access_token":"ab' },
  {
    status: 200,
    headers: { ...json, 'content-length': '1000', connection: 'close' },
    body: '{"access_token":"ab',
  },
  { status: 400 },
  { status: 401, headers: json, body: '{"error":"invalid_client"}' },
  { status: 302, headers: { location: 'http://127.0.0.1:9/' } },
  'reset',
];

test(
  `${rounds} random transient faults leave the session alive`,
  { timeout: 1_800_000 },
  async ({ task }) => {
    const { acme, machine } = await signedIn();
    for (let round = 0; round < rounds; round++) {
      const fault = faults[Math.floor(random() * faults.length)] ?? 'reset';
      acme.answerNext('/token', fault);
      const outcome = await machine.run(['token', '--force-refresh']);
      // A lost connection is tried once more at once, and finds the provider well again.
      expect([0, 5, 6]).toContain(outcome.exitCode);
      expect(await machine.run(['token'])).toEqual(success);
    }
    expect(await machine.run(['token', '--force-refresh'])).toEqual(success);
    task.meta.measured = { rounds, result: '0 sessions lost' };
  },
);
