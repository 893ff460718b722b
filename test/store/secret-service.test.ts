import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env as environment, execPath } from 'node:process';
import { text } from 'node:stream/consumers';

import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { Bus } from '../../src/dbus/connection.js';
import { Variant, type Value } from '../../src/dbus/wire.js';
import type { Keychain, KeychainTrouble } from '../../src/store/keychain.js';
import { secretService } from '../../src/store/secret-service.js';
import {
  forThisTest,
  keyringInstalled,
  startBus,
  startKeyring,
  startSilentKeyring,
  type BusSession,
  type KeyringSession,
} from '../support/keyring.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { startScriptedKeyring, type Script } from '../support/scripted-keyring.js';

const patience = { timeoutMs: 5_000, mayPrompt: false };
const atDesktop = { timeoutMs: 5_000, mayPrompt: true };

async function troubleOf(session: BusSession, asked = patience): Promise<KeychainTrouble> {
  const keychain = secretService(session.env);
  const [read, write, remove] = [
    await keychain.read('ann', asked),
    await keychain.write('ann', 'secret', asked),
    await keychain.remove('ann', asked),
  ];
  expect(write).toEqual(read);
  expect(remove).toEqual(read);
  if (read.kind !== 'unavailable') throw new Error(`the keyring answered: ${read.kind}`);
  return read;
}

const hasSecretTool = requirement('secret-tool', isOnPath('secret-tool'));
const sharedItem = ['service', 'authcli', 'username', 'shared'];

function secretTool(session: BusSession, args: readonly string[], input = ''): string {
  const env = { ...environment, ...session.env };
  return execFileSync('secret-tool', args, {
    env,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('with a real gnome-keyring', () => {
  let session: KeyringSession;
  let keychain: Keychain;

  beforeAll(async () => {
    session = await startKeyring();
    keychain = secretService(session.env);
  });
  afterAll(() => session.stop());

  test('a secret is written, read, overwritten and removed, and removing it again is done', async () => {
    expect([
      await keychain.read('ann', patience),
      await keychain.write('ann', 'first', patience),
      await keychain.read('ann', patience),
      await keychain.write('ann', 'second', patience),
      await keychain.read('ann', patience),
      await keychain.remove('ann', patience),
      await keychain.read('ann', patience),
      await keychain.remove('ann', patience),
    ]).toEqual([
      { kind: 'missing' },
      { kind: 'done' },
      { kind: 'found', secret: 'first' },
      { kind: 'done' },
      { kind: 'found', secret: 'second' },
      { kind: 'done' },
      { kind: 'missing' },
      { kind: 'done' },
    ]);
  });

  test.each([
    ['an empty secret', 'empty', ''],
    ['a secret and an account beyond ASCII', 'Zoë 🗝', 'père 🐚'],
    ['a secret of 2,000 characters', 'long', 'x'.repeat(2_000)],
  ])('%s comes back as it was', async (_, account, secret) => {
    await keychain.write(account, secret, patience);
    expect(await keychain.read(account, patience)).toEqual({ kind: 'found', secret });
    expect(await keychain.read(`${account}2`, patience)).toEqual({ kind: 'missing' });
  });

  test('a secret of several lines is a mistake of the caller, as it can destroy a keyring', () => {
    expect(() => keychain.write('ann', 'one\ntwo', patience)).toThrow('single line');
  });

  test('an item outside the default collection does not count', async () => {
    const elsewhere = '/org/freedesktop/secrets/collection/session';
    expect(await createItem(session, elsewhere, 'elsewhere')).toContain(elsewhere);
    expect(await keychain.read('elsewhere', patience)).toEqual({ kind: 'missing' });
  });

  test('50 clients at once all read the same', async () => {
    await keychain.write('crowd', 'secret', patience);
    const clients = Array.from({ length: 50 }, () => secretService(session.env).read('crowd', patience));
    expect(new Set((await Promise.all(clients)).map((read) => JSON.stringify(read)))).toEqual(
      new Set(['{"kind":"found","secret":"secret"}']),
    );
  });

  test.skipIf(!hasSecretTool)('what we write is found by secret-tool', async () => {
    await keychain.write('shared', 'ours', patience);
    expect(secretTool(session, ['lookup', ...sharedItem])).toBe('ours');
    expect(secretTool(session, ['search', ...sharedItem])).toContain('label = authcli (shared)');
  });

  test.skipIf(!hasSecretTool)('what secret-tool writes replaces ours, and is returned as found', async () => {
    await keychain.write('shared', 'ours', patience);
    secretTool(session, ['store', '--label', 'theirs', ...sharedItem], 'no key\nat all');
    expect(await keychain.read('shared', patience)).toEqual({ kind: 'found', secret: 'no key\nat all' });
    await keychain.remove('shared', patience);
    expect(await keychain.read('shared', patience)).toEqual({ kind: 'missing' });
  });
});

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('where the keyring cannot be used', () => {
  const locked = {
    kind: 'unavailable',
    reason: 'locked',
    message: 'the keyring is locked',
    hint: 'unlock it in the desktop session, with Seahorse, KWallet or KeePassXC, and try again',
  };

  test.each([
    ['a collection that was never unlocked is locked', () => startKeyring({ locked: true }), locked],
    [
      'a keyring without a default collection says so',
      () => startKeyring({ collection: false }),
      {
        kind: 'unavailable',
        reason: 'no_collection',
        message: 'the keyring has no default collection to keep secrets in',
        hint: 'create one in the keyring program (Seahorse: File, New, Password Keyring) and make it the default',
      },
    ],
    [
      'a bus without a keyring says so',
      startBus,
      {
        kind: 'unavailable',
        reason: 'no_service',
        message: 'no keyring runs in this session: nothing on its D-Bus answers as org.freedesktop.secrets',
        hint: 'start gnome-keyring or KWallet, or switch on the Secret Service integration of KeePassXC',
      },
    ],
  ])('%s', async (_, start, trouble) => {
    const session = await forThisTest(start());
    expect(await troubleOf(session)).toEqual(trouble);
  });

  test('a collection locked in the meantime is locked, and its items are not missing', async () => {
    const session = await forThisTest(startKeyring());
    await secretService(session.env).write('ann', 'secret', patience);
    await session.lock();
    expect(await troubleOf(session)).toEqual(locked);
  });

  test('a dialog that has no desktop ends the waiting at once, and the keyring survives it', async () => {
    const session = await forThisTest(startKeyring({ locked: true }));
    expect(await troubleOf(session, atDesktop)).toEqual({
      kind: 'unavailable',
      reason: 'dismissed',
      message: 'the keyring stays locked: its dialog was dismissed, or there is no desktop to show it on',
      hint: 'run the command again and answer the dialog, or unlock the keyring first',
    });
    expect(await troubleOf(session)).toEqual(locked);
  });

  test('no bus is told apart from a bus that is gone', async () => {
    const gone = await startBus();
    await gone.stop();
    const hint =
      'run the command in the desktop session, or set DBUS_SESSION_BUS_ADDRESS to the bus of that session';
    const noBus = { kind: 'unavailable', reason: 'no_bus', hint };
    const message = 'the keyring is out of reach: this session has no working D-Bus';
    expect(await troubleOf(gone)).toEqual({ ...noBus, message: `${message} (ENOENT)` });
    expect(await secretService({}).read('ann', patience)).toEqual({
      ...noBus,
      message: `${message} (no address of a bus)`,
    });
  });

  test('a keyring that never answers ends each call, and the process, within the time limit', async () => {
    const session = await forThisTest(startSilentKeyring());
    const folder = mkdtempSync(join(tmpdir(), 'authcli-secret-service-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const bundle = await rolldown({
      input: join(import.meta.dirname, 'read-and-print.ts'),
      platform: 'node',
    });
    const file = join(folder, 'read-and-print.cjs');
    await bundle.write({ file, format: 'cjs', codeSplitting: false });
    const started = performance.now();
    const child = spawn(execPath, [file, '500'], { env: { ...environment, ...session.env } });
    const [stdout] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    const elapsed = performance.now() - started;
    expect({ exitCode: child.exitCode, answer: JSON.parse(stdout) as unknown }).toEqual({
      exitCode: 0,
      answer: {
        kind: 'unavailable',
        reason: 'timeout',
        message: 'the keyring did not answer within 0.5 s',
        hint: 'if it shows a dialog, run the command in a terminal: there is time to answer it there; if it hangs, restart it (gnome-keyring-daemon --replace) or log in again',
      },
    });
    expect(elapsed).toBeGreaterThan(500);
    expect(elapsed).toBeLessThan(2_000);
  });
});

describe('with a keyring that asks the person', () => {
  test.each([
    ['the collection', { locked: true }],
    ['the item alone', { itemLocked: true }],
  ])('%s is unlocked by a confirmed dialog', async (_, state) => {
    const keyring = await forThisTest(startScriptedKeyring({ ...state, dialog: 'confirmed' }));
    const keychain = secretService(keyring.env);
    expect(await keychain.read('ann', atDesktop)).toEqual({ kind: 'found', secret: 'secret' });
  });

  test('writing and removing wait for the dialogs that they cause', async () => {
    const keyring = await forThisTest(startScriptedKeyring({ locked: true, dialog: 'confirmed' }));
    const keychain = secretService(keyring.env);
    expect(await keychain.write('ann', 'secret', atDesktop)).toEqual({ kind: 'done' });
    expect(await keychain.remove('ann', atDesktop)).toEqual({ kind: 'done' });
    expect(keyring.calls.filter((member) => member === 'Prompt')).toHaveLength(3);
  });

  test.each([
    ['the collection is locked', { locked: true }],
    ['the item is locked', { itemLocked: true }],
  ])('nothing is asked of a person who should not be asked when %s', async (_, state) => {
    const keyring = await forThisTest(startScriptedKeyring({ ...state, dialog: 'confirmed' }));
    expect(await secretService(keyring.env).read('ann', patience)).toMatchObject({ reason: 'locked' });
    expect(keyring.calls).not.toContain('Unlock');
    expect(keyring.calls).not.toContain('Prompt');
  });

  test('a write that would need a dialog is not done behind the back of the person', async () => {
    const keyring = await forThisTest(startScriptedKeyring({ dialog: 'confirmed' }));
    expect(await secretService(keyring.env).write('ann', 'secret', patience)).toMatchObject({
      reason: 'locked',
    });
    expect(keyring.calls).not.toContain('Prompt');
  });

  test('a dismissed dialog is told from one that nobody answered, and neither is dismissed by us', async () => {
    const dismissed = await forThisTest(startScriptedKeyring({ locked: true, dialog: 'dismissed' }));
    const ignored = await forThisTest(startScriptedKeyring({ locked: true, dialog: 'ignored' }));
    const hint = 'run the command again and answer the dialog, or unlock the keyring first';
    expect([
      await secretService(dismissed.env).read('ann', atDesktop),
      await secretService(ignored.env).read('ann', { timeoutMs: 300, mayPrompt: true }),
    ]).toEqual([
      {
        kind: 'unavailable',
        reason: 'dismissed',
        message: 'the keyring stays locked: its dialog was dismissed, or there is no desktop to show it on',
        hint,
      },
      {
        kind: 'unavailable',
        reason: 'timeout',
        message: 'nobody answered the dialog of the keyring in time',
        hint,
      },
    ]);
    expect([...dismissed.calls, ...ignored.calls]).not.toContain('Dismiss');
  });

  test('an unlocking that changes nothing is not tried again', async () => {
    const answers = { Unlock: { signature: 'aoo', body: [[], '/'] } };
    const keyring = await forThisTest(startScriptedKeyring({ locked: true, answers }));
    expect(await secretService(keyring.env).read('ann', atDesktop)).toMatchObject({ reason: 'locked' });
  });
});

describe('with a keyring that misbehaves', () => {
  const refused = { kind: 'unavailable', reason: 'refused' };
  const hint = 'look at the keyring program, or restart it, and try again';

  test.each([
    ['an error', 'GetSecret', { kind: 'error', errorName: 'org.example.Broken' }, 'org.example.Broken'],
    [
      'an error with an escape sequence for a name',
      'GetSecret',
      { kind: 'error', errorName: '\u001b[2J' },
      'an error without a name',
    ],
    [
      'no secret in its answer',
      'GetSecret',
      { signature: 's', body: ['secret'] },
      'its answer makes no sense',
    ],
    ['an empty answer', 'OpenSession', {}, 'its answer makes no sense'],
  ] as const)('%s is a refusal', async (_, member, answer, why) => {
    const keyring = await forThisTest(startScriptedKeyring({ answers: { [member]: answer } }));
    expect(await secretService(keyring.env).read('ann', patience)).toEqual({
      ...refused,
      message: `the keyring refused: ${why}`,
      hint,
    });
  });

  test('an activation that fails is a keyring that does not run', async () => {
    const errorName = 'org.freedesktop.DBus.Error.Spawn.ChildExited';
    const keyring = await forThisTest(
      startScriptedKeyring({ answers: { Get: { kind: 'error', errorName } } }),
    );
    expect(await secretService(keyring.env).read('ann', patience)).toMatchObject({ reason: 'no_service' });
  });

  test('a person at a dialog may take minutes, a silent keyring may not', async () => {
    const keyring = await forThisTest(startScriptedKeyring({ answers: { OpenSession: 'silence' } }));
    const started = performance.now();
    const duringLogin = { timeoutMs: 300_000, mayPrompt: true };
    expect(await secretService(keyring.env).read('ann', duringLogin)).toMatchObject({
      reason: 'timeout',
      message: 'the keyring did not answer within 4 s',
    });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test.each(['ReadAlias', 'OpenSession', 'SearchItems', 'GetSecret'])(
    'silence after %s ends within the time limit',
    async (member) => {
      const keyring = await forThisTest(
        startScriptedKeyring({ answers: { [member]: 'silence', ...noGlance(member) } }),
      );
      const started = performance.now();
      expect(await secretService(keyring.env).read('ann', { ...patience, timeoutMs: 300 })).toMatchObject({
        reason: 'timeout',
        message: 'the keyring did not answer within 0.3 s',
      });
      expect(performance.now() - started).toBeLessThan(1_000);
    },
  );
});

/** ReadAlias is for keyrings that do not answer under their aliases. */
function noGlance(member: string): Script['answers'] {
  const errorName = 'org.freedesktop.DBus.Error.UnknownObject';
  return member === 'ReadAlias' ? { SearchItems: { kind: 'error', errorName } } : {};
}

async function createItem(
  session: BusSession,
  collection: string,
  account: string,
): Promise<Value | undefined> {
  const bus = new Bus(session.env);
  const destination = 'org.freedesktop.secrets';
  const get = { destination, path: '/org/freedesktop/secrets', interface: 'org.freedesktop.DBus.Properties' };
  const about = ['org.freedesktop.Secret.Service', 'Collections'];
  await bus.call({ ...get, member: 'Get', signature: 'ss', body: about }, 5_000);
  const service = {
    destination,
    path: '/org/freedesktop/secrets',
    interface: 'org.freedesktop.Secret.Service',
  };
  const plain = ['plain', new Variant('s', '')];
  const [, opened = '/'] = await bus.call(
    { ...service, member: 'OpenSession', signature: 'sv', body: plain },
    5_000,
  );
  const attributes = [
    ['service', 'authcli'],
    ['username', account],
    ['xdg:schema', 'org.freedesktop.Secret.Generic'],
  ];
  const [item] = await bus.call(
    {
      destination,
      path: collection,
      interface: 'org.freedesktop.Secret.Collection',
      member: 'CreateItem',
      signature: 'a{sv}(oayays)b',
      body: [
        [['org.freedesktop.Secret.Item.Attributes', new Variant('a{ss}', attributes)]],
        [opened, Buffer.alloc(0), Buffer.from('secret'), 'text/plain'],
        true,
      ],
    },
    5_000,
  );
  bus.close();
  return item;
}
