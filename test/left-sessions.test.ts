import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { newcomer, type Newcomer } from './support/newcomer.js';
import type { Machine, Outcome } from './support/run.js';
import { sessionFiles } from './support/sessions.js';
import { approves, approvesAs, browserOf } from './support/user-agents.js';

const revocation = '/token/revocation';

/** Jane is signed in to `work`; the configuration is what each test makes of it from there on. */
async function signedInToWork(): Promise<Newcomer & { readonly entry: object }> {
  const { acme, machine } = await newcomer();
  const entry = { issuer: acme.issuer, clientId: 'cli', scope: 'openid email offline_access' };
  machine.configure({ providers: { work: entry } });
  await signIn(machine, 'jane@acme.test', 'work');
  return { acme, machine, entry };
}

async function signIn(machine: Machine, person: string, provider: string): Promise<void> {
  const argv = ['login', '-q', '-p', provider, '--prompt', 'consent'];
  expect(await machine.run(argv, browserOf(approvesAs(person)))).toMatchObject({ exitCode: 0 });
}

function said(...lines: string[]): Outcome {
  return { exitCode: 0, stdout: '', stderr: `${lines.join('\n')}\n` };
}

const signedOut = (who: string, provider = 'work') =>
  `✓ Signed out of ${provider} as ${who}: refresh token and access token revoked, session forgotten.`;

const nothing = 'not signed in: there is nothing to log out of';
const notConfigured = 'not signed in by what is configured now';
const gone = 'still signed in to work, which is not configured any more, as jane@acme.test: ';
const changed = 'still signed in to work, which was changed since, as jane@acme.test: ';

/** What may become of the entry of a session. */
const changes: [title: string, change: (entry: object) => object, word: string][] = [
  ['the entry was removed', () => ({}), 'entry gone: sign out'],
  ['the entry was renamed', (entry) => ({ corp: entry }), 'entry gone: sign out'],
  [
    'it has another client',
    (entry) => ({ work: { ...entry, clientId: 'other' } }),
    'entry changed: sign in again',
  ],
  [
    'it has another issuer',
    (entry) => ({ work: { ...entry, issuer: 'https://login.acme.test' } }),
    'entry changed: sign in again',
  ],
  [
    'it has other endpoints',
    (entry) => ({ work: { ...entry, metadata: { set: { token_endpoint: 'https://acme.test/token' } } } }),
    'entry changed: sign in again',
  ],
];

describe.each(changes)('where %s', (_title, change, word) => {
  test('status marks the session, with -p too, and logout -p ends it', async () => {
    const { acme, machine, entry } = await signedInToWork();
    machine.configure({ providers: change(entry) });
    for (const [argv, exitCode] of [
      [['status'], 0],
      [['status', '-p', 'work'], 4],
    ] as const) {
      const table = await machine.run(argv);
      expect(table).toMatchObject({ exitCode, stderr: '' });
      expect(table.stdout).toContain(word);
      const answer = await machine.run([...argv, '--json']);
      expect({ ...answer, stdout: JSON.parse(answer.stdout) }).toEqual({
        exitCode,
        stderr: '',
        stdout: {
          sessions: [
            {
              provider: 'work',
              issuer: acme.issuer,
              account: expect.objectContaining({ sub: 'jane-4711', email: 'jane@acme.test' }),
              scope: 'openid email offline_access',
              state: 'login_required',
              expiresAt: expect.any(String),
              refreshable: true,
              store: 'file',
              default: true,
            },
          ],
        },
      });
    }
    expect(await machine.run(['logout', '-p', 'work'])).toEqual(said(signedOut('jane@acme.test')));
    expect(acme.requestsTo(revocation)).toHaveLength(2);
    expect(sessionFiles(machine)).toEqual([]);
    expect(await machine.run(['status'])).toEqual(said('no sessions: authcli login'));
  });
});

describe('logout without -p', () => {
  test('where nothing is configured, ends the only session that there is', async () => {
    const { acme, machine } = await signedInToWork();
    machine.configure({});
    expect(await machine.run(['logout', '-a', 'john'])).toEqual(
      said(notConfigured, `${gone}authcli logout -p work`),
    );
    expect(acme.requestsTo(revocation)).toEqual([]);
    expect(await machine.run(['logout'])).toEqual(said(signedOut('jane@acme.test')));
    expect(acme.requestsTo(revocation)).toHaveLength(2);
    expect(await machine.run(['logout'])).toEqual(said(nothing));
  });

  test('where nothing is configured, names each of several, with a command that works', async () => {
    const { machine, entry } = await signedInToWork();
    machine.configure({ providers: { work: entry, corp: entry } });
    await signIn(machine, 'john@acme.test', 'corp');
    await signIn(machine, 'jane@acme.test', 'corp');
    machine.configure({});
    const corp = 'still signed in to corp, which is not configured any more, as ';
    const lines = (await machine.run(['logout'])).stderr.trimEnd().split('\n');
    expect(lines.toSorted()).toEqual(
      [
        notConfigured,
        `${gone}authcli logout -p work`,
        `${corp}jane@acme.test: authcli logout -p corp -a jane-4711`,
        `${corp}john@acme.test: authcli logout -p corp -a john-4711`,
      ].toSorted(),
    );
    expect(sessionFiles(machine)).toHaveLength(3);
    for (const [provider, who] of [
      ['corp', 'john'],
      ['corp', 'jane'],
      ['work', 'jane'],
    ] as const) {
      const line = lines.find((one) => one.includes(` ${provider}, `) && one.includes(`as ${who}@`)) ?? '';
      const argv = line.split(': authcli ')[1]?.split(' ') ?? [];
      const { exitCode, stderr } = await machine.run(argv);
      expect({ exitCode, first: stderr.split('\n')[0] }).toEqual({
        exitCode: 0,
        first: signedOut(`${who}@acme.test`, provider),
      });
    }
    expect(sessionFiles(machine)).toEqual([]);
  });

  test.each([
    ['gone', (entry: object) => ({ corp: entry }), gone],
    ['changed', (entry: object) => ({ corp: entry, work: { ...entry, clientId: 'other' } }), changed],
  ])('names what it leaves of an entry that is %s', async (_title, change, left) => {
    const { acme, machine, entry } = await signedInToWork();
    machine.configure({ defaultProvider: 'corp', providers: change(entry) });
    const leaving = `${left}authcli logout -p work`;
    expect(await machine.run(['logout'])).toEqual(said(notConfigured, leaving));
    await signIn(machine, 'john@acme.test', 'corp');
    expect(await machine.run(['logout'])).toEqual(said(signedOut('john@acme.test', 'corp'), leaving));
    expect(await machine.run(['logout', '--json', '-q'])).toEqual({
      exitCode: 0,
      stdout: '{"sessions":[]}\n',
      stderr: '',
    });
    expect(acme.requestsTo(revocation)).toHaveLength(2);
    expect(await machine.run(['logout', '--all'])).toEqual(said(signedOut('jane@acme.test')));
    expect(await machine.run(['logout'])).toEqual(said(nothing));
  });

  test('takes the session of the entry of today first, and then the one that is left', async () => {
    const { machine, entry } = await signedInToWork();
    machine.configure({ providers: { work: { ...entry, metadata: { set: { acr_values_supported: [] } } } } });
    await signIn(machine, 'john@acme.test', 'work');
    expect(await machine.run(['logout'])).toEqual(
      said(signedOut('john@acme.test'), `${changed}authcli logout -p work`),
    );
    expect(await machine.run(['logout'])).toEqual(said(signedOut('jane@acme.test')));
  });
});

describe.each(['token', 'whoami'])('%s -p of a session', (command) => {
  test('whose entry is gone: exit 2, with the way back and the way out', async () => {
    const { acme, machine, entry } = await signedInToWork();
    machine.configure({});
    const add = `authcli provider add work --issuer ${acme.issuer} --client-id cli`;
    expect(await machine.run([command, '-p', 'work'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: no provider is named "work" (none is configured); a session of that name was made with an entry that is not there any more\n' +
        `hint: ${add}; or sign out: authcli logout -p work\n`,
    });
    expect(await machine.run(add.split(' ').slice(1))).toMatchObject({ exitCode: 0 });
    expect(await machine.run([command, '-p', 'work'])).toMatchObject({ exitCode: 0, stderr: '' });
    const set = { token_endpoint: `${acme.issuer}/token` };
    machine.configure({ providers: { other: { ...entry, metadata: { set } } } });
    await signIn(machine, 'jane@acme.test', 'other');
    machine.configure({ defaultProvider: 'other' });
    expect((await machine.run([command])).stderr).toMatch(/\nhint: sign out: authcli logout -p other\n$/);
  });

  test('whose entry was changed: exit 4, and a sign-in helps', async () => {
    const { machine, entry } = await signedInToWork();
    const other = { ...entry, metadata: { set: { acr_values_supported: [] } } };
    machine.configure({ providers: { work: other } });
    expect(await machine.run([command, '-p', 'work'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: not signed in to work: the session of jane@acme.test was made with another entry\n' +
        'hint: authcli login -p work\n',
    });
    await signIn(machine, 'jane@acme.test', 'work');
    expect(await machine.run([command, '-p', 'work'])).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

test('a session whose entry is gone is protected from another one of its name', async () => {
  const { machine } = await signedInToWork();
  machine.configure({});
  const add = ['provider', 'add', 'work', '--issuer', 'https://login.acme.test', '--client-id', 'cli'];
  expect(await machine.run(add)).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: somebody is still signed in to work\nhint: authcli logout --all -p work\n',
  });
  expect(await machine.run(['logout', '--all', '-p', 'work', '-q'])).toMatchObject({ exitCode: 0 });
  expect(await machine.run(add)).toMatchObject({ exitCode: 0 });
});

async function signedInToProject() {
  const { acme, machine } = await newcomer();
  machine.configure({});
  const work = { issuer: acme.issuer, clientId: 'cli', scope: 'openid email offline_access' };
  const write = (name: string, providers: object) => {
    const folder = join(machine.folder, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '.authcli.json'), JSON.stringify({ defaultProvider: 'work', providers }));
  };
  const run = (argv: readonly string[], name: string) =>
    machine.run(argv, { ...browserOf(approves), workingFolder: () => join(machine.folder, name) });
  write('project', { work });
  expect(await run(['login', '-q', '--prompt', 'consent'], 'project')).toMatchObject({ exitCode: 0 });
  return { acme, machine, work, write, run };
}

describe('a session of a project', () => {
  test('is not signed out of from elsewhere, where no project has that name', async () => {
    const { acme, machine, work, write, run } = await signedInToProject();
    write('clone', { work });
    for (const elsewhere of ['clone', '.']) {
      expect(await run(['logout'], elsewhere)).toEqual(said(nothing));
      expect((await run(['status'], elsewhere)).stdout).toContain('signed in');
    }
    expect(await run(['logout', '-p', 'work'], 'clone')).toEqual(said(nothing));
    expect(acme.requestsTo(revocation)).toEqual([]);
    expect(sessionFiles(machine)).toHaveLength(1);
  });

  test('is signed out of in its project, even if the entry there is another one', async () => {
    const { machine, work, write, run } = await signedInToProject();
    write('project', { work: { ...work, scope: 'openid' } });
    expect((await run(['status'], 'project')).stdout).toContain('entry changed: sign in again');
    expect(await run(['status', '-p', 'work'], 'project')).toMatchObject({ exitCode: 4 });
    expect(await run(['logout'], 'project')).toEqual(said(signedOut('jane@acme.test')));
    expect(sessionFiles(machine)).toEqual([]);
  });

  test('is signed out of from the place to which its project was moved', async () => {
    const { machine, run } = await signedInToProject();
    renameSync(join(machine.folder, 'project'), join(machine.folder, 'moved'));
    expect(existsSync(join(machine.folder, 'project'))).toBe(false);
    expect((await run(['status'], 'moved')).stdout).toContain('entry changed: sign in again');
    expect(await run(['logout'], 'moved')).toEqual(said(signedOut('jane@acme.test')));
    expect(sessionFiles(machine)).toEqual([]);
  });
});
