import { EventEmitter, once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { describe, expect, onTestFinished, test } from 'vitest';

import { pendingLogin } from './hostile/pending-login.js';
import { login, newcomer, newcomerWith, type Newcomer } from './support/newcomer.js';
import { holdersOf, until } from './support/processes.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import { agent, type Machine, type Outcome } from './support/run.js';
import { approves, authorizationResponse, browserOf } from './support/user-agents.js';

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

/**
 * The second login has seen no sign-in of another kind: the first was still asking the provider for its metadata, and the
 * second is stopped until `meanwhile` is over.
 */
async function overtaken(
  { acme, machine }: Newcomer,
  argv: readonly string[],
  meanwhile: () => Promise<void> = async () => {},
): Promise<Outcome> {
  const metadata = new EventEmitter();
  const isAsked = new Promise<void>((resolve) => {
    acme.answerNext('/.well-known/openid-configuration', async () => {
      resolve();
      await once(metadata, 'answer');
    });
  });
  const first = pendingLogin(machine);
  await isAsked;
  const second = machine.start(['login', '-q', '--prompt', 'consent', '--browser', agent, ...argv]);
  onTestFinished(() => void second.child.kill('SIGKILL'));
  const lock = join(machine.folder, 'state', 'sessions', 'acme@login.lock');
  await until(() => holdersOf(lock).includes(second.pid), 10_000);
  second.child.kill('SIGSTOP');
  metadata.emit('answer');
  expect(await (await first).signIn()).toMatchObject({ exitCode: 0 });
  await meanwhile();
  second.child.kill('SIGCONT');
  return second.outcome;
}

function grants({ acme }: Newcomer): (string | undefined)[] {
  return acme.requestsTo('/token').map(({ parameters }) => parameters['grant_type']);
}

describe('a login that waited until another one had ended', () => {
  test('gets its session where it asks for the same, also when that was refreshed since', async () => {
    const known = await newcomer();
    const refresh = async () => {
      expect(await known.machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
    };
    expect(await overtaken(known, [], refresh)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(grants(known)).toEqual(['authorization_code', 'refresh_token']);
  });

  test.each<[string, string[], ProviderOptions?]>([
    ['--max-age', ['--max-age', '1h']],
    ['--acr-values', ['--acr-values', 'urn:mace:incommon:iap:silver']],
    ['--scope', ['--scope', 'openid']],
    ['--dpop', ['--dpop'], { proofs: 'taken' }],
    ['--resource', ['--resource', 'https://api.acme.test/'], { resourceScope: 'openid' }],
    ['--consent-scope', ['--consent-scope', 'profile']],
    ['--auth-param', ['--auth-param', 'tenant=a']],
    ['--token-param', ['--token-param', 'tenant=a']],
    ['-a', ['-a', 'jane@acme.test']],
  ])('signs in by itself where it asks for more: %s', async (_title, argv, options) => {
    const known = await newcomer({ AUTHCLI_STORE: 'file' }, options);
    expect(await overtaken(known, argv)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(known.acme.requestsTo('/auth')).toHaveLength(2);
  });

  test('asks for its --claims by itself', async () => {
    const known = await newcomer();
    const claims = '{"id_token":{"acr":{"essential":true,"values":["phr"]}}}';
    // This provider knows no claims parameter, so the ID token has not what is essential.
    expect(await overtaken(known, ['--claims', claims])).toMatchObject({ exitCode: 5, stdout: '' });
    expect(known.acme.requestsTo('/auth').map(({ parameters }) => parameters['claims'])).toEqual([
      undefined,
      claims,
    ]);
  });

  test('signs in by itself where a login of another kind has replaced the session since', async () => {
    const known = await newcomer();
    const replace = async () => {
      expect(await login(known.machine, '--scope', 'openid')).toMatchObject({ exitCode: 0 });
    };
    expect(await overtaken(known, [], replace)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(grants(known)).toHaveLength(3);
  });

  test('signs in by itself where the session was signed out since', async () => {
    const known = await newcomer();
    const signOut = async () => {
      expect(await known.machine.spawn(['logout'])).toMatchObject({ exitCode: 0 });
    };
    expect(await overtaken(known, [], signOut)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(grants(known)).toHaveLength(2);
  });
});

test('a third login of another kind, which ended while the first was open, is not what the second waited for', async () => {
  const { acme, machine } = await newcomer();
  const first = await pendingLogin(machine);
  const second = await pendingLogin(machine, ['--browser', agent]);
  expect(second.authorizationUrl.href).toBe(first.authorizationUrl.href);
  expect(await login(machine, '--scope', 'openid')).toMatchObject({ exitCode: 0 });
  process.kill(first.pid, 'SIGKILL');
  expect(await second.outcome).toMatchObject({ exitCode: 0, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(2);
  const { stdout } = await machine.spawn(['token', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ scope: expect.stringContaining('offline_access') });
});

test('an old session is not taken for a new one because the clock was ahead when it was made', async () => {
  const { acme, machine } = await newcomer();
  const argv = ['login', '-q', '--prompt', 'consent'];
  const ahead = { ...browserOf(approves), now: () => new Date(Date.now() + 120_000) };
  expect(await machine.run(argv, ahead)).toMatchObject({ exitCode: 0 });
  expect(await machine.run(argv, browserOf(approves))).toMatchObject({ exitCode: 0 });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});
