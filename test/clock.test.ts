import { describe, expect, test } from 'vitest';

import { serveRefresh } from '../src/client/refresh-helper.js';
import type { World } from '../src/world.js';
import { login, newcomer, signedIn } from './support/newcomer.js';
import type { Machine, Outcome } from './support/run.js';
import { openedSession } from './support/sessions.js';
import { approves, browserOf } from './support/user-agents.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const hour = 3_600_000;
const twoDays = 48 * hour;

/** The clock of this machine, and that of its refresh helper, which runs in this process for once. */
function clockAt(machine: Machine, aheadMs: number): Partial<World> {
  const now = () => new Date(Date.now() + aheadMs);
  const ownership = { uid: process.getuid?.(), warn: () => {} };
  const locking = { platform: process.platform, notice: () => {} };
  return {
    now,
    askRefreshHelper: (request) => serveRefresh(request, { ownership, locking, now, env: machine.env }),
  };
}

describe('a clock that was two days ahead at the last refresh, and is right again', () => {
  test.each([[['token']], [['token', '--force-refresh']], [['token', '--min-ttl', '1s']]])(
    '%j asks the provider for a token, once',
    async (argv) => {
      const { acme, machine } = await signedIn();
      expect(await machine.run(['token'], clockAt(machine, twoDays))).toEqual(success);
      const stale = openedSession(machine).accessToken.value;
      const asked = acme.requestsTo('/token').length;
      const fresh = await machine.run(argv);
      expect(fresh).toEqual(success);
      expect(fresh.stdout).not.toBe(`${stale}\n`);
      expect(acme.requestsTo('/token')).toHaveLength(asked + 1);
      expect(await machine.run(['token'])).toEqual(fresh);
      expect(acme.requestsTo('/token')).toHaveLength(asked + 1);
    },
  );

  test('`status` does not count from there', async () => {
    const { machine } = await signedIn();
    await machine.run(['token'], clockAt(machine, twoDays));
    expect(await machine.run(['status', '--json'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('"state":"expired"'),
    });
    const { stdout } = await machine.run(['status']);
    expect(stdout).toMatch(/signed in\s+unknown: the clock was changed\s+file/);
    expect(stdout).not.toContain('h left');
    await machine.run(['token']);
    expect((await machine.run(['status'])).stdout).toMatch(/signed in\s+60 min left/);
  });

  test('nobody is given the old token while the provider is away', async () => {
    const { acme, machine } = await signedIn();
    await machine.run(['token'], clockAt(machine, twoDays));
    acme.answerNext('/token', { status: 503 });
    expect(await machine.run(['token'])).toMatchObject({ exitCode: 6, stdout: '' });
    expect(await machine.run(['token'])).toEqual(success);
  });

  test('a token for another scope is asked for anew as well', async () => {
    const { machine } = await signedIn();
    const narrow = ['token', '--scope', 'openid'];
    const stale = await machine.run(narrow, clockAt(machine, twoDays));
    const fresh = await machine.run(narrow);
    expect(fresh).toEqual(success);
    expect(fresh).not.toEqual(stale);
    expect(await machine.run(narrow)).toEqual(fresh);
  });

  test('without a refresh token only a sign-in helps, and the reason is said', async () => {
    const { acme, machine } = await newcomer();
    const entry = ['--issuer', acme.issuer, '--client-id', 'cli', '--scope', 'email'];
    await machine.run(['provider', 'add', 'plain', ...entry]);
    const ahead = { now: () => new Date(Date.now() + twoDays) };
    expect(
      await machine.run(['login', '-p', 'plain', '-q'], { ...ahead, ...browserOf(approves) }),
    ).toMatchObject({
      exitCode: 0,
    });
    expect(await machine.run(['token', '-p', 'plain'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: the clock of this machine was changed since the token of plain came, and there is no refresh token\nhint: authcli login -p plain .*\n$/,
      ),
    });
    expect(await machine.run(['status', '-p', 'plain', '--json'])).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining('"state":"login_required"'),
    });
  });
});

describe('a clock that is two days behind', () => {
  test('gets a new token, which is the one that counts until the clock is right again', async () => {
    const { acme, machine } = await signedIn();
    const behind = clockAt(machine, -twoDays);
    const asked = acme.requestsTo('/token').length;
    const first = await machine.run(['token'], behind);
    expect(first).toEqual(success);
    expect(acme.requestsTo('/token')).toHaveLength(asked + 1);
    expect(await machine.run(['token'], behind)).toEqual(first);
    expect(acme.requestsTo('/token')).toHaveLength(asked + 1);
    expect(await machine.run(['token'])).toEqual(success);
    expect(acme.requestsTo('/token')).toHaveLength(asked + 2);
  });
});

test('a clock that differs by some seconds costs no refresh', async () => {
  const { acme, machine } = await signedIn();
  const requests = acme.requests.length;
  expect(await machine.run(['token'], { now: () => new Date(Date.now() - 20_000) })).toEqual(success);
  expect(acme.requests).toHaveLength(requests);
});

test('a refresh token that had ended by a clock that was ahead is tried once the token has expired', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const answer = { access_token: 'a', token_type: 'bearer', expires_in: 300, refresh_expires_in: 1800 };
  acme.answerNext('/token', {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(answer),
  });
  expect(await machine.run(['token', '--force-refresh'])).toEqual(success);
  expect(await machine.run(['token'], clockAt(machine, hour))).toEqual(success);
  expect(await machine.run(['token', '--force-refresh'])).toEqual(success);
});
