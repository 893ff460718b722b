import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { redirectUris } from '../src/providers/expand-preset.js';
import type { ProviderEntry } from '../src/providers/provider.js';
import { secretService } from '../src/store/secret-service.js';
import { pendingLogin } from './hostile/pending-login.js';
import { forThisTest, keyringInstalled, startKeyring } from './support/keyring.js';
import { login, nativeClient, startAcme } from './support/newcomer.js';
import type { Answer, Provider } from './support/provider.js';
import { requirement } from './support/requirements.js';
import { newMachine, type Machine, type Outcome } from './support/run.js';

const scope = 'openid email offline_access';
const initialAccessToken = 'initial-canary-4711';
const byHand = 'register a client there by hand, then: authcli provider add NAME --issuer URL --client-id ID';

function register(machine: Machine, { issuer }: Provider, ...options: string[]): Promise<Outcome> {
  return machine.spawn(['provider', 'add', 'acme', '--issuer', issuer, '--register', ...options]);
}

async function entryOf(machine: Machine): Promise<ProviderEntry> {
  const { stdout } = await machine.run(['provider', 'show', 'acme', '--json']);
  const entry: ProviderEntry = JSON.parse(stdout);
  return entry;
}

async function expectNothingAdded(machine: Machine): Promise<void> {
  expect(await machine.run(['provider', 'list', '--json'])).toMatchObject({ stdout: '{"providers":{}}\n' });
}

function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

test('a client is registered with a redirect URI that no other provider has, and answers come in there alone', async () => {
  const acme = await startAcme({ registration: 'anybody' });
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  expect(await register(machine, acme, '--scope', scope)).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ Added acme. Next: authcli login -p acme\n',
  });
  expect(acme.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'GET /.well-known/openid-configuration',
    'POST /reg',
  ]);
  const entry = { issuer: acme.issuer, clientId: expect.any(String), scope };
  expect(await entryOf(machine)).toEqual({ ...entry, redirect: { path: '/callback/acme' } });
  const pending = await pendingLogin(machine);
  const response = await pending.response();
  expect(response.pathname).toBe('/callback/acme');
  for (const path of ['/callback', '/callback/other', '/callback/acme/']) {
    expect((await fetch(new URL(path + response.search, response))).status).toBe(404);
  }
  expect((await fetch(response)).status).toBe(200);
  expect(await pending.outcome).toMatchObject({ exitCode: 0, stdout: '' });
});

test.each<[options: string[], redirect: object]>([
  [['--port', '8910,8911'], { ports: [8910, 8911], path: '/callback/acme' }],
  [['--redirect-uri', 'http://127.0.0.1:8910/back'], { uri: 'http://127.0.0.1:8910/back' }],
  [['--redirect-uri', 'https://acme.test/back'], { uri: 'https://acme.test/back' }],
  [['--redirect-uri', 'test.acme.cli:/back'], { uri: 'test.acme.cli:/back' }],
])('%j: the provider is told of that, and knows no other', async (options, redirect) => {
  const acme = await startAcme({ registration: 'anybody' });
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  expect(await register(machine, acme, ...options)).toMatchObject({ exitCode: 0, stdout: '' });
  const entry = await entryOf(machine);
  expect(entry).toEqual({ issuer: acme.issuer, clientId: expect.any(String), redirect });
  const uris = redirectUris({ redirect });
  const statuses = [...uris, 'http://127.0.0.1:8910/callback'].map(async (uri) => {
    const asked = { client_id: entry.clientId, redirect_uri: uri, response_type: 'code', scope: 'openid' };
    const pkce = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' };
    const query = new URLSearchParams({ ...asked, ...pkce }).toString();
    return (await fetch(`${acme.issuer}/auth?${query}`, { redirect: 'manual' })).status;
  });
  expect(await Promise.all(statuses)).toEqual([...uris.map(() => 303), 400]);
});

describe('an initial access token', () => {
  test.each([
    ['--registration-token-env', 'TOKEN'],
    ['--registration-token-file', 'token'],
    ['--registration-token-cmd', 'cat token'],
  ])('from %s %s is shown, and kept nowhere', async (option, place) => {
    const acme = await startAcme({ registration: { initialAccessToken } });
    const machine = newMachine({ AUTHCLI_STORE: 'file', TOKEN: initialAccessToken });
    const file = join(machine.folder, 'token');
    writeFileSync(file, `${initialAccessToken}\n`);
    const outcome = await register(machine, acme, '-v', option, place.replace('token', file));
    rmSync(file);
    expect(outcome).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: expect.stringMatching(/✓ Added acme\. Next: authcli login -p acme\n$/),
    });
    expect(outcome.stderr).not.toContain(initialAccessToken);
    expect(acme.requestsTo('/reg')[0]?.headers.authorization).toBe(`Bearer ${initialAccessToken}`);
    const kept = readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8');
    expect(kept).not.toContain(initialAccessToken);
    expect(JSON.parse(kept)).toEqual({ providers: { acme: await entryOf(machine) } });
    expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('that the provider repeats is not shown', async () => {
    const acme = await startAcme({ registration: { initialAccessToken } });
    const machine = newMachine({ TOKEN: initialAccessToken });
    const refusal = { error: 'invalid_client_metadata', error_description: `not for ${initialAccessToken}` };
    acme.answerNext('/reg', json(400, refusal));
    expect(await register(machine, acme, '--registration-token-env', 'TOKEN')).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: the provider refused the registration: invalid_client_metadata (not for [redacted])\nhint: check --scope, or ${byHand}\n`,
    });
  });

  test.each<[options: string[], stderr: string]>([
    [
      ['--registration-token-env', 'GONE'],
      'error: the initial access token is not there: GONE is not set\nhint: set GONE, or name another place: authcli provider add … --register --registration-token-cmd COMMAND\n',
    ],
    [
      ['--registration-token-env', 'EMPTY.VALUE'],
      'error: --registration-token-env must be the name of an environment variable, not the secret itself\n',
    ],
    [
      ['--registration-token-env', 'SPACED'],
      'error: the initial access token holds characters that no token may have (RFC 6750 2.1)\n',
    ],
    [
      ['--registration-token-env', 'TOKEN', '--registration-token-file', 'token'],
      'error: --registration-token-env and --registration-token-file: the initial access token is in one place only\n',
    ],
    [
      ['--registration-token-cmd', 'no-such-vault read'],
      'error: the initial access token is not there: its command is not an installed program\n' +
        'hint: install that program, or name another one by its whole path\n',
    ],
  ])('%j: exit 2, and nothing is asked', async (options, stderr) => {
    const acme = await startAcme({ registration: { initialAccessToken } });
    const machine = newMachine({ TOKEN: initialAccessToken, SPACED: 'two words' });
    expect(await register(machine, acme, ...options)).toEqual({ exitCode: 2, stdout: '', stderr });
    expect(acme.requests).toEqual([]);
    await expectNothingAdded(machine);
  });

  test('is of no use where nothing is registered', async () => {
    const named = ['--issuer', 'https://acme.test', '--client-id', 'x', '--registration-token-env', 'TOKEN'];
    expect(await newMachine().run(['provider', 'add', 'acme', ...named])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'error: --registration-token-env needs --register\n',
    });
  });
});

describe('a provider that registers nobody, or not this', () => {
  test('has no endpoint for it', async () => {
    const acme = await startAcme();
    const machine = newMachine();
    expect(await register(machine, acme)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: ${acme.issuer} registers no clients by itself\nhint: ${byHand}\n`,
    });
    await expectNothingAdded(machine);
  });

  test('wants an initial access token', async () => {
    const acme = await startAcme({ registration: { initialAccessToken } });
    const machine = newMachine();
    expect(await register(machine, acme)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr:
        'error: the provider registers no client without an initial access token (401)\n' +
        `hint: say where the token is that you were given: --registration-token-cmd COMMAND; or ${byHand}\n`,
    });
    await expectNothingAdded(machine);
  });

  test('wants another initial access token', async () => {
    const acme = await startAcme({ registration: { initialAccessToken } });
    const machine = newMachine({ TOKEN: `${initialAccessToken}X` });
    expect(await register(machine, acme, '--registration-token-env', 'TOKEN')).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: the provider refused the initial access token (401)\nhint: ${byHand}\n`,
    });
    await expectNothingAdded(machine);
  });

  test.each<[title: string, answer: Answer, error: string, hint: string | undefined]>([
    [
      'the redirect URI',
      json(400, { error: 'invalid_redirect_uri', error_description: 'https only' }),
      'the provider refused the registration: invalid_redirect_uri (https only)',
      `it does not take a loopback redirect URI from everybody; ${byHand}`,
    ],
    [
      'something else that was described',
      json(400, { error: 'invalid_client_metadata' }),
      'the provider refused the registration: invalid_client_metadata',
      `check --scope, or ${byHand}`,
    ],
    [
      '401 without JSON',
      { status: 401, body: 'no' },
      'the provider registers no client without an initial access token (401)',
      `say where the token is that you were given: --registration-token-cmd COMMAND; or ${byHand}`,
    ],
    [
      '403 with a page',
      { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>' },
      'the provider registers no client without an initial access token (403)',
      `say where the token is that you were given: --registration-token-cmd COMMAND; or ${byHand}`,
    ],
    [
      'a client that must authenticate with what it has not',
      json(201, { client_id: 'x', token_endpoint_auth_method: 'private_key_jwt' }),
      'the provider registered x to authenticate with private_key_jwt, and gave it nothing for that',
      byHand,
    ],
  ])('%s', async (_title, answer, error, hint) => {
    const acme = await startAcme({ registration: 'anybody' });
    const machine = newMachine();
    acme.answerNext('/reg', answer);
    expect(await register(machine, acme)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: ${error}\nhint: ${hint}\n`,
    });
    await expectNothingAdded(machine);
  });
});

test('nothing is registered for a name in use, or for a line that cannot be meant', async () => {
  const acme = await startAcme({ registration: 'anybody' });
  const machine = newMachine();
  await machine.run(['provider', 'add', 'acme', '--issuer', acme.issuer, '--client-id', 'cli']);
  const mistakes: [options: string[], error: string][] = [
    [[], 'there is a provider named "acme" already'],
    [['--client-id', 'x'], '--register does not go with --client-id'],
    [['--preset', 'keycloak'], '--register does not go with --preset'],
    [['--set', 'tenant=x'], '--register does not go with --set'],
    [['--client-secret-env', 'A'], '--register does not go with a secret, a key or a certificate'],
    [['--client-cert', 'a.pem'], '--register does not go with a secret, a key or a certificate'],
  ];
  for (const [options, error] of mistakes) {
    const { exitCode, stderr } = await register(machine, acme, ...options);
    expect([exitCode, stderr.split('\n')[0]]).toEqual([2, `error: ${error}`]);
  }
  expect(acme.requests).toEqual([]);
});

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('a secret that nobody asked for', () => {
  const registered = {
    client_id: 'corp',
    client_secret: 'canary-4711',
    client_secret_expires_at: 0,
    token_endpoint_auth_method: 'client_secret_post',
  };
  const known = nativeClient({
    client_id: 'corp',
    client_secret: 'canary-4711',
    token_endpoint_auth_method: 'client_secret_post',
    redirect_uris: ['http://127.0.0.1/callback/acme'],
  });

  test('goes into the keychain, and is used', async () => {
    const keyring = await forThisTest(startKeyring());
    const acme = await startAcme({ registration: 'anybody', clients: [known] });
    const machine = newMachine(keyring.env);
    acme.answerNext('/reg', json(201, registered));
    const outcome = await register(machine, acme, '--scope', scope, '-v');
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.stderr).not.toContain('canary');
    expect(await entryOf(machine)).toEqual({
      issuer: acme.issuer,
      clientId: 'corp',
      scope,
      redirect: { path: '/callback/acme' },
      client: { authentication: 'client_secret_post', secret: { keychain: true } },
    });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(acme.requestsTo('/token').map(({ parameters }) => parameters['client_secret'])).toEqual([
      'canary-4711',
    ]);
    const item = `client secret of corp at ${acme.issuer}`;
    const read = () => secretService(keyring.env).read(item, { timeoutMs: 5_000, mayPrompt: false });
    expect(await read()).toEqual({ kind: 'found', secret: 'canary-4711' });

    // What takes the entry's place needs the item no more.
    await machine.spawn(['logout']);
    const named = ['--issuer', acme.issuer, '--client-id', 'corp', '--client-secret-env', 'A', '--force'];
    expect(await machine.run(['provider', 'add', 'acme', ...named])).toMatchObject({ exitCode: 0 });
    expect(await read()).toEqual({ kind: 'missing' });
  });

  test('is refused where there is no keychain', async () => {
    const acme = await startAcme({ registration: 'anybody' });
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    acme.answerNext('/reg', json(201, registered));
    const outcome = await register(machine, acme);
    expect(outcome).toMatchObject({ exitCode: 7, stdout: '' });
    expect(outcome.stderr).toMatch(
      /^error: acme was not added: the provider gave corp a secret, and the keychain cannot keep or give the client secret: [^\n]+\nhint: [^\n]+\n$/,
    );
    expect(outcome.stderr).not.toContain('canary');
    await expectNothingAdded(machine);
  });

  test('is left alone where the same answer says that the client is public', async () => {
    const acme = await startAcme({ registration: 'anybody' });
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    acme.answerNext('/reg', json(201, { ...registered, token_endpoint_auth_method: 'none' }));
    expect(await register(machine, acme)).toMatchObject({ exitCode: 0 });
    expect(await entryOf(machine)).toEqual({
      issuer: acme.issuer,
      clientId: 'corp',
      redirect: { path: '/callback/acme' },
    });
  });
});
