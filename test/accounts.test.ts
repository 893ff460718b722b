import { readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { newcomer, type Newcomer } from './support/newcomer.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import type { Machine } from './support/run.js';
import { approves, approvesAs, browserOf } from './support/user-agents.js';

/** One after the other; the last is the current account. */
async function signedInAs(...people: string[]): Promise<Newcomer> {
  const known = await newcomer();
  for (const person of people) await signInAs(person, known.machine);
  return known;
}

async function signInAs(person: string, machine: Machine, prompt = 'consent'): Promise<void> {
  await machine.run(['login', '-q', '--prompt', prompt], browserOf(approvesAs(person)));
}

test('switch chooses the current account of a provider; somebody unknown is told who is signed in', async () => {
  const { machine } = await signedInAs('jane@acme.test', 'john@acme.test');
  const who = async () => /[a-z]+@acme.test/.exec((await machine.run(['token', '--json'])).stdout)?.[0];
  expect(await who()).toBe('john@acme.test');
  expect(await machine.run(['switch', '-p', 'acme', '-a', 'jane'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ jane@acme.test is the current account of acme now.\n',
  });
  expect(await who()).toBe('jane@acme.test');
  expect(await machine.run(['switch', '-a', 'eve'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/^error: eve is not signed in to acme \(signed in: .*\)\n/),
  });
  expect(await machine.run(['switch'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('switch to what?'),
  });
});

/** In both orders, because the order of the files in the folder is neither. */
const inTurn = ['john@acme.test', 'jane@acme.test', 'john@acme.test'];

describe('where it is not known which account is the current one', () => {
  test('because its note is gone, it is who signed in last', async () => {
    const { machine } = await signedInAs('jane@acme.test');
    for (const last of inTurn) {
      await signInAs(last, machine);
      rmSync(join(machine.folder, 'state', 'sessions', 'acme@current'));
      expect(await whoIsCurrent(machine)).toEqual({ token: last, status: last });
    }
  });

  test('because it has signed out, it is who signed in last', async () => {
    const { machine } = await signedInAs('jane@acme.test');
    for (const last of inTurn) {
      await signInAs(last, machine);
      await signInAs('eve@acme.test', machine, 'create');
      expect(await machine.run(['logout', '-q'])).toMatchObject({ exitCode: 0 });
      expect(await whoIsCurrent(machine)).toEqual({ token: last, status: last });
    }
  });

  test('and one of them cannot be read, nobody else is taken for it', async () => {
    const { machine } = await signedInAs('jane@acme.test', 'john@acme.test');
    const sessions = join(machine.folder, 'state', 'sessions');
    rmSync(join(sessions, 'acme@current'));
    const files = readdirSync(sessions).filter((name) => name.endsWith('.session'));
    for (const file of files.map((name) => join(sessions, name))) {
      const content = readFileSync(file, 'utf8');
      truncateSync(file, 10);
      expect(await machine.run(['token'])).toMatchObject({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining(file),
      });
      const other = content.includes('jane@acme.test') ? 'john' : 'jane';
      expect(await machine.run(['token', '-a', other])).toMatchObject({ exitCode: 0, stderr: '' });
      writeFileSync(file, content);
    }
  });
});

async function whoIsCurrent(machine: Machine): Promise<object> {
  return {
    token: /[a-z]+@acme.test/.exec((await machine.run(['token', '--json'])).stdout)?.[0],
    status: /\* .*?([a-z]+@acme.test)/.exec((await machine.run(['status'])).stdout)?.[1],
  };
}

test('switch -p chooses the default provider', async () => {
  const { machine } = await newcomer();
  await machine.run(['provider', 'add', 'other', '--issuer', 'https://other.test', '--client-id', 'x']);
  expect(await machine.run(['switch', '-p', 'other'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ other is the default provider now.\n',
  });
  expect((await machine.run(['token'])).stderr).toContain('not signed in to other');
});

test('login --if-needed asks nobody while a session gives tokens, refreshes in silence, and signs in when it must', async () => {
  const { acme, machine } = await newcomer();
  const login = ['login', '-q', '--if-needed', '--prompt', 'consent'];
  const first = browserOf(approves);
  expect(await machine.run(login, first)).toMatchObject({ exitCode: 0 });
  expect(first.pages).toHaveLength(1);

  const second = browserOf(approves);
  expect(await machine.run(login, second)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  expect(second.pages).toEqual([]);

  acme.endSessions();
  await machine.run(['token', '--force-refresh']);
  const third = browserOf(approves);
  expect(await machine.run(login, third)).toMatchObject({ exitCode: 0 });
  expect(third.pages).toHaveLength(1);
});

/** How often Jane has to go to the browser for the second login. */
async function visits(first: string[], second: string[], options?: ProviderOptions): Promise<number> {
  const { machine } = await newcomer({ AUTHCLI_STORE: 'file' }, options);
  const login = ['login', '-q', '--prompt', 'consent'];
  expect(await machine.run([...login, ...first], browserOf(approves))).toMatchObject({ exitCode: 0 });
  const browser = browserOf(approves);
  const again = await machine.run([...login, '--if-needed', ...second], browser);
  expect(again).toMatchObject({ exitCode: 0, stdout: '' });
  return browser.pages.length;
}

describe('login --if-needed signs in where the session is not what is asked for', () => {
  test.each<[string, string[], ProviderOptions?]>([
    ['a scope that was not granted', ['--scope', 'openid offline_access address']],
    ['another kind of sign-in', ['--acr-values', 'phr']],
    ['a sign-in of a certain age', ['--max-age', '1h']],
    ['tokens that are bound to a key', ['--dpop'], { proofs: 'taken' }],
    ['consent to more', ['--consent-scope', 'address']],
    ['a parameter that may mean anything', ['--auth-param', 'tenant=a']],
  ])('%s', async (_title, second, options) => {
    expect(await visits([], second, options)).toBe(1);
  });

  test('another account', async () => {
    const { machine } = await signedInAs('jane@acme.test');
    const browser = browserOf(approvesAs('john@acme.test'));
    const argv = ['login', '-q', '--prompt', 'consent', '--if-needed', '-a', 'john'];
    expect(await machine.run(argv, browser)).toMatchObject({ exitCode: 0 });
    expect(browser.pages).toHaveLength(1);
  });

  test.each<[string, string[], string[], ProviderOptions?]>([
    ['fewer scopes than were granted', [], ['--scope', 'openid email']],
    ['the same parameters again', ['--auth-param', 'tenant=a'], ['--auth-param', 'tenant=a']],
    ['the same kind of sign-in again', ['--acr-values', 'phr'], ['--acr-values', 'phr']],
    ['a key again', ['--dpop'], ['--dpop'], { proofs: 'taken' }],
    ['the same age while it is not over', ['--max-age', '1h'], ['--max-age', '1h']],
    ['only how the person is asked', [], ['--login-hint', 'jane', '--ui-locales', 'de']],
  ])('but not for %s', async (_title, first, second, options) => {
    expect(await visits(first, second, options)).toBe(0);
  });

  test('an age that is over', async () => {
    const { machine } = await newcomer();
    const login = ['login', '-q', '--prompt', 'consent', '--max-age', '30m', '--if-needed'];
    expect(await machine.run(login, browserOf(approves))).toMatchObject({ exitCode: 0 });
    const browser = browserOf(async (url) => ({ url, status: 0, body: '' }));
    const later = { ...browser, now: () => new Date(Date.now() + 45 * 60_000) };
    expect(await machine.run([...login, '--timeout', '1s'], later)).toMatchObject({ exitCode: 8 });
    expect(browser.pages).toHaveLength(1);
  });

  test('and makes the account that it finds the current one', async () => {
    const { machine } = await signedInAs('jane@acme.test', 'john@acme.test');
    expect(await machine.run(['login', '-q', '--if-needed', '-a', 'Jane'])).toMatchObject({ exitCode: 0 });
    expect(await whoIsCurrent(machine)).toEqual({ token: 'jane@acme.test', status: 'jane@acme.test' });
  });
});
