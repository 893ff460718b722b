import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { env, execPath, platform } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { login, signedIn, type Newcomer } from '../support/newcomer.js';
import { holdersOf, until } from '../support/processes.js';
import { launcher, type Machine, type Outcome } from '../support/run.js';
import { onlySessionFile } from '../support/sessions.js';
import { randomNumbers } from '../support/random.js';
import { expectNoneUsedTwice, requestReached, success } from './session.js';

/** 100 in `npm run test:faults`. */
const rounds = Number(env['AUTHCLI_FAULT_RACES'] ?? 3);
const timeout = 60_000 + rounds * 10_000;
const refresh = ['token', '--force-refresh'];
const notSignedIn = { exitCode: 4, stdout: '', stderr: expect.stringContaining('hint: authcli login') };

/** What `start` starts has to wait for the refresh, whose request the provider holds for so long. */
async function duringRefresh(
  { acme, machine }: Newcomer,
  start: () => Promise<Outcome>,
): Promise<{ refreshed: Outcome; other: Outcome }> {
  const lock = `${onlySessionFile(machine)}.lock`;
  let other: Promise<Outcome> | undefined;
  acme.answerNext('/token', async () => {
    other = start();
    await until(() => holdersOf(lock).length === 2, 20_000);
  });
  const refreshed = await machine.spawn(refresh);
  if (other === undefined) throw new Error('the refresh has not asked the provider');
  return { refreshed, other: await other };
}

async function expectSignedOut({ machine }: Newcomer): Promise<void> {
  expect(await machine.spawn(['token'])).toEqual(notSignedIn);
  expect(await machine.spawn(['status', '--json'])).toMatchObject({ stdout: '{"sessions":[]}\n' });
}

const newScope = 'openid email offline_access';

/** With another scope than the first one, by which its session is known. */
function loginAgain(machine: Machine): Promise<Outcome> {
  return login(machine, '--scope', newScope);
}

async function expectLoginWon({ acme, machine }: Newcomer): Promise<void> {
  const { stdout } = await machine.spawn(['status', '--json']);
  expect(stdout).toContain(`"scope":"${newScope}"`);
  expect(await machine.spawn(refresh)).toEqual(success);
  expectNoneUsedTwice(acme);
}

describe.skipIf(platform !== 'linux')('while the provider holds the answer to a refresh', () => {
  test('CON-09: a login waits for it and wins', { timeout }, async ({ task }) => {
    for (let round = 0; round < rounds; round++) {
      const known = await signedIn();
      const { refreshed, other } = await duringRefresh(known, () => loginAgain(known.machine));
      expect(refreshed).toEqual(success);
      expect(other).toMatchObject({ exitCode: 0 });
      await expectLoginWon(known);
    }
    task.meta.measured = { rounds, result: '0 logins overwritten' };
  });

  test('CON-08: a logout waits for it and ends the session', { timeout }, async ({ task }) => {
    for (let round = 0; round < rounds; round++) {
      const known = await signedIn();
      const { refreshed, other } = await duringRefresh(known, () => known.machine.spawn(['logout']));
      // Whether it still finds its new token is a matter of who is faster.
      expect([success, notSignedIn]).toContainEqual(refreshed);
      expect(other).toMatchObject({ exitCode: 0, stdout: '' });
      await expectSignedOut(known);
    }
    task.meta.measured = { rounds, result: '0 sessions came back' };
  });
});

test('CON-09: a login wins over a refresh at any moment of it', { timeout }, async ({ task }) => {
  const random = randomNumbers('login');
  for (let round = 0; round < rounds; round++) {
    const known = await signedIn();
    const refreshing = pause(random() * 600).then(() => known.machine.spawn(refresh));
    expect(await loginAgain(known.machine)).toMatchObject({ exitCode: 0 });
    expect(await refreshing).toEqual(success);
    await expectLoginWon(known);
  }
  task.meta.measured = { rounds, result: '0 logins overwritten' };
});

test('CON-08: a refresh during a logout brings nothing back', { timeout }, async ({ task }) => {
  for (let round = 0; round < rounds; round++) {
    const known = await signedIn();
    let refreshed: Outcome | undefined;
    known.acme.answerNext('/token/revocation', async () => {
      refreshed = await known.machine.spawn(refresh);
    });
    expect(await known.machine.spawn(['logout'])).toMatchObject({ exitCode: 0, stdout: '' });
    expect(refreshed).toEqual(notSignedIn);
    await expectSignedOut(known);
  }
  task.meta.measured = { rounds, result: '0 sessions came back' };
});

test('OUT-09: SIGKILL in a logout leaves a session whole or gone', { timeout }, async ({ task }) => {
  const random = randomNumbers('logout');
  const left = { whole: 0, gone: 0, half: 0 };
  for (let round = 0; round < rounds; round++) {
    const known = await signedIn();
    await killLogout(known, round, random);
    left[await whatIsLeft(known)]++;
    expect(await known.machine.spawn(['logout'])).toMatchObject({ exitCode: 0, stdout: '' });
    await expectSignedOut(known);
    expect(remains(known.machine)).toEqual([]);
  }
  task.meta.measured = { rounds, result: `${left.half} half, ${left.whole} whole, ${left.gone} gone` };
  expect(left.half).toBe(0);
});

/** Whole: it still gives tokens that the provider takes. */
async function whatIsLeft({ acme, machine }: Newcomer): Promise<'whole' | 'gone' | 'half'> {
  const [printed, refreshed] = [await machine.spawn(['token']), await machine.spawn(refresh)];
  if (printed.exitCode === 4 && refreshed.exitCode === 4) return 'gone';
  const headers = { authorization: `Bearer ${refreshed.stdout.trim()}` };
  const { status } = await fetch(`${acme.issuer}/api/hello`, { headers });
  return printed.exitCode === 0 && refreshed.exitCode === 0 && status === 200 ? 'whole' : 'half';
}

/** A third each: at any moment, around the revocation of the refresh token, and around that of the access token. */
async function killLogout({ acme, machine }: Newcomer, round: number, random: () => number): Promise<void> {
  const requests = round % 3;
  let reached = Promise.resolve();
  for (let asked = 0; asked < requests; asked++) reached = requestReached(acme, '/token/revocation');
  const child = spawn(execPath, [launcher, 'logout'], { env: machine.env, stdio: 'ignore' });
  const closed = once(child, 'close');
  await Promise.race([reached, closed]);
  await pause(random() * (requests === 0 ? 200 : 15));
  child.kill('SIGKILL');
  await closed;
}

/** What holds anything of a session. */
function remains({ folder }: Machine): string[] {
  return readdirSync(`${folder}/state/sessions`).filter((name) => !/\.(?:lock|queue|tmp)$/.test(name));
}
