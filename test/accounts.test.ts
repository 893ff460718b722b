import { expect, test } from 'vitest';

import { newcomer, type Newcomer } from './support/newcomer.js';
import { approves, approvesAs, browserOf } from './support/user-agents.js';

async function twoAccounts(): Promise<Newcomer> {
  const known = await newcomer();
  for (const agent of [approves, approvesAs('john@acme.test')]) {
    await known.machine.run(['login', '-q', '--prompt', 'consent'], browserOf(agent));
  }
  return known;
}

test('switch chooses the current account of a provider; somebody unknown is told who is signed in', async () => {
  const { machine } = await twoAccounts();
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
