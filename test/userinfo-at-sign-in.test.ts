import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { getuid, platform } from 'node:process';

import { describe, expect, test } from 'vitest';

import { openLock } from '../src/store/lock.js';
import { newcomer, type Newcomer } from './support/newcomer.js';
import type { Answer } from './support/provider.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import { behind, obeyingModes, type Outcome } from './support/run.js';
import { onlySessionFile, openedSession, sessionFiles } from './support/sessions.js';
import { approves, browserOf } from './support/user-agents.js';

type SaysOf = NonNullable<ProviderOptions['claims']>;

/** OpenID Connect Core 5.4: what the scopes stand for is at userinfo. */
const idTokenWith =
  (...names: string[]): SaysOf =>
  (_account, where) => {
    if (where === 'userinfo') return {};
    const claims = ['email', 'email_verified', 'name', 'preferred_username'];
    const hidden = claims.filter((name) => !names.includes(name));
    return Object.fromEntries(hidden.map((name) => [name, undefined]));
  };

function withIdTokensOf(claims: SaysOf): Promise<Newcomer> {
  return newcomer({ AUTHCLI_STORE: 'file' }, { claims });
}

function signIn({ machine }: Newcomer, ...argv: string[]): Promise<Outcome> {
  return machine.run(['login', '--prompt', 'consent', ...argv], browserOf(approves));
}

const json = { 'content-type': 'application/json' };
const jane = { sub: 'jane-4711', username: 'jane', email: 'jane@acme.test', name: 'Jane Doe' };

describe('an ID token that says no more than the sub', () => {
  test('is completed by userinfo, which is asked once', async () => {
    const known = await withIdTokensOf(idTokenWith());
    const outcome = await signIn(known);
    expect(outcome).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: expect.stringContaining('✓ Signed in to acme as jane@acme.test; the session is kept'),
    });
    expect(known.acme.requestsTo('/me')).toHaveLength(1);
    expect(openedSession(known.machine).account).toEqual({ ...jane, emailVerified: true });
    const { stdout } = await known.machine.run(['token', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ account: jane });
    expect(known.acme.requestsTo('/me')).toHaveLength(1);
  });

  test.each(['jane@acme.test', 'Jane', 'jane-4711'])(
    'does not keep out the right person, named as %s',
    async (who) => {
      const known = await withIdTokensOf(idTokenWith());
      expect(await signIn(known, '-a', who)).toMatchObject({ exitCode: 0, stdout: '' });
      expect(known.acme.requestsTo('/me')).toHaveLength(1);
    },
  );

  test('lets nobody else in: userinfo says who it is', async () => {
    const known = await withIdTokensOf(idTokenWith());
    expect(await signIn(known, '-a', 'john@acme.test')).toEqual({
      exitCode: 3,
      stdout: '',
      stderr: expect.stringContaining(
        'error: jane@acme.test signed in, but john@acme.test was expected; nothing was kept\n',
      ),
    });
    expect(sessionFiles(known.machine)).toEqual([]);
  });

  test('is completed by an address that is not verified, which counts for nobody', async () => {
    const known = await withIdTokensOf((account, where) => ({
      ...idTokenWith()(account, where),
      ...(where === 'userinfo' && { email_verified: 'false' }),
    }));
    expect(await signIn(known, '-a', 'jane@acme.test')).toMatchObject({ exitCode: 3 });
    expect(await signIn(known)).toMatchObject({ exitCode: 0 });
    expect(await known.machine.run(['token', '-a', 'jane@acme.test'])).toMatchObject({ exitCode: 4 });
    expect(await known.machine.run(['token', '-a', 'jane'])).toMatchObject({ exitCode: 0 });
  });

  test('is enough where the provider has no userinfo; an address cannot be compared then', async () => {
    const known = await withIdTokensOf(idTokenWith());
    const path = '/.well-known/openid-configuration';
    const metadata = await (await fetch(`${known.acme.issuer}${path}`)).text();
    const body = metadata.replace(/"userinfo_endpoint":"[^"]*",/, '');
    known.acme.answerAlways(path, { status: 200, headers: json, body });
    expect(await signIn(known)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('as jane-4711;'),
    });
    expect(await signIn(known, '-a', 'jane@acme.test')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining(
        'error: jane-4711 signed in, but jane@acme.test was expected, and the provider names no e-mail address; nothing was kept\n' +
          'hint: sign in as the right account; if this is the one, name it by its sub: -a jane-4711\n',
      ),
    });
    expect(await signIn(known, '-a', 'jane-4711')).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/me')).toEqual([]);
  });
});

describe('an ID token that says some of it', () => {
  test.each([
    ['e-mail address', ['email']],
    ['username', ['preferred_username']],
  ])('%s: that is enough to show, and userinfo is not asked', async (_title, names) => {
    const known = await withIdTokensOf(idTokenWith(...names));
    expect(await signIn(known)).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/me')).toEqual([]);
  });

  test.each([
    ['e-mail address', 'email', 'jane'],
    ['username', 'preferred_username', 'jane@acme.test'],
    ['name', 'name', 'jane@acme.test'],
  ])('%s: userinfo is asked where the other one is expected', async (_title, name, who) => {
    const known = await withIdTokensOf(idTokenWith(name));
    expect(await signIn(known, '-a', who)).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/me')).toHaveLength(1);
  });
});

const failures: [string, Answer][] = [
  ['500', { status: 500 }],
  ['403', { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } }],
  ['401 without a word', { status: 401 }],
  ['a page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ['a redirect', { status: 302, headers: { location: 'https://login.acme.test/' } }],
  ['no sub', { status: 200, headers: json, body: '{"email":"jane@acme.test"}' }],
  ['a cut connection', 'reset'],
];

describe.each(failures)('userinfo that fails with %s', (_title, answer) => {
  test('fails no sign-in', async () => {
    const known = await withIdTokensOf(idTokenWith());
    known.acme.answerNext('/me', answer);
    expect(await signIn(known, '-q')).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: expect.not.stringMatching(/error|warning/),
    });
    expect(openedSession(known.machine).account).toMatchObject({ sub: 'jane-4711', email: null });
  });

  test('leaves nothing to compare with: exit 6, nothing is kept, and the next one may go better', async () => {
    const known = await withIdTokensOf(idTokenWith());
    known.acme.answerNext('/me', answer);
    expect(await signIn(known, '-a', 'jane@acme.test')).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: expect.stringMatching(
        /error: it cannot be found out whether jane@acme\.test signed in: [^\n]+; nothing was kept\nhint: try again in a moment\n$/,
      ),
    });
    expect(sessionFiles(known.machine)).toEqual([]);
    expect(await signIn(known, '-a', 'jane@acme.test')).toMatchObject({ exitCode: 0 });
  });

  test('changes nothing where the sub is what was expected', async () => {
    const known = await withIdTokensOf(idTokenWith());
    known.acme.answerNext('/me', answer);
    expect(await signIn(known, '-a', 'jane-4711')).toMatchObject({ exitCode: 0 });
  });
});

test(
  'userinfo that never answers holds a sign-in up for 12 s and does not fail it',
  { timeout: 40_000 },
  async () => {
    const known = await withIdTokensOf(idTokenWith());
    known.acme.answerNext('/me', 'hang');
    const begun = Date.now();
    expect(await signIn(known)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(Date.now() - begun).toBeLessThan(20_000);
  },
);

test.each([[[]], [['-a', 'jane@acme.test']], [['-a', 'jane-4711']]])(
  'IDT-30: userinfo about somebody else at a sign-in with %j: exit 5, and nothing is kept',
  async (argv) => {
    const known = await withIdTokensOf(idTokenWith());
    const body = JSON.stringify({ sub: 'john-4711', email: 'jane@acme.test' });
    known.acme.answerNext('/me', { status: 200, headers: json, body });
    expect(await signIn(known, ...argv)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(sessionFiles(known.machine)).toEqual([]);
  },
);

/** Signed in when userinfo had nothing to say. */
async function unnamed(): Promise<Newcomer> {
  const known = await withIdTokensOf(idTokenWith());
  known.acme.answerNext('/me', { status: 500 });
  expect(await signIn(known)).toMatchObject({ exitCode: 0 });
  return known;
}

describe('whoami', () => {
  test('keeps what it learns, and the tokens as they are', async () => {
    const { machine } = await unnamed();
    const before = openedSession(machine);
    expect(await machine.run(['token', '-a', 'jane@acme.test'])).toMatchObject({ exitCode: 4 });
    expect(await machine.run(['whoami'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(openedSession(machine)).toEqual({ ...before, account: { ...jane, emailVerified: true } });
    expect((await machine.run(['status'])).stdout).toContain('jane@acme.test');
    expect(await machine.run(['token', '-a', 'jane@acme.test'])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('takes over an address that has changed, and nothing of the one before', async () => {
    const { acme, machine } = await newcomer();
    expect(await signIn({ acme, machine })).toMatchObject({ exitCode: 0 });
    const body = JSON.stringify({ sub: 'jane-4711', email: 'jane@new.test' });
    acme.answerNext('/me', { status: 200, headers: json, body });
    expect(await machine.run(['whoami'])).toMatchObject({ exitCode: 0 });
    expect(openedSession(machine).account).toEqual({
      ...jane,
      email: 'jane@new.test',
      emailVerified: null,
    });
  });

  test('keeps what was refreshed meanwhile', async () => {
    const { acme, machine } = await unnamed();
    acme.answerNext('/me', async () => {
      expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
    });
    expect(await machine.run(['whoami'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(openedSession(machine).account).toMatchObject({ email: 'jane@acme.test' });
    expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('keeps nothing of somebody who has signed out meanwhile', async () => {
    const { acme, machine } = await unnamed();
    acme.answerNext('/me', async () => {
      expect(await machine.run(['logout', '--no-revoke'])).toMatchObject({ exitCode: 0 });
    });
    expect(await machine.run(['whoami'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(sessionFiles(machine)).toEqual([]);
  });

  test('answers although it cannot keep anything: another process has the lock', async () => {
    const { acme, machine } = await unnamed();
    const lock = await openLock(`${onlySessionFile(machine)}.lock`, {
      folder: join(machine.folder, 'state'),
      ownership: { uid: getuid?.(), warn: () => {} },
      locking: { platform, notice: () => {} },
    });
    expect(await lock.tryAcquire()).toBe(true);
    const outcome = await machine.run(['whoami', '-v']);
    lock.release();
    expect(outcome).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('jane@acme.test'),
      stderr: expect.stringContaining('not kept: another authcli works on the session'),
    });
    expect(openedSession(machine).account).toMatchObject({ email: null });
    expect(acme.requestsTo('/me')).toHaveLength(2);
  });

  test('answers although it cannot keep anything: the folder is read-only', async () => {
    const { machine } = await unnamed();
    const folder = join(machine.folder, 'state', 'sessions');
    chmodSync(folder, 0o500);
    const outcome = await behind(machine, ...obeyingModes).spawn(['whoami']);
    chmodSync(folder, 0o700);
    expect(outcome).toEqual({ exitCode: 0, stdout: expect.stringContaining('jane@acme.test'), stderr: '' });
  });
});
