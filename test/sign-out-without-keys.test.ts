import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { secretService } from '../src/store/secret-service.js';
import { forThisTest, keyringInstalled, startKeyring } from './support/keyring.js';
import { login, nativeClient, signedInWithKeyring, startAcme } from './support/newcomer.js';
import type { Provider } from './support/provider.js';
import { requirement } from './support/requirements.js';
import { newMachine, type Machine, type Outcome } from './support/run.js';
import { openedSession, sealedSession, sessionFiles } from './support/sessions.js';

const revocation = '/token/revocation';
const secret = 'correct-horse-4711';

interface Confidential {
  readonly acme: Provider;
  readonly machine: Machine;
}

/** Jane's client proves itself with a secret. @param env what the programs of the machine are started with */
async function confidential(env: Readonly<Record<string, string>>): Promise<Confidential> {
  const client = { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' } as const;
  return { acme: await startAcme({ clients: [nativeClient(client)] }), machine: newMachine(env) };
}

function configure({ acme, machine }: Confidential, client: object): void {
  const entry = { issuer: acme.issuer, clientId: 'app', scope: 'openid email offline_access', client };
  machine.configure({ providers: { acme: entry } });
}

function forgotten(reason: string): Outcome {
  return {
    exitCode: 0,
    stdout: '',
    stderr:
      `warning: refresh token and access token not revoked (${reason}): good at acme until expiry\n` +
      '✓ Signed out of acme as jane@acme.test: session forgotten.\n',
  };
}

/** Where the secret was at the sign-in, and what has happened to it since. */
const losses: [title: string, given: object, after: object, reason: string][] = [
  ['its variable is not set', { env: 'GONE' }, { env: 'GONE' }, 'is not there: GONE is not set'],
  [
    'its file is gone',
    { file: 'FOLDER/secret' },
    { file: 'FOLDER/secret' },
    'is not there: cannot read FOLDER/secret (ENOENT)',
  ],
  [
    'its file is empty',
    { file: 'FOLDER/secret' },
    { file: '/dev/null' },
    'is empty: /dev/null gives nothing',
  ],
  [
    'its path is relative',
    { file: 'FOLDER/secret' },
    { file: 'secret' },
    'is in a file by a relative path: "secret"',
  ],
  [
    'its command fails',
    { command: 'cat FOLDER/secret' },
    { command: 'cat FOLDER/secret' },
    'is not there: its command failed (exit code 1)',
  ],
  [
    'its command is not installed',
    { command: 'cat FOLDER/secret' },
    { command: 'no-such-program-4711' },
    'is not there: its command is not an installed program',
  ],
];

describe('a sign-out without the client secret forgets the session, and warns', () => {
  test.each(losses)('%s', async (_title, given, after, reason) => {
    const known = await confidential({ AUTHCLI_STORE: 'file' });
    const { acme, machine } = known;
    const inFolder = (source: object): object => {
      const named: object = JSON.parse(JSON.stringify(source).replaceAll('FOLDER', machine.folder));
      return named;
    };
    const file = join(machine.folder, 'secret');
    writeFileSync(file, secret);
    configure(known, { secret: inFolder(given) });
    const signingIn = {
      ...machine,
      spawn: (argv: readonly string[]) => machine.spawn(argv, { GONE: secret }),
    };
    expect(await login(signingIn)).toMatchObject({ exitCode: 0, stdout: '' });
    configure(known, { secret: inFolder(after) });
    rmSync(file);
    const why = `the client secret ${reason.replaceAll('FOLDER', machine.folder)}`;
    expect(await machine.spawn(['logout'])).toEqual(forgotten(why));
    expect(sessionFiles(machine)).toEqual([]);
    expect(acme.requestsTo(revocation)).toEqual([]);
  });

  test('its certificate cannot be presented; the reason is in the answer in JSON', async () => {
    const known = await confidential({ AUTHCLI_STORE: 'file', GIVEN: secret });
    const { machine } = known;
    configure(known, { secret: { env: 'GIVEN' } });
    expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
    configure(known, { certificate: { file: '/nowhere/client.pem' } });
    const { exitCode, stdout } = await machine.spawn(['logout', '--json']);
    const answer: unknown = JSON.parse(stdout);
    expect({ exitCode, answer }).toMatchObject({
      exitCode: 0,
      answer: {
        sessions: [
          {
            provider: 'acme',
            revoked: [],
            notRevoked: ['refresh_token', 'access_token'],
            reason: expect.stringContaining('a certificate cannot be presented to'),
          },
        ],
      },
    });
    expect(sessionFiles(machine)).toEqual([]);
  });

  test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
    'it is in a keychain that is locked, or was removed from it',
    async () => {
      const keyring = await forThisTest(startKeyring());
      const known = await confidential({ ...keyring.env, AUTHCLI_STORE: 'file', GIVEN: secret });
      const { acme, machine } = known;
      const item = `client secret of app at ${acme.issuer}`;
      const patience = { timeoutMs: 5_000, mayPrompt: false };
      const keychain = secretService(keyring.env);
      expect(await keychain.write(item, secret, patience)).toEqual({ kind: 'done' });
      configure(known, { secret: { keychain: true } });
      expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
      await keyring.lock();
      expect(await machine.spawn(['logout'])).toEqual(
        forgotten('the keychain cannot keep or give the client secret: the keyring is locked'),
      );
      await keyring.unlock();
      expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
      expect(await keychain.remove(item, patience)).toEqual({ kind: 'done' });
      expect(await machine.spawn(['logout'])).toEqual(
        forgotten('the client secret of acme is not in the keychain'),
      );
      expect(sessionFiles(machine)).toEqual([]);
      expect(acme.requestsTo(revocation)).toEqual([]);
    },
  );
});

describe('a session whose key cannot be had stays, and the hint names the way to forget it', () => {
  test.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
    'a locked keychain: that way asks neither the keychain nor the provider',
    async () => {
      const { acme, machine, keyring } = await signedInWithKeyring();
      await keyring.lock();
      const requests = acme.requests.length;
      const before = sealedSession(machine);
      const unlock = 'unlock it in the desktop session, with Seahorse, KWallet or KeePassXC, and try again';
      const ways = [
        [[], ''],
        [['--all'], ' --all'],
        [['-p', 'acme', '-a', 'jane'], '', ' -p acme -a jane'],
      ] as const;
      for (const [typed, all, named = ''] of ways) {
        expect(await machine.spawn(['logout', ...typed])).toEqual({
          exitCode: 7,
          stdout: '',
          stderr:
            'error: still signed in to acme as jane@acme.test: the keyring is locked\n' +
            `hint: ${unlock}; or forget without revoking: authcli logout${all} --no-revoke${named}\n`,
        });
      }
      expect(sealedSession(machine)).toBe(before);
      keyring.hang('keyring');
      const startedAt = performance.now();
      expect(await machine.spawn(['logout', '--no-revoke', '-p', 'acme', '-a', 'jane'])).toEqual(
        forgotten('--no-revoke'),
      );
      // The keyring would be waited for four seconds.
      expect(performance.now() - startedAt).toBeLessThan(3_500);
      keyring.goOn();
      expect(acme.requests).toHaveLength(requests);
      expect(sessionFiles(machine)).toEqual([]);
    },
  );

  test('a passphrase that was not given', async () => {
    const known = await confidential({ AUTHCLI_STORE: 'file', GIVEN: secret });
    const { machine } = known;
    configure(known, { secret: { env: 'GIVEN' } });
    const withPassphrase = {
      ...machine,
      spawn: (argv: readonly string[]) =>
        machine.spawn(argv, { AUTHCLI_STORE_PASSPHRASE: 'a long passphrase' }),
    };
    expect(await login(withPassphrase)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await machine.spawn(['logout'])).toEqual({
      exitCode: 7,
      stdout: '',
      stderr:
        'error: still signed in to acme as jane@acme.test: the sessions are sealed with a passphrase, and none was given\n' +
        'hint: set AUTHCLI_STORE_PASSPHRASE; or forget without revoking: authcli logout --no-revoke\n',
    });
    expect(await machine.spawn(['logout', '--no-revoke'])).toEqual(forgotten('--no-revoke'));
    expect(sessionFiles(machine)).toEqual([]);
  });
});

async function signedIn(): Promise<Confidential> {
  const known = await confidential({ AUTHCLI_STORE: 'file', GIVEN: secret });
  configure(known, { secret: { env: 'GIVEN' } });
  expect(await login(known.machine)).toMatchObject({ exitCode: 0, stdout: '' });
  return known;
}

/** The signal comes while the provider is asked at that path and has not answered. */
async function interruptedAt(path: string, { acme, machine }: Confidential): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    acme.answerNext(path, () => {
      resolve();
      return new Promise(() => {});
    });
  });
  const running = machine.start(['logout']);
  await asked;
  running.child.kill('SIGINT');
  await running.outcome;
}

describe('a Ctrl-C in a sign-out', () => {
  test.each([1, 2])(
    'at revocation %i leaves no session that gives tokens; the next sign-out ends it',
    async (at) => {
      const known = await signedIn();
      const { acme, machine } = known;
      for (let times = 1; times < at; times++) acme.answerNext(revocation, { status: 200 });
      await interruptedAt(revocation, known);
      expect(openedSession(machine).ended).toEqual({
        at: expect.any(String),
        reason: 'a sign-out was begun',
      });
      const requests = acme.requests.length;
      expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
      expect(acme.requests).toHaveLength(requests);
      expect(await machine.spawn(['logout'])).toEqual({
        exitCode: 0,
        stdout: '',
        stderr:
          '✓ Signed out of acme as jane@acme.test: refresh token and access token revoked, session forgotten.\n',
      });
    },
  );

  test('before anything was revoked leaves the session as it was', async () => {
    const known = await signedIn();
    const { machine } = known;
    rmSync(join(machine.folder, 'state', 'metadata'), { recursive: true, force: true });
    await interruptedAt('/.well-known/openid-configuration', known);
    expect(openedSession(machine).ended).toBeNull();
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  });
});
