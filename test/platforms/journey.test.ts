import { closeSync, mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { platform } from 'node:process';

import { describe, expect, test } from 'vitest';

import { expired } from '../faults/session.js';
import { forThisTest, keyringInstalled, startKeyring } from '../support/keyring.js';
import { login, startAcme, type Newcomer } from '../support/newcomer.js';
import { until } from '../support/processes.js';
import { requirement } from '../support/requirements.js';
import { newMachine, type Outcome } from '../support/run.js';

/**
 * A person's way through the program, on whatever system this runs: `wine.js` and `arm64.js` take it to others. Nothing here may
 * depend on signals, modes, pseudo terminals or shells.
 */
const token: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const done = expect.objectContaining({ exitCode: 0 });
const parallel = 20;

/** macOS asks the person before a new program may use the keychain. */
const stores = ['file', ...(canUseKeychain() ? ['keychain'] : [])];

function canUseKeychain(): boolean {
  if (platform === 'linux') return requirement('gnome-keyring', keyringInstalled());
  return platform === 'win32';
}

/** In folders such as people have: with spaces, and with letters that no code page has all of. */
async function person(store: string): Promise<Newcomer> {
  const bus =
    platform === 'linux' && stores.includes('keychain') ? await forThisTest(startKeyring()) : undefined;
  const acme = await startAcme();
  const { folder } = newMachine();
  const home = join(folder, 'Jürgen Кузнецов 山田');
  mkdirSync(home);
  const machine = newMachine({
    ...bus?.env,
    AUTHCLI_CONFIG_DIR: join(home, 'My Configuration'),
    AUTHCLI_STATE_DIR: join(home, 'My Sessions'),
    AUTHCLI_STORE: store,
  });
  const scope = 'openid profile email offline_access';
  const entry = ['--issuer', acme.issuer, '--client-id', 'cli', '--scope', scope];
  expect(await machine.spawn(['provider', 'add', 'acme', ...entry])).toEqual(done);
  expect(await login(machine, '--json')).toEqual({
    exitCode: 0,
    stdout: expect.stringContaining(`"store":"${store}"`),
    stderr: expect.not.stringContaining('warning'),
  });
  return { acme, machine };
}

describe.each(stores)('with the key in the store "%s"', { timeout: 600_000 }, (store) => {
  test('a person signs in, gets tokens, moves the sessions, and signs out', async () => {
    const { acme, machine } = await person(store);
    const first = await machine.spawn(['token']);
    expect(first).toEqual(token);
    expect(await machine.spawn(['token'])).toEqual(first);
    const second = await machine.spawn(['token', '--force-refresh']);
    expect(second).toEqual(token);
    expect(second.stdout).not.toBe(first.stdout);
    expect(await machine.spawn(['whoami', '--json'])).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('jane@acme.test'),
      stderr: '',
    });
    expect(await machine.spawn(['status', '--json'])).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('"state":"valid"'),
      stderr: '',
    });
    for (const other of stores.toReversed()) {
      expect(await machine.spawn(['store', 'migrate', other], { AUTHCLI_STORE: '' })).toEqual(done);
      expect(await machine.spawn(['token'], { AUTHCLI_STORE: '' })).toEqual(second);
    }
    expect(await login(machine)).toEqual(done);
    expect(await machine.spawn(['logout', '--all'])).toEqual(done);
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
    expect(acme.requestsTo('/token/revocation').length).toBeGreaterThan(0);
  });

  test(`${parallel} processes on an expired token make one refresh between them`, async () => {
    const { acme, machine } = await person(store);
    acme.answerNext('/token', expired);
    await machine.spawn(['token', '--force-refresh']);
    const before = acme.requestsTo('/token').length;
    const outcomes = await Promise.all(Array.from({ length: parallel }, () => machine.spawn(['token'])));
    expect(outcomes[0]).toEqual(token);
    expect(outcomes).toEqual(outcomes.map(() => outcomes[0]));
    expect(acme.requestsTo('/token')).toHaveLength(before + 1);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(token);
  });

  test('a refresh is saved although somebody reads the session file', async () => {
    const { machine } = await person(store);
    const folder = join(machine.env['AUTHCLI_STATE_DIR'] ?? '', 'sessions');
    const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.session')) ?? '');
    const before = readFileSync(file, 'utf8');
    const reader = openSync(file, 'r');
    const refreshing = machine.spawn(['token', '--force-refresh']);
    // Where a reader is in the way, the new session lies beside it by then, and the rename is being tried.
    await until(() => readFileSync(file, 'utf8') !== before || hasWholeSession(folder), 25_000);
    closeSync(reader);
    expect(await refreshing).toEqual(token);
    expect(await machine.spawn(['token'])).toEqual(await refreshing);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

function hasWholeSession(folder: string): boolean {
  return readdirSync(folder)
    .filter((name) => name.includes('.session.') && name.endsWith('.tmp'))
    .some((name) => beginsLikeASession(join(folder, name)));
}

function beginsLikeASession(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').startsWith('{');
  } catch {
    // It is in its place already.
    return false;
  }
}
