import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { expect, test } from 'vitest';

import { login, newcomer, startAcme, type Newcomer } from './support/newcomer.js';
import type { Machine, Outcome } from './support/run.js';
import { approves, approvesAs, browserOf, oneBrowser } from './support/user-agents.js';

/** Runs in `folder/project/deep`, with the file in `folder/project`. */
function inProject(machine: Machine, content: object | string, name = 'project') {
  const deep = join(machine.folder, name, 'deep');
  const file = join(machine.folder, name, '.authcli.json');
  mkdirSync(deep, { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  const run = (argv: readonly string[], world: Parameters<Machine['run']>[1] = {}): Promise<Outcome> =>
    machine.run(argv, { ...browserOf(approves), workingFolder: () => deep, ...world });
  return { run, file };
}

async function signedIn(): Promise<Newcomer> {
  const known = await newcomer();
  expect(await login(known.machine)).toMatchObject({ exitCode: 0 });
  return known;
}

function configurationOf({ folder }: Machine): object {
  const configuration: object = JSON.parse(readFileSync(join(folder, 'config', 'config.json'), 'utf8'));
  return configuration;
}

test('names the default provider and adds providers, below its folder only', async () => {
  const { acme, machine } = await newcomer();
  const before = configurationOf(machine);
  const { run, file } = inProject(machine, {
    defaultProvider: 'work',
    providers: { work: { issuer: acme.issuer, clientId: 'cli', scope: 'openid' } },
  });
  const signIn = await run(['login', '-q']);
  expect(signIn).toMatchObject({ exitCode: 0, stdout: '' });
  expect(signIn.stderr).toMatch(
    `${file} chose the provider work: issuer ${acme.issuer}, client cli.\n\n  http://`,
  );
  expect(await run(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
  const listed = await run(['provider', 'list', '--json']);
  const { providers }: { providers: object } = JSON.parse(listed.stdout);
  expect(Object.keys(providers)).toEqual(['acme', 'work']);
  expect(await machine.run(['token'])).toMatchObject({ exitCode: 4 });
  expect(await machine.run(['token', '-p', 'work'])).toMatchObject({ exitCode: 2 });
  expect(await run(['provider', 'remove', 'work'])).toMatchObject({ exitCode: 2 });
  expect(configurationOf(machine)).toEqual({ ...before, store: 'file' });
});

test('cannot give the default provider of the person, nor is it removed from the configuration', async () => {
  const { acme, machine } = await newcomer();
  const { run, file } = inProject(machine, {
    providers: { work: { issuer: acme.issuer, clientId: 'cli' } },
  });
  const notOwn = `error: work is a provider of ${file}, and not one of your own\nhint: `;
  expect(await run(['switch', '-p', 'work'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `${notOwn}authcli provider add work --issuer ${acme.issuer} --client-id cli\n`,
  });
  expect(await run(['provider', 'remove', 'work'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `${notOwn}remove it in ${file}\n`,
  });
});

test('says so, too, where it only chooses among the providers of the person', async () => {
  const { acme, machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'acme' });
  const { stderr } = await run(['login', '-q']);
  expect(stderr).toContain(`${file} chose the provider acme: issuer ${acme.issuer}, client cli.\n`);
  expect((await run(['login', '-q', '-p', 'acme'])).stderr).not.toContain(file);
});

test('may choose the path and the ports of the redirect URI', async () => {
  const { acme, machine } = await newcomer();
  const { run } = inProject(machine, {
    providers: { work: { issuer: acme.issuer, clientId: 'cli', redirect: { path: '/callback' } } },
  });
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  const shown = await run(['provider', 'show', 'work', '--json']);
  expect(JSON.parse(shown.stdout)).toEqual({
    issuer: acme.issuer,
    clientId: 'cli',
    redirect: { path: '/callback' },
  });
});

test('may name a preset, and the settings that say which issuer it is', async () => {
  const { acme, machine } = await newcomer();
  const { run } = inProject(machine, {
    defaultProvider: 'forge',
    providers: {
      forge: { preset: 'gitlab', settings: { url: acme.issuer }, clientId: 'cli', scope: 'openid' },
    },
  });
  expect(await run(['login', '-q'])).toMatchObject({ exitCode: 0 });
  expect(await run(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
});

test.each([
  ['github', 'api', 'it moves userinfo'],
  ['github', 'url', 'it moves every endpoint, and the issuer stays'],
])('may not set %s.%s of a preset: %s', async (preset, setting) => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, {
    providers: { forge: { preset, settings: { [setting]: 'https://evil.test' }, clientId: 'my cli' } },
  });
  expect(await run(['login', '-p', 'forge'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      `error: ${file}: providers.forge.settings.${setting} is not for a project to say: it is not part of the issuer of ${preset}\n` +
      `hint: authcli provider add forge --preset ${preset} --client-id 'my cli'\n`,
  });
});

test('gets no secret of the person for its provider', async () => {
  const { acme, machine } = await newcomer();
  const before = configurationOf(machine);
  const { run, file } = inProject(machine, {
    providers: { work: { issuer: acme.issuer, clientId: 'cli', scope: 'openid' } },
  });
  const refused = {
    exitCode: 2,
    stdout: '',
    stderr:
      `error: work is a provider of ${file}: secrets, keys and certificates are for providers of your own only\n` +
      `hint: authcli provider add work --issuer ${acme.issuer} --client-id cli --scope openid\n`,
  };
  for (const option of [
    '--client-secret-env',
    '--client-secret-file',
    '--client-secret-cmd',
    '--client-key',
  ]) {
    expect(await run(['login', '-p', 'work', option, 'HUSH'])).toEqual(refused);
  }
  expect(acme.requests).toEqual([]);
  expect(configurationOf(machine)).toEqual(before);
});

test('gets none for a preset whose clients have one, either', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { providers: { forge: { preset: 'github', clientId: 'cli' } } });
  expect(await run(['login', '-p', 'forge'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      `error: forge is a provider of ${file} and needs a client secret: secrets, keys and certificates are for providers of your own only\n` +
      'hint: authcli provider add forge --preset github --client-id cli --client-secret-keychain\n',
  });
});

test('has no part in a sign-in whose issuer and client are typed', async () => {
  const { acme, machine } = await newcomer();
  const evil = await startAcme();
  const name = new URL(acme.issuer).host;
  const { run, file } = inProject(machine, {
    defaultProvider: name,
    providers: {
      [name]: { issuer: acme.issuer, clientId: 'cli', scope: 'email', redirect: { path: '/other' } },
    },
  });
  const outcome = await run(['login', '-q', '--issuer', acme.issuer, '--client-id', 'cli']);
  expect(outcome).toMatchObject({ exitCode: 0 });
  expect(outcome.stderr).not.toContain(file);
  expect(evil.requests).toEqual([]);
  expect(configurationOf(machine)).toMatchObject({
    providers: {
      [name]: { issuer: acme.issuer, clientId: 'cli', scope: 'openid profile email offline_access' },
    },
  });
});

test('keeps its sessions apart from those of another clone, and of another entry', async () => {
  const { acme, machine } = await newcomer();
  const work = { issuer: acme.issuer, clientId: 'cli', scope: 'openid' };
  const content = { defaultProvider: 'work', providers: { work } };
  const first = inProject(machine, content);
  expect(await first.run(['login', '-q'])).toMatchObject({ exitCode: 0 });
  const second = inProject(machine, content, 'clone');
  const notSignedIn = {
    exitCode: 4,
    stdout: '',
    stderr: 'error: not signed in to work\nhint: authcli login -p work\n',
  };
  expect(await second.run(['token'])).toEqual(notSignedIn);
  expect(await second.run(['logout'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'not signed in: there is nothing to log out of\n',
  });
  inProject(machine, { ...content, providers: { work: { ...work, scope: 'openid email' } } });
  expect(await first.run(['token'])).toEqual({
    ...notSignedIn,
    stderr:
      'error: not signed in to work: the session of jane-4711 was made with another entry\n' +
      'hint: authcli login -p work\n',
  });
  inProject(machine, content);
  expect(await first.run(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
  renameSync(join(machine.folder, 'project'), join(machine.folder, 'moved'));
  const moved = inProject(machine, content, 'moved');
  expect(await moved.run(['token'])).toEqual(notSignedIn);
});

test('does not move the pointer to the current account of a provider of the person', async () => {
  const { acme, machine } = await newcomer();
  const work = { issuer: acme.issuer, clientId: 'cli', scope: 'openid email offline_access' };
  const { run, file } = inProject(machine, { providers: { work } });
  machine.configure({ providers: { work } });
  const john = { ...browserOf(approvesAs('john@acme.test')), workingFolder: () => '/' };
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  expect(await machine.run(['login', '-q', '-p', 'work'], john)).toMatchObject({ exitCode: 0 });
  expect(await machine.run(['switch', '-p', 'work', '-a', 'jane@acme.test'])).toMatchObject({ exitCode: 0 });
  machine.configure({ providers: {} });
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  writeFileSync(file, '{}');
  machine.configure({ providers: { work } });
  expect(await machine.run(['whoami', '--json'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('jane@acme.test'),
  });
});

test('leaves the current account of a provider of the person alone', async () => {
  const { acme, machine } = await newcomer();
  const { run } = inProject(machine, {
    providers: { work: { issuer: acme.issuer, clientId: 'cli', scope: 'openid' } },
  });
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  const add = ['provider', 'add', 'work', '--issuer', acme.issuer, '--client-id', 'cli', '--scope', 'openid'];
  expect(await machine.run(add)).toMatchObject({ exitCode: 0 });
  expect(await machine.run(['token', '-p', 'work'])).toMatchObject({ exitCode: 4 });
});

test('signs out at its own provider, too, where the person has another one of that name', async () => {
  const { acme, machine } = await newcomer();
  const other = await startAcme();
  const { run } = inProject(machine, {
    providers: { work: { issuer: other.issuer, clientId: 'cli', scope: 'openid' } },
  });
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  const add = ['provider', 'add', 'work', '--issuer', acme.issuer, '--client-id', 'cli', '--scope', 'openid'];
  expect(await machine.run(add)).toMatchObject({ exitCode: 0 });
  expect(await run(['login', '-q', '-p', 'work'])).toMatchObject({ exitCode: 0 });
  const browser = browserOf(oneBrowser());
  expect(await run(['logout', '--all', '-q', '--end-session'], browser)).toMatchObject({ exitCode: 0 });
  for (const one of [acme, other]) expect(one.requestsTo('/session/end')).toHaveLength(1);
});

test('cannot send the tokens of a session elsewhere', async () => {
  const { acme, machine } = await signedIn();
  const evil = await startAcme();
  const own = { issuer: acme.issuer, clientId: 'cli' };
  const set = { token_endpoint: `${evil.issuer}/token`, jwks_uri: `${evil.issuer}/jwks` };
  const { run, file } = inProject(machine, {
    providers: { acme: { ...own, metadata: { set } }, other: { ...own, metadata: { set } } },
  });
  const requests = acme.requestsTo('/token').length;
  const refused = `${file}: providers.other says more than a project may: metadata\n`;
  const kept = await run(['token', '-p', 'acme', '--force-refresh']);
  expect(kept).toMatchObject({ exitCode: 0, stderr: `warning: not used: ${refused}` });
  expect(acme.requestsTo('/token')).toHaveLength(requests + 1);
  expect(await run(['token', '-p', 'other', '--force-refresh'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `error: ${refused}hint: authcli provider add other --issuer ${acme.issuer} --client-id cli\n`,
  });
  expect(await run(['logout', '--all'])).toMatchObject({ exitCode: 0 });
  expect(evil.requests).toEqual([]);
});

test('nor can a configuration that was changed after the sign-in', async () => {
  const { acme, machine } = await signedIn();
  const evil = await startAcme();
  const set = {
    token_endpoint: `${evil.issuer}/token`,
    revocation_endpoint: `${evil.issuer}/token/revocation`,
  };
  machine.configure({ providers: { acme: { issuer: acme.issuer, clientId: 'cli', metadata: { set } } } });
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 4, stdout: '' });
  expect(await machine.run(['logout', '--all'])).toMatchObject({ exitCode: 0 });
  expect(evil.requests).toEqual([]);
  expect(acme.requestsTo('/token/revocation')).toHaveLength(2);
});

test('of an earlier version: the session that it made can still be signed out of', async () => {
  const { acme, machine } = await newcomer();
  const set = { code_challenge_methods_supported: ['S256'] };
  const work = { issuer: acme.issuer, clientId: 'cli', scope: 'openid offline_access', metadata: { set } };
  machine.configure({ providers: { work } });
  expect(await login(machine, '-p', 'work')).toMatchObject({ exitCode: 0 });
  machine.configure({ providers: {} });
  const { run } = inProject(machine, { defaultProvider: 'work', providers: { work } });
  expect(await run(['token'])).toMatchObject({ exitCode: 2, stdout: '' });
  const out = await run(['logout', '--json']);
  expect(out).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('"revoked":["refresh_token"') });
  expect(acme.requestsTo('/token/revocation').length).toBeGreaterThan(0);
  expect(await run(['logout'])).toMatchObject({ exitCode: 2 });
});

test.each([
  ['no JSON', '{\n  "providers": {,}\n}', ':2:17: no valid JSON'],
  [
    'a store',
    { store: 'file' },
    ': store must be absent: a project names $schema, defaultProvider and providers',
  ],
  ['a list of providers', { providers: [] }, ': providers must be an object'],
  [
    'a default that is not a name',
    { defaultProvider: ['acme'] },
    ': defaultProvider must be the name of a provider',
  ],
  ['a name that is a path', { providers: { '../x': {} } }, ': providers.../x must be named with'],
  ['a member twice', '{"providers":{},"providers":{}}', ':1:17: providers stands there twice'],
  ['a prototype', '{"__proto__":{"store":"file"}}', ': __proto__ must be absent'],
  ['257 KiB', `{"defaultProvider":"${'a'.repeat(257 * 1024)}"}`, ' is not a configuration file'],
])('with %s is a warning for those who use a provider of their own', async (_what, content, fault) => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, content);
  const notSignedIn = 'error: not signed in to acme\nhint: authcli login -p acme\n';
  for (const argv of [['token'], ['token', '-p', 'acme']]) {
    const { exitCode, stdout, stderr } = await run(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(stderr).toContain(`warning: not used: ${file}${fault}`);
    expect(stderr.endsWith(notSignedIn)).toBe(true);
  }
  const used = await run(['token', '-p', 'other']);
  expect(used).toMatchObject({ exitCode: 2, stdout: '' });
  expect(used.stderr).toContain(`error: ${file}${fault}`);
});

test("with a provider of the person's own name for another: the own one counts, which -v says", async () => {
  const { acme, machine } = await newcomer();
  const { run, file } = inProject(machine, {
    providers: { acme: { issuer: 'https://other.test', clientId: 'c' } },
  });
  const quiet = await run(['provider', 'show', '--json']);
  expect(quiet).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(quiet.stdout)).toMatchObject({ issuer: acme.issuer, clientId: 'cli' });
  expect(await run(['provider', 'show', '--json', '-v'])).toEqual({
    ...quiet,
    stderr: `trace: acme is your own, not that of ${file}\n`,
  });
});

test('is not used where everybody can write it', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'work' });
  chmodSync(file, 0o666);
  expect(await run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: `warning: ${file} is not used: everybody can write it\nerror: not signed in to acme\nhint: authcli login -p acme\n`,
  });
});

test.skipIf(getuid?.() !== 0)('is not used where it belongs to another user', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'work' });
  chownSync(file, 65_534, 65_534);
  expect(await run(['token'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining(`warning: ${file} is not used: it belongs to another user\n`),
  });
});

test.skipIf(getuid?.() !== 0)('is not used where a link of another user leads to it', async () => {
  const { machine } = await newcomer();
  const cloned = inProject(machine, { defaultProvider: 'work' }, 'cloned once');
  const { run, file } = inProject(machine, {});
  rmSync(file);
  symlinkSync(cloned.file, file);
  expect((await run(['token'])).stderr).toContain(`${realpathSync(cloned.file)} chooses "work"`);
  lchownSync(file, 65_534, 65_534);
  expect(await run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: `warning: ${file} is not used: it belongs to another user\nerror: not signed in to acme\nhint: authcli login -p acme\n`,
  });
});

test.skipIf(getuid?.() !== 0)(
  'is not used where a link of ours leads to a file of another user',
  async () => {
    const { machine } = await newcomer();
    const others = inProject(machine, { defaultProvider: 'work' }, 'of somebody else');
    chownSync(others.file, 65_534, 65_534);
    const { run, file } = inProject(machine, {});
    rmSync(file);
    symlinkSync(others.file, file);
    expect(await run(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr: `warning: ${file} is not used: it belongs to another user\nerror: not signed in to acme\nhint: authcli login -p acme\n`,
    });
  },
);

test('counts on Windows only below the profile of the person', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'work' });
  const onWindows = (profile: string) =>
    run(['provider', 'show'], { uid: undefined, env: { ...machine.env, USERPROFILE: profile } });
  const outside = `warning: ${file} is not used: it lies outside of your own folder, where others may write\n`;
  expect(await onWindows(join(machine.folder, 'config'))).toMatchObject({ exitCode: 0, stderr: outside });
  expect(await onWindows('')).toMatchObject({ exitCode: 0, stderr: outside });
  expect(await onWindows(machine.folder)).toMatchObject({ exitCode: 2 });
});
