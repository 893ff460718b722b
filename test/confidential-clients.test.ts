import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { PassThrough } from 'node:stream';

import { describe, expect, onTestFinished, test } from 'vitest';

import { secretService } from '../src/store/secret-service.js';
import { processesOf } from './hostile/processes.js';
import { isFull } from './hostile/sizes.js';
import { browserStubs } from './support/browser-stub.js';
import { forThisTest, keyringInstalled, startKeyring } from './support/keyring.js';
import { login, nativeClient, startAcme } from './support/newcomer.js';
import type { Provider } from './support/provider.js';
import { until } from './support/processes.js';
import { requirement } from './support/requirements.js';
import { agent, agentScript, newMachine, type Machine, type Outcome } from './support/run.js';
import { atTerminal, scriptInstalled } from './support/terminal.js';
import { good, quietLogin, wholeSession } from './support/whole-session.js';

/** Of all the characters that some way of sending it might spoil. */
const secret = 'canary-4711 /+=:%&"\'\\';

type Method = 'client_secret_basic' | 'client_secret_post';

function startCorporate(method: Method): Promise<Provider> {
  return startAcme({
    clients: [
      nativeClient({ client_id: 'corp:tool', client_secret: secret, token_endpoint_auth_method: method }),
    ],
  });
}

function corporate({ issuer }: Provider): string[] {
  return ['--issuer', issuer, '--client-id', 'corp:tool', '--scope', 'openid email offline_access'];
}

function add(machine: Machine, acme: Provider, ...options: string[]): Promise<Outcome> {
  return machine.spawn(['provider', 'add', 'acme', ...corporate(acme), ...options]);
}

/** How each request that needs the client's authentication brought it. */
function authentications({ requests }: Provider): object[] {
  return requests
    .filter(({ method, path }) => method === 'POST' && path.startsWith('/token'))
    .map(({ path, headers, parameters }) => ({
      path,
      basic: headers.authorization,
      posted: parameters['client_secret'],
    }));
}

function expectedOf(method: Method): object[] {
  const credentials = Buffer.from(`${formEncoded('corp:tool')}:${formEncoded(secret)}`).toString('base64');
  const isBasic = method === 'client_secret_basic';
  const basic = isBasic ? `Basic ${credentials}` : undefined;
  const posted = isBasic ? undefined : secret;
  const revocation = '/token/revocation';
  return ['/token', '/token', revocation, revocation].map((path) => ({ path, basic, posted }));
}

function formEncoded(text: string): string {
  return encodeURIComponent(text)
    .replace(/[-_.!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function files(machine: Machine): string {
  return readdirSync(machine.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${name}\n${readFileSync(join(parentPath, name), 'latin1')}`)
    .join('\n');
}

/** A program that prints the secret, in a folder with a space. */
function printer(machine: Machine, text = `${secret}\n`): string {
  const program = join(machine.folder, 'print secret.js');
  writeFileSync(program, `process.stdout.write(Buffer.from('${Buffer.from(text).toString('hex')}', 'hex'))`);
  return `${execPath} "${program}"`;
}

describe('a confidential client signs in, refreshes in the helper, says who it is for, and signs out', () => {
  test.each<[method: Method, source: 'env' | 'file' | 'command']>([
    ['client_secret_basic', 'env'],
    ['client_secret_basic', 'file'],
    ['client_secret_post', 'command'],
  ])('%s, its secret from %s', async (method, source) => {
    const acme = await startCorporate(method);
    const machine = newMachine({ AUTHCLI_STORE: 'file', ...(source === 'env' && { ACME_SECRET: secret }) });
    // Not in a folder of ours: nothing in there may show a secret.
    const vault = mkdtempSync(join(tmpdir(), 'vault-'));
    onTestFinished(() => rmSync(vault, { recursive: true }));
    const file = join(vault, 'acme.secret');
    if (source === 'file') writeFileSync(file, `${secret}\n`);
    const options = {
      env: ['--client-secret-env', 'ACME_SECRET'],
      file: ['--client-secret-file', file],
      command: ['--client-secret-cmd', printer(machine)],
    }[source];
    const isDefault = method === 'client_secret_basic';
    const added = await add(machine, acme, ...options, ...(isDefault ? [] : ['--client-auth', method]));
    expect(added).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '✓ Added acme. Next: authcli login -p acme\n',
    });
    const said = await wholeSession(machine);
    expect(authentications(acme)).toEqual(expectedOf(method));
    for (const place of [said, files(machine), acme.requests.map(({ url }) => url).join('\n')]) {
      expect(place).not.toContain('canary');
    }
  });

  test('with nothing configured: where the secret comes from is saved, once it has worked', async () => {
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ AUTHCLI_STORE: 'file', ACME_SECRET: 'not this one', OTHER: secret });
    const named = ['-p', 'acme', ...corporate(acme), '--client-secret-env'];
    expect(await login(machine, ...named, 'ACME_SECRET')).toMatchObject({ exitCode: 5, stdout: '' });
    expect(await machine.spawn(['provider', 'list', '--json'])).toMatchObject({
      stdout: '{"providers":{}}\n',
    });
    expect(await login(machine, ...named, 'OTHER')).toEqual(quietLogin);
    expect(await machine.spawn(['provider', 'show', '--json'])).toMatchObject({
      stdout: `${JSON.stringify({
        issuer: acme.issuer,
        clientId: 'corp:tool',
        scope: 'openid email offline_access',
        client: { secret: { env: 'OTHER' } },
      })}\n`,
    });
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(good);
  });

  test('a login says where a secret that has moved is now, and the rest of the entry stays', async () => {
    const acme = await startCorporate('client_secret_post');
    const machine = newMachine({ AUTHCLI_STORE: 'file', ACME_SECRET: secret });
    await add(machine, acme, '--client-secret-env', 'GONE', '--client-auth', 'client_secret_post');
    expect(await login(machine)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: the client secret is not there: GONE is not set\n' +
        'hint: set GONE, or name another place: authcli provider add … --force --client-secret-cmd COMMAND\n',
    });
    expect(await login(machine, '--client-secret-env', 'ACME_SECRET')).toEqual(quietLogin);
    const { stdout } = await machine.spawn(['provider', 'show', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      client: { authentication: 'client_secret_post', secret: { env: 'ACME_SECRET' } },
    });
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(good);
  });
});

test('no program that is started inherits the variable of a secret, or finds it among its arguments', async () => {
  const acme = await startCorporate('client_secret_basic');
  const machine = newMachine({
    AUTHCLI_STORE: 'file',
    ACME_SECRET: secret,
    BETA_SECRET: `${secret} of another`,
  });
  await add(machine, acme, '--client-secret-env', 'ACME_SECRET');
  const beta = ['--issuer', 'https://beta.test', '--client-id', 'x', '--client-secret-env', 'BETA_SECRET'];
  await machine.spawn(['provider', 'add', 'beta', ...beta]);
  const stubs = await browserStubs(machine.folder);
  const browser = stubs.write(
    'browser',
    `require('node:child_process').spawn(process.execPath, [${JSON.stringify(agentScript)}, process.argv.at(-1)])`,
  );
  const waiting = login(machine, '-p', 'acme', '--browser', browser);
  const launch = await stubs.next();
  expect(await waiting).toEqual(quietLogin);
  expect(JSON.stringify([launch.env, launch.arguments])).not.toContain('canary');

  let seen: string[] = [];
  acme.answerNext('/token', async () => {
    seen = processesOf(machine)
      .map((pid) =>
        ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1')).join(),
      )
      .filter((text) => text.includes('refresh-helper'));
  });
  expect(await machine.spawn(['token', '--force-refresh', '-p', 'acme'])).toEqual(good);
  expect(seen).toHaveLength(1);
  expect(seen.join()).not.toContain('canary');
});

describe('a command that gives no secret is said so, and nothing of what it said is shown', () => {
  test.each<[title: string, script: string, error: string]>([
    [
      'fails',
      'process.stdout.write("canary"); console.error("canary"); process.exit(3)',
      'the client secret is not there: its command failed (exit code 3)',
    ],
    ['prints nothing', '', 'the client secret is empty: the command for it gives nothing'],
    ['prints an empty line', 'console.log()', 'the client secret is empty: the command for it gives nothing'],
    [
      'prints without end',
      'process.stdout.write("canary".repeat(20000))',
      'the client secret is not there: its command failed (no answer in 30 seconds, or too long a one)',
    ],
  ])('%s', async (_title, script, error) => {
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const program = join(machine.folder, 'get it.js');
    writeFileSync(program, script);
    await add(machine, acme, '--client-secret-cmd', `${execPath} '${program}'`);
    const { exitCode, stdout, stderr } = await login(machine);
    expect({ exitCode, stdout, error: stderr.split('\n')[0] }).toEqual({
      exitCode: 2,
      stdout: '',
      error: `error: ${error}`,
    });
    expect(stderr).not.toContain('canary');
    expect(acme.requests).toEqual([]);
  });

  test('is not there', async () => {
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    await add(machine, acme, '--client-secret-cmd', 'no-such-vault read acme');
    expect(await login(machine)).toMatchObject({
      exitCode: 2,
      stderr:
        'error: the client secret is not there: its command is not an installed program\n' +
        'hint: install that program, or name another one by its whole path\n',
    });
  });

  // It reads first: whoever waits for an answer there gets none.
  const stubborn = `require('node:fs').readFileSync(0); process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`;

  test('hangs: --timeout is the limit of the whole command, and the program ends with it', async () => {
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const program = join(machine.folder, 'hang.js');
    writeFileSync(program, stubborn);
    await add(machine, acme, '--client-secret-cmd', `${execPath} ${program}`);
    expect(await login(machine, '--timeout', '2s')).toEqual({
      exitCode: 8,
      stdout: '',
      stderr: 'error: not finished within 2 s\nhint: allow more time: --timeout 10m\n',
    });
    await until(() => processesOf(machine).length === 0, 2000);
  });

  test.runIf(isFull)('hangs for longer than any command may take', { timeout: 60_000 }, async () => {
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const program = join(machine.folder, 'hang.js');
    writeFileSync(program, stubborn);
    await add(machine, acme, '--client-secret-cmd', `${execPath} ${program}`);
    expect(await login(machine)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('its command failed (no answer in 30 seconds, or too long a one)'),
    });
    await until(() => processesOf(machine).length === 0, 2000);
  });
});

describe('a command line that cannot be meant', () => {
  test.each<[title: string, options: string[], env: Record<string, string>, stderr: string]>([
    [
      'two places',
      ['--client-secret-env', 'A', '--client-secret-file', 'b'],
      {},
      'error: --client-secret-env and --client-secret-file: the client proves itself in one way only\n',
    ],
    [
      'the secret itself, which is not repeated',
      ['--client-secret-env', 'canary/4711'],
      {},
      'error: --client-secret-env must be the name of an environment variable, not the secret itself\n',
    ],
    [
      'a way to authenticate, and nothing to do it with',
      ['--client-auth', 'client_secret_post'],
      {},
      'error: --client-auth client_secret_post needs a client secret\nhint: say where it is kept: --client-secret-cmd COMMAND\n',
    ],
    [
      'a signature, and no key to make it with',
      ['--client-auth', 'private_key_jwt', '--client-secret-env', 'A'],
      {},
      'error: --client-auth private_key_jwt needs a key\nhint: name the file that holds it: --client-key PATH\n',
    ],
    [
      'a key, and a way that needs a secret',
      ['--client-auth', 'client_secret_basic', '--client-key', 'a.pem'],
      {},
      'error: --client-auth client_secret_basic needs a client secret\nhint: say where it is kept: --client-secret-cmd COMMAND\n',
    ],
    [
      'a handshake, and no certificate to present in it',
      ['--client-auth', 'self_signed_tls_client_auth'],
      {},
      'error: --client-auth self_signed_tls_client_auth needs a certificate\nhint: name the file that holds it: --client-cert PATH\n',
    ],
    [
      'a certificate, and a way that needs a key',
      ['--client-auth', 'private_key_jwt', '--client-cert', 'a.pem'],
      {},
      'error: --client-auth private_key_jwt needs a key\nhint: name the file that holds it: --client-key PATH\n',
    ],
    [
      'a certificate and a secret',
      ['--client-secret-env', 'A', '--client-cert', 'a.pem'],
      {},
      'error: --client-secret-env and --client-cert: the client proves itself in one way only\n',
    ],
    [
      'the key of a certificate, and no certificate',
      ['--client-cert-key', 'a.key'],
      {},
      'error: --client-cert-key needs --client-cert\nhint: name the file of the certificate too: --client-cert PATH\n',
    ],
    [
      'an unknown way',
      ['--client-auth', 'tls'],
      {},
      'error: --client-auth must be one of client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth, self_signed_tls_client_auth\n',
    ],
    [
      'nothing to keep in the keychain',
      ['--client-secret-keychain'],
      {},
      'error: the client secret is empty\nhint: pipe it in: pass show acme | authcli provider add … --client-secret-keychain\n',
    ],
  ])('%s', async (_title, options, env, stderr) => {
    const machine = newMachine(env);
    const named = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'x'];
    expect(await machine.spawn([...named, ...options])).toEqual({ exitCode: 2, stdout: '', stderr });
    expect(await machine.spawn(['provider', 'list', '--json'])).toMatchObject({
      stdout: '{"providers":{}}\n',
    });
  });

  test('the command line wins over the environment, and a path is kept whole', async () => {
    const machine = newMachine({ AUTHCLI_CLIENT_SECRET_ENV: 'A' });
    const named = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'x'];
    const options = ['--client-secret-file', 'acme.secret'];
    await machine.run([...named, ...options], { workingFolder: () => '/srv/vault' });
    const { stdout } = await machine.run(['provider', 'show', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ client: { secret: { file: '/srv/vault/acme.secret' } } });
  });
});

test('a key takes the place of a secret', async () => {
  const machine = newMachine();
  const named = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'x'];
  await machine.run([...named, '--client-key', '/srv/vault/key.pem']);
  const { stdout } = await machine.run(['provider', 'show', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    client: { authentication: 'private_key_jwt', key: { file: '/srv/vault/key.pem' } },
  });
});

function entryWith(client: object): object {
  return { issuer: 'https://acme.test', clientId: 'x', client };
}

test('a certificate takes the place of a key, wherever the command is run; its kind of authentication stays', async () => {
  const machine = newMachine();
  const named = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'x'];
  const inVault = { workingFolder: () => '/srv/vault' };
  const shown = async (): Promise<unknown> =>
    JSON.parse((await machine.run(['provider', 'show', '--json'])).stdout);
  await machine.run([...named, '--client-cert', 'a.pem', '--client-cert-key', 'a.key'], inVault);
  expect(await shown()).toEqual(
    entryWith({
      authentication: 'tls_client_auth',
      certificate: { file: '/srv/vault/a.pem', key: '/srv/vault/a.key' },
    }),
  );
  await machine.run(
    [...named, '--force', '--client-auth', 'self_signed_tls_client_auth', '--client-cert', 'b.pem'],
    inVault,
  );
  expect(await shown()).toEqual(
    entryWith({
      authentication: 'self_signed_tls_client_auth',
      certificate: { file: '/srv/vault/b.pem' },
    }),
  );
});

describe('a preset whose clients have a secret', () => {
  const notion = ['provider', 'add', 'work', '--preset', 'notion', '--client-id', 'x'];

  test('says so when none is named, and how to name it', async () => {
    const machine = newMachine();
    const { exitCode, stderr } = await machine.run(notion);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      'Notion gives its clients a secret. Say where it is kept, such as:\n' +
        'authcli provider add work --preset notion --client-id x --force --client-secret-keychain\n',
    );
  });

  test('repeats what was said, for its place to be added', async () => {
    const preset = ['--preset', 'mastodon', '--set', 'url=https://social.acme.test'];
    const client = ['--client-id', "jane's tool"];
    const options = ['--scope', 'read', '--scope', 'profile', '--port', '8910,8911', '--port', '8912'];
    const outcome = await newMachine().run(['provider', 'add', 'social', ...preset, ...client, ...options]);
    expect(outcome.stderr).toContain(
      "authcli provider add social --preset mastodon --set url=https://social.acme.test --client-id 'jane'\\''s tool' " +
        "--scope 'read profile' --port 8910,8911,8912 --force --client-secret-keychain\n",
    );
  });

  test('is content with one', async () => {
    const machine = newMachine();
    const { stderr } = await machine.run([...notion, '--client-secret-cmd', 'pass show notion']);
    expect(stderr).not.toContain('secret');
    for (const proof of ['--client-key', '--client-cert']) {
      expect((await newMachine().run([...notion, proof, 'client.pem'])).stderr).not.toContain('secret');
    }
    const { stdout } = await machine.run(['provider', 'show', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      client: { authentication: 'client_secret_basic', secret: { command: 'pass show notion' } },
    });
  });
});

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('a secret in the keychain', () => {
  const patience = { timeoutMs: 5_000, mayPrompt: false };

  test('is an item of its own, serves the whole session, and goes with the provider', async () => {
    const keyring = await forThisTest(startKeyring());
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine(keyring.env);
    const stdin = new PassThrough();
    stdin.end(`${secret}\n`);
    const argv = ['provider', 'add', 'acme', ...corporate(acme), '--client-secret-keychain'];
    expect(await machine.run(argv, { stdin })).toMatchObject({ exitCode: 0, stdout: '' });
    const item = `client secret of corp:tool at ${acme.issuer}`;
    const read = () => secretService(keyring.env).read(item, patience);
    expect(await read()).toEqual({ kind: 'found', secret });
    const said = await wholeSession(machine);
    expect(authentications(acme)).toEqual(expectedOf('client_secret_basic'));
    for (const place of [said, files(machine)]) expect(place).not.toContain('canary');
    expect(await machine.spawn(['provider', 'remove', 'acme'])).toMatchObject({ exitCode: 0 });
    expect(await read()).toEqual({ kind: 'missing' });
  });

  test.skipIf(!requirement('script', scriptInstalled))(
    'is asked for at a terminal, and not shown',
    async () => {
      const keyring = await forThisTest(startKeyring());
      const acme = await startCorporate('client_secret_basic');
      const machine = newMachine(keyring.env);
      const argv = ['provider', 'add', 'acme', ...corporate(acme), '--client-secret-keychain'];
      const terminal = atTerminal(argv, machine);
      await terminal.shows('Client secret: ');
      terminal.type(`${secret}\r`);
      expect(await terminal.screen).toBe(
        'Client secret: \n✓ Added acme. Next: authcli login -p acme\nexit code 0\necho\n',
      );
      expect(await login(machine)).toEqual(quietLogin);
      expect(await machine.spawn(['logout', '-q'])).toEqual(good);
    },
  );

  test('that is not there is asked for again; a keychain that is not there keeps none', async () => {
    const keyring = await forThisTest(startKeyring());
    const acme = await startCorporate('client_secret_basic');
    const machine = newMachine({ ...keyring.env, AUTHCLI_STORE: 'file' });
    const client = { secret: { keychain: true } };
    machine.configure({ providers: { acme: { issuer: acme.issuer, clientId: 'corp:tool', client } } });
    expect(await login(machine)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: the client secret of acme is not in the keychain\n' +
        'hint: authcli provider add acme --force … --client-secret-keychain\n',
    });
    const stdin = new PassThrough();
    stdin.end('another');
    const without = newMachine({ AUTHCLI_STORE: 'file' });
    const argv = ['provider', 'add', 'acme', ...corporate(acme), '--client-secret-keychain'];
    const outcome = await without.run(argv, { stdin });
    expect(outcome).toMatchObject({ exitCode: 7, stdout: '' });
    expect(outcome.stderr).toMatch(/^error: the keychain cannot keep or give the client secret: /);
    expect(await without.run(['provider', 'list', '--json'])).toMatchObject({ stdout: '{"providers":{}}\n' });
  });
});

test('of a secret that begins with its client ID, the client ID can still be said', async () => {
  const ownSecret = 'reports-app-9Fk2';
  const client = { client_id: 'reports-app', client_secret: ownSecret };
  const acme = await startAcme({
    clients: [nativeClient({ ...client, token_endpoint_auth_method: 'client_secret_basic' })],
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file', REPORTS_SECRET: ownSecret });
  const entry = {
    issuer: acme.issuer,
    clientId: 'reports-app',
    client: { secret: { env: 'REPORTS_SECRET' } },
  };
  machine.configure({ providers: { acme: entry } });
  acme.answerNext('/token', async (_request, response) => {
    const refusal = { error: 'invalid_client', error_description: `reports-app sent ${ownSecret}` };
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(refusal));
  });
  const { exitCode, stderr } = await machine.spawn(['login', '-q', '--browser', agent]);
  expect(exitCode).toBe(5);
  expect(stderr).toContain('invalid_client (reports-app sent rep[redacted])\n');
});
