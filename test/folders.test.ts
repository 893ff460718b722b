import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { describe, expect, test } from 'vitest';

import { login, newcomer, signedIn, startAcme } from './support/newcomer.js';
import { isOnPath, requirement } from './support/requirements.js';
import { agent, newMachine, type Outcome } from './support/run.js';
import { hasFileSystemsWithoutModes, withFolderWithoutModes } from './support/without-modes.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
/** The address alone is told. */
const signedInCalmly: Outcome = {
  exitCode: 0,
  stdout: '',
  stderr: expect.stringMatching(/^\n {2}http:\S+\n+$/),
};
const refused = (stderr: string): Outcome => ({ exitCode: 7, stdout: '', stderr });
const isRoot = getuid?.() === 0;
const canBeOthers = requirement('setpriv', isOnPath('setpriv')) && isRoot;
const asUser = (uid: number) => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];

function mode(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
}

function nothingOfRoot(path: string, variable: string): string {
  return (
    `error: ${path} belongs to another user (uid 65534, we are 0): nothing is made there\n` +
    `hint: run it without sudo, or with sudo -H, or set ${variable} to a folder of your own\n`
  );
}

/** @param path what the failing calls are about; everything where it is empty */
function injecting(path: string, rule: string): string[] {
  const about = path === '' ? [] : ['-P', path];
  return ['strace', '-f', '-qq', '-o', '/dev/null', ...about, '-e', `inject=${rule}`];
}

describe('a state folder that was there before us', () => {
  test.each([
    ['in which everybody has files of their own, like /tmp', 0o1777],
    ['that everybody can write', 0o777],
    ['that a group can write', 0o770],
    ['that is sticky and can be read', 0o1755],
  ])('%s is refused by every command and stays as it was', async (_title, shared) => {
    const { acme, machine } = await newcomer();
    const state = join(machine.folder, 'shared');
    mkdirSync(state);
    writeFileSync(join(state, 'of somebody'), '');
    chmodSync(state, shared);
    const env = { AUTHCLI_STATE_DIR: state };
    const { length } = acme.requests;
    for (const argv of [['status'], ['token'], ['logout'], ['login', '-q', '--browser', agent]]) {
      expect(await machine.spawn(argv, env)).toEqual(
        refused(
          `error: ${state} is shared with others (mode ${shared.toString(8).padStart(4, '0')}): no session is kept there\n` +
            `hint: set AUTHCLI_STATE_DIR to a folder of your own, such as ${state}/authcli\n`,
        ),
      );
    }
    expect(acme.requests).toHaveLength(length);
    expect([mode(state), tree(state)]).toEqual([shared.toString(8), ['of somebody']]);
    const below = { AUTHCLI_STATE_DIR: join(state, 'authcli') };
    expect(await machine.spawn(['login', '-q', '--browser', agent], below)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token'], below)).toEqual(success);
  });

  test.each([
    ['with files of the person, like a home', ['notes.txt', 'sessions']],
    ['that is empty', []],
  ])('%s and can be read by others is used as it is', async (_title, names) => {
    const { machine } = await newcomer();
    const state = join(machine.folder, 'home');
    mkdirSync(state);
    for (const name of names) {
      if (name === 'sessions') mkdirSync(join(state, name));
      else writeFileSync(join(state, name), '');
    }
    chmodSync(state, 0o755);
    const home = {
      ...machine,
      spawn: (argv: readonly string[]) => machine.spawn(argv, { AUTHCLI_STATE_DIR: state }),
    };
    expect(await login(home)).toEqual(signedInCalmly);
    expect(await home.spawn(['token'])).toEqual(success);
    expect(await home.spawn(['status'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(mode(state)).toBe('755');
    const made = tree(state).filter((name) => !names.includes(name));
    expect(made.length).toBeGreaterThan(5);
    for (const name of made) {
      const isFolder = statSync(join(state, name)).isDirectory();
      expect([name, mode(join(state, name))]).toEqual([name, isFolder ? '700' : '600']);
    }
    // Nor is it ours because files of ours are in it now.
    chmodSync(state, 0o777);
    expect(await home.spawn(['status'])).toMatchObject({ exitCode: 7 });
    expect(mode(state)).toBe('777');
  });
});

describe('what we made', () => {
  test('is narrowed down to the last file, and each is told once', async () => {
    const { machine } = await signedIn();
    const state = join(machine.folder, 'state');
    const names = tree(state);
    expect(names).toEqual(
      expect.arrayContaining(['store.json', 'store.key', expect.stringMatching(/@current$/)]),
    );
    for (const name of names.filter((one) => !one.startsWith('metadata'))) {
      chmodSync(join(state, name), statSync(join(state, name)).isDirectory() ? 0o755 : 0o644);
    }
    chmodSync(state, 0o755);
    const { stdout, stderr } = await machine.spawn(['status', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ sessions: [{ provider: 'acme' }] });
    const told = stderr.trimEnd().split('\n');
    expect(new Set(told).size).toBe(told.length);
    expect(told).toContain(`warning: ${state} was open to others: narrowed to 0700`);
    expect(told).toContain(`warning: ${join(state, 'store.json')} could be read by others: narrowed to 0600`);
    for (const name of names)
      expect([name, mode(join(state, name))]).toEqual([
        name,
        /^(sessions|metadata)$/.test(name) ? '700' : '600',
      ]);
    expect(await machine.spawn(['status'])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('is not changed once somebody has made it a place for everybody', async () => {
    const { machine } = await signedIn();
    const state = join(machine.folder, 'state');
    chmodSync(state, 0o1777);
    expect(await machine.spawn(['token'])).toMatchObject({
      exitCode: 7,
      stderr: expect.stringContaining(`${state} is shared with others (mode 1777)`),
    });
    expect(mode(state)).toBe('1777');
  });
});

describe.skipIf(!canBeOthers)('below a folder of another user', () => {
  const somebody = 65_534;

  test('root makes nothing, whatever it was asked for, and no browser opens', async () => {
    const acme = await startAcme();
    const machine = newMachine();
    const home = join(machine.folder, 'home');
    mkdirSync(home, { mode: 0o755 });
    chownSync(home, somebody, somebody);
    const env = { HOME: home, AUTHCLI_CONFIG_DIR: '', AUTHCLI_STATE_DIR: '' };
    const add = ['provider', 'add', 'acme', '--issuer', acme.issuer, '--client-id', 'cli'];
    const signIn = ['login', '-q', '--store', 'file', '--browser', agent];
    const byAddress = [...signIn, '--issuer', acme.issuer, '--client-id', 'cli'];
    for (const argv of [add, byAddress]) {
      expect(await machine.spawn(argv, env)).toEqual(refused(nothingOfRoot(home, 'AUTHCLI_CONFIG_DIR')));
    }
    // The configuration elsewhere, the sessions there.
    machine.configure({ providers: { acme: { issuer: acme.issuer, clientId: 'cli' } } });
    const elsewhere = { ...env, AUTHCLI_CONFIG_DIR: join(machine.folder, 'config') };
    expect(await machine.spawn(signIn, elsewhere)).toEqual(refused(nothingOfRoot(home, 'AUTHCLI_STATE_DIR')));
    expect(tree(home)).toEqual([]);
    expect(acme.requestsTo('/auth')).toHaveLength(0);
    // Nor a file, where the folder is there.
    for (const name of ['.config', '.config/authcli']) {
      mkdirSync(join(home, name));
      chownSync(join(home, name), somebody, somebody);
      expect(await machine.spawn(add, env)).toEqual(
        refused(nothingOfRoot(join(home, name), 'AUTHCLI_CONFIG_DIR')),
      );
    }
    expect(tree(home)).toEqual(['.config', '.config/authcli']);
    expect(await machine.spawn(['status'], env)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(tree(home)).toEqual(['.config', '.config/authcli']);
  });

  test('somebody else makes nothing either, and below one of root that everybody can write makes folders of his own', async () => {
    const acme = await startAcme();
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    chmodSync(machine.folder, 0o755);
    const ofRoot = join(machine.folder, 'of-root');
    const ofBob = join(machine.folder, 'of-bob');
    for (const folder of [ofRoot, ofBob]) {
      mkdirSync(folder);
      chmodSync(folder, 0o777);
    }
    chownSync(ofBob, 1000, 1000);
    const asSomebody = (argv: readonly string[], parent: string) =>
      machine.start(
        argv,
        { HOME: parent, AUTHCLI_CONFIG_DIR: '', AUTHCLI_STATE_DIR: join(parent, 'a', 'state') },
        asUser(somebody),
      ).outcome;
    const signIn = [
      'login',
      '-q',
      '--issuer',
      acme.issuer,
      '--client-id',
      'cli',
      '--prompt',
      'consent',
      '--browser',
      agent,
    ];
    expect(await asSomebody(signIn, ofBob)).toEqual(
      refused(
        `error: ${ofBob} belongs to another user (uid 1000, we are 65534): nothing is made there\n` +
          'hint: set AUTHCLI_CONFIG_DIR to a folder of your own\n',
      ),
    );
    expect(tree(ofBob)).toEqual([]);
    expect(await asSomebody(signIn, ofRoot)).toEqual(signedInCalmly);
    expect(await asSomebody(['token'], ofRoot)).toEqual(success);
    for (const name of ['.config/authcli', 'a', 'a/state']) {
      expect([name, mode(join(ofRoot, name)), statSync(join(ofRoot, name)).uid]).toEqual([
        name,
        '700',
        somebody,
      ]);
    }
  });
});

describe.skipIf(!hasFileSystemsWithoutModes)('where chmod has no effect', () => {
  const toLogin = ['login', '-q', '--browser', agent];

  test.each([
    ['a state folder that is not there yet', 'drive/state', 'drive/state'],
    ['one deeper down', 'drive/a/b', 'drive/a/b'],
  ])('%s is refused before a browser opens, and nothing is left there', async (_title, name, named) => {
    const { acme, machine } = await newcomer();
    const there = await withFolderWithoutModes(machine, 'drive');
    const env = { AUTHCLI_STATE_DIR: join(machine.folder, name) };
    for (let time = 0; time < 2; time++) {
      expect(await there.spawn(toLogin, env)).toEqual(
        refused(
          `error: others can read what lies in ${join(machine.folder, named)}: chmod has no effect there, the mode stays 0777\n` +
            'hint: set AUTHCLI_STATE_DIR to a folder on a file system where chmod has an effect\n',
        ),
      );
    }
    expect(acme.requestsTo('/auth')).toHaveLength(0);
    expect(await there.spawn(['status'], env)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(tree(join(machine.folder, 'drive'))).toEqual([]);
  });

  test('sessions that were brought there are refused in one line, by every command', async () => {
    const { acme, machine } = await signedIn();
    const there = await withFolderWithoutModes(machine, 'state');
    const { length } = acme.requests;
    const state = join(machine.folder, 'state');
    for (const argv of [['token'], ['token', '--force-refresh'], ['status'], toLogin, ['logout']]) {
      expect(await there.spawn(argv)).toEqual(
        refused(
          `error: others can read what lies in ${state}: chmod has no effect there, the mode stays 0777\n` +
            'hint: set AUTHCLI_STATE_DIR to a folder on a file system where chmod has an effect\n',
        ),
      );
    }
    expect(acme.requests).toHaveLength(length);
    // What lies there is whole.
    expect(await machine.spawn(['token'])).toEqual(success);
  });

  test('a configuration is not begun, and a login that would save one ends before a browser opens', async () => {
    const acme = await startAcme();
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const there = await withFolderWithoutModes(machine, 'drive');
    const folder = join(machine.folder, 'drive', 'config');
    const env = { AUTHCLI_CONFIG_DIR: folder };
    const byAddress = [...toLogin, '--issuer', acme.issuer, '--client-id', 'cli'];
    const add = ['provider', 'add', 'acme', '--issuer', acme.issuer, '--client-id', 'cli'];
    for (const argv of [byAddress, add, byAddress]) {
      expect(await there.spawn(argv, env)).toEqual(
        refused(
          `error: others can change what lies in ${folder}: chmod has no effect there, the mode stays 0777\n` +
            'hint: set AUTHCLI_CONFIG_DIR to a folder on a file system where chmod has an effect\n',
        ),
      );
    }
    expect(acme.requestsTo('/auth')).toHaveLength(0);
    expect(tree(join(machine.folder, 'drive'))).toEqual([]);
    // By its name, too.
    const named = join(machine.folder, 'drive', 'own.json');
    writeFileSync(named, '{}');
    expect(await there.spawn(['provider', 'list', '--config', named])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: ${named} can be written by others\n` +
        `hint: see that it says what you want, then: chmod go-w ${named}; ` +
        'if that has no effect, keep it on another file system (AUTHCLI_CONFIG_DIR)\n',
    });
  });

  test('a configuration is not begun in a folder of ours where the files alone keep no mode', async () => {
    const acme = await startAcme();
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const folder = join(machine.folder, 'config');
    mkdirSync(folder, { mode: 0o700 });
    const there = await withFolderWithoutModes(machine, 'config', 'of what is made');
    expect(await there.spawn([...toLogin, '--issuer', acme.issuer, '--client-id', 'cli'])).toEqual(
      refused(
        `error: others can change what lies in ${folder}: chmod has no effect there, the mode stays 0666\n` +
          'hint: set AUTHCLI_CONFIG_DIR to a folder on a file system where chmod has an effect\n',
      ),
    );
    expect(acme.requestsTo('/auth')).toHaveLength(0);
    expect(tree(folder)).toEqual([]);
  });
});

describe.skipIf(!requirement('strace', isOnPath('strace')))('a save', () => {
  const addOne = ['provider', 'add', 'other', '--issuer', 'https://as.example', '--client-id', 'cli'];

  test.each(['EPERM', 'EINVAL', 'EOPNOTSUPP', 'ENOSYS', 'EBADF', 'EISDIR', 'EACCES'])(
    'is good where the system answers the sync of a folder with %s',
    async (code) => {
      const { machine } = await newcomer();
      const folders = (folder: string) => injecting(join(machine.folder, folder), `fsync:error=${code}`);
      expect(await machine.start(addOne, {}, folders('config')).outcome).toMatchObject({ exitCode: 0 });
      const signIn = ['login', '-q', '-p', 'acme', '--prompt', 'consent', '--browser', agent];
      expect(await machine.start(signIn, {}, folders('state')).outcome).toEqual(signedInCalmly);
      const refresh = ['token', '-p', 'acme', '--force-refresh'];
      expect(await machine.start(refresh, {}, folders('state/sessions')).outcome).toEqual(success);
    },
  );

  test('is good on a file system that knows no sync at all', async () => {
    const { machine } = await newcomer();
    const signIn = ['login', '-q', '--prompt', 'consent', '--browser', agent];
    expect(await machine.start(signIn, {}, injecting('', 'fsync:error=EINVAL')).outcome).toMatchObject({
      exitCode: 0,
    });
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  });

  test('names a read-only file system, also where its folders are to be made first', async () => {
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const folder = join(machine.folder, 'config');
    const readOnly = injecting(folder, 'mkdir:error=EROFS');
    expect(await machine.start(addOne, {}, readOnly).outcome).toEqual(
      refused(
        `error: cannot write ${folder}/config.json: the file system is read-only\n` +
          'hint: set AUTHCLI_CONFIG_DIR to a folder that can be written\n',
      ),
    );
  });

  test('fails where the disk fails', async () => {
    const { machine } = await newcomer();
    const folder = join(machine.folder, 'config');
    expect(await machine.start(addOne, {}, injecting(folder, 'fsync:error=EIO')).outcome).toEqual(
      refused(`error: cannot write ${folder}/config.json: the disk reports an error\n`),
    );
  });

  test.each([
    ['ENOSPC', 'no space left on the disk', 'free some space, then run the same command again'],
    ['EDQUOT', 'the disk quota is used up', 'free some space, then run the same command again'],
    ['EROFS', 'the file system is read-only', 'set AUTHCLI_CONFIG_DIR to a folder that can be written'],
    [
      'EACCES',
      'permission denied',
      'check the owner and the mode of that folder, or set AUTHCLI_CONFIG_DIR to a folder of your own',
    ],
  ])('of the configuration that ends in %s says why', async (code, why, hint) => {
    const { machine } = await newcomer();
    const rule = code === 'EROFS' || code === 'EACCES' ? `rename:error=${code}` : `pwrite64:error=${code}`;
    expect(await machine.start(addOne, {}, injecting('', rule)).outcome).toEqual(
      refused(
        `error: cannot write ${join(machine.folder, 'config', 'config.json')}: ${why}\nhint: ${hint}\n`,
      ),
    );
  });
});

test('no file has a name that Windows takes for a device', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const names = ['con', 'nul.x', 'prn.a.b', 'com1.example', 'lpt9', 'aux'];
  const entry = { issuer: acme.issuer, clientId: 'cli', scope: 'openid' };
  machine.configure({ providers: Object.fromEntries(names.map((name) => [name, entry])) });
  for (const name of names) {
    expect(await login(machine, '-p', name)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '-p', name])).toEqual(success);
  }
  for (const path of tree(machine.folder)) {
    for (const part of path.split('/')) {
      expect(part).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|[<>:"|?*\\]|[. ]$/i);
    }
  }
});
