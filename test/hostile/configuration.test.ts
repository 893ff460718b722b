import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { describe, expect, onTestFinished, test } from 'vitest';

import { login, newcomer, startAcme } from '../support/newcomer.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { newMachine, type Machine } from '../support/run.js';
import { patience } from './sizes.js';

const success = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const refresh = ['token', '--force-refresh'];

/** A machine with that text as its configuration; its path. */
function configured(text: string | Buffer): { machine: Machine; file: string } {
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const file = join(machine.folder, 'config', 'config.json');
  mkdirSync(join(machine.folder, 'config'));
  writeFileSync(file, text);
  return { machine, file };
}

const addAcme = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'c'];

function otherHands(path: string): string {
  return `error: ${path} can be written by others\nhint: see that it says what you want, then: chmod go-w ${path}\n`;
}

async function expectMistake(machine: Machine, message: string): Promise<void> {
  for (const argv of [['token'], ['login', '--browser', 'none']]) {
    const { exitCode, stdout, stderr } = await machine.spawn(argv);
    expect([argv, exitCode, stdout, stderr.split('\n')[0]]).toEqual([argv, 2, '', `error: ${message}`]);
    expect(stderr).not.toContain('hush');
  }
}

describe('CFG-01: the configuration', () => {
  test.each([
    ['missing', undefined],
    ['empty', ''],
    ['of blanks', ' \r\n\t\n'],
    ['with a byte order mark alone', '\uFEFF'],
  ])('%s means the defaults', async (_title, text) => {
    const { machine, file } = configured(text ?? '');
    if (text === undefined) rmSync(file);
    expect(await machine.spawn(['provider', 'list', '--json'])).toEqual({
      exitCode: 0,
      stdout: '{"providers":{}}\n',
      stderr: '',
    });
  });

  test.each<[title: string, place: (file: string) => void]>([
    ['a folder', (file) => mkdirSync(file)],
    ['a pipe', (file) => execFileSync('mkfifo', [file])],
    ['a device', (file) => symlinkSync('/dev/zero', file)],
    ['50 MB', (file) => truncateSync(file, 50 * 1024 * 1024)],
  ])('that is %s is refused at once', async (title, place) => {
    const { machine, file } = configured('');
    if (title !== '50 MB') rmSync(file);
    place(file);
    const begun = performance.now();
    await expectMistake(machine, `${file} is not a configuration file`);
    expect(performance.now() - begun).toBeLessThan(4_000 * patience);
  });

  const canBeNobody = requirement('setpriv', isOnPath('setpriv')) && getuid?.() === 0;
  test.skipIf(!canBeNobody)('that may not be read is named', async () => {
    const { machine, file } = configured('{}');
    chmodSync(machine.folder, 0o755);
    chmodSync(file, 0o000);
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    expect(await machine.start(['token'], {}, asNobody).outcome).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: cannot read ${file}: permission denied\n` +
        'hint: check the owner and the mode of that folder, or set AUTHCLI_CONFIG_DIR to a folder of your own\n',
    });
  });

  test.each<
    [
      title: string,
      place: (file: string, folder: string) => void,
      fault: (file: string, folder: string) => string,
    ]
  >([
    ['that a group can write', (file) => chmodSync(file, 0o664), otherHands],
    ['that everybody can write', (file) => chmodSync(file, 0o602), otherHands],
    [
      'in a folder that a group can write',
      (_file, folder) => chmodSync(folder, 0o775),
      (_file, folder) => otherHands(folder),
    ],
    [
      'that is a link into a folder that a group can write',
      (file, folder) => {
        const dotfiles = join(folder, '..', 'dotfiles');
        mkdirSync(dotfiles);
        renameSync(file, join(dotfiles, 'config.json'));
        symlinkSync(join(dotfiles, 'config.json'), file);
        chmodSync(dotfiles, 0o775);
      },
      (_file, folder) => otherHands(join(folder, '..', 'dotfiles')),
    ],
  ])('%s is refused, however harmless', async (_title, place, fault) => {
    const { machine, file } = configured('{"store":"file"}');
    const folder = join(machine.folder, 'config');
    place(file, folder);
    const refused = { exitCode: 2, stdout: '', stderr: fault(file, folder) };
    expect(await machine.spawn(['status'])).toEqual(refused);
    expect(await machine.spawn(addAcme)).toEqual(refused);
    expect(readFileSync(file, 'utf8')).toBe('{"store":"file"}');
  });

  test('whose name a shell would split is quoted in what to run', async () => {
    const machine = newMachine();
    const file = join(machine.folder, 'my own.json');
    writeFileSync(file, '{}');
    chmodSync(file, 0o666);
    const { stderr } = await machine.spawn(['--config', file, 'status']);
    expect(stderr).toMatch(/, then: chmod go-w '\/\S+\/my own\.json'\n$/);
  });

  test('in a folder where everybody has files of their own is read', async () => {
    const { machine } = configured('{}');
    chmodSync(join(machine.folder, 'config'), 0o1777);
    expect(await machine.spawn(['provider', 'list', '--json'])).toEqual({
      exitCode: 0,
      stdout: '{"providers":{}}\n',
      stderr: '',
    });
  });

  test.skipIf(getuid?.() !== 0)('of another user is refused, also where it is named', async () => {
    const { machine, file } = configured('{}');
    chownSync(file, 65_534, 65_534);
    for (const named of [[], ['--config', file]]) {
      expect(await machine.spawn(['status', ...named])).toEqual({
        exitCode: 2,
        stdout: '',
        stderr:
          `error: ${file} belongs to another user (uid 65534, we are 0)\n` +
          'hint: run authcli as that user, or use a configuration of your own\n',
      });
    }
  });

  test('that was named must be there', async () => {
    for (const name of ['/nowhere/config.json', 'config.json', '']) {
      expect(await newMachine().spawn(['provider', 'list', '--config', name])).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `error: there is no configuration "${name}"\nhint: check the path that names it\n`,
      });
    }
  });
});

describe('CFG-02: a mistake in the configuration is named with its place, and never repeated', () => {
  const entry = '"issuer":"https://acme.test","clientId":"c"';
  test.each([
    ['{', ':1:2: no valid JSON (close brace expected)'],
    ['{\n  "providers": {\n    hush\n  }\n}', ':3:5: no valid JSON (invalid symbol)'],
    ['{"providers":{}} "hush-hush"', ':1:18: no valid JSON (end of file expected)'],
    ['{"store":"file",\n\n"store":"keychain"}', ':3:1: store stands there twice'],
    [
      `{"providers":{"acme":{${entry}},\n "acme":{"issuer":"https://evil.test","clientId":"hush"}}}`,
      ':2:2: providers.acme stands there twice',
    ],
    [
      `{"providers":{"acme":{${entry}, // hush\n"clientId":"hush"}}}`,
      ':2:1: providers.acme.clientId stands there twice',
    ],
    ['[]', ': the file must be an object'],
    ['null', ': the file must be an object'],
    ['"hush"', ': the file must be an object'],
    ['{"store":"hush"}', ': store must be "keychain" or "file"'],
    ['{"store":["file"]}', ': store must be "keychain" or "file"'],
    ['{"defaultProvider":{"hush":1}}', ': defaultProvider must be the name of a provider'],
    ['{"providers":[]}', ': providers must be an object'],
    ['{"providers":{"acme":"hush"}}', ': providers.acme must be an object'],
    ['{"providers":{"acme":{"issuer":7}}}', ': providers.acme.issuer must be the URL of the issuer'],
    [
      '{"providers":{"acme":{"issuer":"https://jane:hush@acme.test"}}}',
      ': providers.acme.issuer must be the URL of an issuer, but it must not carry user information',
    ],
    [
      '{"providers":{"acme":{"issuer":"https://acme.test","clientId":""}}}',
      ': providers.acme.clientId must be the client ID, a text',
    ],
    [
      `{"providers":{"acme":{${entry},"clientSecret":"hush"}}}`,
      ': providers.acme.clientSecret must be absent: known here are issuer, clientId, scope, preset, client, redirect, metadata, authorization, token, userinfo, revocation, dpop',
    ],
    [
      `{"providers":{"__proto__":{${entry}}}}`,
      ': providers.__proto__ must be named with a-z 0-9 . _ : - only',
    ],
    [`{"providers":{"../acme":{${entry}}}}`, ': providers.../acme must be named with a-z 0-9 . _ : - only'],
  ])('%s', async (text, place) => {
    const { machine, file } = configured(text);
    await expectMistake(machine, `${file}${place}`);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('a hundred thousand levels are too deep', async () => {
    const { machine, file } = configured('['.repeat(100_000) + ']'.repeat(100_000));
    await expectMistake(machine, `${file}: nested too deeply`);
    writeFileSync(file, `{"providers":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`);
    await expectMistake(machine, `${file}: nested too deeply`);
  });

  test('a file in another encoding is no JSON', async () => {
    const { machine, file } = configured(Buffer.from('{"store":"file"}', 'utf16le'));
    await expectMistake(machine, `${file}:1:2: no valid JSON (invalid symbol)`);
  });

  test('comments, trailing commas, a byte order mark and Windows line ends are no mistakes, and survive a change', async () => {
    const { machine, file } = configured('\uFEFF{\r\n  // ours: "store": 1\r\n  "store": "file",\r\n}\r\n');
    const add = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'cli'];
    expect(await machine.spawn(add)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['provider', 'list', '--json'])).toEqual({
      exitCode: 0,
      stdout: '{"providers":{"acme":{"issuer":"https://acme.test","clientId":"cli"}}}\n',
      stderr: '',
    });
    expect(readFileSync(file, 'utf8')).toContain('// ours');
  });
});

test('CFG-04: files in the folder that one happens to stand in change nothing that one has', async () => {
  const evil = await startAcme();
  const { acme, machine } = await newcomer();
  await login(machine);
  const folder = mkdtempSync(join(tmpdir(), 'authcli-repository-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const project = { defaultProvider: 'acme', providers: { acme: { issuer: evil.issuer, clientId: 'cli' } } };
  const configuration = JSON.stringify({ store: 'keychain', ...project });
  writeFileSync(join(folder, '.authcli.json'), JSON.stringify(project));
  for (const name of ['config.json', 'authcli.json', '.authclirc', 'package.json']) {
    writeFileSync(join(folder, name), configuration);
  }
  for (const parent of ['authcli', '.authcli', 'config', '.config/authcli', 'state']) {
    mkdirSync(join(folder, parent), { recursive: true });
    writeFileSync(join(folder, parent, 'config.json'), configuration);
  }
  writeFileSync(join(folder, '.env'), `AUTHCLI_CONFIG_DIR=${folder}\nAUTHCLI_STATE_DIR=${folder}\n`);
  writeFileSync(join(folder, '.npmrc'), `node-options=--require ${folder}/evil.cjs\n`);
  const there = ['sh', '-c', `cd ${folder} && exec "$0" "$@"`];
  expect(await machine.start(['token'], {}, there).outcome).toEqual(success);
  expect(await machine.start(refresh, { XDG_CONFIG_HOME: '.', XDG_DATA_HOME: '.' }, there).outcome).toEqual(
    success,
  );
  expect(await machine.start(['logout'], {}, there).outcome).toMatchObject({ exitCode: 0 });
  expect(evil.requests).toEqual([]);
  expect(acme.requestsTo('/token')).toHaveLength(2);
  for (const name of ['AUTHCLI_CONFIG_DIR', 'AUTHCLI_STATE_DIR']) {
    expect(await machine.start(['token'], { [name]: '.' }, there).outcome).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: ${name} is a relative path\nhint: set ${name} to an absolute path\n`,
    });
  }
});

test('CFG-04: a session answers to its issuer only, whatever the configuration says later', async () => {
  const evil = await startAcme();
  const { acme, machine } = await newcomer();
  await login(machine);
  const file = join(machine.folder, 'config', 'config.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace(acme.issuer, evil.issuer));
  for (const argv of [['token'], refresh]) {
    expect(await machine.spawn(argv)).toMatchObject({ exitCode: 4, stdout: '' });
  }
  expect(evil.requests).toEqual([]);
});

describe('CFG-05: an issuer that is not in its one and only form is refused', () => {
  test.each([
    ['https://acme.test?tenant=1', 'must have neither query nor fragment'],
    ['https://acme.test/?', 'must have neither query nor fragment'],
    ['https://acme.test/#', 'must have neither query nor fragment'],
    ['https://jane@acme.test', 'must not carry user information'],
    ['https://ACME.test', 'is not in its canonical form, https://acme.test/'],
    ['https://acme.test:443', 'is not in its canonical form, https://acme.test/'],
    ['https://b\u00fccher.test', 'is not in its canonical form, https://xn--bcher-kva.test/'],
    ['https://acme.test/a/../b', 'is not in its canonical form, https://acme.test/b'],
    [' https://acme.test', 'is not in its canonical form, https://acme.test/'],
    ['https://acme.test\\b', 'is not in its canonical form, https://acme.test/b'],
    ['https://acme.test.', 'has a host name that ends in a dot'],
    ['https://acme.test:0', 'names port 0'],
    ['http://acme.test', 'is plain http, which is accepted on this machine only'],
    ['http://127.1', 'is not in its canonical form, http://127.0.0.1/'],
    ['http://localhost.acme.test', 'is plain http, which is accepted on this machine only'],
    ['file:///etc/passwd', 'is not an https URL'],
    ['acme.test', 'is no URL'],
  ])('%s', async (issuer, fault) => {
    const { machine, file } = configured(
      JSON.stringify({ providers: { acme: { issuer, clientId: 'cli' } } }),
    );
    expect(await machine.spawn(['provider', 'list'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: ${file}: providers.acme.issuer must be the URL of an issuer, but it ${fault}\nhint: mend it in ${file}\n`,
    });
    rmSync(file);
    for (const argv of [
      ['login', '--issuer', issuer, '--client-id', 'cli'],
      ['provider', 'add', 'acme', '--issuer', issuer, '--client-id', 'cli'],
    ]) {
      const { exitCode, stdout, stderr } = await machine.spawn(argv);
      expect([exitCode, stdout, stderr.split('\n')[0]]).toEqual([2, '', `error: the issuer ${fault}`]);
    }
  });
});

test('CFG-08: a resource with a fragment, or relative, is none', async () => {
  const { acme, machine } = await newcomer();
  for (const resource of ['https://api.test/#x', 'https://api.test/#', 'api', '/api', '', '//api.test']) {
    expect(await machine.spawn(['token', '--resource', resource])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'error: --resource must be an absolute URI without a fragment\n',
    });
  }
  expect(acme.requests).toEqual([]);
});

describe('CFG-09: a scope that RFC 6749 does not know is refused', () => {
  test.each([
    ['a quote', 'openid "email"'],
    ['a backslash', 'openid\\email'],
    ['a line break', 'openid\nemail'],
    ['a tab', 'openid\temail'],
    ['a character beyond ASCII', 'openid \u00e9mail'],
    ['an escape', 'openid\u001b[2J'],
    ['ten thousand scopes', Array.from({ length: 10_000 }, (_, at) => `s${at}`).join(' ')],
  ])('%s', async (_title, scope) => {
    const { acme, machine } = await newcomer();
    const refusal = {
      exitCode: 2,
      stdout: '',
      stderr: 'error: --scope holds characters that no scope may have (RFC 6749 3.3)\n',
    };
    expect(await machine.spawn(['login', '--scope', scope])).toEqual(refusal);
    expect(await machine.spawn(['token', '--scope', scope])).toEqual(refusal);
    expect(acme.requests).toEqual([]);
    const { machine: other, file } = configured(
      JSON.stringify({ providers: { acme: { issuer: acme.issuer, clientId: 'cli', scope } } }),
    );
    await expectMistake(other, `${file}: providers.acme.scope must be scopes separated by single spaces`);
  });
});

test('CFG-10: two hundred providers cost no time', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const file = join(machine.folder, 'config', 'config.json');
  const own = { issuer: acme.issuer, clientId: 'cli' };
  const others = Array.from({ length: 200 }, (_, at) => [
    `provider-${at}`,
    {
      issuer: `https://login-${at}.example.com/realms/main`,
      clientId: `client-${at}`,
      scope: 'openid email',
    },
  ]);
  writeFileSync(
    file,
    JSON.stringify({ store: 'file', providers: { acme: own, ...Object.fromEntries(others) } }),
  );
  for (const argv of [
    ['provider', 'list', '--json'],
    ['token', '-p', 'acme'],
  ]) {
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      const begun = performance.now();
      expect(await machine.spawn(argv)).toMatchObject({ exitCode: 0, stderr: '' });
      times.push(performance.now() - begun);
    }
    expect(Math.min(...times)).toBeLessThan(500);
  }
});
