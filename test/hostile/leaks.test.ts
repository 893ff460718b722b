import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { secretService } from '../../src/store/secret-service.js';
import { assertNoCanary, assertNoCanaryIn, noteCanary } from '../support/canaries.js';
import { canCertify, newAuthority } from '../support/certificates.js';
import { chromiumInstalled, signInOn, startChromium } from '../support/chromium.js';
import { forThisTest, keyringInstalled, startKeyring } from '../support/keyring.js';
import { keychainAccount, login, newcomer, type Newcomer } from '../support/newcomer.js';
import type { ProviderRequest } from '../support/provider.js';
import { startProxy } from '../support/proxy.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { agent, type Machine } from '../support/run.js';
import { pendingLogin } from './pending-login.js';
import { startServer } from './servers.js';
import { isFull } from './sizes.js';

const refresh = ['token', '--force-refresh', '-v'];

/** Each output is searched as soon as it is complete (test/support/run.ts); gives the exit codes. */
async function story({ machine }: Newcomer): Promise<(number | null)[]> {
  const exitCodes: (number | null)[] = [];
  for (const argv of [
    ['login', '-v', '--prompt', 'consent', '--browser', agent],
    ['token', '-v'],
    refresh,
    ['status', '--json', '-v'],
    ['logout', '-v'],
    ['token', '-v'],
  ]) {
    exitCodes.push((await machine.spawn(argv)).exitCode);
  }
  return exitCodes;
}

const asPlanned = [0, 0, 0, 0, 0, 4];

function secretsOf({ parameters }: ProviderRequest): string[] {
  return ['code', 'code_verifier', 'refresh_token', 'token'].flatMap((name) => parameters[name] ?? []);
}

function echo(disguise: (secrets: string) => string) {
  return async (request: ProviderRequest, response: ServerResponse) => {
    const secrets = secretsOf(request);
    const description = disguise(`${secrets.join(' ')} ${encodeURIComponent(secrets.join('&'))}`);
    const error = { error: 'invalid_client', error_description: description };
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(error));
  };
}

function expectRedacted(text: string, request: ProviderRequest | undefined): void {
  const secrets = request === undefined ? [] : secretsOf(request);
  expect(secrets).not.toEqual([]);
  expect(text).toContain('invalid_client');
  for (const shown of readings(text)) for (const secret of secrets) expectNoPart(shown, secret);
}

/** The text as it stands, and what its longer words are as base64 or in hexadecimal digits. */
function readings(text: string): string[] {
  const words = text.match(/[\w+/=-]{10,}/g) ?? [];
  return [
    text,
    ...words.flatMap((word) =>
      [0, 1, 2, 3].flatMap((start) => [
        Buffer.from(word.slice(start), 'base64').toString('latin1'),
        Buffer.from(word.slice(start), 'hex').toString('latin1'),
      ]),
    ),
  ];
}

/** Eight characters of it in a row, in whatever letters and however spaced. */
function expectNoPart(text: string, secret: string): void {
  const plain = text.toLowerCase().replaceAll(/\s/g, '');
  for (let at = 0; at + 8 <= secret.length; at += 1)
    expect(plain).not.toContain(secret.slice(at, at + 8).toLowerCase());
}

function eachByte(text: string, form: (code: number) => string): string {
  return Array.from(Buffer.from(text), form).join('');
}

function hex(code: number): string {
  return code.toString(16).padStart(2, '0');
}

async function keyInKeychain(machine: Machine): Promise<string | undefined> {
  const patience = { timeoutMs: 5_000, mayPrompt: false };
  const found = await secretService(machine.env).read(keychainAccount(machine), patience);
  return found.kind === 'found' ? found.secret : undefined;
}

describe('LEK-01, LEK-06, CLI-10: no secret is said', () => {
  const chatty: Record<string, string>[] = [
    { NODE_DEBUG: '*' },
    { DEBUG: '*', NODE_OPTIONS: '--trace-warnings --trace-uncaught' },
  ];
  if (isFull) chatty.push({ NODE_DEBUG: 'http,net,tls' }, { AUTHCLI_VERBOSE: '1' });

  test.each(chatty)('with %j', async (env) => {
    expect(await story(await newcomer({ AUTHCLI_STORE: 'file', ...env }))).toEqual(asPlanned);
  });

  test.skipIf(!canCertify)('where a proxy wants a password', async () => {
    const password = 'the-password-of-the-proxy';
    noteCanary('proxy password', password);
    noteCanary('proxy password', Buffer.from(`jane:${password}`).toString('base64'));
    const authority = newAuthority();
    const { port } = await startProxy({ credentials: `jane:${password}` });
    const person = await newcomer(
      {
        AUTHCLI_STORE: 'file',
        NODE_EXTRA_CA_CERTS: authority.file,
        HTTPS_PROXY: `http://jane:${password}@127.0.0.1:${port}`,
        NODE_DEBUG: 'http,https,net,tls',
      },
      { host: 'localhost', certificate: authority.issue('DNS:localhost') },
    );
    expect(await story(person)).toEqual(asPlanned);
  });

  test('but the state, once: in the address that the person is to visit', async () => {
    const { machine } = await newcomer();
    const pending = await pendingLogin(machine, ['-v'], { NODE_DEBUG: '*' });
    const { stderr } = await pending.signIn();
    expect(stderr.split(pending.state)).toHaveLength(2);
  });
});

describe('LEK-01, LEK-06: a provider that repeats what it was sent has it redacted', () => {
  /** The second one makes a secret stand where the line is cut. */
  const disguises: readonly [title: string, disguise: (secrets: string) => string][] = [
    ['at once', (secrets) => secrets],
    ['after many words', (secrets) => 'words '.repeat(72) + secrets],
    ['with characters in it that nobody sees', (secrets) => secrets.replaceAll(/.{5}/g, '$&\u200b')],
    ['split by blanks', (secrets) => secrets.replaceAll(/.{6}/g, '$& ')],
    ['split by soft hyphens and commas', (secrets) => secrets.replaceAll(/.{6}/g, '$&\u00ad,')],
    ['split by tags', (secrets) => secrets.replaceAll(/.{7}/g, '$&<br>')],
    ['in capitals', (secrets) => secrets.toUpperCase()],
    ['in base64', (secrets) => Buffer.from(secrets).toString('base64')],
    ['in base64url, behind a name', (secrets) => Buffer.from(`c:${secrets}`).toString('base64url')],
    ['in hexadecimal digits', (secrets) => eachByte(secrets.slice(0, 200), hex)],
    ['percent-encoded', (secrets) => eachByte(secrets.slice(0, 150), (code) => `%${hex(code)}`)],
    ['escaped as in JSON', (secrets) => eachByte(secrets.slice(0, 80), (code) => `\\u00${hex(code)}`)],
    ['escaped as in HTML', (secrets) => eachByte(secrets.slice(0, 80), (code) => `&#${code};`)],
    ['cut', (secrets) => secrets.replaceAll(/\S+/g, (secret) => secret.slice(0, 12))],
    ['its end', (secrets) => secrets.replaceAll(/\S+/g, (secret) => secret.slice(-12))],
  ];

  test.each(disguises)('in the refusal of a code: %s', async (_title, disguise) => {
    const { acme, machine } = await newcomer();
    acme.answerNext('/token', echo(disguise));
    const pending = await pendingLogin(machine, ['-v']);
    const page = await (await fetch(await pending.response())).text();
    const { exitCode, stderr } = await pending.outcome;
    expect(exitCode).toBe(5);
    for (const shown of [page, stderr]) expectRedacted(shown, acme.requestsTo('/token')[0]);
  });

  test.each(disguises)('in the refusal of a refresh: %s', async (_title, disguise) => {
    const { acme, machine } = await newcomer();
    await login(machine);
    for (const form of [[], ['--json']]) {
      acme.answerNext('/token', echo(disguise));
      const { exitCode, stderr } = await machine.spawn([...refresh, ...form]);
      expect(exitCode).toBe(5);
      expectRedacted(stderr, acme.requestsTo('/token').at(-1));
    }
  });

  test.each(disguises)('in the refusal of a revocation: %s', async (_title, disguise) => {
    const { acme, machine } = await newcomer();
    await login(machine);
    acme.answerNext('/token/revocation', echo(disguise));
    acme.answerNext('/token/revocation', echo(disguise));
    const { exitCode, stderr } = await machine.spawn(['logout', '-v']);
    expect(exitCode).toBe(0);
    for (const request of acme.requestsTo('/token/revocation')) expectRedacted(stderr, request);
  });

  test('in the name of the error, and in a challenge', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    const answers: ((secret: string, response: ServerResponse) => void)[] = [
      (secret, response) => {
        const body = JSON.stringify({ error: `invalid_client ${secret}` });
        response.writeHead(400, { 'content-type': 'application/json' }).end(body);
      },
      (secret, response) => {
        const challenge = `Bearer error="invalid_client", error_description="${secret}"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      },
    ];
    for (const answer of answers) {
      acme.answerNext('/token', async (request, response) => answer(secretsOf(request).join(' '), response));
      const { exitCode, stderr } = await machine.spawn(refresh);
      expect(exitCode).toBe(5);
      expectRedacted(stderr, acme.requestsTo('/token').at(-1));
    }
  });
});

describe('what other programs get to see', () => {
  const traced =
    requirement('strace', isOnPath('strace')) && requirement('gnome-keyring', keyringInstalled());

  test.skipIf(!traced)(
    'LEK-02, STO-22: no program is started with a secret on its command line or in its environment, nor the key of the store',
    async () => {
      const keyring = await forThisTest(startKeyring());
      const passphrase = 'a-passphrase-for-the-sealed-file';
      const { machine } = await newcomer({ ...keyring.env });
      const log = join(machine.folder, 'programs');
      const watch = ['strace', '-f', '-qq', '-v', '-s', '100000', '-e', 'trace=execve', '-o', log];
      const commands: [argv: string[], programs: RegExp[]][] = [
        [
          ['login', '-q', '--prompt', 'consent', '--browser', agent],
          [/bin\/authcli\.js/, /agent\.js/],
        ],
        [refresh, [/bin\/authcli\.js/, /refresh-helper\.js/]],
        [['store', 'migrate', 'file'], [/bin\/authcli\.js/]],
        [refresh, [/bin\/authcli\.js/, /refresh-helper\.js/]],
        [['logout'], [/bin\/authcli\.js/]],
      ];
      for (const [argv, programs] of commands) {
        const env = { AUTHCLI_STORE_PASSPHRASE: passphrase };
        expect(await machine.start(argv, env, watch).outcome).toMatchObject({ exitCode: 0 });
        const started = readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line.includes(' = 0'));
        for (const program of programs) expect(started.some((line) => program.test(line))).toBe(true);
        // Ours was given to us; nobody else gets it.
        const others = started.filter((line) => !/bin\/authcli\.js/.test(line)).join('\n');
        expect(others).not.toContain(passphrase);
        noteCanary('key of the store', await keyInKeychain(machine));
        assertNoCanary(started.join('\n'), 'a started program');
      }
    },
  );

  test('LEK-05: a browser inherits what we were given, but for our own variables', async () => {
    const given = {
      AUTHCLI_STORE: 'file',
      AUTHCLI_STORE_PASSPHRASE: 'correct horse battery staple',
      LANG: 'C.UTF-8',
      HTTPS_PROXY: 'http://127.0.0.1:9',
    };
    const { machine } = await newcomer(given);
    const seen = join(machine.folder, 'seen');
    const browser = join(machine.folder, 'browser');
    writeFileSync(browser, `#!/bin/sh\nenv > ${seen}.part\nmv ${seen}.part ${seen}\nexec ${agent} "$@"\n`, {
      mode: 0o755,
    });
    expect(await login(machine, '--browser', browser)).toMatchObject({ exitCode: 0 });
    const names = readFileSync(seen, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0] ?? '');
    // The shell of the script adds these by itself.
    const ofTheShell = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
    const inherited = names.filter((name) => !ofTheShell.has(name)).toSorted();
    expect(inherited).toEqual(
      Object.keys(machine.env)
        .filter((name) => !name.startsWith('AUTHCLI_'))
        .toSorted(),
    );
  });
});

test.skipIf(!requirement('chromium', chromiumInstalled))(
  'LEK-04: where the person goes after a sign-in gets no Referer, and the files of the browser hold no token',
  { timeout: 60_000 },
  async () => {
    const { machine } = await newcomer();
    const browser = await startChromium();
    onTestFinished(browser.close);
    const pending = await pendingLogin(machine);
    const page = await browser.context.newPage();
    await signInOn(page, pending.authorizationUrl);
    expect(await pending.outcome).toMatchObject({ exitCode: 0 });

    // RFC 9700 4.2.
    const referers: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      referers.push(request.headers.referer);
      response.end('<p>elsewhere</p>');
    });
    const port = await startServer(() => {}, { server: elsewhere });
    await page.evaluate(`location.href = 'http://127.0.0.1:${port}/'`);
    await page.getByText('elsewhere').waitFor();
    expect(referers[0]).toBeUndefined();

    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0 });
    await browser.context.close();
    // Chromium writes down every address that it visited, whatever became of it.
    assertNoCanaryIn(browser.profile, new Set(['code']));
  },
);
