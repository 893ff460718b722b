import { describe, expect, test } from 'vitest';

import { valueAt } from '../src/json-document.js';
import type { Claims } from './support/forged-id-token.js';
import { newcomer, type Newcomer } from './support/newcomer.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import type { Machine, Outcome } from './support/run.js';
import { sessionFiles } from './support/sessions.js';
import { approvesAs, browserOf } from './support/user-agents.js';

type SaysOf = NonNullable<ProviderOptions['claims']>;

/** A provider that says this of whoever signs in. */
function saying(claims: SaysOf): Promise<Newcomer> {
  return newcomer({ AUTHCLI_STORE: 'file' }, { claims });
}

function signIn(machine: Machine, person: string, ...argv: string[]): Promise<Outcome> {
  return machine.run(
    ['login', '-q', '--prompt', 'consent', ...argv],
    browserOf(approvesAs(`${person}@acme.test`)),
  );
}

/** Whose token is given out. */
async function subOf(machine: Machine, ...argv: string[]): Promise<unknown> {
  const { exitCode, stdout } = await machine.run(['token', '--json', ...argv]);
  return exitCode === 0 ? valueAt(JSON.parse(stdout), 'account.sub') : exitCode;
}

describe('login -a takes nobody for somebody else', () => {
  test.each<[string, Claims, string]>([
    [
      'an e-mail address that is not verified',
      { email: 'jane@corp.example', email_verified: false },
      'john-4711 signed in with the e-mail address jane@corp.example, which the provider has not verified',
    ],
    [
      'one that is not verified, told as text',
      { email: 'jane@corp.example', email_verified: 'false' },
      'john-4711 signed in with the e-mail address jane@corp.example, which the provider has not verified',
    ],
    [
      'one that is not verified, told as a number and written in capitals',
      { email: 'Jane@Corp.Example', email_verified: 0 },
      'john-4711 signed in with the e-mail address Jane@Corp.Example, which the provider has not verified',
    ],
    [
      'a username that looks like the address, beside an address of their own',
      { preferred_username: 'jane@corp.example' },
      'john-4711 signed in with the username jane@corp.example, which need not be an e-mail address of that person',
    ],
    [
      'a username that looks like the address, and no address',
      { preferred_username: 'jane@corp.example', email: undefined },
      'john-4711 signed in with the username jane@corp.example, which need not be an e-mail address of that person',
    ],
    [
      'a name that is the address',
      { name: 'jane@corp.example' },
      'john@acme.test signed in, but jane@corp.example was expected',
    ],
    [
      'an address that looks the same in another alphabet',
      { email: 'j\u0430ne@corp.example' },
      'j\u0430ne@corp.example signed in, but jane@corp.example was expected',
    ],
    [
      'no address at all',
      { email: undefined },
      'john signed in, but jane@corp.example was expected, and the provider names no e-mail address',
    ],
  ])('who has %s is refused, and nothing is kept', async (_title, claims, said) => {
    const { acme, machine } = await saying(() => claims);
    expect(await signIn(machine, 'john', '-a', 'jane@corp.example')).toEqual({
      exitCode: 3,
      stdout: '',
      stderr: expect.stringContaining(
        `error: ${said}; nothing was kept\n` +
          'hint: sign in as the right account; if this is the one, name it by its sub: -a john-4711\n',
      ),
    });
    expect(sessionFiles(machine)).toEqual([]);
    expect(acme.requestsTo('/token')).toHaveLength(1);
    // The way out that the hint names.
    expect(await signIn(machine, 'john', '-a', 'john-4711')).toMatchObject({ exitCode: 0 });
  });

  test.each<[string, Claims, string]>([
    ['an address in other letters', { email: 'Alice@Corp.Example' }, 'alice@corp.EXAMPLE'],
    ['an address of which the provider does not say', { email_verified: undefined }, 'john@acme.test'],
    ['an address that is verified, told as text', { email_verified: 'true' }, 'john@acme.test'],
    ['a username in other letters', { preferred_username: 'JOHN' }, 'john'],
    ['a username with a place in it', { preferred_username: '@john' }, '@John'],
    ['a letter in two parts', { preferred_username: 'rene\u0301' }, 'Ren\u00e9'],
    ['a letter in one part', { preferred_username: 'REN\u00c9' }, 'rene\u0301'],
    ['a capital that has no composed form', { preferred_username: 'J\u030cohn' }, '\u01f0ohn'],
    ['a sub', {}, 'john-4711'],
  ])('who has %s is accepted', async (_title, claims, who) => {
    const { machine } = await saying(() => claims);
    expect(await signIn(machine, 'john', '-a', who)).toMatchObject({ exitCode: 0 });
    expect(await subOf(machine, '-a', who)).toBe('john-4711');
  });

  test.each([
    ['a sub in other letters', 'JOHN-4711'],
    ['the dotted capital of Turkish', 'J\u0130hn'],
    ['a long s', 'jo\u017fn'],
  ])('%s is another one', async (_title, who) => {
    const { machine } = await saying(() => ({ preferred_username: 'jihn' }));
    expect(await signIn(machine, 'john', '-a', who)).toMatchObject({ exitCode: 3 });
    expect(sessionFiles(machine)).toEqual([]);
  });

  test('the provider is told who is expected, but for a hint that the person gives', async () => {
    const { acme, machine } = await newcomer();
    await signIn(machine, 'jane', '-a', 'jane@acme.test');
    await signIn(machine, 'jane', '-a', 'jane@acme.test', '--login-hint', 'jd@acme.test');
    await signIn(machine, 'jane');
    expect(acme.requestsTo('/auth').map(({ parameters }) => parameters['login_hint'])).toEqual([
      'jane@acme.test',
      'jd@acme.test',
      undefined,
    ]);
  });
});

test('a username at Entra ID is an address that its tenant owns: there it counts as one', async () => {
  const { acme, machine } = await saying(() => ({
    preferred_username: 'jane@corp.example',
    email: undefined,
  }));
  const entry = { issuer: acme.issuer, clientId: 'cli', scope: 'openid profile email' };
  machine.configure({ providers: { acme: { ...entry, metadata: { issuer: 'tenant' } } } });
  expect(await signIn(machine, 'jane', '-a', 'Jane@Corp.example')).toMatchObject({ exitCode: 0 });
  expect(await subOf(machine, '-a', 'jane@corp.example')).toBe('jane-4711');
  expect(await machine.run(['logout', '--all', '-a', 'jane@corp.example'])).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('Signed out of acme as jane@corp.example'),
  });
});

test('a session that is shown by a name that does not count can be named by its sub', async () => {
  const { machine } = await saying(() => ({ email: 'jane@corp.example', email_verified: false }));
  await signIn(machine, 'john');
  for (const command of ['token', 'whoami', 'switch']) {
    expect(await machine.run([command, '-a', 'jane@corp.example'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: jane@corp.example is not signed in to acme (signed in: jane@corp.example (sub john-4711))\n' +
        'hint: name one by its sub: -a john-4711\n',
    });
  }
  expect(await machine.run(['status', '-a', 'jane@corp.example'])).toMatchObject({ exitCode: 4, stdout: '' });
  expect(await machine.run(['logout', '-a', 'jane@corp.example'])).toMatchObject({
    exitCode: 0,
    stderr: 'jane@corp.example is not signed in to acme (signed in: jane@corp.example (sub john-4711))\n',
  });
  expect(sessionFiles(machine)).toHaveLength(1);
  expect(await subOf(machine, '-a', 'john-4711')).toBe('john-4711');
});

/** Jane and John have signed in, and have this in common. */
async function doubles(claims: SaysOf = () => ({ email: 'team@acme.test' })): Promise<Newcomer> {
  const known = await saying(claims);
  for (const person of ['jane', 'john']) {
    expect(await signIn(known.machine, person)).toMatchObject({ exitCode: 0 });
  }
  return known;
}

describe('two accounts that one name fits', () => {
  const ambiguous = {
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: several accounts of acme are known as Team@acme\.test: (jane|john)-4711, (jane|john)-4711\nhint: name one by its sub: -a (jane|john)-4711, -a (jane|john)-4711\n$/,
    ),
  };

  test.each(['token', 'status', 'whoami', 'switch', 'logout', 'logout --all', 'login', 'login --if-needed'])(
    '%s: exit 2 with the subs, and nothing is done',
    async (command) => {
      const { acme, machine } = await doubles();
      const before = acme.requests.length;
      const argv = [...command.split(' '), '-p', 'acme', '-a', 'Team@acme.test'];
      expect(await machine.run(argv)).toEqual(ambiguous);
      expect(acme.requests).toHaveLength(before);
      expect(sessionFiles(machine)).toHaveLength(2);
    },
  );

  test('are shown with their subs', async () => {
    const { machine } = await doubles(({ preferred_username: username }) => ({
      email: username === 'jane' ? 'team@acme.test' : 'TEAM@acme.test\u200b',
    }));
    const { stdout } = await machine.run(['status']);
    expect(stdout).toMatch(/^ {3}acme +team@acme\.test \(sub jane-4711\) /m);
    expect(stdout).toMatch(/^\* +acme +TEAM@acme\.test \(sub john-4711\) /m);
    expect((await machine.run(['status', '-a', 'jane-4711'])).stdout).toContain('(sub jane-4711)');
    expect(await machine.run(['switch', '-a', 'jane-4711'])).toMatchObject({
      stderr: '✓ team@acme.test (sub jane-4711) is the current account of acme now.\n',
    });
    expect(await machine.run(['token', '-a', 'eve'])).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining(
        '(signed in: team@acme.test (sub jane-4711), TEAM@acme.test (sub john-4711))',
      ),
    });
    const { stderr } = await machine.run(['logout', '--all']);
    expect(stderr).toContain('Signed out of acme as team@acme.test (sub jane-4711): ');
    expect(stderr).toContain('Signed out of acme as TEAM@acme.test (sub john-4711): ');
  });

  test('are told apart on the page and in the terminal as soon as they sign in', async () => {
    const { machine } = await saying(() => ({ email: 'team@acme.test' }));
    const login = (person: string) => {
      const browser = browserOf(approvesAs(`${person}@acme.test`));
      return { outcome: machine.run(['login', '--prompt', 'consent'], browser), pages: browser.pages };
    };
    const first = login('jane');
    expect((await first.outcome).stderr).toContain('✓ Signed in to acme as team@acme.test; ');
    const second = login('john');
    expect((await second.outcome).stderr).toContain(
      '✓ Signed in to acme as team@acme.test (sub john-4711); ',
    );
    expect((await second.pages[0])?.body).toContain('team@acme.test (sub john-4711)');
  });

  test('a sub names one of them, also where it is the other one’s username', async () => {
    const { acme, machine } = await doubles(({ preferred_username: username }) => ({
      email: 'team@acme.test',
      preferred_username: username === 'jane' ? 'john-4711' : 'john',
    }));
    expect(await subOf(machine, '-a', 'john-4711')).toBe('john-4711');
    expect(await subOf(machine, '-a', 'jane-4711')).toBe('jane-4711');
    expect(await signIn(machine, 'jane', '-a', 'jane-4711')).toMatchObject({ exitCode: 0 });
    expect(await machine.run(['logout', '-a', 'jane-4711'])).toMatchObject({ exitCode: 0 });
    expect(await subOf(machine, '-a', 'team@acme.test')).toBe('john-4711');
    expect(acme.requestsTo('/token')).toHaveLength(3);
  });

  test('at two providers are one each: logout --all -a signs both out', async () => {
    const { acme, machine } = await newcomer();
    const add = ['provider', 'add', 'other', '--issuer', acme.issuer, '--client-id', 'cli'];
    expect(await machine.run(add)).toMatchObject({ exitCode: 0 });
    for (const provider of ['acme', 'other']) await signIn(machine, 'jane', '-p', provider);
    await signIn(machine, 'john', '-p', 'other');
    expect(await machine.run(['logout', '--all', '-a', 'JANE@acme.test', '--json'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/"provider":"(acme|other)".*"provider":"(acme|other)"/),
    });
    expect(sessionFiles(machine)).toHaveLength(1);
    expect(await subOf(machine, '-p', 'other')).toBe('john-4711');
  });
});

test('answers in JSON have the four members of an account and no more', async () => {
  const { machine } = await newcomer();
  const jane = { sub: 'jane-4711', username: 'jane', email: 'jane@acme.test', name: 'Jane Doe' };
  const signedIn = await signIn(machine, 'jane', '--json');
  expect(valueAt(JSON.parse(signedIn.stdout), 'account')).toEqual(jane);
  const answer = async (command: string): Promise<unknown> =>
    JSON.parse((await machine.run([command, '--json'])).stdout);
  expect(valueAt(await answer('token'), 'account')).toEqual(jane);
  expect(valueAt(await answer('status'), 'sessions.0.account')).toEqual(jane);
  expect(valueAt(await answer('logout'), 'sessions.0.account')).toEqual(jane);
});
