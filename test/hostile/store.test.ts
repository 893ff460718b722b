import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
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

import { secretService } from '../../src/store/secret-service.js';
import { assertNoCanaryIn } from '../support/canaries.js';
import {
  forThisTest,
  keyringInstalled,
  startBus,
  startKeyring,
  startSilentKeyring,
} from '../support/keyring.js';
import { login, newcomer, signedInWithKeyring, type Newcomer } from '../support/newcomer.js';
import type { ProviderOptions } from '../support/provider-configuration.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { agent, type Machine, type Outcome } from '../support/run.js';
import { startScriptedKeyring } from '../support/scripted-keyring.js';
import { isFull, patience } from './sizes.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const refresh = ['token', '--force-refresh'];
const toLogin = ['login', '-q', '--prompt', 'consent', '--browser', agent];

const isRoot = getuid?.() === 0;
/** Root ignores mode bits: what depends on them runs as somebody else. */
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const canBeNobody = requirement('setpriv', isOnPath('setpriv')) && isRoot;
const canTrace = requirement('strace', isOnPath('strace'));
const canMount =
  requirement('unshare', isOnPath('unshare')) && spawnSync('unshare', ['-m', 'true']).status === 0;

interface SignedIn extends Newcomer {
  readonly state: string;
  readonly sessions: string;
  /** The session file of Jane. */
  readonly file: string;
}

async function signIn(env: Record<string, string> = {}, options?: ProviderOptions): Promise<SignedIn> {
  const { acme, machine } = await newcomer({ AUTHCLI_STORE: 'file', ...env }, options);
  expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
  const state = join(machine.folder, 'state');
  const sessions = join(state, 'sessions');
  const name = readdirSync(sessions).find((entry) => entry.endsWith('.session'));
  return { acme, machine, state, sessions, file: join(sessions, name ?? '') };
}

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}

function giveTo(uid: number, path: string): void {
  chownSync(path, uid, uid);
  if (!statSync(path).isDirectory()) return;
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), uid, uid);
  }
}

function temporaryFiles(sessions: string): string[] {
  return readdirSync(sessions).filter((name) => name.endsWith('.tmp'));
}

/** Makes system calls of the program and of its refresh helper fail, or end in a signal. */
function injecting(...injections: string[]): string[] {
  return [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    ...injections.flatMap((what) => ['-e', `inject=${what}`]),
  ];
}

function belongsToNobody(path: string): string {
  return (
    `error: ${path} belongs to another user (uid 65534, we are 0)\n` +
    'hint: run authcli as the user who signed in, or set AUTHCLI_STATE_DIR to a folder of your own\n'
  );
}

function limited(): string[] {
  return ['prlimit', '--fsize=64'];
}

function readOnly({ state }: SignedIn): string[] {
  const mount = `mount --bind ${state} ${state} && mount -o remount,bind,ro ${state}`;
  return ['unshare', '-m', 'sh', '-c', `${mount} && exec "$0" "$@"`];
}

/**
 * The command over and over, killed at its first such system call, at its second, until there is none any more. Gives what
 * `token` and `status` say after each.
 */
async function killedAtEach(
  call: string,
  argv: readonly string[],
  machine: Machine,
): Promise<{ token: Outcome; status: Outcome }[]> {
  // Of the hundreds of files that Node opens, some.
  const stride = call === 'openat' ? 7 : 1;
  const afterwards: { token: Outcome; status: Outcome }[] = [];
  for (let when = 1; ; when += stride) {
    const injection = `${call}:signal=SIGKILL:when=${when}`;
    const { exitCode } = await machine.start(argv, {}, injecting(injection)).outcome;
    afterwards.push({ token: await machine.spawn(['token']), status: await machine.spawn(['status']) });
    if (exitCode === 0) return afterwards;
  }
}

test('STO-01: what is stored is for us alone, whatever the umask', async () => {
  const { machine } = await newcomer();
  const openHanded = ['sh', '-c', 'umask 000; exec "$0" "$@"'];
  expect(await machine.start(toLogin, {}, openHanded).outcome).toMatchObject({ exitCode: 0 });
  expect(await machine.start(refresh, {}, openHanded).outcome).toEqual(success);
  const state = join(machine.folder, 'state');
  const entries = readdirSync(state, { withFileTypes: true, recursive: true });
  expect(entries.length).toBeGreaterThan(5);
  expect(mode(state)).toBe(0o700);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    expect([path, mode(path)]).toEqual([path, entry.isDirectory() ? 0o700 : 0o600]);
  }
});

describe('STO-02: what is open to others is narrowed, and said', () => {
  test.each([
    ['state', 0o777, 0o700],
    ['state/sessions', 0o755, 0o700],
    ['state/store.key', 0o644, 0o600],
    ['SESSION', 0o666, 0o600],
  ])('%s', async (name, found, expected) => {
    const { machine, file } = await signIn();
    const path = name === 'SESSION' ? file : join(machine.folder, name);
    chmodSync(path, found);
    const isFolder = expected === 0o700;
    expect(await machine.spawn(['token'])).toEqual({
      ...success,
      stderr: isFolder
        ? `warning: ${path} was open to others: narrowed to 0700\n`
        : `warning: ${path} could be read by others: narrowed to 0600\n`,
    });
    expect(mode(path)).toBe(expected);
    expect(await machine.spawn(['token'])).toEqual(success);
  });
});

describe.skipIf(!isRoot)('STO-04: what belongs to another user is not touched', () => {
  test.each(['state', 'state/sessions', 'state/store.key', 'SESSION'])('%s', async (name) => {
    const { acme, machine, file } = await signIn();
    const path = name === 'SESSION' ? file : join(machine.folder, name);
    giveTo(65534, path);
    const requests = acme.requests.length;
    const before = readFileSync(file);
    for (const argv of [['token'], refresh]) {
      expect(await machine.spawn(argv)).toEqual({ exitCode: 7, stdout: '', stderr: belongsToNobody(path) });
    }
    expect(acme.requests).toHaveLength(requests);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('not even where others may write to the folder above, and put theirs in the place of ours', async () => {
    const { acme, machine, state } = await signIn();
    chmodSync(machine.folder, 0o777);
    expect(await machine.spawn(['token'])).toEqual(success);
    renameSync(state, `${state}.ours`);
    execFileSync('cp', ['-r', `${state}.ours`, state]);
    giveTo(65534, state);
    const requests = acme.requests.length;
    for (const argv of [['token'], refresh, toLogin, ['logout'], ['status']]) {
      expect(await machine.spawn(argv)).toMatchObject({
        exitCode: 7,
        stdout: '',
        stderr: belongsToNobody(state),
      });
    }
    rmSync(state, { recursive: true });
    symlinkSync(`${state}.ours`, state);
    expect(await machine.spawn(['token'])).toMatchObject({
      exitCode: 7,
      stderr: `error: ${state} is not a folder\nhint: move it away: ${state}\n`,
    });
    expect(acme.requests).toHaveLength(requests);
  });
});

describe('STO-05: what stands in the place of a file without being one is refused at once', () => {
  const kinds: readonly [title: string, place: (path: string) => void][] = [
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a folder', (path) => mkdirSync(path)],
    ['a link', (path) => symlinkSync(`${path}.elsewhere`, path)],
    ['a device', (path) => execFileSync('mknod', [path, 'c', '1', '5'])],
  ];
  const canMakeDevices = isRoot && spawnSync('mknod', ['/dev/null', 'c', '1', '3']).status === 1;

  test.each(kinds.filter(([title]) => title !== 'a device' || canMakeDevices))(
    '%s',
    async (_title, place) => {
      const { acme, machine, file, state } = await signIn();
      const requests = acme.requests.length;
      for (const path of [file, join(state, 'store.key'), `${file}.queue`, `${file}.lock`]) {
        if (existsSync(path)) renameSync(path, `${path}.elsewhere`);
        else writeFileSync(`${path}.elsewhere`, '');
        place(path);
        const begun = performance.now();
        const outcome = await machine.spawn(refresh);
        expect(outcome).toMatchObject({ exitCode: 7, stdout: '' });
        expect(outcome.stderr).toContain(path);
        expect(performance.now() - begun).toBeLessThan(2_000 * patience);
        rmSync(path, { recursive: true });
        renameSync(`${path}.elsewhere`, path);
      }
      expect(acme.requests).toHaveLength(requests);
      expect(await machine.spawn(refresh)).toEqual(success);
    },
  );
});

describe('STO-06: a damaged session is reported and left as it is; the next login sets it aside and works', () => {
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

  test('an empty store.json is set aside as well, and the sessions’ key is found again', async () => {
    const { machine, state } = await signIn();
    truncateSync(join(state, 'store.json'), 0);
    expect(await login(machine)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('a damaged file was set aside'),
    });
    expect(await machine.spawn(['token'])).toEqual(success);
  });
});

describe('STO-08: a disk that takes nothing costs no refresh, which works again when there is room', () => {
  const raiseLimit = 'raise the limit (ulimit -f), then run the same command again';
  const freeSpace = 'free some space, then run the same command again';
  const moveElsewhere = 'set AUTHCLI_STATE_DIR to a folder that can be written';

  const cases: [title: string, behind: (person: SignedIn) => string[], why: string, hint: string][] = [];
  if (requirement('prlimit', isOnPath('prlimit'))) {
    cases.push(['a limit of file sizes', limited, 'the file size limit is reached', raiseLimit]);
  }
  if (canTrace) {
    const full = () => injecting('pwrite64:error=ENOSPC');
    const overQuota = () => injecting('pwrite64:error=EDQUOT');
    cases.push(['a full disk', full, 'no space left on the disk', freeSpace]);
    cases.push(['a used-up quota', overQuota, 'the disk quota is used up', freeSpace]);
  }
  if (canMount) {
    cases.push(['a read-only file system', readOnly, 'the file system is read-only', moveElsewhere]);
  }

  test.each(cases)('%s', async (_title, behind, why, hint) => {
    const person = await signIn();
    const { machine, acme, file, sessions } = person;
    const sealed = readFileSync(file);
    const requests = acme.requestsTo('/token').length;
    const refused = await machine.start(refresh, {}, behind(person)).outcome;
    expect(refused).toMatchObject({ exitCode: 7, stdout: '' });
    expect(refused.stderr).toMatch(new RegExp(`^error: cannot (write|lock) ${file}\\S*: ${why}\n`));
    expect(refused.stderr).toContain(`\nhint: ${hint}\n`);
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    expect(readFileSync(file).equals(sealed)).toBe(true);
    expect(temporaryFiles(sessions)).toEqual([]);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test.skipIf(!canBeNobody)('a folder that may not be written to', async () => {
    const { machine, acme, file, sessions } = await signIn();
    giveTo(65534, machine.folder);
    chmodSync(sessions, 0o500);
    const requests = acme.requestsTo('/token').length;
    const asBefore = (argv: string[]) => machine.start(argv, {}, asNobody).outcome;
    const refused = await asBefore(refresh);
    expect(refused).toMatchObject({ exitCode: 7, stdout: '' });
    expect(refused.stderr).toContain('permission denied');
    expect(await asBefore(['logout'])).toMatchObject({ exitCode: 7, stdout: '' });
    expect(await asBefore(['token'])).toEqual(success);
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    expect(existsSync(file)).toBe(true);
    chmodSync(sessions, 0o700);
    expect(await asBefore(refresh)).toEqual(success);
  });
});

describe.skipIf(!canTrace)('STO-09: a disk that reports an error leaves the old session as it was', () => {
  test.each([
    ['the first fsync', 'fsync:error=EIO'],
    ['a rename', 'rename:error=EIO'],
  ])('at %s: the provider is not even asked', async (_title, injection) => {
    const { machine, acme, file, sessions } = await signIn();
    const sealed = readFileSync(file);
    const requests = acme.requestsTo('/token').length;
    const refused = await machine.start(refresh, {}, injecting(injection)).outcome;
    expect(refused).toMatchObject({ exitCode: 7, stdout: '' });
    expect(refused.stderr).toMatch(/^error: cannot write \S+: the disk reports an error\n/);
    expect(acme.requestsTo('/token')).toHaveLength(requests);
    expect(readFileSync(file).equals(sealed)).toBe(true);
    expect(temporaryFiles(sessions)).toEqual([]);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test.each([
    ['at the fsync of the answer', 'fsync:error=EIO:when=6'],
    ['at the rename of the answer', 'rename:error=EIO:when=2'],
  ])('%s: nothing is printed, and the old refresh token is tried again', async (_title, injection) => {
    const { machine, acme, file } = await signIn({}, { rotateRefreshToken: false });
    const sealed = readFileSync(file);
    const requests = acme.requestsTo('/token').length;
    expect(await machine.start(refresh, {}, injecting(injection)).outcome).toMatchObject({
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining('the disk reports an error'),
    });
    expect(acme.requestsTo('/token')).toHaveLength(requests + 1);
    expect(readFileSync(file).equals(sealed)).toBe(true);
    expect(await machine.spawn(refresh)).toEqual(success);
  });
});

test.skipIf(!canTrace)(
  'STO-10: a token is printed only after it is durable: written, synced, renamed, the folder synced',
  async () => {
    const { machine, file, sessions } = await signIn();
    const log = join(machine.folder, 'calls');
    const watched = 'trace=openat,pwrite64,fsync,rename,write';
    const outcome = await machine.start(refresh, {}, ['strace', '-f', '-qq', '-y', '-e', watched, '-o', log])
      .outcome;
    expect(outcome).toEqual(success);
    const calls = readFileSync(log, 'utf8').split('\n');
    const renamed = calls.findLastIndex((call) => call.includes(`, "${file}")`));
    const [, temporary = '-'] = /rename\("([^"]+)"/.exec(calls[renamed] ?? '') ?? [];
    const last = (part: string) => calls.findLastIndex((call) => call.includes(part));
    const order = [
      calls.findLastIndex((call) => call.includes('pwrite64(') && call.includes(`<${temporary}>`)),
      calls.findLastIndex((call) => call.includes('fsync(') && call.includes(`<${temporary}>`)),
      renamed,
      calls.findIndex(
        (call, at) => at > renamed && call.includes('fsync(') && call.includes(`<${sessions}>`),
      ),
      last(`"${outcome.stdout.slice(0, 20)}`),
    ];
    expect(Math.min(...order)).toBeGreaterThanOrEqual(0);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  },
);

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('a keychain', () => {
  const ask = { timeoutMs: 5_000, mayPrompt: false };

  test('STO-12: that is locked: exit 7 without a request, nothing takes its place, and all is there once it is unlocked', async () => {
    const { keyring, acme, machine } = await signedInWithKeyring();
    const state = join(machine.folder, 'state');
    const before = readdirSync(state, { recursive: true });
    await keyring.lock();
    const requests = acme.requests.length;
    const locked = {
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining('error: the keyring is locked\nhint: unlock it'),
    };
    const begun = performance.now();
    expect(await machine.spawn(['token'])).toEqual(locked);
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(await machine.spawn(refresh)).toEqual(locked);
    expect(await machine.spawn(['logout'])).toMatchObject({
      exitCode: 7,
      stderr: expect.stringContaining(
        'error: still signed in to acme as jane@acme.test: the keyring is locked',
      ),
    });
    expect(await login(machine, '--no-input')).toEqual(locked);
    expect(await machine.spawn(['status', '-p', 'acme'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(acme.requests).toHaveLength(requests);
    expect(
      readdirSync(state, { recursive: true }).filter((name) => !/\.(lock|queue)$/.test(String(name))),
    ).toEqual(before.filter((name) => !/\.(lock|queue)$/.test(String(name))));
  });

  test('STO-14: whose key is gone: exit 4 and the files stay; only a login makes a new one', async () => {
    const { keyring, machine, account } = await signedInWithKeyring();
    const sessions = join(machine.folder, 'state', 'sessions');
    await secretService(keyring.env).remove(account, ask);
    const before = readdirSync(sessions);
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the key of the keychain store is gone: its sessions open again only with it\n' +
        'hint: authcli login -p acme\n',
    });
    expect(readdirSync(sessions)).toEqual(before);
    expect(await secretService(keyring.env).read(account, ask)).toEqual({ kind: 'missing' });
    expect(await login(machine)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('was set aside: '),
    });
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(readdirSync(sessions).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
  });

  test('STO-14: whose key is garbage: exit 7, and a login does not replace it', async () => {
    const { keyring, machine, account } = await signedInWithKeyring();
    await secretService(keyring.env).write(account, 'garbage', ask);
    const garbage = {
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining(
        'holds no key of authcli\nhint: restore the item from a backup, or delete it and sign in again\n',
      ),
    };
    expect(await machine.spawn(['token'])).toEqual(garbage);
    expect(await login(machine)).toEqual(garbage);
    const kept = await secretService(keyring.env).read(account, ask);
    expect(kept).toEqual({ kind: 'found', secret: 'garbage' });
  });

  test('STO-14: whose key is another one: exit 7, and the files stay', async () => {
    const { keyring, machine, account } = await signedInWithKeyring();
    await secretService(keyring.env).write(account, Buffer.alloc(32, 7).toString('base64'), ask);
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: this session is sealed with another key than the one in the keychain store, and opens again with it\n' +
        'hint: authcli login -p acme\n',
    });
    expect(await machine.spawn(['status', '-p', 'acme'])).toMatchObject({ exitCode: 0 });
  });
});

test('STO-12: a keychain whose dialog is dismissed ends a login with exit 7, without a plain file in its place', async () => {
  const keyring = await forThisTest(startScriptedKeyring({ locked: true, dialog: 'dismissed' }));
  const { acme, machine } = await newcomer(keyring.env);
  const begun = performance.now();
  expect(await login(machine)).toMatchObject({
    exitCode: 7,
    stdout: '',
    stderr: expect.stringContaining('error: '),
  });
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(acme.requests).toEqual([]);
  expect(existsSync(join(machine.folder, 'state', 'store.key'))).toBe(false);
});

describe.skipIf(!requirement('dbus-daemon', isOnPath('dbus-daemon')))(
  'STO-13: without a usable keychain a login says what solves it, without a request, within 5 s:',
  () => {
    const solution = 'hint: authcli login --store file (keeps the sessions in a sealed file instead)\n';
    const cases: [title: string, env: () => Promise<Record<string, string>>, said: string][] = [
      ['no bus', async () => ({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' }), solution],
      ['a bus without a service', async () => ({ ...(await forThisTest(startBus())).env }), solution],
      [
        'a service that never answers',
        async () => ({ ...(await forThisTest(startSilentKeyring())).env }),
        'error: the keyring did not answer within 4 s\n',
      ],
    ];
    if (requirement('gnome-keyring', keyringInstalled())) {
      cases.push([
        'a service without a collection',
        async () => ({ ...(await forThisTest(startKeyring({ collection: false }))).env }),
        solution,
      ]);
    }

    test.each(cases)('%s', async (_title, env, said) => {
      const { acme, machine } = await newcomer(await env());
      const begun = performance.now();
      expect(await login(machine)).toEqual({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining(said),
      });
      expect(performance.now() - begun).toBeLessThan(5_000 * patience);
      expect(acme.requests).toEqual([]);
      expect(await login(machine, '--store', 'file')).toMatchObject({ exitCode: 0 });
    });
  },
);

describe('STO-14: a sign-in under another key sets aside the session that it replaces, and no other', () => {
  test('of the sealed file', async () => {
    const { machine, state, sessions } = await signIn();
    const asJohn = `${agent} --as john@acme.test`;
    expect(await machine.spawn(['login', '-q', '--prompt', 'consent', '--browser', asJohn])).toMatchObject({
      exitCode: 0,
    });
    const key = join(state, 'store.key');
    const first = readFileSync(key);
    rmSync(key);
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(readdirSync(sessions).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(await machine.spawn(['token', '-a', 'john@acme.test'])).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: this session is sealed with another key than the one in the file store, and opens again with it\n' +
        'hint: authcli login -p acme -a john@acme.test\n',
    });
    writeFileSync(key, first);
    expect(await machine.spawn(['token', '-a', 'john@acme.test'])).toEqual(success);
  });

  test.skipIf(!requirement('gnome-keyring', keyringInstalled()))('of another keyring', async () => {
    const { keyring, machine, acme } = await signedInWithKeyring();
    await machine.run(['provider', 'add', 'other', '--issuer', acme.issuer, '--client-id', 'cli']);
    const other = await forThisTest(startKeyring());
    expect(await machine.start([...toLogin, '-p', 'other'], other.env).outcome).toMatchObject({
      exitCode: 0,
    });
    expect(await machine.spawn(['token', '-p', 'acme'], keyring.env)).toEqual(success);
    expect(await machine.spawn(['token', '-p', 'other'], other.env)).toEqual(success);
    expect(await machine.spawn(['token', '-p', 'acme'], other.env)).toMatchObject({
      exitCode: 7,
      stdout: '',
    });
  });
});

describe('STO-14: the key of the sealed file', () => {
  test('gone: exit 4, nothing is deleted, and only a login makes a new one', async () => {
    const { machine, state, file, sessions } = await signIn();
    const key = join(state, 'store.key');
    rmSync(key);
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the key of the file store is gone: its sessions open again only with it\n' +
        'hint: authcli login -p acme\n',
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
    const { machine, state } = await signIn();
    const key = join(state, 'store.key');
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

  const passphrase = { AUTHCLI_STORE_PASSPHRASE: 'correct horse battery staple' };

  test('a passphrase: a wrong one and none are told apart, and nothing is lost', async () => {
    const { machine, state, file } = await signIn(passphrase);
    expect(await machine.spawn(['token'])).toEqual(success);
    const sealed = readFileSync(file);
    expect(await machine.spawn(['token'], { AUTHCLI_STORE_PASSPHRASE: 'another one' })).toEqual({
      exitCode: 7,
      stdout: '',
      stderr: 'error: wrong passphrase for the sealed sessions\nhint: check AUTHCLI_STORE_PASSPHRASE\n',
    });
    expect(await machine.spawn(refresh, { AUTHCLI_STORE_PASSPHRASE: '' })).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: the sessions are sealed with a passphrase, and none was given\nhint: set AUTHCLI_STORE_PASSPHRASE\n',
    });
    expect(await machine.spawn(['logout'], { AUTHCLI_STORE_PASSPHRASE: 'another one' })).toMatchObject({
      exitCode: 7,
      stderr: expect.stringContaining('error: still signed in to acme as '),
    });
    expect(readFileSync(file).equals(sealed)).toBe(true);
    expect(existsSync(join(state, 'store.key'))).toBe(false);
  });

  test('a passphrase, still asked for when store.json is lost: no key file takes its place', async () => {
    const { machine, state, file } = await signIn(passphrase);
    rmSync(join(state, 'store.json'));
    const sealed = readFileSync(file);
    expect(
      await machine.spawn(['login', '-q', '--browser', agent], { AUTHCLI_STORE_PASSPHRASE: '' }),
    ).toMatchObject({ exitCode: 7 });
    expect(readFileSync(file).equals(sealed)).toBe(true);
    expect(existsSync(join(state, 'store.key'))).toBe(false);
  });
});

describe.skipIf(!canTrace)(
  'STO-16: killed before any of its changes to the disk, a command leaves the old session or the new one',
  () => {
    const calls = isFull ? ['rename', 'fsync', 'unlink', 'ftruncate', 'openat'] : ['rename'];

    const commands: [title: string, argv: string[]][] = [['a refresh', refresh]];
    if (isFull) commands.push(['a login', toLogin]);

    test.each(commands)('%s', { timeout: 900_000 }, async (_title, argv) => {
      const { machine, sessions } = await signIn({}, { rotateRefreshToken: false });
      for (const call of calls) {
        const before = await machine.spawn(['token']);
        const afterwards = await killedAtEach(call, argv, machine);
        expect(afterwards.length).toBeGreaterThan(1);
        for (const { token, status } of afterwards) {
          expect(token).toEqual(success);
          expect(status).toMatchObject({ exitCode: 0, stderr: '' });
        }
        expect(afterwards.at(-1)?.token).not.toEqual(before);
      }
      expect(await machine.spawn(refresh)).toEqual(success);
      expect(readdirSync(sessions).filter((name) => name.includes('.damaged-'))).toEqual([]);
    });
  },
);

test(
  'STO-18: after many commands no secret lies outside of the sealed store',
  { timeout: 1_200_000 },
  async () => {
    const rounds = isFull ? 125 : 1;
    const { machine } = await newcomer();
    const temporary = join(machine.folder, 'tmp');
    mkdirSync(temporary);
    const env = { TMPDIR: temporary };
    const elsewhere = ['/tmp', '/var/tmp', '/dev/shm'].filter(existsSync);
    const entries = () =>
      elsewhere.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
    const before = new Set(entries());
    for (let round = 0; round < rounds; round++) {
      for (const argv of [
        toLogin,
        ['token'],
        refresh,
        ['token', '--scope', 'openid'],
        ['token', '--type', 'id'],
        ['status', '--json'],
        ['login', '-q', '--prompt', 'consent', '--browser', `${agent} --as john@acme.test`],
        round % 2 ? ['logout', '--all'] : ['token', '-a', 'jane'],
      ]) {
        expect(await machine.spawn(argv, env)).toMatchObject({ exitCode: 0 });
      }
    }
    expect(readdirSync(temporary)).toEqual([]);
    for (const path of entries()) if (!before.has(path)) assertNoCanaryIn(path);
    assertNoCanaryIn(machine.folder);
  },
);

describe('STO-20: names', () => {
  test.each([
    'A',
    'a/b',
    '../a',
    'a\\b',
    'a ',
    ' a',
    'a..b',
    '.a',
    '',
    'a'.repeat(65),
    '\u00e9',
    'e\u0301',
    'a\u200b',
    'a+b',
    'a@b',
    'a\n',
  ])('%j is none', async (name) => {
    const { acme, machine } = await newcomer();
    for (const argv of [
      ['provider', 'add', name, '--issuer', acme.issuer, '--client-id', 'cli'],
      ['login', '--provider', name, '--issuer', acme.issuer, '--client-id', 'cli', '--browser', 'none'],
      ['token', '--provider', name],
    ]) {
      expect(await machine.spawn(argv)).toMatchObject({ exitCode: 2, stdout: '' });
    }
    expect(acme.requests).toEqual([]);
  });

  test('that look alike share nothing', async () => {
    const { acme, machine } = await newcomer();
    const names = ['a', 'a.b', 'a_b', 'a-b', 'a:b', 'ab'];
    for (const name of names) {
      await machine.run(['provider', 'add', name, '--issuer', acme.issuer, '--client-id', 'cli']);
    }
    expect(await login(machine, '-p', 'a_b')).toMatchObject({ exitCode: 0 });
    for (const name of names) {
      expect(await machine.spawn(['token', '-p', name])).toMatchObject({ exitCode: name === 'a_b' ? 0 : 4 });
    }
    expect(await login(machine, '-p', 'a:b')).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['logout', '--all', '-p', 'a_b'])).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '-p', 'a:b'])).toEqual(success);
  });
});

test('STO-21: a session of a newer authcli is not touched, not even by a login', async () => {
  const { machine, file } = await signIn();
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^\{"authcli":\d+/, '{"authcli":99'));
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
  expect(readFileSync(file).equals(before)).toBe(true);
});
