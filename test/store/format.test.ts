import { chmodSync, cpSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { parseRecord } from '../../src/store/session-record.js';
import { newMachine, type Machine, type Outcome } from '../support/run.js';
import { openedSession, sessionFiles } from '../support/sessions.js';

/**
 * State folders as the programs of November 2026 wrote them: Jane and John signed in with the built program at a provider of
 * `startAcme({ port: 9000 })` that lived for one test, Jane's session was refreshed once and asked for a narrower scope. In
 * format 2 the answer to a second refresh was refused, too, and its refresh token kept; John had asked for a resource. Never
 * made anew: whoever changes the format lets these be read, or counts the version in the files up.
 */
const passphrase = { AUTHCLI_STORE_PASSPHRASE: 'correct horse battery staple' };
const formatTwo: WrittenFolder = {
  written: 'format-2/key-file',
  env: {},
  at: '2026-11-30T21:16:00Z',
  johnsScope: 'read',
  jane: 'eNnJheQXW4eoB5hL_5TZ1n-gaTN7eIgTS_vco15sZyG',
  john: '3FodvGd2Q-x59nMgnqBWzGEN-3AU0ibRz9M44jF9ucQ',
  narrow: 'Ua4iqzipeMh4RSb21-2bUk5-HRzwym7S-0ssH91Cl8O',
};
const folders: readonly WrittenFolder[] = [
  {
    written: 'format-1/key-file',
    env: {},
    at: '2026-11-21T04:00:00Z',
    johnsScope: 'openid profile email offline_access',
    jane: 'ieo2lb9u9PCNpe7uoEUuiUVuz9ReaGb6GgUDqjNwYiu',
    john: 'eI9pSOeij5_pW3bYvtELXg4WOOclm3x7b2UO9-f-UXs',
    narrow: 'XtNTWBl3obtxlpLcmSA3EDYd6UhRzOix_s2D0TX9aGu',
  },
  {
    written: 'format-1/passphrase',
    env: passphrase,
    at: '2026-11-21T04:00:00Z',
    johnsScope: 'openid profile email offline_access',
    jane: 'mOgg6fdxloX-ubcBnrFngU0vK9oB5mpNPYF3j2IljZr',
    john: '3AGyMN_hlX8rHa8-0TylBQ_Pp22hgFebuPukW5ZtT7q',
    narrow: 'P3pQklelZSSJc5nOukuqUS_rGQeBenRkHDgwuNKJ7ob',
  },
  formatTwo,
  {
    written: 'format-2/passphrase',
    env: passphrase,
    at: '2026-11-30T21:16:00Z',
    johnsScope: 'read',
    jane: 'BACmp5YXtGdiEemvZy85vGG9cB1TUwbGq1vNbtcb0t3',
    john: 'IxqbewiezwtzRww_BJBap-aMkCzIbz7HgD8WGJhduIA',
    narrow: 'AUrUKcucbEVEu12Y6lBB5yQPEwjiHkkM2exbesKXN9N',
  },
];

interface WrittenFolder {
  readonly written: string;
  readonly env: Readonly<Record<string, string>>;
  /** Before the access tokens expired. */
  readonly at: string;
  readonly johnsScope: string;
  readonly jane: string;
  /** The end of it. */
  readonly john: string;
  readonly narrow: string;
}

describe.each(folders)('sessions that an earlier authcli sealed, $written:', (folder) => {
  test('give their tokens and stand in the list, and are left as they are', async () => {
    const machine = machineWith(folder);
    const before = contents(machine);
    const run = (...argv: string[]) => machine.run(argv, { now: () => new Date(folder.at) });
    expect(await run('token')).toEqual(printed(folder.jane));
    expect(await run('token', '-a', 'john')).toEqual({
      ...printed(''),
      stdout: expect.stringMatching(new RegExp(`${folder.john}\n$`)),
    });
    expect(await run('token', '--scope', 'openid email')).toEqual(printed(folder.narrow));
    expect(await run('token', '--type', 'id')).toEqual({
      ...printed(''),
      stdout: expect.stringMatching(/^eyJ\S+\n$/),
    });
    expect(await run('status')).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(
        new RegExp(
          '^   PROVIDER  ACCOUNT         STATE      TOKEN        STORE  SCOPE\n' +
            '\\*  acme      jane@acme.test  signed in  49 min left  file   openid profile email offline_access\n' +
            `   acme      john@acme.test  signed in  \\d\\d min left  file   ${folder.johnsScope}\n$`,
        ),
      ),
      stderr: '',
    });
    expect(contents(machine)).toEqual(before);
  });
});

test('a session keeps the refresh token that nobody has verified', () => {
  const machine = machineWith(formatTwo);
  const files = sessionFiles(machine).filter((file) => readFileSync(file, 'utf8').includes('jane'));
  expect(files.map((file) => openedSession(machine, file).unverifiedRefreshToken)).toEqual([
    'MHzzwRrMeEgFXw9jQIF2HMOGg8P6AbF_NuRvNTMCO-o',
  ]);
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

function machineWith({ written, env }: WrittenFolder): Machine {
  const machine = newMachine(env);
  const from = fileURLToPath(new URL(written, import.meta.url));
  cpSync(from, join(machine.folder, 'state'), { recursive: true });
  cpSync(join(from, '..', 'config.json'), join(machine.folder, 'config', 'config.json'));
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
