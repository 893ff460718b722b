import { chmodSync, cpSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { parseRecord } from '../../src/store/session-record.js';
import { newMachine, type Machine, type Outcome } from '../support/run.js';

/**
 * State folders as the program of November 2026 wrote them: Jane and John signed in with the built program at a provider of
 * `startAcme({ port: 9000 })` that lived for one test, Jane's session was refreshed once and asked for a narrower scope. Never
 * made anew: whoever changes the format lets these be read, or counts the version in the files up.
 */
const folder = fileURLToPath(new URL('format-1', import.meta.url));
const beforeTheyExpired = { now: () => new Date('2026-11-21T04:00:00Z') };

describe.each([
  {
    key: 'key-file',
    env: {},
    jane: 'ieo2lb9u9PCNpe7uoEUuiUVuz9ReaGb6GgUDqjNwYiu',
    john: 'eI9pSOeij5_pW3bYvtELXg4WOOclm3x7b2UO9-f-UXs',
    narrow: 'XtNTWBl3obtxlpLcmSA3EDYd6UhRzOix_s2D0TX9aGu',
  },
  {
    key: 'passphrase',
    env: { AUTHCLI_STORE_PASSPHRASE: 'correct horse battery staple' },
    jane: 'mOgg6fdxloX-ubcBnrFngU0vK9oB5mpNPYF3j2IljZr',
    john: '3AGyMN_hlX8rHa8-0TylBQ_Pp22hgFebuPukW5ZtT7q',
    narrow: 'P3pQklelZSSJc5nOukuqUS_rGQeBenRkHDgwuNKJ7ob',
  },
])('sessions that an earlier authcli sealed with a $key', ({ key, env, jane, john, narrow }) => {
  test('give their tokens and stand in the list, and are left as they are', async () => {
    const machine = machineWith(key, env);
    const before = contents(machine);
    const run = (...argv: string[]) => machine.run(argv, beforeTheyExpired);
    expect(await run('token')).toEqual(printed(jane));
    expect(await run('token', '-a', 'john')).toEqual(printed(john));
    expect(await run('token', '--scope', 'openid email')).toEqual(printed(narrow));
    expect(await run('token', '--type', 'id')).toEqual({
      ...printed(''),
      stdout: expect.stringMatching(/^eyJ\S+\n$/),
    });
    expect(await run('status')).toEqual({
      exitCode: 0,
      stdout:
        '   PROVIDER  ACCOUNT         STATE      TOKEN        STORE  SCOPE\n' +
        '*  acme      jane@acme.test  signed in  49 min left  file   openid profile email offline_access\n' +
        '   acme      john@acme.test  signed in  49 min left  file   openid profile email offline_access\n',
      stderr: '',
    });
    expect(contents(machine)).toEqual(before);
  });
});

describe('what a record says of an e-mail address', () => {
  const account = { sub: 'jane-4711', username: 'jane', email: 'jane@acme.test', name: null };
  const emailVerifiedOf = (authcli: number, more: object) => {
    const summary = { issuer: 'https://acme.test', provider: 'acme', clientId: 'cli', scope: null };
    const dates = { expiresAt: null, signedInAt: '2026-11-30T12:00:00Z', ended: null };
    const key = { kind: 'file', fingerprint: 'f' };
    const header = {
      authcli,
      key,
      ...summary,
      ...dates,
      account: { ...account, ...more },
      refreshable: true,
    };
    const parsed = parseRecord(`${JSON.stringify(header)}\n\n`);
    return parsed.kind === 'record' ? parsed.record.summary.account.emailVerified : parsed.kind;
  };

  test.each([1, 2])('may be left out, in format %i', (authcli) => {
    expect(emailVerifiedOf(authcli, {})).toBeNull();
    expect(emailVerifiedOf(authcli, { emailVerified: null })).toBeNull();
    expect(emailVerifiedOf(authcli, { emailVerified: false })).toBe(false);
  });

  test('is damaged where it is neither yes nor no', () => {
    expect(emailVerifiedOf(2, { emailVerified: 'false' })).toBe('damaged');
  });
});

function printed(token: string): Outcome {
  return { exitCode: 0, stdout: `${token}\n`, stderr: '' };
}

function machineWith(key: string, env: Readonly<Record<string, string>>): Machine {
  const machine = newMachine(env);
  cpSync(join(folder, key), join(machine.folder, 'state'), { recursive: true });
  cpSync(join(folder, 'config.json'), join(machine.folder, 'config', 'config.json'));
  // Git keeps no modes but one.
  for (const path of paths(machine)) chmodSync(path, statSync(path).isDirectory() ? 0o700 : 0o600);
  return machine;
}

function contents(machine: Machine): Record<string, string> {
  const files = paths(machine).filter((path) => statSync(path).isFile());
  return Object.fromEntries(files.map((path) => [path, readFileSync(path, 'utf8')]));
}

function paths(machine: Machine): string[] {
  const state = join(machine.folder, 'state');
  return [
    state,
    ...readdirSync(state, { recursive: true, encoding: 'utf8' }).map((name) => join(state, name)),
  ];
}
