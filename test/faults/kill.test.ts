import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { env, execPath } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import { launcher, type Machine } from '../support/run.js';
import { randomNumbers } from './random.js';

/** `npm run test:faults` asks for the full number; a quick form is part of the normal tests. */
const rounds = Number(env['AUTHCLI_FAULT_ROUNDS'] ?? 8);
const random = randomNumbers(env['AUTHCLI_FAULT_SEED'] ?? '1');

async function signedIn(): Promise<Newcomer> {
  const known = await newcomer();
  expect(await login(known.machine)).toMatchObject({ exitCode: 0 });
  return known;
}

function startRefresh({ env: environment }: Machine): ChildProcess {
  return spawn(execPath, [launcher, 'token', '--force-refresh'], {
    env: environment,
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore'],
  });
}

type Kill = (child: ChildProcess) => void;

const kills: readonly [title: string, kill: Kill][] = [
  ['SIGKILL of the caller', (child) => void child.kill('SIGKILL')],
  ['SIGKILL of its whole process group', (child) => void process.kill(-Number(child.pid), 'SIGKILL')],
  ['SIGINT of the process group', (child) => void process.kill(-Number(child.pid), 'SIGINT')],
  ['SIGTERM of the caller', (child) => void child.kill('SIGTERM')],
];

describe.each(kills)('%s in the middle of a refresh', (_title, kill) => {
  test.each([
    ['at any moment', 0, 250],
    ['around the provider’s commit', 'request' as const, 40],
  ])('%s loses no session', { timeout: 20_000 + rounds * 2_000 }, async (_when, from, spread) => {
    const { acme, machine } = await signedIn();
    const slowest = { ms: 0 };
    for (let round = 0; round < rounds; round++) {
      const reached = from === 'request' ? requestReached(acme) : Promise.resolve();
      const child = startRefresh(machine);
      const closed = once(child, 'close');
      await Promise.race([reached, closed]);
      await pause(random() * spread);
      if (child.exitCode === null && child.signalCode === null) kill(child);
      await closed;
      const startedAt = performance.now();
      expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
      slowest.ms = Math.max(slowest.ms, performance.now() - startedAt);
    }
    const used = acme.requestsTo('/token').flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
    expect(new Set(used).size).toBe(used.length);
    expect(slowest.ms).toBeLessThan(3_000);
  });
});

/** Settles when the next request is at the token endpoint, which then answers as it would have. */
function requestReached(acme: Newcomer['acme']): Promise<void> {
  return new Promise((resolve) => acme.answerNext('/token', async () => resolve()));
}
