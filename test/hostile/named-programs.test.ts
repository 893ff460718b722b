import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { env as ownEnvironment, execPath } from 'node:process';

import { describe, expect, test } from 'vitest';

import { browserStubs } from '../support/browser-stub.js';
import { login, newcomer, newcomerWith, type Newcomer } from '../support/newcomer.js';
import { behind, type Machine } from '../support/run.js';
import { pendingLoginWithBrowser } from './pending-login.js';
import { processesOf } from './processes.js';

const secret = 'canary-of-a-named-program-0123456789';

interface Folders extends Newcomer {
  /** Where the person stands who adds the provider, and where what is named lies. */
  readonly own: string;
  /** A repository that has files of the same names. */
  readonly hostile: string;
  /** There as soon as a file of the repository was run. */
  readonly trap: string;
  readonly inOwn: Machine;
  readonly inHostile: Machine;
}

/** Everything that is named in the tests, as it lies in the person's folder and, as a trap, in a repository. */
async function twoFolders(): Promise<Folders> {
  const known = await newcomerWith({
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: secret,
  });
  const { machine } = known;
  const [own, hostile] = [join(machine.folder, 'my own'), join(machine.folder, 'hostile')];
  const trap = join(machine.folder, 'trapped');
  // Built up when it runs: no file of the machine holds the secret.
  const [half, otherHalf] = [secret.slice(0, 20), secret.slice(20)];
  const printing = `printf '%s%s\\n' '${half}' '${otherHalf}'`;
  for (const [folder, work] of [
    [own, printing],
    [hostile, `touch '${trap}'; ${printing}`],
  ] as const) {
    for (const name of ['scripts/secret.sh', 'x.sh', 'with space.sh', 'pass']) {
      write(join(folder, name), `#!/bin/sh\n${work}\n`);
    }
    const inNode = `require('node:child_process').execSync(${JSON.stringify(work)}, { stdio: 'inherit' });\n`;
    write(join(folder, 'tools/x.js'), inNode);
  }
  return {
    ...known,
    own,
    hostile,
    trap,
    inOwn: behind(machine, '/usr/bin/env', '-C', own),
    inHostile: behind(machine, '/usr/bin/env', '-C', hostile),
  };
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function added({ acme }: Newcomer, ...options: readonly string[]): readonly string[] {
  const who = ['--issuer', acme.issuer, '--client-id', 'app', '--scope', 'openid offline_access'];
  return ['provider', 'add', 'acme', '--force', ...who, ...options];
}

async function keptClient({ machine }: Newcomer): Promise<unknown> {
  const { stdout } = await machine.spawn(['provider', 'show', '--json']);
  const entry: { client?: unknown } = JSON.parse(stdout);
  return entry.client;
}

describe('PRG-01: a command that was added in one folder runs no file of another one', () => {
  test.each<[typed: string, kept: string]>([
    ['./scripts/secret.sh', "'OWN/scripts/secret.sh'"],
    ['scripts/secret.sh', "'OWN/scripts/secret.sh'"],
    ['../my\\ own/x.sh', "'OWN/x.sh'"],
    ['./with space.sh', "'OWN/with space.sh'"],
    ['sh x.sh', "sh 'OWN/x.sh'"],
    ['sh ./x.sh', "sh 'OWN/x.sh'"],
    ['sh -c \'"$0"\' ./x.sh', `sh -c '"$0"' 'OWN/x.sh'`],
    ["sh -c './scripts/secret.sh of acme'", `sh -c ''"'"'OWN/scripts/secret.sh'"'"' of acme'`],
    ['node tools/x.js', "node 'OWN/tools/x.js'"],
    ['env FOO=1 ./x.sh', "env FOO=1 'OWN/x.sh'"],
    ['env FOO=tools/x.js sh x.sh', "env 'FOO=OWN/tools/x.js' sh 'OWN/x.sh'"],
    ['pass', 'pass'],
    ['env pass', 'env pass'],
  ])('%s', async (typed, kept) => {
    const folders = await twoFolders();
    const { own, machine, inOwn, inHostile, trap } = folders;
    const onPath = join(machine.folder, 'bin');
    write(join(onPath, 'pass'), readFileSync(join(own, 'pass'), 'utf8'));
    const PATH = `${onPath}:${machine.env['PATH'] ?? ''}`;
    const whole = kept.replaceAll('OWN', own);
    const notice = typed === kept ? '' : `Paths in the command are made whole: ${whole}\n`;
    expect(await inOwn.spawn(added(folders, '--client-secret-cmd', typed), { PATH })).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `${notice}✓ Added acme. Next: authcli login -p acme\n`,
    });
    expect(await keptClient(folders)).toEqual({ secret: { command: whole } });
    const signingIn = ['login', '-q', '--prompt', 'consent', '--browser', agentOf()];
    const outcome = await inHostile.spawn(signingIn, { PATH: `.::${PATH}` });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await inHostile.spawn(['token', '--force-refresh'], { PATH })).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
    expect(existsSync(trap)).toBe(false);
  });

  test('nor does one whose script names its file itself: that file is one of the configuration’s folder', async () => {
    const folders = await twoFolders();
    const { machine, inOwn, inHostile, trap } = folders;
    const command = 'sh -c ". ./x.sh"';
    await inOwn.spawn(added(folders, '--client-secret-cmd', command));
    expect(await keptClient(folders)).toEqual({ secret: { command } });
    expect(await login(inHostile)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: the client secret is not there: its command failed (exit code 2)\n' +
        `hint: run the command by itself to see why; it is started in ${join(machine.folder, 'config')}\n`,
    });
    expect(existsSync(trap)).toBe(false);
  });

  test('nor does one that a login brings along', async () => {
    const folders = await twoFolders();
    const { own, machine, inOwn, inHostile, trap } = folders;
    machine.configure({ providers: {} });
    const who = ['-p', 'acme', '--issuer', folders.acme.issuer, '--client-id', 'app'];
    const outcome = await login(
      inOwn,
      ...who,
      '--scope',
      'openid offline_access',
      '--client-secret-cmd',
      'sh x.sh',
    );
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(await keptClient(folders)).toEqual({ secret: { command: `sh '${own}/x.sh'` } });
    expect(await inHostile.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(existsSync(trap)).toBe(false);
  });

  test('it runs in the folder of the configuration, with a PATH of whole paths and nothing of ours', async () => {
    const folders = await twoFolders();
    const { machine, inHostile } = folders;
    const stubs = await browserStubs(machine.folder);
    const printing = `process.stdout.write(${JSON.stringify(secret.slice(0, 20))} + ${JSON.stringify(secret.slice(20))})`;
    const program = stubs.write('bin/vault', printing);
    await machine.run(added(folders, '--client-secret-cmd', 'vault'));
    const PATH = `:./bin:bin:${dirname(program)}:${machine.env['PATH'] ?? ''}`;
    expect(
      await inHostile.spawn(['login', '-q', '--prompt', 'consent', '--browser', agentOf()], { PATH }),
    ).toMatchObject({
      exitCode: 0,
    });
    const { cwd, env } = await stubs.next();
    expect({ cwd, PATH: env['PATH'] }).toEqual({
      cwd: realpathSync(join(machine.folder, 'config')),
      PATH: `${dirname(program)}:${machine.env['PATH'] ?? ''}`,
    });
    expect(Object.keys(env).filter((name) => name.startsWith('AUTHCLI_'))).toEqual([]);
  });
});

function agentOf(): string {
  return join(import.meta.dirname, '../support/agent.js');
}

describe('PRG-02: a relative path in a configuration is refused, with the whole path that it may be', () => {
  test.each<[title: string, client: object, fault: string, given: string, whole: string]>([
    [
      'a program',
      { secret: { command: './scripts/secret.sh of acme' } },
      'the command for the client secret is a program by a relative path: "./scripts/secret.sh"',
      './scripts/secret.sh',
      'CONFIG/scripts/secret.sh',
    ],
    [
      'a program without a dot',
      { secret: { command: 'scripts/secret.sh' } },
      'the command for the client secret is a program by a relative path: "scripts/secret.sh"',
      'scripts/secret.sh',
      'CONFIG/scripts/secret.sh',
    ],
    [
      'a file',
      { secret: { file: 'secret.txt' } },
      'the client secret is in a file by a relative path: "secret.txt"',
      'secret.txt',
      'CONFIG/secret.txt',
    ],
    [
      'a file of the home folder',
      { secret: { file: '~/secret.txt' } },
      'the client secret is in a file by a relative path: "~/secret.txt"',
      '~/secret.txt',
      'HOME/secret.txt',
    ],
    [
      'a key',
      { key: { file: 'k.pem' } },
      'the client\'s key is in a file by a relative path: "k.pem"',
      'k.pem',
      'CONFIG/k.pem',
    ],
  ])('%s', async (_title, client, fault, given, whole) => {
    const { acme, machine, inHostile, hostile, trap } = await twoFolders();
    for (const name of ['secret.txt', 'k.pem']) writeFileSync(join(hostile, name), 'of a stranger');
    machine.configure({ providers: { acme: { issuer: acme.issuer, clientId: 'app', client } } });
    const config = join(machine.folder, 'config');
    const fill = (text: string) => text.replace('CONFIG', config).replace('HOME', machine.folder);
    const refused = {
      exitCode: 2,
      stdout: '',
      stderr:
        `error: ${fault}\n` +
        `hint: write ${JSON.stringify(fill(whole))} instead of ${JSON.stringify(given)} in ${config}/config.json\n`,
    };
    expect(await login(inHostile)).toEqual(refused);
    // Nor where the configuration is named by a relative path itself.
    const named = behind(machine, '/usr/bin/env', '-C', machine.folder);
    expect(await login(named, '--config', 'config/config.json')).toEqual(refused);
    expect(acme.requests).toEqual([]);
    expect(existsSync(trap)).toBe(false);
  });

  test.each([
    [{ file: 'c.pem' }, "client's certificate", 'c.pem'],
    [{ file: '/c.pem', key: 'k.pem' }, "key of the client's certificate", 'k.pem'],
  ])('a certificate: %o', async (certificate, name, given) => {
    const { machine, inHostile, hostile } = await twoFolders();
    for (const file of ['c.pem', 'k.pem']) writeFileSync(join(hostile, file), 'of a stranger');
    const whole = join(machine.folder, 'c.pem');
    writeFileSync(whole, '');
    const client = {
      certificate: { ...certificate, ...(certificate.file === '/c.pem' && { file: agentOf() }) },
    };
    machine.configure({ providers: { acme: { issuer: 'https://127.0.0.1:1', clientId: 'app', client } } });
    const config = join(machine.folder, 'config');
    expect(await login(inHostile)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: the ${name} is in a file by a relative path: "${given}"\n` +
        `hint: write "${config}/${given}" instead of "${given}" in ${config}/config.json\n`,
    });
  });
});

describe('PRG-03: a relative path in a variable means nothing of the folder that the command is called in', () => {
  test.each([
    ['AUTHCLI_CLIENT_SECRET_CMD', './x.sh'],
    ['AUTHCLI_CLIENT_SECRET_CMD', 'scripts/secret.sh of acme'],
    ['AUTHCLI_REGISTRATION_TOKEN_CMD', './x.sh'],
  ])('%s=%s', async (variable, value) => {
    const folders = await twoFolders();
    const { acme, inHostile, trap } = folders;
    const isForRegistration = variable.includes('REGISTRATION');
    const argv = isForRegistration
      ? ['provider', 'add', 'new', '--issuer', acme.issuer, '--register']
      : ['login', '--browser', 'none'];
    const flag = `--${variable.slice('AUTHCLI_'.length).toLowerCase().replaceAll('_', '-')}`;
    expect(await inHostile.spawn(argv, { [variable]: value })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: ${variable} names a program by a relative path: ${JSON.stringify(value.split(' ')[0])}\n` +
        `hint: set ${variable} to a whole path, or type the path on the command line: ${flag}\n`,
    });
    expect(acme.requests).toEqual([]);
    expect(existsSync(trap)).toBe(false);
  });

  test.each([
    ['token', '-p', 'acme', '--force-refresh'],
    ['login', '--browser', 'none'],
    ['provider', 'list'],
    ['provider', 'add', 'new', '--issuer', 'https://login.example', '--client-id', 'app'],
  ])('AUTHCLI_CONFIG=config.json chooses no configuration of a repository: %s', async (...argv) => {
    const { acme, inHostile, hostile, trap } = await twoFolders();
    const secretCommand = { command: join(hostile, 'x.sh') };
    const entry = { issuer: acme.issuer, clientId: 'app', client: { secret: secretCommand } };
    const text = JSON.stringify({ providers: { acme: entry } });
    writeFileSync(join(hostile, 'config.json'), text, { mode: 0o600 });
    expect(await inHostile.spawn(argv, { AUTHCLI_CONFIG: 'config.json' })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: AUTHCLI_CONFIG is a relative path: "config.json"\n' +
        'hint: set AUTHCLI_CONFIG to a whole path, or type the path on the command line: --config\n',
    });
    expect(acme.requests).toEqual([]);
    expect(existsSync(trap)).toBe(false);
    expect(readFileSync(join(hostile, 'config.json'), 'utf8')).toBe(text);
    const typed = await inHostile.spawn(['provider', 'list', '--config', 'config.json']);
    expect(typed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('acme') });
  });

  test.each([
    [{ BROWSER: './browser' }, './browser'],
    [{ BROWSER: 'sub/browser %s' }, 'sub/browser'],
    [{ AUTHCLI_BROWSER: './browser' }, './browser'],
    [{ BROWSER: './browser:./browser' }, './browser'],
    [{ BROWSER: './browser', DISPLAY: ':7' }, './browser'],
  ])('%o starts no browser, says why, and the login goes on', async (env, program) => {
    const { machine } = await newcomer();
    const stubs = await browserStubs(machine.folder);
    for (const name of ['browser', 'sub/browser']) stubs.write(`here/${name}`);
    const pending = await pendingLoginWithBrowser(machine, [], env, join(machine.folder, 'here'));
    const { exitCode, stderr } = await pending.signIn();
    expect(exitCode).toBe(0);
    const why = `${JSON.stringify(program)} would be another program in each folder; name it by its whole path`;
    expect(stderr).toContain(`warning: no browser was started (${why}`);
    expect(stubs.count).toBe(0);
  });

  test('words of BROWSER name no file of the current folder, and its own programs run elsewhere', async () => {
    const { machine } = await newcomer();
    const stubs = await browserStubs(machine.folder);
    stubs.write('here/x.js');
    const env = { BROWSER: 'node x.js', PATH: `${dirname(execPath)}:${machine.env['PATH'] ?? ''}` };
    const pending = await pendingLoginWithBrowser(machine, [], env, join(machine.folder, 'here'));
    await pending.program.said(/no browser was started \(\S+\/node ended with exit code 1\)/);
    expect(await pending.signIn()).toMatchObject({ exitCode: 0 });
    expect(stubs.count).toBe(0);
  });
});

describe('PRG-04: --browser means a program of the folder in which it is typed, and starts it in another one', () => {
  test.each([
    ['./browser', []],
    ['./my browser', []],
    ['sub/browser -n', ['-n']],
    ["'./my browser' --new %s", ['--new']],
    ['env ./browser', []],
  ])('%s', async (typed, words) => {
    const { machine } = await newcomer();
    const stubs = await browserStubs(machine.folder);
    for (const name of ['browser', 'my browser', 'sub/browser']) stubs.write(`here/${name}`);
    const here = join(machine.folder, 'here');
    const pending = await pendingLoginWithBrowser(machine, ['--browser', typed], {}, here);
    const launch = await stubs.next();
    expect(launch).toMatchObject({
      arguments: [...words, pending.authorizationUrl.href],
      cwd: realpathSync(join(machine.folder, 'config')),
    });
    expect(launch.program.startsWith(here)).toBe(true);
    expect(await pending.signIn()).toMatchObject({ exitCode: 0 });
  });
});

test('PRG-05: the helper of a refresh does not stand in the current folder, and reads no file that NODE_OPTIONS names there', async () => {
  const { acme, machine } = await newcomer();
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  const here = join(machine.folder, 'here');
  const log = join(here, 'log');
  write(
    join(here, 'hook.cjs'),
    `require('node:fs').appendFileSync(${JSON.stringify(log)}, process.argv[1] + '\\n')`,
  );
  let stands: string[] = [];
  acme.answerNext('/token', async () => {
    stands = processesOf(machine)
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('refresh-helper'))
      .map((pid) => readlinkSync(`/proc/${pid}/cwd`));
  });
  const outcome = await behind(machine, '/usr/bin/env', '-C', here).spawn(['token', '--force-refresh'], {
    NODE_OPTIONS: '--require ./hook.cjs --max-old-space-size=512',
  });
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  expect(stands).toEqual([realpathSync(dirname(execPath))]);
  expect(readFileSync(log, 'utf8')).not.toContain('refresh-helper');
  expect(ownEnvironment['NODE_OPTIONS'] ?? '').not.toContain('hook');
});
