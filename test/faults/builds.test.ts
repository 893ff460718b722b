import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { env, execPath, platform } from 'node:process';
import { setImmediate } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { buildWithoutLock } from '../support/build-without-lock.js';
import { signedIn } from '../support/newcomer.js';
import { childrenOf, holdersOf, killIfThere, until } from '../support/processes.js';
import type { Provider } from '../support/provider.js';
import { launcher, withBuild, type Machine, type Outcome } from '../support/run.js';
import { onlySessionFile } from '../support/sessions.js';
import { expectNoneUsedTwice, expired, success, timed } from './session.js';

/** 100 and 10 in `npm run test:faults`. */
const processes = Number(env['AUTHCLI_FAULT_PROCESSES'] ?? 8);
const rounds = Number(env['AUTHCLI_FAULT_PARALLEL_ROUNDS'] ?? 2);
const timeout = 900_000;
const refresh = ['token', '-q', '--force-refresh'];

const builds = [
  ['with the native lock', () => [launcher]],
  ['without it', () => [buildWithoutLock()]],
  ['of both kinds', () => [launcher, buildWithoutLock()]],
] as const;

/** Settles when the next refresh is at the provider, which answers after `barrier`. */
function requestReached(acme: Provider, barrier: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    acme.answerNext('/token', async () => {
      resolve();
      await barrier().catch(() => {});
    });
  });
}

describe.skipIf(platform !== 'linux').each(builds)('builds %s', (_kind, launchers) => {
  test(
    `CON-01: ${processes} processes on an expired token make one refresh between them`,
    { timeout },
    async ({ task }) => {
      const { acme, machine } = await signedIn();
      const built = launchers().map((program) => withBuild(machine, program));
      const next = (index: number): Promise<Outcome> =>
        (built[index % built.length] ?? machine).spawn(['token', '-q']);
      for (let round = 0; round < rounds; round++) {
        acme.answerNext('/token', expired);
        expect(await machine.spawn(refresh)).toMatchObject({ exitCode: 0 });
        const queue = `${onlySessionFile(machine)}.queue`;
        const before = acme.requestsTo('/token').length;
        // No longer than a caller waits for its provider, however slow this machine is.
        const everyoneWaits = () => until(() => holdersOf(queue).length === processes, 6_000);
        const reached = requestReached(acme, everyoneWaits);
        const running = [next(round)];
        await reached;
        while (running.length < processes) {
          running.push(next(running.length));
          // The provider lives in this process, too.
          await setImmediate();
        }
        const outcomes = await Promise.all(running);
        expect(outcomes).toEqual(outcomes.map(() => outcomes[0]));
        expect(outcomes[0]).toEqual(success);
        expect(acme.requestsTo('/token')).toHaveLength(before + 1);
      }
      task.meta.measured = { rounds, result: `1 refresh each, ${processes} x exit 0` };
    },
  );

  test('CON-05: SIGKILL of the process that holds the locks: the next one goes on within 1 s', async () => {
    const { acme, machine } = await signedIn();
    const [first = launcher, second = first] = launchers();
    const before = acme.requestsTo('/token').length;
    acme.answerNext('/token', 'hang');
    const caller = spawn(execPath, [first, ...refresh], { env: machine.env, stdio: 'ignore' });
    const closed = once(caller, 'close');
    await until(() => acme.requestsTo('/token').length > before, 10_000);
    const [helper = 0] = childrenOf(Number(caller.pid));
    const waiting = withBuild(machine, second).spawn(refresh);
    await until(() => holdersOf(`${onlySessionFile(machine)}.queue`).length === 2, 10_000);
    killIfThere(helper);
    killIfThere(Number(caller.pid));
    await closed;
    const { outcome, ms } = await timed(waiting);
    expect(outcome).toEqual(success);
    expect(ms).toBeLessThan(1_000);
  });

  test('a lock file that was removed meanwhile lets nobody in beside its holder', { timeout }, async () => {
    const { acme, machine } = await signedIn();
    const sessions = dirname(onlySessionFile(machine));
    const built = launchers().map((program) => withBuild(machine, program));
    const running: Promise<Outcome>[] = [];
    acme.answerNext('/token', async () => {
      for (const name of readdirSync(sessions)) {
        if (/\.(?:lock|queue)$/.test(name)) rmSync(join(sessions, name));
      }
      running.push(...built.map((each) => each.spawn(refresh)));
      const queue = `${onlySessionFile(machine)}.queue`;
      await until(() => holdersOf(queue).length === built.length, 10_000);
    });
    running.push((built[0] ?? machine).spawn(refresh));
    await running[0];
    expect(await Promise.all(running)).toEqual(running.map(() => success));
    expectNoneUsedTwice(acme);
  });
});

describe.skipIf(platform !== 'linux')('without the native lock', () => {
  const warning =
    'warning: the native file lock (fs-native-extensions) is missing: an authcli in another container or on another machine ' +
    'that shares the folder is not waited for (AUTHCLI_STATE_DIR names another folder)\n';

  test('a refresh says so once, and not with --quiet', async () => {
    const { machine } = await signedIn();
    const other = withBuild(machine, buildWithoutLock());
    expect(await other.spawn(['token', '--force-refresh'])).toEqual({ ...success, stderr: warning });
    expect(await other.spawn(refresh)).toEqual(success);
    expect(await other.spawn(['token'])).toEqual(success);
  });

  test('on macOS a refresh is refused, and the session is kept', async () => {
    const { acme, machine } = await signedIn();
    const before = acme.requestsTo('/token').length;
    const other = onMac(withBuild(machine, buildWithoutLock()));
    expect(await other.spawn(refresh)).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: the native file lock (fs-native-extensions) is missing\n' +
        'hint: install the program again, with its optional dependencies\n',
    });
    expect(acme.requestsTo('/token')).toHaveLength(before);
    expect(await machine.spawn(refresh)).toEqual(success);
  });
});

/** The program takes the system for macOS: there it finds no lock that is held by name. */
function onMac(machine: Machine): Machine {
  const preload = join(machine.folder, 'mac.cjs');
  writeFileSync(preload, "Object.defineProperty(process, 'platform', { value: 'darwin' });\n");
  onTestFinished(() => rmSync(preload, { force: true }));
  return {
    ...machine,
    spawn: (argv, more) => machine.spawn(argv, { NODE_OPTIONS: `--require=${preload}`, ...more }),
  };
}
