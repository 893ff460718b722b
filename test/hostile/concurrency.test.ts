import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import type { ProviderOptions } from '../support/provider-configuration.js';
import type { Provider } from '../support/provider.js';
import { refreshTokensUsed } from '../support/refresh-tokens.js';
import { agent, type Machine, type Outcome } from '../support/run.js';
import { onlySessionFile, openedSession, sessionFiles } from '../support/sessions.js';
import { pendingLogin } from './pending-login.js';
import { isFull, patience } from './sizes.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const library = new URL('../../dist/library/index.js', import.meta.url).href;

async function signedIn(options?: ProviderOptions): Promise<Newcomer> {
  const known = await newcomer(undefined, options);
  expect(await login(known.machine)).toMatchObject({ exitCode: 0, stdout: '' });
  return known;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !condition(); tries++) await pause(10);
  if (!condition()) throw new Error('what is waited for does not come');
}

describe('CON-04: a valid token waits for nobody and asks nobody', () => {
  test.each<[title: string, occupy: (known: Newcomer) => Promise<void>]>([
    ['while a sign-in is open', async ({ machine }) => void (await pendingLogin(machine))],
    [
      'while a refresh waits for the provider',
      async ({ acme, machine }) => {
        const before = acme.requestsTo('/token').length;
        acme.answerNext('/token', 'hang');
        void machine.spawn(['token', '--force-refresh', '--timeout', '10s']);
        await until(() => acme.requestsTo('/token').length > before);
      },
    ],
    [
      'while somebody holds every lock',
      async ({ machine }) => {
        for (const end of ['lock', 'queue']) await holdLock(`${onlySessionFile(machine)}.${end}`);
      },
    ],
  ])('%s', async (_title, occupy) => {
    const known = await signedIn();
    const { acme, machine } = known;
    const first = await machine.spawn(['token']);
    expect(first).toEqual(success);
    await occupy(known);
    const requests = acme.requests.length;
    const times: number[] = [];
    for (let call = 0; call < (isFull ? 50 : 10); call++) {
      const startedAt = performance.now();
      expect(await machine.spawn(['token'])).toEqual(first);
      times.push(performance.now() - startedAt);
    }
    const slowest = times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1];
    expect(slowest).toBeLessThan(300 * patience);
    expect(acme.requests).toHaveLength(requests);
  });
});

/** A process of somebody else that has the lock until it is killed. */
async function holdLock(path: string): Promise<() => void> {
  const program = `
    const { tryLock } = require('fs-native-extensions');
    const descriptor = require('node:fs').openSync(process.argv[1], 'a+', 0o600);
    console.log(tryLock(descriptor));
    setInterval(() => {}, 60_000);
  `;
  const holder = spawn(execPath, ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => void holder.kill('SIGKILL');
  onTestFinished(kill);
  const [answer] = await once(holder.stdout.setEncoding('utf8'), 'data');
  expect(answer).toBe('true\n');
  return kill;
}

test.each(['lock', 'queue'])(
  'CON-05: when the holder of the .%s is killed, the next one has it at once',
  async (end) => {
    const { machine } = await signedIn();
    const file = onlySessionFile(machine);
    const kill = await holdLock(`${file}.${end}`);
    const waiting = machine.spawn(['token', '--force-refresh']);
    // It is made when somebody stands in line.
    if (end === 'lock') await until(() => existsSync(`${file}.queue`));
    const startedAt = performance.now();
    kill();
    expect(await waiting).toEqual(success);
    expect(performance.now() - startedAt).toBeLessThan(1_000 * patience);
  },
);

test('CON-08: a sign-out and a refresh that begin at once end signed out', { timeout: 300_000 }, async () => {
  for (let round = 0; round < (isFull ? 50 : 3); round++) {
    const { acme, machine } = await signedIn();
    const { accessToken, refreshToken } = openedSession(machine);
    const [out, refreshed] = await Promise.all([
      machine.spawn(['logout']),
      machine.spawn(['token', '--force-refresh']),
    ]);
    expect(out).toMatchObject({ exitCode: 0, stdout: '' });
    expect([0, 4]).toContain(refreshed.exitCode);
    expect(sessionFiles(machine)).toEqual([]);
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
    for (const token of [accessToken.value, refreshed.stdout.trim()]) {
      expect(await isGood(acme, token)).toBe(false);
    }
    const grant = { grant_type: 'refresh_token', client_id: 'cli', refresh_token: refreshToken ?? '' };
    const body = new URLSearchParams(grant);
    expect((await fetch(`${acme.issuer}/token`, { method: 'POST', body })).status).toBe(400);
  }
});

async function isGood({ issuer }: Provider, accessToken: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${accessToken}` };
  return (await fetch(`${issuer}/api/hello`, { headers })).ok;
}

test('CON-13: a session of a newer authcli beside one of ours: nobody touches it, and ours goes on', async () => {
  const { acme, machine } = await signedIn();
  const newer = onlySessionFile(machine);
  await login(machine, '--browser', `${agent} --as john@acme.test`);
  writeFileSync(newer, readFileSync(newer, 'utf8').replace('{"authcli":2', '{"authcli":99'));
  const before = readFileSync(newer, 'utf8');
  const processes = isFull ? 50 : 5;
  const both = Array.from({ length: processes }, () => [
    machine.spawn(['token', '--force-refresh', '-a', 'jane@acme.test']),
    machine.spawn(['token', '--force-refresh', '-a', 'john@acme.test']),
  ]);
  for (const [theirs, ours] of both) {
    expect(await theirs).toEqual({
      exitCode: 7,
      stdout: '',
      stderr: `error: the stored session was written by a newer authcli: ${newer}\nhint: update authcli\n`,
    });
    expect(await ours).toEqual(success);
  }
  expect(readFileSync(newer, 'utf8')).toBe(before);
  const used = refreshTokensUsed(acme);
  expect(new Set(used).size).toBe(used.length);
});

test('CON-14: a program that runs for long uses no refresh token twice, beside commands that come and go', async () => {
  // Every token ends within --min-ttl: every call refreshes.
  const { acme, machine } = await signedIn({ accessTokenLifetime: 30 });
  const program = startLongLived(acme, machine);
  const token = expect.stringMatching(/^[\w-]{40,}$/);
  const command = async (): Promise<string> => (await machine.spawn(['token'])).stdout.trim();
  for (let round = 0; round < (isFull ? 20 : 4); round++) {
    expect(await program('token')).toEqual(token);
    expect(await command()).toEqual(token);
    expect(await Promise.all([program('token'), command()])).toEqual([token, token]);
  }
  expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0 });
  expect(await program('token')).toBe('login_required');
  await login(machine);
  expect(await program('token')).toEqual(token);
  expect(await program('listeners')).toBe('0');
  const used = refreshTokensUsed(acme);
  expect(new Set(used).size).toBe(used.length);
});

/** Returns what asks it for a token, and brings the token or the code of the error; or how many wait for its signal. */
function startLongLived(
  { issuer }: Provider,
  machine: Machine,
): (question: 'token' | 'listeners') => Promise<string> {
  const program = `
    import { getEventListeners } from 'node:events';
    import { createInterface } from 'node:readline';
    import { createAuthClient } from ${JSON.stringify(library)};
    const { signal } = new AbortController();
    const client = createAuthClient({ signal, stateFolder: ${JSON.stringify(join(machine.folder, 'state'))} });
    const provider = { name: 'acme', issuer: ${JSON.stringify(issuer)}, clientId: 'cli' };
    const request = { kind: 'access', minTtlMs: 60_000, forceRefresh: false };
    const answers = {
      token: () => client.acquireTokenSilent(provider, request).then(({ token }) => token, ({ code }) => code),
      listeners: () => getEventListeners(signal, 'abort').length,
    };
    for await (const question of createInterface({ input: process.stdin })) {
      console.log(await answers[question]());
    }
  `;
  const child = spawn(execPath, ['--input-type=module', '-e', program], {
    env: machine.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (question) => {
    child.stdin.write(`${question}\n`);
    return String((await answers.next()).value);
  };
}
