import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { secretService } from '../src/store/secret-service.js';
import { forThisTest, keyringInstalled, startKeyring } from './support/keyring.js';
import { keychainAccount, login, newcomer, signedInWithKeyring } from './support/newcomer.js';
import { isOnPath, requirement } from './support/requirements.js';
import { agent, type Outcome } from './support/run.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const patience = { timeoutMs: 5_000, mayPrompt: false };

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))('with a real keyring', () => {
  test('the key is one line in one item, and no session needs anything else', async () => {
    const { keyring, machine, account } = await signedInWithKeyring();
    expect(await machine.spawn(['token'])).toEqual(success);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
    await login(machine, '--browser', `${agent} --as john@acme.test`);
    expect(await machine.spawn(['token'])).toEqual(success);
    const found = await secretService(keyring.env).read(account, patience);
    expect(found).toEqual({ kind: 'found', secret: expect.stringMatching(/^[\w+/]{43}=$/) });
    expect(readdirSync(join(machine.folder, 'state'))).not.toContain('store.key');
    expect(await machine.spawn(['logout', '--all'])).toMatchObject({ exitCode: 0 });
  });

  test.skipIf(!requirement('secret-tool', isOnPath('secret-tool')))(
    'other programs find it by its attributes',
    async () => {
      const { keyring, machine, account } = await signedInWithKeyring();
      const attributes = ['lookup', 'service', 'authcli', 'username', account];
      const secret = execFileSync('secret-tool', attributes, {
        env: { ...machine.env, ...keyring.env },
        encoding: 'utf8',
      });
      expect(secret).toMatch(/^[\w+/]{43}=$/);
    },
  );

  test('two state folders never share a key', async () => {
    const { keyring, machine, account } = await signedInWithKeyring();
    const other = (await newcomer(keyring.env)).machine;
    expect(await login(other)).toMatchObject({ exitCode: 0 });
    expect(keychainAccount(other)).not.toBe(account);
    expect(await machine.spawn(['token'])).toEqual(success);
  });

  test('--store file is kept in the configuration, so that a later login does not need it', async () => {
    const keyring = await forThisTest(startKeyring());
    const { machine } = await newcomer(keyring.env);
    expect(await login(machine, '--store', 'file')).toMatchObject({ exitCode: 0 });
    expect(await login(machine, '--json')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('"store":"file"'),
    });
  });
});

test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
  'store migrate moves every session, there and back, without a sign-in; store status says where they are',
  async () => {
    const { acme, machine } = await signedInWithKeyring();
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
