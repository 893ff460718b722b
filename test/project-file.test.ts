import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { expect, test } from 'vitest';

import { login, newcomer, startAcme, type Newcomer } from './support/newcomer.js';
import type { Machine, Outcome } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

/** Runs in `folder/project/deep`, with the file in `folder/project`. */
function inProject(machine: Machine, content: object | string) {
  const deep = join(machine.folder, 'project', 'deep');
  const file = join(machine.folder, 'project', '.authcli.json');
  mkdirSync(deep, { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  const run = (argv: readonly string[]): Promise<Outcome> =>
    machine.run(argv, { ...browserOf(approves), workingFolder: () => deep });
  return { run, file };
}

async function signedIn(): Promise<Newcomer> {
  const known = await newcomer();
  expect(await login(known.machine)).toMatchObject({ exitCode: 0 });
  return known;
}

test('it names the default provider and adds providers, below its folder only', async () => {
  const { acme, machine } = await newcomer();
  const { run } = inProject(machine, {
    defaultProvider: 'work',
    providers: { work: { issuer: acme.issuer, clientId: 'cli', scope: 'openid' } },
  });
  expect(await run(['login', '-q'])).toMatchObject({ exitCode: 0 });
  expect(await run(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
  const listed = await run(['provider', 'list', '--json']);
  const { providers }: { providers: object } = JSON.parse(listed.stdout);
  expect(Object.keys(providers)).toEqual(['work', 'acme']);
  expect(await machine.run(['token'])).toMatchObject({ exitCode: 4 });
  expect(await machine.run(['token', '-p', 'work'])).toMatchObject({ exitCode: 2 });
  expect(await run(['provider', 'remove', 'work'])).toMatchObject({ exitCode: 2 });
});

test('it cannot send the tokens of a session elsewhere', async () => {
  const { acme, machine } = await signedIn();
  const evil = await startAcme();
  const own = { issuer: acme.issuer, clientId: 'cli' };
  const set = { token_endpoint: `${evil.issuer}/token`, jwks_uri: `${evil.issuer}/jwks` };
  const { run } = inProject(machine, {
    providers: {
      acme: { ...own, metadata: { set } },
      other: { ...own, metadata: { set } },
    },
  });
  const requests = acme.requestsTo('/token').length;
  expect(await run(['token', '-p', 'acme', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(acme.requestsTo('/token')).toHaveLength(requests + 1);
  expect(await run(['token', '-p', 'other', '--force-refresh'])).toMatchObject({ exitCode: 4, stdout: '' });
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

test.each([
  ['store', { store: 'file' }],
  [
    'providers.work.client.secret',
    {
      providers: {
        work: {
          issuer: 'https://a.test',
          clientId: 'c',
          client: { secret: { command: 'touch /tmp/authcli-owned' } },
        },
      },
    },
  ],
  [
    'providers.work.client.key',
    {
      providers: {
        work: { issuer: 'https://a.test', clientId: 'c', client: { key: { file: '/home/jane/key.pem' } } },
      },
    },
  ],
  [
    'providers.work.client.certificate',
    {
      providers: {
        work: {
          issuer: 'https://a.test',
          clientId: 'c',
          client: { authentication: 'tls_client_auth', certificate: { file: '/home/jane/client.pem' } },
        },
      },
    },
  ],
])('%s is not for a project to say', async (place, content) => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, content);
  expect(await run(['token'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      `error: ${file}: ${place} is not for a project to say\n` +
      'hint: put it into your own configuration (authcli provider add), or remove it from that file\n',
  });
});

test('one that is no JSON is named with its place', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, '{\n  "providers": {,}\n}');
  const outcome = await run(['token']);
  expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
  expect(outcome.stderr).toContain(`error: ${file}:2:17: no valid JSON`);
});

test('one with two providers of one name is named with its place', async () => {
  const { machine } = await newcomer();
  const entry = '{"issuer":"https://a.test","clientId":"c"}';
  const { run, file } = inProject(machine, `{"providers":{\n  "work":${entry},\n  "work":${entry}\n}}`);
  expect(await run(['token'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `error: ${file}:3:3: providers.work stands there twice\nhint: mend it there; comments and trailing commas are allowed\n`,
  });
});

test("one with a provider of the person's own name for another: the own one counts, which -v says", async () => {
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

test('one that everybody can write is not used', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'work' });
  chmodSync(file, 0o666);
  expect(await run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: `warning: ${file} is not used: everybody can write it\nerror: not signed in to acme\nhint: authcli login -p acme\n`,
  });
});

test.skipIf(getuid?.() !== 0)('nor one of another user', async () => {
  const { machine } = await newcomer();
  const { run, file } = inProject(machine, { defaultProvider: 'work' });
  chownSync(file, 65_534, 65_534);
  expect(await run(['token'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining(`warning: ${file} is not used: it belongs to another user\n`),
  });
});
