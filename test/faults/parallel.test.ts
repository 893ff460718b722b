import { env, platform } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { signedIn, type Newcomer } from '../support/newcomer.js';
import { holdersOf, until } from '../support/processes.js';
import type { Outcome } from '../support/run.js';
import { onlySessionFile } from '../support/sessions.js';
import { expectNoneUsedTwice, expired, success } from './session.js';

/** 100 and 10 in `npm run test:faults`. */
const processes = Number(env['AUTHCLI_FAULT_PROCESSES'] ?? 12);
const rounds = Number(env['AUTHCLI_FAULT_PARALLEL_ROUNDS'] ?? 2);
const timeout = 600_000;

async function withExpiredToken(): Promise<Newcomer> {
  const known = await signedIn();
  await expire(known);
  return known;
}

async function expire({ acme, machine }: Newcomer): Promise<void> {
  acme.answerNext('/token', expired);
  await machine.spawn(['token', '--force-refresh']);
}

/**
 * The provider holds its answer to the first one until every other has found the token expired and waits for its turn:
 * otherwise hardly two refreshes would overlap, as a hundred starts of Node take longer than one request.
 */
async function allAtOnce({ acme, machine }: Newcomer): Promise<Outcome[]> {
  const queue = `${onlySessionFile(machine)}.queue`;
  const running: Promise<Outcome>[] = [];
  acme.answerNext('/token', async () => {
    while (running.length < processes) running.push(machine.spawn(['token']));
    // Elsewhere there is no telling: that all have been started must do.
    if (platform === 'linux') await until(() => holdersOf(queue).length === processes, 25_000);
  });
  running.push(machine.spawn(['token']));
  await running[0];
  return Promise.all(running);
}

test(
  `CON-01: ${processes} processes on an expired token make one refresh between them`,
  { timeout },
  async ({ task }) => {
    const known = await withExpiredToken();
    const { acme, machine } = known;
    for (let round = 0; round < rounds; round++) {
      await expire(known);
      const before = acme.requestsTo('/token').length;
      const outcomes = await allAtOnce(known);
      expect(outcomes[0]).toEqual(success);
      expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(
        new Set([JSON.stringify(outcomes[0])]),
      );
      expect(acme.requestsTo('/token')).toHaveLength(before + 1);
      expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
    }
    task.meta.measured = { rounds, result: `1 refresh each, ${processes} x exit 0, one token` };
  },
);

test(`CON-16: ${processes} processes on a dead session ask once`, { timeout }, async ({ task }) => {
  for (let round = 0; round < rounds; round++) {
    const known = await withExpiredToken();
    const before = known.acme.requestsTo('/token').length;
    known.acme.endSessions();
    for (const outcome of await allAtOnce(known)) {
      expect(outcome).toEqual({
        exitCode: 4,
        stdout: '',
        stderr: expect.stringMatching(
          /^error: the session at acme is over: the provider says invalid_grant\nhint: authcli login -p acme\n$/,
        ),
      });
    }
    expect(known.acme.requestsTo('/token')).toHaveLength(before + 1);
  }
  task.meta.measured = { rounds, result: `1 request each, ${processes} x exit 4` };
});

test('CON-10: of parallel --force-refresh none uses a refresh token twice', { timeout }, async ({ task }) => {
  const { acme, machine } = await signedIn();
  for (let round = 0; round < rounds; round++) {
    const before = acme.requestsTo('/token').length;
    const refresh = ['token', '--force-refresh'];
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => machine.spawn(refresh)));
    expect(outcomes).toEqual(outcomes.map(() => success));
    expect(acme.requestsTo('/token').length - before).toBeLessThanOrEqual(10);
  }
  expectNoneUsedTwice(acme);
  task.meta.measured = { rounds, result: '0 used twice' };
});

const slowMs = processes < 100 ? 1_000 : 10_000;

test(
  `CON-02: with a provider that takes ${slowMs / 1000} s nobody gives up`,
  { timeout },
  async ({ task }) => {
    const { acme, machine } = await withExpiredToken();
    const before = acme.requestsTo('/token').length;
    acme.answerNext('/token', () => pause(slowMs));
    const outcomes = await Promise.all(Array.from({ length: processes }, () => machine.spawn(['token'])));
    expect(outcomes).toEqual(outcomes.map(() => outcomes[0]));
    expect(outcomes[0]).toEqual(success);
    expect(acme.requestsTo('/token')).toHaveLength(before + 1);
    task.meta.measured = { rounds: 1, result: `1 refresh, ${processes} x exit 0` };
  },
);
