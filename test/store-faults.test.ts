import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { describe, expect, test } from 'vitest';

import { login, newcomer, type Newcomer } from './support/newcomer.js';
import { isOnPath, requirement } from './support/requirements.js';
import { agent, asNobody, behind, giveToNobody, type Outcome } from './support/run.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };

interface SignedIn extends Newcomer {
  readonly sessions: string;
  /** The session file of Jane. */
  readonly file: string;
}

async function signIn(env: Record<string, string> = {}): Promise<SignedIn> {
  const { acme, machine } = await newcomer({ AUTHCLI_STORE: 'file', ...env });
  expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
  const sessions = join(machine.folder, 'state', 'sessions');
  const name = readdirSync(sessions).find((entry) => entry.endsWith('.session'));
  return { acme, machine, sessions, file: join(sessions, name ?? '') };
}

describe('a damaged session is reported and left as it is; the next login sets it aside and works', () => {
  test.each<[string, (file: string) => void]>([
    ['empty', (file) => truncateSync(file, 0)],
    ['cut short', (file) => truncateSync(file, statSync(file).size - 9)],
    ['cut within its first line', (file) => truncateSync(file, 40)],
    ['garbage', (file) => writeFileSync(file, Buffer.from([0, 1, 2, 255, 254]))],
    ['100 MB', (file) => truncateSync(file, 100 * 1024 * 1024)],
    ['another schema', (file) => writeFileSync(file, '{"authcli":1,"key":{}}\nAAAA\n')],
    [
      'its summary changed',
      (file) =>
        writeFileSync(file, readFileSync(file, 'utf8').replace('"refreshable":true', '"refreshable":false')),
    ],
    [
      'its secret changed',
      (file) => writeFileSync(file, readFileSync(file, 'utf8').replace(/.{8}\n$/, 'AAAAAAA=\n')),
    ],
  ])('%s', async (_title, damage) => {
    const { machine, file, sessions, acme } = await signIn();
    damage(file);
    const before = readFileSync(file);
    const requests = acme.requests.length;
    const outcome = await machine.spawn(['token']);
    expect(outcome).toMatchObject({ exitCode: 7, stdout: '' });
    expect(outcome.stderr).toContain(file);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(acme.requests).toHaveLength(requests);

    expect(await login(machine)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('was set aside: '),
    });
    expect(await machine.spawn(['token'])).toEqual(success);
    const aside = readdirSync(sessions).find((name) => name.includes('.damaged-'));
    expect(readFileSync(join(sessions, aside ?? '')).equals(before)).toBe(true);
  });

  test('one damaged session does not hide the others', async () => {
    const { machine, file, sessions } = await signIn();
    await login(machine, '--browser', `${agent} --as john@acme.test`);
    truncateSync(file, 10);
    expect(await machine.spawn(['token'])).toEqual(success);
    const status = await machine.spawn(['status', '--json']);
    expect(status).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('john@acme.test'),
      stderr: `warning: the stored session is damaged: ${file}\n`,
    });
    expect(readdirSync(sessions).filter((name) => name.endsWith('.session'))).toHaveLength(2);
  });
});

test('a session of a newer authcli is not touched, not even by a login', async () => {
  const { machine, file } = await signIn();
  writeFileSync(file, readFileSync(file, 'utf8').replace('{"authcli":1', '{"authcli":2'));
  const before = readFileSync(file);
  const expected = {
    exitCode: 7,
    stdout: '',
    stderr: `error: the stored session was written by a newer authcli: ${file}\nhint: update authcli\n`,
  };
  expect(await machine.spawn(['token'])).toEqual(expected);
  expect(await login(machine)).toMatchObject({
    exitCode: 7,
    stderr: expect.stringContaining(expected.stderr),
  });
  expect(readFileSync(file)).toEqual(before);
});

describe('what stands in the place of a session file without being one', () => {
  test.each<[string, (file: string) => void, string]>([
    ['a pipe', (file) => execFileSync('mkfifo', [file]), 'is not a regular file'],
    ['a folder', (file) => mkdirSync(file), 'is not a regular file'],
    ['a link', (file) => symlinkSync(`${file}.elsewhere`, file), 'it is a symbolic link'],
  ])('%s', async (_title, place, reason) => {
    const { machine, file } = await signIn();
    renameSync(file, `${file}.elsewhere`);
    place(file);
    const outcome = await machine.spawn(['token']);
    expect(outcome).toMatchObject({ exitCode: 7, stdout: '' });
    expect(outcome.stderr).toContain(reason);
  });
});

test.each([
  ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ['a folder', (path: string) => mkdirSync(path)],
])('%s in the place of a lock is refused instead of waited for', async (_title, place) => {
  const { machine, file } = await signIn();
  rmSync(`${file}.queue`, { force: true });
  place(`${file}.queue`);
  expect(await machine.spawn(['token', '--force-refresh', '--timeout', '5s'])).toMatchObject({
    exitCode: 7,
    stdout: '',
  });
});

test('an empty store.json is set aside by the next login, which finds the sessions’ key again', async () => {
  const { machine } = await signIn();
  truncateSync(join(machine.folder, 'state', 'store.json'), 0);
  expect(await login(machine)).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('a damaged file was set aside'),
  });
  expect(await machine.spawn(['token'])).toEqual(success);
});

describe('the key of the sealed file', () => {
  test('gone: exit 4, nothing is deleted, and only a login makes a new one', async () => {
    const { machine, file, sessions } = await signIn();
    const key = join(machine.folder, 'state', 'store.key');
    rmSync(key);
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the key of the file store is gone: its sessions cannot be opened any more\n' +
        'hint: authcli login (sets the unreadable sessions aside and starts anew)\n',
    });
    expect(existsSync(key)).toBe(false);
    expect(existsSync(file)).toBe(true);
    expect(await login(machine)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('was set aside: '),
    });
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(readdirSync(sessions).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
  });

  test('garbage: exit 7, and nothing takes its place', async () => {
    const { machine } = await signIn();
    const key = join(machine.folder, 'state', 'store.key');
    writeFileSync(key, 'garbage\n');
    const expected = {
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining(`error: ${key} holds no key of authcli\n`),
    };
    expect(await machine.spawn(['token'])).toEqual(expected);
    expect(await login(machine)).toEqual(expected);
    expect(readFileSync(key, 'utf8')).toBe('garbage\n');
  });

  test('is readable by us alone, whatever the umask', async () => {
    const { machine, sessions, file } = await signIn();
    const state = join(machine.folder, 'state');
    expect([state, sessions, file, join(state, 'store.key'), join(state, 'store.json')].map(mode)).toEqual([
      0o700, 0o700, 0o600, 0o600, 0o600,
    ]);
  });

  test('open to others: narrowed, with a warning', async () => {
    const { machine } = await signIn();
    const key = join(machine.folder, 'state', 'store.key');
    chmodSync(key, 0o644);
    expect(await machine.spawn(['token'])).toEqual({
      ...success,
      stderr: `warning: ${key} could be read by others: narrowed to 0600\n`,
    });
    expect(mode(key)).toBe(0o600);
  });
});

describe('a passphrase', () => {
  const passphrase = { AUTHCLI_STORE_PASSPHRASE: 'correct horse battery staple' };

  test('opens what it sealed; a wrong one and none are told apart, and nothing is lost', async () => {
    const { machine, file } = await signIn(passphrase);
    expect(await machine.spawn(['token'])).toEqual(success);
    const sealed = readFileSync(file);
    expect(await machine.spawn(['token'], { AUTHCLI_STORE_PASSPHRASE: 'wrong' })).toEqual({
      exitCode: 7,
      stdout: '',
      stderr: 'error: wrong passphrase for the sealed sessions\nhint: check AUTHCLI_STORE_PASSPHRASE\n',
    });
    expect(await machine.spawn(['token', '--force-refresh'], { AUTHCLI_STORE_PASSPHRASE: '' })).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: the sessions are sealed with a passphrase, and none was given\nhint: set AUTHCLI_STORE_PASSPHRASE\n',
    });
    expect(await machine.spawn(['logout'], { AUTHCLI_STORE_PASSPHRASE: 'wrong' })).toMatchObject({
      exitCode: 7,
      stderr: expect.stringContaining('error: still signed in to acme as '),
    });
    expect(readFileSync(file)).toEqual(sealed);
    expect(existsSync(join(machine.folder, 'state', 'store.key'))).toBe(false);
  });

  test('is still asked for when store.json is lost: no key file takes its place', async () => {
    const { machine, file } = await signIn(passphrase);
    rmSync(join(machine.folder, 'state', 'store.json'));
    const sealed = readFileSync(file);
    expect(
      await machine.spawn(['login', '-q', '--browser', agent], { AUTHCLI_STORE_PASSPHRASE: '' }),
    ).toMatchObject({ exitCode: 7 });
    expect(readFileSync(file)).toEqual(sealed);
    expect(existsSync(join(machine.folder, 'state', 'store.key'))).toBe(false);
  });
});

describe('a disk that takes nothing: the refresh is not even asked for, and works when there is room again', () => {
  const installed = requirement('prlimit', isOnPath('prlimit'));

  test.skipIf(!installed)('a full disk', async () => {
    const { machine, acme, file } = await signIn();
    const sealed = readFileSync(file);
    const requests = acme.requestsTo('/token').length;
    const limited = behind(machine, 'prlimit', '--fsize=64');
    expect(await limited.spawn(['token', '--force-refresh'])).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        `error: cannot write ${file}: the file size limit is reached\n` +
        'hint: raise the limit (ulimit -f), then run the same command again\n',
    });
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    expect(readFileSync(file)).toEqual(sealed);
    expect(readdirSync(join(file, '..')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  });

  // Root ignores mode bits, so these run as another user.
  const canDrop = requirement('setpriv', isOnPath('setpriv')) && getuid?.() === 0;

  test.skipIf(!canDrop)('a read-only folder', async () => {
    const { machine, acme, file, sessions } = await signIn();
    giveToNobody(machine.folder);
    const nobody = behind(machine, ...asNobody);
    chmodSync(sessions, 0o500);
    const requests = acme.requestsTo('/token').length;
    const refused = await nobody.spawn(['token', '--force-refresh']);
    expect(refused).toMatchObject({ exitCode: 7, stdout: '' });
    expect(refused.stderr).toContain('permission denied');
    expect(await nobody.spawn(['logout'])).toMatchObject({ exitCode: 7, stdout: '' });
    expect(await nobody.spawn(['token'])).toEqual(success);
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    expect(existsSync(file)).toBe(true);
    chmodSync(sessions, 0o700);
    expect(await nobody.spawn(['token', '--force-refresh'])).toEqual(success);
  });

  test.skipIf(!canDrop)('a folder of another user', async () => {
    const { machine } = await signIn();
    giveToNobody(machine.folder);
    const outcome = await machine.spawn(['token']);
    expect(outcome).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        `error: ${join(machine.folder, 'state')} belongs to another user (uid 65534, we are 0)\n` +
        'hint: run authcli as the user who signed in, or set AUTHCLI_STATE_DIR to a folder of your own\n',
    });
  });
});

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}
