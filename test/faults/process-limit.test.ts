import { chownSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getuid, pid, platform } from 'node:process';

import { describe, expect, test } from 'vitest';

import { signedIn, type Newcomer } from '../support/newcomer.js';
import { processesOf, until } from '../support/processes.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { behind } from '../support/run.js';
import { timed } from './session.js';

/** The limit counts every process and thread of a user, and root has none: each test is a user of its own. */
let lastUser = 100_000 + (pid % 100_000) * 10;
const canLimit = platform === 'linux' && getuid?.() === 0 && requirement('prlimit', isOnPath('prlimit'));

/** Jane has signed in as a user whom nothing else belongs to. */
async function signedInAsUser(): Promise<
  Newcomer & { readonly user: number; readonly as: readonly string[] }
> {
  const user = (lastUser += 1);
  const { acme, machine } = await signedIn();
  chownSync(machine.folder, user, user);
  for (const name of readdirSync(machine.folder, { recursive: true, encoding: 'utf8' }))
    chownSync(join(machine.folder, name), user, user);
  const as = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  return { acme, machine, user, as };
}

describe.skipIf(!canLimit)('with a limit of processes', () => {
  /** Node has 7 threads when it is up, and 4 more when it reads a file. The helper does not start, waits for ever for a thread, or aborts. */
  test.each([
    [11, 'too many processes are running'],
    [12, 'it ended at once (SIGABRT)'],
    [14, 'it hangs while it starts'],
    [16, 'it hangs while it starts'],
    [20, 'it ended at once (SIGABRT)'],
  ])('of %i a refresh says that its helper cannot start, and leaves none behind', async (most, reason) => {
    const { acme, machine, user, as } = await signedInAsUser();
    const before = acme.requestsTo('/token').length;
    const limited = behind(machine, 'prlimit', `--nproc=${most}`, ...as);
    const { outcome, ms } = await timed(limited.spawn(['token', '--force-refresh']));
    expect(outcome).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        `error: cannot start the process that refreshes the session: ${reason}\n` +
        'hint: end some programs or raise the limits of processes and memory (ulimit -a), then run the same command again\n',
    });
    expect(ms).toBeLessThan(10_000);
    await until(() => processesOf(user).length === 0, 5_000);
    expect(acme.requestsTo('/token')).toHaveLength(before);
    expect(await behind(machine, ...as).spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
  });
});
