import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { secretService } from '../src/store/secret-service.js';
import {
  keyringInstalled,
  startBus,
  startKeyring,
  startSilentKeyring,
  type BusSession,
  type KeyringSession,
} from './support/keyring.js';
import { login, newcomer, type Newcomer } from './support/newcomer.js';
import { isOnPath, requirement } from './support/requirements.js';
import { agent, type Machine, type Outcome } from './support/run.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const patience = { timeoutMs: 5_000, mayPrompt: false };

async function running<T extends BusSession>(starting: Promise<T>): Promise<T> {
  const session = await starting;
  onTestFinished(() => session.stop());
  return session;
}

function accountOf({ folder }: Machine): string {
  return /"id":"(\w+)"/.exec(readFileSync(join(folder, 'state', 'store.json'), 'utf8'))?.[1] ?? '';
}

function sealedSession({ folder }: Machine): Buffer {
  const sessions = join(folder, 'state', 'sessions');
  return readFileSync(join(sessions, readdirSync(sessions).find((name) => name.endsWith('.session')) ?? ''));
}

async function signedIn(): Promise<Newcomer & { readonly keyring: KeyringSession }> {
  const keyring = await running(startKeyring());
  const { acme, machine } = await newcomer(keyring.env);
  expect(await login(machine, '--json')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('"store":"keychain"'),
  });
  return { keyring, acme, machine };
}

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('with a real keyring', () => {
  test('the key is one line in one item, and no session needs anything else', async () => {
    const { keyring, machine } = await signedIn();
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
    await login(machine, '--browser', `${agent} --as john@acme.test`);
    expect(await machine.spawn(['token'])).toEqual(success);
    const found = await secretService(keyring.env).read(accountOf(machine), patience);
    expect(found).toEqual({ kind: 'found', secret: expect.stringMatching(/^[\w+/]{43}=$/) });
    expect(readdirSync(join(machine.folder, 'state'))).not.toContain('store.key');
    expect(await machine.spawn(['logout', '--all'])).toMatchObject({ exitCode: 0 });
  });

  test.skipIf(!requirement('secret-tool', isOnPath('secret-tool')))(
    'other programs find it by its attributes',
    async () => {
      const { keyring, machine } = await signedIn();
      const attributes = ['lookup', 'service', 'authcli', 'username', accountOf(machine)];
      const secret = execFileSync('secret-tool', attributes, {
        env: { ...machine.env, ...keyring.env },
        encoding: 'utf8',
      });
      expect(secret).toMatch(/^[\w+/]{43}=$/);
    },
  );

  test('locked: exit 7 without a request, nothing takes its place, and all is there once it is unlocked', async () => {
    const { keyring, acme, machine } = await signedIn();
    const sealed = sealedSession(machine);
    await keyring.lock();
    const requests = acme.requests.length;
    const locked = {
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining('error: the keyring is locked\nhint: unlock it'),
    };
    expect(await machine.spawn(['token'])).toEqual(locked);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(locked);
    expect(await machine.spawn(['logout'])).toMatchObject({
      exitCode: 7,
      stderr: expect.stringContaining(
        'error: still signed in to acme as jane@acme.test: the keyring is locked',
      ),
    });
    expect(await login(machine, '--no-input')).toEqual(locked);
    expect(await machine.spawn(['status', '-p', 'acme'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(acme.requests).toHaveLength(requests);
    expect(sealedSession(machine)).toEqual(sealed);
  });

  test('the key is gone: exit 4 and the files stay; only a login makes a new one', async () => {
    const { keyring, machine } = await signedIn();
    const sessions = join(machine.folder, 'state', 'sessions');
    await secretService(keyring.env).remove(accountOf(machine), patience);
    const before = readdirSync(sessions);
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the key of the keychain store is gone: its sessions cannot be opened any more\n' +
        'hint: authcli login (sets the unreadable sessions aside and starts anew)\n',
    });
    expect(readdirSync(sessions)).toEqual(before);
    expect(await login(machine)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('was set aside: '),
    });
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(readdirSync(sessions).filter((name) => name.includes('.damaged-'))).toHaveLength(1);
  });

  test('the key is garbage: exit 7, and a login does not replace it', async () => {
    const { keyring, machine } = await signedIn();
    await secretService(keyring.env).write(accountOf(machine), 'garbage', patience);
    const garbage = {
      exitCode: 7,
      stdout: '',
      stderr: expect.stringContaining(
        'holds no key of authcli\nhint: restore the item from a backup, or delete it and sign in again\n',
      ),
    };
    expect(await machine.spawn(['token'])).toEqual(garbage);
    expect(await login(machine)).toEqual(garbage);
    const kept = await secretService(keyring.env).read(accountOf(machine), patience);
    expect(kept).toEqual({ kind: 'found', secret: 'garbage' });
  });

  test('two state folders never share a key', async () => {
    const { keyring, machine } = await signedIn();
    const other = (await newcomer(keyring.env)).machine;
    expect(await login(other)).toMatchObject({ exitCode: 0 });
    expect(accountOf(other)).not.toBe(accountOf(machine));
    expect(await machine.spawn(['token'])).toEqual(success);
  });

  test('--store file is kept in the configuration, so that a later login does not need it', async () => {
    const keyring = await running(startKeyring());
    const { machine } = await newcomer(keyring.env);
    expect(await login(machine, '--store', 'file')).toMatchObject({ exitCode: 0 });
    expect(await login(machine, '--json')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('"store":"file"'),
    });
  });
});

describe.skipIf(!requirement('dbus-daemon', isOnPath('dbus-daemon')))(
  'without a usable keychain a login says what solves it',
  () => {
    const solution = 'hint: authcli login --store file (keeps the sessions in a sealed file instead)\n';

    test('no bus', async () => {
      const { machine } = await newcomer({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' });
      expect(await login(machine)).toEqual({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining(solution),
      });
      expect(await login(machine, '--store', 'file')).toMatchObject({ exitCode: 0 });
    });

    test('a bus without a service', async () => {
      const { machine } = await newcomer((await running(startBus())).env);
      expect(await login(machine)).toEqual({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining(solution),
      });
    });

    test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
      'a service without a collection',
      async () => {
        const { machine } = await newcomer((await running(startKeyring({ collection: false }))).env);
        expect(await login(machine)).toEqual({
          exitCode: 7,
          stdout: '',
          stderr: expect.stringContaining(solution),
        });
      },
    );

    test('a service that never answers: within 5 s, and the process is gone', async () => {
      const { machine, acme } = await newcomer((await running(startSilentKeyring())).env);
      const startedAt = performance.now();
      expect(await login(machine)).toEqual({
        exitCode: 7,
        stdout: '',
        stderr: expect.stringContaining('error: the keyring did not answer within 4 s\n'),
      });
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      expect(acme.requests).toEqual([]);
    });
  },
);

test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
  'store migrate moves every session, there and back, without a sign-in; store status says where they are',
  async () => {
    const { acme, machine } = await signedIn();
    await login(machine, '--browser', `${agent} --as john@acme.test`);
    const requests = acme.requests.length;
    expect(await machine.spawn(['store', 'migrate', 'file'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '✓ 2 sessions moved; all are in sealed files now.\n',
    });
    expect(await machine.spawn(['token'])).toEqual(success);
    const status = await machine.spawn(['store', 'status', '--json']);
    expect(JSON.parse(status.stdout)).toEqual({
      folder: join(machine.folder, 'state'),
      chosen: 'file',
      keychain: { usable: true, reason: null },
      sessions: { keychain: 0, file: 2, damaged: 0 },
    });
    expect(await machine.spawn(['store', 'migrate', 'keychain'])).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '-a', 'jane'])).toEqual(success);
    expect(acme.requests).toHaveLength(requests);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  },
);
