import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, execPath, pid, platform } from 'node:process';

import { rolldown } from 'rolldown';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { nativeTrouble } from '../../src/store/native-keychain-trouble.js';
import { nativeKeychain } from '../../src/store/native-keychain.js';
import { keyringInstalled, startKeyring, startSilentKeyring, type BusSession } from '../support/keyring.js';
import { requirement } from '../support/requirements.js';

const patience = { timeoutMs: 5_000, mayPrompt: false };
const busAddress = 'DBUS_SESSION_BUS_ADDRESS';
const before = env[busAddress];

let session: BusSession | undefined;

/** The binding looks for the bus in the environment of its process alone. */
function use(started: BusSession): void {
  session = started;
  env[busAddress] = started.env[busAddress];
}

beforeEach(() => {
  session = undefined;
});
afterEach(async () => {
  if (before === undefined) delete env[busAddress];
  else env[busAddress] = before;
  await session?.stop();
});

// macOS and Windows have no keychain that a test could start; on Linux the same binding speaks to gnome-keyring.
describe.skipIf(platform !== 'linux' || !requirement('gnome-keyring', keyringInstalled()))('on Linux', () => {
  test('a secret is written, read, overwritten and removed', async () => {
    use(await startKeyring());
    const keychain = nativeKeychain(execPath, env);
    expect([
      await keychain.read('ann', patience),
      await keychain.write('ann', 'first', patience),
      await keychain.write('ann', 'père', patience),
      await keychain.read('ann', patience),
      await keychain.remove('ann', patience),
      await keychain.remove('ann', patience),
      await keychain.read('ann', patience),
    ]).toEqual([
      { kind: 'missing' },
      { kind: 'done' },
      { kind: 'done' },
      { kind: 'found', secret: 'père' },
      { kind: 'done' },
      { kind: 'done' },
      { kind: 'missing' },
    ]);
  });

  test('a keychain that never answers costs the time limit, and its process is killed', async () => {
    use(await startSilentKeyring());
    const started = performance.now();
    expect(await nativeKeychain(execPath, env).read('ann', { ...patience, timeoutMs: 500 })).toEqual({
      kind: 'unavailable',
      reason: 'timeout',
      message: 'the keychain did not answer within 0.5 s',
      hint: 'if it shows a dialog, run the command in a terminal: there is time to answer it there, with Always Allow',
    });
    expect(performance.now() - started).toBeLessThan(1_500);
    await expect.poll(childrenRunningPrograms).toEqual([]);
  });

  test('with a person at hand it is told after 2 s and given their time, then killed', async () => {
    const silent = inPlaceOfNode('while :; do sleep 1; done');
    let askedAfterMs = 0;
    const started = performance.now();
    const extend = () => {
      askedAfterMs = performance.now() - started;
      return 3_000;
    };
    expect(await nativeKeychain(silent, env).read('ann', { ...patience, timeoutMs: 4_000, extend })).toEqual({
      kind: 'unavailable',
      reason: 'timeout',
      message: 'the keychain did not answer within 5 s',
      hint: 'answer its dialog with Always Allow; if it shows none, look at the keychain program of this system (Keychain Access, Credential Manager)',
    });
    expect(askedAfterMs).toBeGreaterThan(1_900);
    expect(performance.now() - started).toBeGreaterThan(4_900);
    await expect.poll(childrenRunningPrograms).toEqual([]);
  });

  test('an interruption ends the call at once, and its process', async () => {
    use(await startSilentKeyring());
    const person = new AbortController();
    const { signal } = person;
    const reading = nativeKeychain(execPath, env).read('ann', { ...patience, timeoutMs: 20_000, signal });
    await expect.poll(childrenRunningPrograms).toHaveLength(1);
    person.abort(new Error('Ctrl-C'));
    await expect(reading).rejects.toThrow('Ctrl-C');
    await expect.poll(childrenRunningPrograms).toEqual([]);
  });

  test('what the binding refuses is told in its words, never by another place to keep secrets', async () => {
    use(await startSilentKeyring());
    await session?.stop();
    session = undefined;
    expect(await nativeKeychain(execPath, env).write('ann', 'secret', patience)).toMatchObject({
      reason: 'refused',
      message: expect.stringMatching(/^the keychain refused: Platform failure: .+/),
    });
  });

  test('the secret is in no argument of a process', async () => {
    use(await startSilentKeyring());
    const writing = nativeKeychain(execPath, env).write('ann', 'canary-in-argv', {
      ...patience,
      timeoutMs: 500,
    });
    const seen: string[] = [];
    await expect.poll(() => seen.push(...childrenRunningPrograms())).toBeGreaterThan(0);
    await writing;
    expect(seen.join()).not.toContain('canary');
  });
});

test('an answer that comes after a person has answered the dialog counts', async () => {
  const slow = inPlaceOfNode(`cat >/dev/null; sleep 5; echo '${JSON.stringify({ value: 'late' })}'`);
  const extended = { ...patience, timeoutMs: 4_000, extend: () => 20_000 };
  expect(await nativeKeychain(slow, env).read('ann', extended)).toEqual({ kind: 'found', secret: 'late' });
});

test('without the optional package the keychain says how to get it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-native-keychain-'));
  const bundle = await rolldown({ input: join(import.meta.dirname, 'native-read.ts'), platform: 'node' });
  const file = join(folder, 'native-read.cjs');
  await bundle.write({ file, format: 'cjs' });
  expect(JSON.parse(execFileSync(execPath, [file], { encoding: 'utf8' }))).toEqual({
    kind: 'unavailable',
    reason: 'not_installed',
    message: 'the part of authcli that talks to the keychain of this system is not installed',
    hint: 'install authcli again without --omit=optional',
  });
  rmSync(folder, { recursive: true });
});

test.each([
  ['Platform failure: User interaction is not allowed.', 'locked'],
  ['Platform failure: error code -25308', 'locked'],
  ['Platform failure: User canceled the operation.', 'dismissed'],
  ['Platform failure: error code -128', 'dismissed'],
  ["Couldn't access platform storage: Windows ERROR_NO_SUCH_LOGON_SESSION", 'refused'],
  ['A specified logon session does not exist. It may already have been terminated.', 'refused'],
  ['Platform failure: error code -1281', 'refused'],
])('%s means %s', (refusal, reason) => {
  expect(nativeTrouble({ refusal })).toMatchObject({ kind: 'unavailable', reason });
});

test('the words of a system become one clean line', () => {
  expect(nativeTrouble({ refusal: `a\nb\u001b[2J\u202e${'c'.repeat(300)}` }).message).toMatch(
    /^the keychain refused: a b \[2Jc{300}$/,
  );
});

/** A program that is started in place of Node with the binding. */
function inPlaceOfNode(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-native-keychain-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'program');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return path;
}

/** The command lines of our children that run a program given as an argument. */
function childrenRunningPrograms(): string[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const [, parent = ''] = /\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      const commandLine = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      return Number(parent) === pid && commandLine.includes('\0-e\0') ? [commandLine] : [];
    } catch {
      return [];
    }
  });
}
