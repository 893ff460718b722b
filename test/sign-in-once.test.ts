import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { expect, test } from 'vitest';

import { pendingLogin } from './hostile/pending-login.js';
import { newcomer, newcomerWith } from './support/newcomer.js';
import { agent, type Machine, type Outcome } from './support/run.js';
import { authorizationResponse } from './support/user-agents.js';

function filesOfTheLogin({ folder }: Machine): string[] {
  return readdirSync(join(folder, 'state', 'sessions')).filter((name) => name.endsWith('@login'));
}

test('a second login shows the URL of the first, opens no browser, and gets its session', async () => {
  const { acme, machine } = await newcomer();
  const first = await pendingLogin(machine);
  const second = await pendingLogin(machine, ['--browser', agent]);
  expect(second.authorizationUrl.href).toBe(first.authorizationUrl.href);
  const note = readFileSync(join(machine.folder, 'state', 'sessions', 'acme@login'), 'utf8');
  expect(note).toMatch(/^[0-9a-f]{64} http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}\n$/);
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(note).not.toContain(first.authorizationUrl.searchParams.get(name));
  }
  // Only the sign-in of the first is answered; the agent of the second would have signed in by itself.
  const signedIn = '✓ Signed in to acme as jane@acme.test; the session is kept in a sealed file.\n';
  expect(await first.signIn()).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `Signing in to acme. Visit this address:\n\n  ${first.authorizationUrl.href}\n\n${signedIn}`,
  });
  expect(await second.outcome).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      'A sign-in to acme is open already. Go on in its browser window, or visit this address:\n\n' +
      `  ${first.authorizationUrl.href}\n\n${signedIn}`,
  });
  expect(acme.requestsTo('/token')).toHaveLength(1);
  expect(filesOfTheLogin(machine)).toEqual([]);
});

test('a second login takes over when the first is killed', async () => {
  const { acme, machine } = await newcomer();
  const first = await pendingLogin(machine);
  const second = await pendingLogin(machine, ['--browser', agent]);
  process.kill(first.pid, 'SIGKILL');
  expect(await second.outcome).toMatchObject({ exitCode: 0, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(1);
  expect(filesOfTheLogin(machine)).toEqual([]);
});

test('a login that asks for something else goes its own way', async () => {
  const { acme, machine } = await newcomer();
  const first = await pendingLogin(machine);
  const second = await pendingLogin(machine, ['--scope', 'openid']);
  expect(second.state).not.toBe(first.state);
  expect(await second.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await first.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});

test('where the person brings the answer, each terminal shows an address of its own, and takes the answer to that', async () => {
  const uri = 'https://acme.test/oauth/back';
  const client = { redirect_uris: [uri], application_type: 'web' as const };
  const { acme, machine } = await newcomerWith(client, { redirect: { uri } });
  const begin = () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    return new Promise<{ url: URL; stdin: PassThrough; outcome: Promise<Outcome> }>((resolve, reject) => {
      const outcome = machine.run(['login', '-q', '--prompt', 'consent'], {
        stdin,
        isTerminal: true,
        openBrowser: async (url) => {
          resolve({ url, stdin, outcome });
          return { kind: 'launched' };
        },
      });
      void outcome.then(({ stderr }) => reject(new Error(stderr)));
    });
  };
  const [first, second] = [await begin(), await begin()];
  for (const { url, stdin, outcome } of [second, first]) {
    stdin.write(`${(await authorizationResponse(url, new URL(uri))).href}\n`);
    expect(await outcome).toMatchObject({ exitCode: 0, stdout: '' });
  }
  expect(acme.requestsTo('/token')).toHaveLength(2);
  expect(await machine.run(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a login whose time is up stops waiting for the first', async () => {
  const { machine } = await newcomer();
  const first = await pendingLogin(machine);
  const second = await pendingLogin(machine, ['--timeout', '1s', '-q']);
  expect(await second.outcome).toEqual({
    exitCode: 8,
    stdout: '',
    stderr: `\n  ${first.authorizationUrl.href}\n\nerror: not finished within 1 s\nhint: allow more time: --timeout 10m\n`,
  });
});

test('a valid token is given out while a login is open', async () => {
  const { machine } = await newcomer();
  await (await pendingLogin(machine)).signIn();
  await pendingLogin(machine);
  expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
});
