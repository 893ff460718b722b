import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startAcme } from './support/newcomer.js';
import { newMachine } from './support/run.js';

describe('a command line that cannot be meant does nothing and says what was meant', () => {
  test.each<[argv: string[], error: string, hint?: string]>([
    [['login', '--frob'], "unknown option '--frob'", 'authcli login --help'],
    [['tokn'], "unknown command 'tokn'", 'Did you mean token? See authcli --help'],
    [['token', '--min-ttl'], "option '--min-ttl <DUR>' argument missing", 'authcli token --help'],
    [['token', '--min-ttl', '5'], '--min-ttl must be a duration of up to 24h, such as 90s, 5m or 1h'],
    [['token', '--min-ttl', '25h'], '--min-ttl must be a duration of up to 24h, such as 90s, 5m or 1h'],
    [['token', '--timeout', '0s'], '--timeout must be a duration longer than zero'],
    [['token', '--output', 'xml'], '--output must be one of raw, header, json, env'],
    [['token', '--store', 'cloud'], '--store must be one of keychain, file'],
    [['token', 'acme'], 'too many arguments', 'authcli token --help'],
    [['login', '--prompt', 'maybe'], '--prompt must be one of none, login, consent, select_account, create'],
    [['login', '--port', '65536'], '--port must be a port, 0 to 65535'],
    [['login', '--auth-param', 'x'], '--auth-param must be of the form K=V'],
    [['login', '--auth-param', 'state=x'], '--auth-param cannot set state: the sign-in itself does'],
    [
      ['login', '--auth-param', 'prompt=none'],
      '--auth-param cannot set prompt: the sign-in itself does',
      'use --prompt',
    ],
    [
      ['login', '--auth-param', 'response_mode=form_post'],
      '--auth-param cannot set response_mode: the sign-in itself does',
      'use --response-mode',
    ],
    [['login', '--response-mode', 'fragment'], '--response-mode must be one of query, form_post'],
    [['login', '--client-id', 'x'], '--client-id needs --issuer'],
    [
      ['login', '--issuer', 'https://acme.test'],
      '--issuer needs --client-id',
      'authcli login --issuer https://acme.test --client-id ID',
    ],
    [['provider'], 'which provider command?', 'authcli provider --help'],
    [
      ['provider', 'add', 'acme'],
      'a provider needs --issuer and --client-id',
      'authcli provider add acme --issuer URL --client-id ID',
    ],
    [
      ['provider', 'show', 'x/../y'],
      '"x/../y" cannot be a provider\'s name',
      'use up to 64 of a-z 0-9 . _ : - and begin with a letter or a digit',
    ],
    [
      ['provider', 'remove', 'acme'],
      'no provider is named "acme" (none is configured)',
      'authcli provider add acme --issuer URL --client-id ID',
    ],
    [['token'], 'no provider is configured', 'authcli provider add NAME --issuer URL --client-id ID'],
    [
      ['token', '-p', 'acme'],
      'no provider is named "acme" (none is configured)',
      'authcli provider add acme --issuer URL --client-id ID',
    ],
  ])('authcli %j', async (argv, error, hint) => {
    const outcome = await newMachine().run(argv);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    const [first, second, ...rest] = outcome.stderr.split('\n');
    expect(first).toContain(`error: ${error}`);
    expect(second).toBe(hint === undefined ? '' : `hint: ${hint}`);
    expect(rest.join('')).toBe('');
  });

  test('with --json the error is one JSON object on stderr', async () => {
    const outcome = await newMachine().run(['token', '--json', '-p', 'acme']);
    expect({ ...outcome, stderr: JSON.parse(outcome.stderr) }).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: {
        error: {
          code: 'usage',
          message: 'no provider is named "acme" (none is configured)',
          hint: 'authcli provider add acme --issuer URL --client-id ID',
        },
      },
    });
  });

  test('a value from the environment is checked like one from the command line, and named as what it is', async () => {
    const machine = newMachine({ AUTHCLI_MIN_TTL: 'soon' });
    expect(await machine.run(['token'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'error: AUTHCLI_MIN_TTL must be a duration of up to 24h, such as 90s, 5m or 1h\n',
    });
  });

  test('a relative HOME is refused', async () => {
    const machine = newMachine({ HOME: 'home', AUTHCLI_STATE_DIR: '', AUTHCLI_CONFIG_DIR: '' });
    expect(await machine.run(['status'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: HOME is a relative path\n' +
        'hint: set HOME to an absolute path, or AUTHCLI_CONFIG_DIR and AUTHCLI_STATE_DIR\n',
    });
  });
});

describe('an issuer that cannot be one is refused before anything happens', () => {
  test.each([
    ['acme', 'is no URL'],
    ['ftp://acme.test', 'is not an https URL'],
    ['http://acme.test', 'is plain http, which is accepted on this machine only'],
    ['http://127.0.0.1.acme.test', 'is plain http, which is accepted on this machine only'],
    ['https://u:p@acme.test', 'must not carry user information'],
    ['https://acme.test/?a=b', 'must have neither query nor fragment'],
    ['https://acme.test/#x', 'must have neither query nor fragment'],
    ['https://ACME.test', 'is not in its canonical form, https://acme.test/'],
    ['https://acme.test/a/../b', 'is not in its canonical form, https://acme.test/b'],
    ['https://acme.test.', 'has a host name that ends in a dot'],
    ['https://acme.test:0', 'names port 0'],
  ])('%s', async (issuer, fault) => {
    const outcome = await newMachine().run(['login', '--issuer', issuer, '--client-id', 'cli']);
    expect(outcome).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: the issuer ${fault}\nhint: authcli login --issuer https://… --client-id ID\n`,
    });
  });
});

describe('a malformed configuration is named with its file, the place in it, and what was expected', () => {
  test.each([
    ['{', ':1:2: no valid JSON (close brace expected)'],
    ['{\n  "providers": {\n    oops\n  }\n}', ':3:5: no valid JSON (invalid symbol)'],
    ['[]', ': the file must be an object'],
    [
      '{"provider":{}}',
      ': provider must be absent: known here are $schema, defaultProvider, store, providers',
    ],
    ['{"store":"plain"}', ': store must be "keychain" or "file"'],
    ['{"providers":{"acme":{}}}', ': providers.acme.issuer must be the URL of the issuer'],
    [
      '{"providers":{"acme":{"issuer":"http://acme.test"}}}',
      ': providers.acme.issuer must be the URL of an issuer, but it is plain http, which is accepted on this machine only',
    ],
    [
      '{"providers":{"acme":{"issuer":"https://acme.test"}}}',
      ': providers.acme.clientId must be the client ID, a text',
    ],
    [
      '{"providers":{"acme":{"issuer":"https://acme.test","clientId":"c","scope":"a  b"}}}',
      ': providers.acme.scope must be scopes separated by single spaces',
    ],
    [
      '{"providers":{"acme":{"issuer":"https://acme.test","clientId":"c","clientSecret":"hush"}}}',
      ': providers.acme.clientSecret must be absent: known here are issuer, clientId, scope, preset, client, redirect, metadata, authorization, token, userinfo, revocation, dpop',
    ],
    [
      '{"providers":{\n"acme":{"issuer":"https://a.test","clientId":"c"},\n"acme":{"issuer":"https://b.test","clientId":"c"}}}',
      ':3:1: providers.acme stands there twice',
    ],
    ['{"providers":{"Acme Inc":{}}}', ': providers.Acme Inc must be named with a-z 0-9 . _ : - only'],
  ])('%s', async (text, place) => {
    const machine = newMachine();
    const file = join(machine.folder, 'config', 'config.json');
    mkdirSync(join(machine.folder, 'config'));
    writeFileSync(file, text);
    const outcome = await machine.run(['provider', 'list']);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr.split('\n')[0]).toBe(`error: ${file}${place}`);
    expect(outcome.stderr).not.toContain('hush');
  });
});

test('a person who never comes back ends in time', async () => {
  const acme = await startAcme();
  const outcome = await newMachine({ AUTHCLI_STORE: 'file' }).run(
    ['login', '--issuer', acme.issuer, '--client-id', 'cli', '-q', '--timeout', '1s'],
    { openBrowser: async () => ({ kind: 'launched' }) },
  );
  expect(outcome).toEqual({
    exitCode: 8,
    stdout: '',
    stderr: expect.stringContaining(
      'error: not finished within 1 s\n' +
        "hint: allow more time: --timeout 10m; or, if the provider's page shows an error, " +
        'register this redirect URI for the client cli at the provider: http://127.0.0.1/callback (any port); ' +
        'where it compares ports, http://127.0.0.1:8910/callback, and then: authcli login --port 8910\n',
    ),
  });
});
