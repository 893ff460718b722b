import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { env, execPath, platform } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { signedIn, type Newcomer } from '../support/newcomer.js';
import { childrenOf, killIfThere } from '../support/processes.js';
import { launcher, type Machine, type Outcome } from '../support/run.js';
import { randomNumbers } from '../support/random.js';
import { expectNoneUsedTwice, requestReached, success, timed } from './session.js';

/** `npm run test:faults` asks for the full number; a quick form is part of the normal tests. */
const rounds = Number(env['AUTHCLI_FAULT_ROUNDS'] ?? 8);
const longestDelayMs = 1_000;
const refresh = ['token', '--force-refresh'];

function startRefresh({ env: environment }: Machine): ChildProcess {
  return spawn(execPath, [launcher, ...refresh], { env: environment, detached: true, stdio: 'ignore' });
}

type Kill = (child: ChildProcess) => void;

const kills: readonly [title: string, kill: Kill][] = [
  ['REF-12: SIGKILL of the caller', (child) => void child.kill('SIGKILL')],
  ['REF-12: SIGKILL of its whole process group', (child) => void process.kill(-Number(child.pid), 'SIGKILL')],
  ['REF-10: SIGINT of the process group', (child) => void process.kill(-Number(child.pid), 'SIGINT')],
  ['REF-10: SIGTERM of the caller', (child) => void child.kill('SIGTERM')],
  ['REF-10: SIGHUP of the caller', (child) => void child.kill('SIGHUP')],
];

/** Most kills at any moment meet Node's start; half of the rounds aim at the provider's commit. */
const moments = [
  ['at any moment', undefined, 250],
  ['around the provider’s commit', '/token', 40],
] as const;

describe.each(kills)('%s in a refresh', (title, kill) => {
  test.for(moments)(
    '%s: no session is lost, the next command a second slower at most',
    { timeout: 30_000 + rounds * 5_000 },
    async ([when, path, spread], { task }) => {
      const { acme, machine } = await signedIn();
      const random = randomNumbers(`${title} ${when}`);
      const ordinary = median(await inTurn(5, () => durationOfNext(machine)));
      const delays = await inTurn(rounds, async () => {
        await interrupt(machine, path && requestReached(acme, path), random() * spread, kill);
        return delayOfNext(machine, ordinary);
      });
      expectNoneUsedTwice(acme);
      const slowest = Math.max(...delays);
      const result = `0 lost; next command ${milliseconds(median(delays))}, at most ${milliseconds(slowest)}`;
      task.meta.measured = { rounds, result };
      expect(slowest).toBeLessThanOrEqual(longestDelayMs);
    },
  );
});

async function interrupt(
  machine: Machine,
  reached: Promise<void> | undefined,
  delayMs: number,
  kill: Kill,
): Promise<void> {
  const child = startRefresh(machine);
  const closed = once(child, 'close');
  await Promise.race([reached, closed]);
  await pause(delayMs);
  if (child.exitCode === null && child.signalCode === null) kill(child);
  await closed;
}

async function delayOfNext(machine: Machine, ordinaryMs: number): Promise<number> {
  const ms = await durationOfNext(machine);
  if (ms - ordinaryMs <= longestDelayMs) return ms - ordinaryMs;
  // A machine that is slow at this moment slows down what follows no kill, too.
  return ms - Math.max(ordinaryMs, await durationOfNext(machine));
}

async function durationOfNext(machine: Machine): Promise<number> {
  const { outcome, ms } = await timed(machine.spawn(refresh));
  expect(outcome).toEqual(success);
  return ms;
}

async function inTurn<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (results.length < times) results.push(await work());
  return results;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function milliseconds(delay: number): string {
  return `${delay < 0 ? '' : '+'}${Math.round(delay)} ms`;
}

/** The helper runs in a group of its own: it is found by its parent, before that is killed. */
function killEverything(child: ChildProcess): void {
  for (const helper of childrenOf(Number(child.pid))) killIfThere(helper);
  killIfThere(Number(child.pid));
}

describe.skipIf(platform !== 'linux')('SIGKILL of everything, the helper included', () => {
  const timeout = 30_000 + rounds * 5_000;

  test(
    'REF-13: loses no session where the provider forgives a used refresh token for 10 s',
    { timeout },
    async ({ task }) => {
      const { acme, machine } = await signedIn(undefined, { refreshTokenReuseGrace: 10_000 });
      const random = randomNumbers('everything, forgiven');
      for (let round = 0; round < rounds; round++) {
        expect(await killDuringRefresh(acme, machine, round, random)).toEqual(success);
      }
      task.meta.measured = { rounds, result: '0 lost' };
    },
  );

  test(
    'REF-14: with a strict provider every loss lies between request and commit, and says so',
    { timeout },
    async ({ task }) => {
      let lost = 0;
      let { acme, machine } = await signedIn();
      const random = randomNumbers('everything, strict');
      for (let round = 0; round < rounds; round++) {
        const asked = acme.requestsTo('/token').length;
        const outcome = await killDuringRefresh(acme, machine, round, random);
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
      task.meta.measured = { rounds, result: `${lost} lost, as each message says` };
    },
  );
});

/** Returns what the next command says. */
async function killDuringRefresh(
  acme: Newcomer['acme'],
  machine: Machine,
  round: number,
  random: () => number,
): Promise<Outcome> {
  const [reached, spread] = round % 2 === 0 ? [requestReached(acme), 20] : [undefined, 250];
  await interrupt(machine, reached, random() * spread, killEverything);
  return machine.spawn(refresh);
}
