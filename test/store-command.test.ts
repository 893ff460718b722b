import { existsSync, readFileSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { newcomer } from './support/newcomer.js';
import { newMachine } from './support/run.js';
import { approves, approvesAs, browserOf } from './support/user-agents.js';

const noKeychain = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' };

describe('where nobody ever signed in', () => {
  test('store status says so', async () => {
    const machine = newMachine(noKeychain);
    expect(await machine.run(['store', 'status', '--json'])).toEqual({
      exitCode: 0,
      stdout: `${JSON.stringify({
        folder: join(machine.folder, 'state'),
        chosen: 'keychain',
        keychain: { usable: false, reason: 'no_bus' },
        sessions: { keychain: 0, file: 0, damaged: 0 },
      })}\n`,
      stderr: '',
    });
    expect(existsSync(join(machine.folder, 'state'))).toBe(false);
  });

  test.each([
    ['keychain', "under the system's keychain"],
    ['file', 'in sealed files'],
  ])('store migrate %s has nothing to move, makes no key, and keeps the choice', async (store, where) => {
    const machine = newMachine(noKeychain);
    expect(await machine.run(['store', 'migrate', store])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `there is nothing to move; from now on sessions are kept ${where}\n`,
    });
    expect(existsSync(join(machine.folder, 'state'))).toBe(false);
    const configuration: unknown = JSON.parse(
      readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8'),
    );
    expect(configuration).toEqual({ store });
  });

  test('a passphrase for store migrate file would seal nothing, and is refused', async () => {
    const machine = newMachine();
    expect(await machine.run(['store', 'migrate', 'file', '--passphrase'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: there is no session to seal with a passphrase\n' +
        'hint: authcli login --store file --passphrase\n',
    });
    expect(readdirSync(machine.folder)).toEqual([]);
  });
});

test('store migrate names the sessions that it could not move', async () => {
  const { machine } = await newcomer();
  const sessions = join(machine.folder, 'state', 'sessions');
  await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approves));
  const damaged = readdirSync(sessions).find((name) => name.endsWith('.session')) ?? '';
  await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approvesAs('john@acme.test')));
  truncateSync(join(sessions, damaged), 10);
  expect(await machine.run(['store', 'migrate', 'file'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      `warning: not moved: the stored session is damaged: ${join(sessions, damaged)}\n` +
      '✓ 0 sessions moved; all that can be read are in sealed files now.\n',
  });
});
