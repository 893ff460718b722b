import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execPath, platform } from 'node:process';
import { text } from 'node:stream/consumers';

import { expect, test } from 'vitest';

import { browserStubs } from './support/browser-stub.js';
import { login, newcomer, type Newcomer } from './support/newcomer.js';

const library = new URL('../dist/library/index.js', import.meta.url).href;

test('a program of somebody else gets tokens from the command’s sessions, refreshed by the same helper', async () => {
  const { acme, machine } = await newcomer();
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  const program = `
    import { AuthError, createAuthClient } from ${JSON.stringify(library)};
    const client = createAuthClient({ stateFolder: ${JSON.stringify(join(machine.folder, 'state'))} });
    const provider = { name: 'acme', issuer: ${JSON.stringify(acme.issuer)}, clientId: 'cli' };
    const request = { kind: 'access', minTtlMs: 60_000, forceRefresh: false };
    const first = await client.acquireTokenSilent(provider, request);
    const second = await client.acquireTokenSilent(provider, { ...request, forceRefresh: true });
    const failure = await client.acquireTokenSilent({ ...provider, name: 'other' }, request).catch((error) => error);
    console.log(JSON.stringify([first.account.email, first.token === second.token, failure instanceof AuthError, failure.code]));
  `;
  const child = spawn(execPath, ['--input-type=module', '-e', program], { env: machine.env });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect({ stdout, stderr }).toEqual({
    stdout: '["jane@acme.test",false,true,"login_required"]\n',
    stderr: '',
  });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});

/** What a program that uses the library prints, as JSON; it knows the provider, and what is kept. */
async function hostProgram(
  { acme, machine }: Newcomer,
  program: string,
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const whole = `
    import { createAuthClient } from ${JSON.stringify(library)};
    const stateFolder = ${JSON.stringify(join(machine.folder, 'state'))};
    const provider = { name: 'acme', issuer: ${JSON.stringify(acme.issuer)}, clientId: 'cli' };
    const silent = { kind: 'access', minTtlMs: 60_000, forceRefresh: false };
    const codeOf = async (call) => { try { await call(); return 'done'; } catch (error) { return error.code + ': ' + error.message; } };
    ${program}
  `;
  const child = spawn(execPath, ['--input-type=module', '-e', whole], { env: { ...machine.env, ...env } });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

test('the library refuses to work while certificates are not verified, whenever that was switched off', async () => {
  const known = await newcomer();
  expect(await login(known.machine)).toMatchObject({ exitCode: 0 });
  const before = known.acme.requests.length;
  const said = await hostProgram(
    known,
    `
    const { env } = process;
    const client = createAuthClient({ stateFolder });
    env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    const conversation = new Proxy({ canPaste: false, async *pastedLines() {} }, { get: (own, name) => own[name] ?? (() => {}) });
    const answers = [
      await codeOf(() => createAuthClient({ stateFolder })),
      await codeOf(() => client.acquireTokenSilent(provider, { ...silent, forceRefresh: true })),
      await codeOf(() => client.acquireTokenInteractive(provider, { store: 'file', browser: 'none' }, conversation)),
      await codeOf(() => client.acquireTokenSilent(provider, silent)),
    ];
    console.log(JSON.stringify(answers));
    process.exit();
  `,
  );
  const refusal = 'usage: NODE_TLS_REJECT_UNAUTHORIZED=0 switches the verification of TLS certificates off';
  expect(said).toEqual([refusal, refusal, refusal, 'done']);
  expect(known.acme.requests).toHaveLength(before);
});

test.skipIf(platform !== 'linux')(
  'the library starts a browser without our variables, in a folder of its own, and leaves its host’s environment as it is',
  async () => {
    const known = await newcomer();
    const { machine } = known;
    const stubs = await browserStubs(machine.folder);
    const bin = join(machine.folder, 'bin');
    stubs.write('bin/x-www-browser');
    for (const tool of ['grep', 'sed']) symlinkSync(join('/bin', tool), join(bin, tool));
    mkdirSync(join(machine.folder, 'here'));
    const program = `
      const { env } = process;
      process.chdir(${JSON.stringify(join(machine.folder, 'here'))});
      const before = JSON.stringify(env);
      const ended = new AbortController();
      const client = createAuthClient({ stateFolder, signal: ended.signal });
      let isSame = true;
      const watch = setInterval(() => { isSame &&= JSON.stringify(env) === before; }, 1);
      const seen = [];
      const conversation = new Proxy(
        { canPaste: false, async *pastedLines() {}, browserNotLaunched: (reason) => { seen.push(reason); ended.abort(new Error('over')); } },
        { get: (own, name) => own[name] ?? (() => {}) },
      );
      setTimeout(() => ended.abort(new Error('over')), 2_500);
      await client.acquireTokenInteractive(provider, { store: 'file' }, conversation).catch(() => {});
      clearInterval(watch);
      console.log(JSON.stringify({ isSame, seen }));
      process.exit();
    `;
    const env = {
      AUTHCLI_STORE_PASSPHRASE: 'canary of a passphrase',
      DISPLAY: ':7',
      PATH: `:.:${bin}`,
    };
    expect(await hostProgram(known, program, env)).toEqual({ isSame: true, seen: [] });
    const launch = await stubs.next();
    expect(Object.keys(launch.env).filter((name) => name.startsWith('AUTHCLI_'))).toEqual([]);
    expect(launch).toMatchObject({ env: { PATH: bin, DISPLAY: ':7' }, cwd: join(machine.folder, 'config') });
    stubs.write('here/browser');
    expect(await hostProgram(known, program, { ...env, BROWSER: './browser' })).toEqual({
      isSame: true,
      seen: ['"./browser" would be another program in each folder; name it by its whole path'],
    });
    expect(stubs.count).toBe(1);
  },
);

test('the library refuses a secret by a relative path, and keeps a relative folder of sessions where it was named', async () => {
  const known = await newcomer();
  const said = await hostProgram(
    known,
    `
    process.chdir(${JSON.stringify(known.machine.folder)});
    const client = createAuthClient({ stateFolder: 'state' });
    const conversation = new Proxy({ canPaste: false, async *pastedLines() {} }, { get: (own, name) => own[name] ?? (() => {}) });
    const signIn = (secret) => codeOf(() =>
      client.acquireTokenInteractive({ ...provider, client: { secret } }, { store: 'file', browser: 'none' }, conversation));
    console.log(JSON.stringify([await signIn({ command: './secret.sh' }), await signIn({ file: 'secret.txt' })]));
    process.exit();
  `,
  );
  expect(said).toEqual([
    'usage: the command for the client secret is a program by a relative path: "./secret.sh"',
    'usage: the client secret is in a file by a relative path: "secret.txt"',
  ]);
  expect(await login(known.machine)).toMatchObject({ exitCode: 0 });
  const refreshed = await hostProgram(
    known,
    `
    process.chdir(${JSON.stringify(known.machine.folder)});
    const client = createAuthClient({ stateFolder: 'state' });
    process.chdir('/');
    console.log(JSON.stringify(await codeOf(() => client.acquireTokenSilent(provider, { ...silent, forceRefresh: true }))));
  `,
  );
  expect(refreshed).toBe('done');
});

test('the library makes no file by a name that is a path or another name’s, and listens on this machine only', async () => {
  const known = await newcomer();
  const said = await hostProgram(
    known,
    `
    const client = createAuthClient({ stateFolder });
    const conversation = new Proxy({ canPaste: false, async *pastedLines() {} }, { get: (own, name) => own[name] ?? (() => {}) });
    const signIn = (entry, request) => codeOf(() =>
      client.acquireTokenInteractive({ ...provider, ...entry }, { store: 'file', browser: 'none', ...request }, conversation));
    console.log(JSON.stringify([
      await signIn({ name: '../../escaped' }),
      await signIn({ name: 'acme@x' }),
      await codeOf(() => client.acquireTokenSilent({ ...provider, name: '../x' }, silent)),
      await signIn({ redirect: { host: '0.0.0.0' } }),
      await signIn({ redirect: { uri: 'http://192.0.2.1/callback' } }),
      await signIn({}, { redirect: { host: '::' } }),
    ]));
    process.exit();
  `,
  );
  expect(said).toEqual([
    `usage: "../../escaped" cannot be a provider's name`,
    `usage: "acme@x" cannot be a provider's name`,
    `usage: "../x" cannot be a provider's name`,
    'usage: the redirect URI is not of this machine: its host is 0.0.0.0',
    'usage: the redirect URI is not of this machine: its host is 192.0.2.1',
    'usage: the redirect URI is not of this machine: its host is ::',
  ]);
  expect(known.acme.requests).toEqual([]);
  expect(existsSync(join(known.machine.folder, 'state'))).toBe(false);
});
