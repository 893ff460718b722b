import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { execPath } from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { describe, expect, test } from 'vitest';

import { login, newcomer } from './support/newcomer.js';
import { isRefused } from './support/raw-http.js';
import { isOnPath, requirement } from './support/requirements.js';
import { launcher } from './support/run.js';

async function until(output: Readable, pattern: RegExp): Promise<RegExpExecArray> {
  let seen = '';
  for await (const chunk of output) {
    seen += String(chunk);
    const found = pattern.exec(seen);
    if (found) return found;
  }
  throw new Error(`ended without ${pattern}: ${seen}`);
}

describe('a login that waits', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends at once with %s and leaves no listener',
    async (signal) => {
      const { env } = (await newcomer()).machine;
      const child = spawn(execPath, [launcher, 'login', '--browser', 'none'], {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const [, port] = await until(child.stderr, /127\.0\.0\.1%3A(\d+)%2Fcallback/);
      expect(await isRefused(Number(port))).toBe(false);
      const ended = once(child, 'close');
      const sentAt = performance.now();
      child.kill(signal);
      expect(await ended).toEqual([null, signal]);
      expect(performance.now() - sentAt).toBeLessThan(1_000);
      expect(await isRefused(Number(port))).toBe(true);
    },
  );

  test('ends even where a script’s shell had SIGINT ignored for it', async () => {
    const { env } = (await newcomer()).machine;
    const script = `"$0" "$1" login --browser none 2>&1 & echo "pid=$!"; wait $!; echo "code=$?"`;
    const shell = spawn('sh', ['-c', script, execPath, launcher], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = '';
    let isSent = false;
    for await (const chunk of shell.stdout) {
      seen += String(chunk);
      const pid = /pid=(\d+)/.exec(seen)?.[1];
      if (isSent || pid === undefined || !seen.includes('Visit this address')) continue;
      isSent = true;
      process.kill(Number(pid), 'SIGINT');
    }
    expect(seen).toContain('code=130\n');
  });
});

describe('the output', () => {
  test('that nobody takes is a failure without a stack trace', async () => {
    const { machine } = await newcomer();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const child = spawn('sh', ['-c', `"$0" "$1" token > /dev/full`, execPath, launcher], {
      env: machine.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said = until(child.stderr, /hint: .*\n/);
    const closed = once(child, 'close');
    expect((await said).input).toBe(
      'error: cannot write the answer: ENOSPC\nhint: check where the output goes\n',
    );
    expect(await closed).toEqual([1, null]);
  });

  test.skipIf(!requirement('ps', isOnPath('ps')))('of ps shows no secret of a login', async () => {
    const { machine } = await newcomer();
    const child = spawn(execPath, [launcher, 'login', '--browser', 'none'], {
      env: machine.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await until(child.stderr, /code_challenge=/);
    const shown = execFileSync('ps', ['-o', 'args=', '-p', String(child.pid)], { encoding: 'utf8' }).trim();
    expect(shown).toBe([execPath, launcher, 'login', '--browser', 'none'].join(' '));
    child.kill();
    await once(child, 'close');
  });
});

describe('a signal while the provider does not answer', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s during a login’s discovery is no fault of the provider',
    async (signal) => {
      const { acme, machine } = await newcomer();
      const asked = new Promise<void>((resolve) => {
        acme.answerNext('/.well-known/openid-configuration', () => new Promise(() => resolve()));
      });
      const child = spawn(execPath, [launcher, 'login', '--browser', 'none'], {
        env: machine.env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const said = text(child.stderr);
      const closed = once(child, 'close');
      await asked;
      child.kill(signal);
      expect(await closed).toEqual([null, signal]);
      expect(await said).toBe('');
    },
  );

  test('a logout ends by itself, and says that the tokens live on', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    acme.answerNext('/token/revocation', 'hang');
    const askedAt = performance.now();
    expect(await machine.spawn(['logout'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr:
        'warning: refresh token and access token not revoked (the provider does not answer): good at acme until expiry\n' +
        '✓ Signed out of acme as jane@acme.test: session forgotten.\n',
    });
    expect(performance.now() - askedAt).toBeLessThan(10_000);
  });

  test('SIGTERM during a logout keeps the session', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    const asked = new Promise<void>((resolve) => {
      acme.answerNext('/token/revocation', () => new Promise(() => resolve()));
    });
    const child = spawn(execPath, [launcher, 'logout'], { env: machine.env, stdio: 'ignore' });
    const closed = once(child, 'close');
    await asked;
    child.kill('SIGTERM');
    expect(await closed).toEqual([null, 'SIGTERM']);
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 0 });
  });
});
