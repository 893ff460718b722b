import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { newcomer } from './support/newcomer.js';
import { newMachine } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

const work = ['--issuer', 'https://login.acme.test/tenant', '--client-id', 'cli'];

test('a provider is added without a network, listed, shown, replaced by force, and removed', async () => {
  const machine = newMachine();
  expect(
    await machine.run([
      'provider',
      'add',
      'work',
      ...work,
      '--scope',
      'openid,email',
      '--scope',
      'offline_access',
    ]),
  ).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ Added work. Next: authcli login -p work\n',
  });
  expect(await machine.run(['provider', 'list'])).toEqual({
    exitCode: 0,
    stdout:
      '   NAME  ISSUER                          CLIENT ID  SCOPE\n' +
      '*  work  https://login.acme.test/tenant  cli        openid email offline_access\n',
    stderr: '',
  });
  expect(await machine.run(['provider', 'show'])).toEqual({
    exitCode: 0,
    stdout:
      'NAME      work\n' +
      'issuer    https://login.acme.test/tenant\n' +
      'clientId  cli\n' +
      'scope     openid email offline_access\n',
    stderr: '',
  });
  const again = await machine.run(['provider', 'add', 'work', ...work]);
  expect(again).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      'error: there is a provider named "work" already\n' +
      'hint: add --force to replace it, or choose another name\n',
  });
  expect((await machine.run(['provider', 'add', 'work', ...work, '--force'])).exitCode).toBe(0);
  expect(await machine.run(['provider', 'show', 'work', '--json'])).toEqual({
    exitCode: 0,
    stdout: '{"issuer":"https://login.acme.test/tenant","clientId":"cli"}\n',
    stderr: '',
  });
  expect(await machine.run(['provider', 'remove', 'work'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ Removed work.\n',
  });
  expect(JSON.parse(readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8'))).toEqual({
    providers: {},
  });
});

test('which of several providers is meant: -p, the environment, the default, else the question is put', async () => {
  const machine = newMachine();
  for (const name of ['work', 'home']) await machine.run(['provider', 'add', name, ...work]);
  expect(await machine.run(['token'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: which provider? (known: home, work)\nhint: add -p NAME, or set AUTHCLI_PROVIDER\n',
  });
  const asked = async (argv: string[], env: Record<string, string> = {}) =>
    (await machine.spawn(argv, env)).stderr.split('\n')[0];
  expect(await asked(['token', '-p', 'home'])).toBe('error: not signed in to home');
  expect(await asked(['-p', 'home', 'token'], { AUTHCLI_PROVIDER: 'work' })).toBe(
    'error: not signed in to home',
  );
  expect(await asked(['token'], { AUTHCLI_PROVIDER: 'work' })).toBe('error: not signed in to work');
  expect(await asked(['token', '--provider=home'])).toBe('error: not signed in to home');
  expect(await asked(['token', '-phome'])).toBe('error: not signed in to home');
});

test('a provider that somebody is signed in to is not removed', async () => {
  const { machine } = await newcomer();
  await machine.run(['login', '-q'], browserOf(approves));
  expect(await machine.run(['provider', 'remove', 'acme'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: somebody is still signed in to acme\nhint: authcli logout --all -p acme\n',
  });
});

test('a name whose issuer was changed finds no session: tokens belong to where they were issued', async () => {
  const { machine, acme } = await newcomer();
  await machine.run(['login', '-q'], browserOf(approves));
  expect(await machine.run(['provider', 'add', 'acme', ...work, '--force'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('hint: authcli logout --all -p acme\n'),
  });
  const file = join(machine.folder, 'config', 'config.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace(acme.issuer, 'https://evil.test'));
  const requests = acme.requests.length;
  expect(await machine.run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      'error: not signed in to acme: the session of jane@acme.test was made with another entry\nhint: authcli login -p acme\n',
  });
  expect(acme.requests).toHaveLength(requests);
  expect(await machine.run(['logout', '--all', '-p', 'acme'])).toMatchObject({ exitCode: 0 });
  expect(acme.requestsTo('/token/revocation').length).toBeGreaterThan(0);
});

test('many changes of the configuration at once are all kept', async () => {
  const machine = newMachine();
  const names = Array.from({ length: 8 }, (_, at) => `p${at}`);
  const outcomes = await Promise.all(
    names.map((name) => machine.spawn(['provider', 'add', name, '-q', ...work])),
  );
  expect(outcomes).toEqual(names.map(() => ({ exitCode: 0, stdout: '', stderr: '' })));
  const { stdout } = await machine.run(['provider', 'list', '--json']);
  for (const name of names) expect(stdout).toContain(`"${name}":`);
});
