import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { childEnvironment, nodeEnvironment } from '../src/child-environment.js';
import { AuthError } from '../src/errors.js';
import { absoluteSearchPath, namedProgram, wholeCommand, wholePath } from '../src/named-program.js';
import { isWholePath } from '../src/whole-path.js';
import { asBatchFile } from '../src/platform/batch-file.js';

const linux = { env: { HOME: '/home/jane', PATH: '/usr/bin:/bin' }, platform: 'linux' } as const;
const windows = { env: { USERPROFILE: 'C:\\Users\\jane' }, platform: 'win32' } as const;

describe('a path that depends on where we stand is not whole', () => {
  test.each([
    ['/x', true],
    ['x', false],
    ['./x', false],
    ['../x', false],
    ['~/x', false],
    ['C:\\x', false],
  ])('on Linux: %s', (path, isWhole) => expect(isWholePath(path, linux)).toBe(isWhole));

  test.each([
    ['C:\\x', true],
    ['c:/x', true],
    ['\\\\server\\share\\x', true],
    ['C:x', false],
    ['\\x', false],
    ['/x', false],
    ['.\\x', false],
    ['x', false],
  ])('on Windows: %s', (path, isWhole) => expect(isWholePath(path, windows)).toBe(isWhole));

  test.each(['C:vault.exe get', '\\tools\\vault.exe', '.\\vault', 'tools/vault', 'tools\\vault'])(
    'so Windows refuses the program of %s',
    (command) => expect(namedProgram(command, windows)).toMatchObject({ kind: 'relative' }),
  );

  test('and so the PATH of Windows loses what the current drive decides', () => {
    const env = { Path: 'C:\\Windows;;.;\\tools;C:tools;bin;D:\\x' };
    expect(absoluteSearchPath({ env, platform: 'win32' })).toBe('C:\\Windows;D:\\x');
  });
});

test.each([
  ['secret.txt', '/work/secret.txt'],
  ['../secret.txt', '/secret.txt'],
  ['/etc/secret', '/etc/secret'],
  ['~/secret', '/home/jane/secret'],
  ['~jane/secret', '/work/~jane/secret'],
])('who stands in /work means by %s: %s', (path, whole) => {
  expect(wholePath(path, '/work', linux)).toBe(whole);
});

test.each([
  ['.\\vault.exe get', "'D:\\work\\vault.exe' get"],
  ['tools/vault get', "'D:\\work\\tools\\vault' get"],
  ['C:\\vault\\vault.exe get .\\acme.json', "'C:\\vault\\vault.exe' get 'D:\\work\\acme.json'"],
  ['vault get acme', 'vault get acme'],
])('who stands in D:\\work means by %s: %s', (command, whole) => {
  expect(wholeCommand(command, 'D:\\work', windows)).toBe(whole);
});

describe('a command is left as it was typed', () => {
  test.each([
    'pass show notion',
    'op read "op://Private/acme/secret"',
    'sh -c "vault get acme | head -1"',
    'jq -r .secret /etc/acme.json',
    "sh 'open",
    'firefox -P x',
    'browser --app=%s',
    'git -C .. config x',
    'curl -d a=b https://vault.test/x',
  ])('%s', (command) => expect(wholeCommand(command, '/work', linux)).toBe(command));

  test('where a word that is a file is a program on the PATH, too', () => {
    const folder = mkdtempSync(join(tmpdir(), 'authcli-named-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const name of ['sh', 'acme', '-n']) writeFileSync(join(folder, name), '');
    expect(wholeCommand('env sh acme -n', folder, linux)).toBe(`env sh ${folder}/acme -n`);
  });
});

describe('a batch file of Windows', () => {
  test('is found for a secret, and not for a browser', () => {
    const folder = mkdtempSync(join(tmpdir(), 'authcli-batch-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'vault.cmd');
    writeFileSync(path, '');
    chmodSync(path, 0o755);
    // With two slashes it is a whole path for both systems.
    const command = `/${folder}/vault get`;
    expect(namedProgram(command, windows)).toMatchObject({ kind: 'not_found' });
    expect(namedProgram(command, windows, true)).toEqual({
      kind: 'found',
      path: `/${path}`,
      words: ['get'],
    });
  });

  test('is started by cmd.exe, by whole paths', () => {
    const named = { path: 'C:\\Program Files\\az.cmd', words: ['keyvault', 'secret show', '--name=a'] };
    expect(asBatchFile(named, { env: { SystemRoot: 'C:\\WINDOWS' }, platform: 'win32' })).toEqual({
      program: 'C:\\WINDOWS\\System32\\cmd.exe',
      words: ['/d', '/s', '/c', '""C:\\Program Files\\az.cmd" "keyvault" "secret show" "--name=a""'],
      windowsVerbatimArguments: true,
    });
  });

  test.each(['a&calc', '%PATH%', 'a"b', 'a^b', 'a|b', 'a>b', '!x!', 'a\nb', 'C:\\x\\'])(
    'is not given %j, which could become a command of its own',
    (word) => {
      const start = () => asBatchFile({ path: 'C:\\az.cmd', words: [word] }, windows);
      expect(start).toThrow(AuthError);
    },
  );

  test('is nothing special elsewhere', () => {
    expect(asBatchFile({ path: '/az.cmd', words: [] }, linux)).toBeUndefined();
    expect(asBatchFile({ path: 'C:\\az.exe', words: ['%'] }, windows)).toBeUndefined();
  });
});

describe('what a program inherits', () => {
  test('is nothing of ours, no secret of a client, no PATH of the current folder, and not where that is', () => {
    const env = {
      AUTHCLI_STORE_PASSPHRASE: 'x',
      authcli_client_secret: 'x',
      ACME_SECRET: 'x',
      HOME: '/h',
      PATH: ':.:bin:/usr/bin:',
      PWD: '/cloned',
      OLDPWD: '/cloned/before',
    };
    expect(childEnvironment({ env, platform: 'linux' }, new Set(['ACME_SECRET']))).toEqual({
      HOME: '/h',
      PATH: '/usr/bin',
    });
  });

  test.each([
    ['--require ./hook.js', ''],
    ['-r dotenv/config --max-old-space-size=512', '--max-old-space-size=512'],
    ['--import=./hook.mjs --use-openssl-ca', '--use-openssl-ca'],
    ['--require "/a b/hook.js" -r /hook.js', '--require "/a b/hook.js" -r /hook.js'],
    ['--import=file:///hook.mjs', '--import file:///hook.mjs'],
    ['--max-old-space-size=512', '--max-old-space-size=512'],
  ])('in a Node of ours that stands elsewhere: NODE_OPTIONS=%s', (options, inherited) => {
    const env = { NODE_OPTIONS: options, NODE_EXTRA_CA_CERTS: 'ca.pem' };
    expect(nodeEnvironment({ env, platform: 'linux' }, '/work')).toEqual({
      NODE_OPTIONS: inherited,
      NODE_EXTRA_CA_CERTS: '/work/ca.pem',
    });
  });
});
