import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { env, execPath, platform, stdout } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import { launcher, type Machine, type Outcome } from '../support/run.js';
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

/** The helper runs in a group of its own: it is found by its parent, before that is killed. */
function killEverything(child: ChildProcess): void {
  for (const helper of childrenOf(Number(child.pid))) killIfThere(helper);
  killIfThere(Number(child.pid));
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

describe.skipIf(platform !== 'linux')('SIGKILL of everything, the helper included', () => {
  test(
    'loses no session where the provider forgives a used refresh token for 10 s',
    { timeout: 20_000 + rounds * 3_000 },
    async () => {
      const { acme, machine } = await newcomer(undefined, { refreshTokenReuseGrace: 10_000 });
      expect(await login(machine)).toMatchObject({ exitCode: 0 });
      for (let round = 0; round < rounds; round++) {
        expect(await killDuringRefresh(acme, machine, round)).toMatchObject({ exitCode: 0, stderr: '' });
      }
    },
  );

  test(
    'with a strict provider every loss lies between request and commit, and says so',
    { timeout: 20_000 + rounds * 5_000 },
    async () => {
      let lost = 0;
      let { acme, machine } = await signedIn();
      for (let round = 0; round < rounds; round++) {
        const asked = acme.requestsTo('/token').length;
        const outcome = await killDuringRefresh(acme, machine, round);
        if (outcome.exitCode === 0) continue;
        lost++;
        // The killed helper's request had reached the provider.
        expect(acme.requestsTo('/token').length).toBeGreaterThan(asked + 1);
        expect(outcome).toMatchObject({
          exitCode: 4,
          stderr: expect.stringContaining('was interrupted before its answer could be stored'),
        });
        expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
        ({ acme, machine } = await signedIn());
      }
      stdout.write(
        `strict provider, everything killed: ${lost} of ${rounds} sessions lost, as each message says\n`,
      );
    },
  );
});

async function killDuringRefresh(acme: Newcomer['acme'], machine: Machine, round: number): Promise<Outcome> {
  const isAtCommit = round % 2 === 0;
  const reached = isAtCommit ? requestReached(acme) : Promise.resolve();
  const child = startRefresh(machine);
  const closed = once(child, 'close');
  await Promise.race([reached, closed]);
  await pause(random() * (isAtCommit ? 20 : 250));
  killEverything(child);
  await closed;
  const outcome = await machine.spawn(['token', '--force-refresh']);
  return outcome;
}

/** Settles when the next request is at the token endpoint, which then answers as it would have. */
function requestReached(acme: Newcomer['acme']): Promise<void> {
  return new Promise((resolve) => acme.answerNext('/token', async () => resolve()));
}
