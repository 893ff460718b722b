import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { execPath, platform } from 'node:process';
import { text } from 'node:stream/consumers';

import { describe, expect, test } from 'vitest';

import { signedIn, type Newcomer } from '../support/newcomer.js';
import { childrenOf, holdersOf, until } from '../support/processes.js';
import { launcher, type Outcome } from '../support/run.js';
import { onlySessionFile } from '../support/sessions.js';
import { expectNoneUsedTwice, success, timed } from './session.js';

const refresh = ['token', '--force-refresh'];
const timeout = 120_000;

const stuck: Outcome = {
  exitCode: 8,
  stdout: '',
  stderr:
    'error: another authcli has been working on this session for 30 seconds\n' +
    'hint: run the same command again, or look for a stuck authcli process\n',
};

interface Stopped {
  readonly caller: ChildProcess;
  readonly helper: number;
  readonly ended: Promise<Outcome>;
}

/** A refresh of which a part is stopped while the provider has its request; the answer comes meanwhile. */
async function stopDuringRefresh({ acme, machine }: Newcomer, part: 'caller' | 'helper'): Promise<Stopped> {
  const stopped = new Promise<number>((resolve) => {
    acme.answerNext('/token', async () => {
      const [helper = 0] = childrenOf(Number(caller.pid));
      process.kill(part === 'helper' ? helper : Number(caller.pid), 'SIGSTOP');
      resolve(helper);
    });
  });
  const caller = spawn(execPath, [launcher, ...refresh], {
    env: machine.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(caller, 'close');
  const ended = Promise.all([text(caller.stdout), text(caller.stderr), closed]).then(([stdout, stderr]) => ({
    exitCode: caller.exitCode,
    stdout,
    stderr,
  }));
  return { caller, helper: await stopped, ended };
}

/** Of who is not stopped. */
async function expectStuck({ machine }: Newcomer): Promise<string> {
  const [waited, looked] = await Promise.all([
    timed(machine.spawn(refresh)),
    timed(machine.spawn(['token'])),
  ]);
  expect(waited.outcome).toEqual(stuck);
  expect(waited.ms).toBeGreaterThan(30_000);
  expect(waited.ms).toBeLessThan(33_000);
  // A good token is nobody's business.
  expect(looked.outcome).toEqual(success);
  expect(looked.ms).toBeLessThan(3_000);
  return `exit 8 after ${(waited.ms / 1_000).toFixed(1)} s`;
}

async function expectKept({ acme, machine }: Newcomer, requests: number): Promise<void> {
  expect(await machine.spawn(['token'])).toEqual(success);
  expect(acme.requestsTo('/token')).toHaveLength(requests);
  expect(await machine.spawn(refresh)).toEqual(success);
  expectNoneUsedTwice(acme);
}

describe.skipIf(platform !== 'linux')('a stop in a refresh', () => {
  test(
    'REF-18: a helper that is stopped for longer than any time limit keeps the session',
    { timeout },
    async ({ task }) => {
      const known = await signedIn();
      const before = known.acme.requestsTo('/token').length;
      const { helper, ended } = await stopDuringRefresh(known, 'helper');
      const result = await expectStuck(known);
      expect(await ended).toEqual({
        exitCode: 8,
        stdout: '',
        stderr: 'error: not finished within 60 s\nhint: allow more time: --timeout 10m\n',
      });
      process.kill(helper, 'SIGCONT');
      await until(() => holdersOf(`${onlySessionFile(known.machine)}.lock`).length === 0, 10_000);
      await expectKept(known, before + 1);
      task.meta.measured = { rounds: 1, result: `${result}, kept, 1 request` };
    },
  );

  test('CON-06: a caller that is stopped keeps the session', { timeout }, async ({ task }) => {
    const known = await signedIn();
    const before = known.acme.requestsTo('/token').length;
    const { caller, ended } = await stopDuringRefresh(known, 'caller');
    const result = await expectStuck(known);
    caller.kill('SIGCONT');
    expect(await ended).toEqual(success);
    await expectKept(known, before + 1);
    task.meta.measured = { rounds: 1, result: `${result}, kept, 1 request` };
  });

  test(
    'CON-06: a helper that is stopped while its caller is killed keeps the session',
    { timeout },
    async ({ task }) => {
      const known = await signedIn();
      const before = known.acme.requestsTo('/token').length;
      const { caller, helper, ended } = await stopDuringRefresh(known, 'helper');
      caller.kill('SIGKILL');
      expect(await ended).toEqual({ exitCode: null, stdout: '', stderr: '' });
      const result = await expectStuck(known);
      process.kill(helper, 'SIGCONT');
      await until(() => holdersOf(`${onlySessionFile(known.machine)}.lock`).length === 0, 10_000);
      await expectKept(known, before + 1);
      task.meta.measured = { rounds: 1, result: `${result}, kept, 1 request` };
    },
  );
});
