import { env } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { login, newcomer } from '../support/newcomer.js';
import type { Outcome } from '../support/run.js';

/** 100 and 10 in `npm run test:faults`. */
const processes = Number(env['AUTHCLI_FAULT_PROCESSES'] ?? 12);
const rounds = Number(env['AUTHCLI_FAULT_PARALLEL_ROUNDS'] ?? 2);
const json = { 'content-type': 'application/json' };
const expired = {
  status: 200,
  headers: json,
  body: '{"access_token":"old","token_type":"bearer","expires_in":0}',
};

test(
  `${processes} processes on an expired token make one refresh between them`,
  { timeout: 600_000 },
  async () => {
    const { acme, machine } = await newcomer();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    for (let round = 0; round < rounds; round++) {
      acme.answerNext('/token', expired);
      await machine.spawn(['token', '--force-refresh']);
      const before = acme.requestsTo('/token').length;

      // The provider holds its answer until every process is there and has found the token expired.
      const running: Promise<Outcome>[] = [];
      acme.answerNext('/token', async () => {
        for (let started = 1; started < processes; started++) running.push(machine.spawn(['token']));
      });
      running.push(machine.spawn(['token']));
      const first = await running[0];
      const outcomes = await Promise.all(running);
      expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(
        new Set([JSON.stringify(first)]),
      );
      expect(first).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' });
      expect(acme.requestsTo('/token')).toHaveLength(before + 1);
      expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    }
  },
);

test('parallel --force-refresh: no refresh token is used twice', { timeout: 120_000 }, async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, () => machine.spawn(['token', '--force-refresh'])),
  );
  for (const outcome of outcomes) expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  const used = acme.requestsTo('/token').flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
  expect(used.length).toBeLessThanOrEqual(10);
  expect(new Set(used).size).toBe(used.length);
});

test('logout during a refresh: the end is signed out, whoever was first', { timeout: 120_000 }, async () => {
  for (let round = 0; round < rounds; round++) {
    const { acme, machine } = await newcomer();
    await login(machine);
    let loggedOut: Promise<Outcome> | undefined;
    acme.answerNext('/token', async () => {
      loggedOut = machine.spawn(['logout']);
    });
    const refreshed = machine.spawn(['token', '--force-refresh']);
    await refreshed;
    expect(await loggedOut).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
    expect(await machine.spawn(['status', '--json'])).toMatchObject({ stdout: '{"sessions":[]}\n' });
  }
});

const slowMs = processes < 100 ? 1_000 : 10_000;

test(
  `the same with a provider that takes ${slowMs / 1000} s: nobody gives up`,
  { timeout: 120_000 },
  async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    acme.answerNext('/token', expired);
    await machine.spawn(['token', '--force-refresh']);
    const before = acme.requestsTo('/token').length;
    acme.answerNext('/token', () => pause(slowMs));
    const outcomes = await Promise.all(Array.from({ length: processes }, () => machine.spawn(['token'])));
    expect(outcomes).toEqual(outcomes.map(() => outcomes[0]));
    expect(outcomes[0]).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' });
    expect(acme.requestsTo('/token')).toHaveLength(before + 1);
  },
);
