import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kill } from 'node:process';

import { describe, expect, onTestFinished, test } from 'vitest';

import { browserStubs, type BrowserStubs } from '../support/browser-stub.js';
import { newcomer, type Newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import { newMachine, type Outcome } from '../support/run.js';
import { changedMetadata, wellKnown } from './metadata.js';
import { pendingLogin, pendingLoginWithBrowser, type PendingLogin } from './pending-login.js';
import { isFull } from './sizes.js';

/** Somebody whose browsers are stubs, and whose folder would show what a shell has made of a command or a URL. */
async function stubbed(): Promise<Newcomer & { readonly stubs: BrowserStubs }> {
  const { acme, machine } = await newcomer();
  return { acme, machine, stubs: await browserStubs(machine.folder) };
}

/** The person says no: the shortest way to the end of a login that is not about what comes back. */
async function decline(
  { redirectUri, state, outcome }: PendingLogin,
  { issuer }: Provider,
): Promise<Outcome> {
  const response = new URLSearchParams({ error: 'access_denied', state, iss: issuer });
  await fetch(`${redirectUri.href}?${response.toString()}`);
  return outcome;
}

/**
 * A PATH of one folder, which has what the opener of the system needs and no browser, and of the current folder, which is
 * what an empty entry and a dot stand for.
 */
function ownPath(folder: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const tool of ['grep', 'sed']) symlinkSync(join('/bin', tool), join(bin, tool));
  return `:.:${bin}`;
}

async function refusesToOpen(endpoint: string): Promise<void> {
  const { acme, machine, stubs } = await stubbed();
  acme.answerNext(wellKnown, await changedMetadata(acme, { authorization_endpoint: endpoint }));
  const before = acme.requests.length;
  const outcome = await machine.spawn(['login', '--timeout', '2s', '--browser', stubs.write('stub')]);
  expect(outcome).toEqual({
    exitCode: 5,
    stdout: '',
    stderr: `error: the authorization_endpoint in the metadata of ${acme.issuer} is not an https address\n`,
  });
  expect(stubs.count).toBe(0);
  expect(acme.requests.slice(before).map(({ path }) => path)).toEqual([wellKnown]);
}

describe('BRW-01: an authorization endpoint that is no https address opens no browser', () => {
  test.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/html,x',
    'smb://host/share',
    'search-ms:query=x',
    'ms-msdt:/id PCWDiagnostic',
    'vscode://x',
    'ftp://host/authorize',
    'chrome://settings',
    'view-source:https://as.test/',
    'blob:https://as.test/1',
    'com.acme.app:/authorize',
    '-n',
    '',
    'authorize',
    '//as.test/authorize',
    'https://',
    'http://as.test/authorize',
    'http://127.0.0.1.as.test/authorize',
    'http://localhost.as.test/authorize',
    'http://0.0.0.0/authorize',
    'http://[::2]/authorize',
  ])('%j', refusesToOpen);
});

describe('BRW-14: an authorization endpoint with a user name, a password or a fragment opens no browser', () => {
  test.each([
    'https://user:pw@as.test/authorize',
    'https://user@as.test/authorize',
    'https://:pw@as.test/authorize',
    'https://as.test/authorize#fragment',
    'https://as.test/authorize?a=b#c',
    'https://as.test/authorize#',
  ])('%s', refusesToOpen);
});

describe('BRW-02: the browser gets the URL as one argument, byte for byte, and no shell sees it', () => {
  const ours = [
    'client_id',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'prompt',
  ];
  /** What is left of the endpoint in a URL that we made. */
  function endpointOf(url: string): string {
    const endpoint = new URL(url);
    // Also writes the query anew, the way in which each of these writes it.
    for (const name of ours) endpoint.searchParams.set(name, '');
    for (const name of ours) endpoint.searchParams.delete(name);
    return endpoint.href;
  }

  const everything = `/auth/$(touch X)\`touch X\`|;"'^&%USERPROFILE%\n\u2028!*\\..%00%0a?a=$(touch X)&b=\`touch X\`;|"'^%USERPROFILE%\n\u2028%s`;
  test.each([
    ['/auth/$(touch X)'],
    ['/auth/`touch X`?`touch X`'],
    ['/auth/;touch X;'],
    ['/auth/|touch X|touch X'],
    ['/auth?a="&touch X&"'],
    ["/auth?a='; touch X; '"],
    ['/auth?a=^&b=%USERPROFILE%^&c'],
    ['/auth?a=\ntouch X\n'],
    ['/auth?a=\u2028touch X'],
    ['/auth?a=%s&b=%%s&c=%0a'],
    [everything],
    [everything, '--app=%s'],
  ])('%j', async (endpoint, ...options) => {
    const { acme, machine, stubs } = await stubbed();
    const address = acme.issuer + endpoint;
    acme.answerNext(wellKnown, await changedMetadata(acme, { authorization_endpoint: address }));
    const browser = [stubs.write('stub'), ...options].join(' ');
    const login = await pendingLoginWithBrowser(machine, ['--browser', browser], {}, machine.folder);
    const { href } = login.authorizationUrl;
    const launch = await stubs.next();
    expect(launch.arguments).toEqual([(options[0] ?? '%s').replace('%s', () => href)]);
    expect(endpointOf(href)).toBe(endpointOf(address));
    expect(await decline(login, acme)).toMatchObject({ exitCode: 3, stdout: '' });
    expect(existsSync(join(machine.folder, 'X'))).toBe(false);
  });

  test('through the opener of the system', async () => {
    const { acme, machine, stubs } = await stubbed();
    const address = acme.issuer + everything;
    acme.answerNext(wellKnown, await changedMetadata(acme, { authorization_endpoint: address }));
    const env = { DISPLAY: ':7', PATH: ownPath(machine.folder) };
    stubs.write('bin/x-www-browser');
    const login = await pendingLoginWithBrowser(machine, [], env, machine.folder);
    expect((await stubs.next()).arguments).toEqual([login.authorizationUrl.href]);
    await decline(login, acme);
    expect(existsSync(join(machine.folder, 'X'))).toBe(false);
  });
});

test('BRW-04: a URL with a dozen parameters and more reaches the browser whole, and is the one that was printed', async () => {
  const { acme, machine, stubs } = await stubbed();
  const more = Array.from({ length: 12 }, (_, at): [string, string] => [`p${at}`, `a&b=${at} c%26+`]);
  const options = more.flatMap(([name, value]) => ['--auth-param', `${name}=${value}`]);
  const login = await pendingLoginWithBrowser(machine, ['--browser', stubs.write('stub'), ...options]);
  const { arguments: received } = await stubs.next();
  expect(received).toEqual([login.authorizationUrl.href]);
  expect([...login.authorizationUrl.searchParams]).toEqual(
    expect.arrayContaining([
      ...more,
      ['state', login.state],
      ['code_challenge', expect.stringMatching(/^[\w-]{43}$/)],
    ]),
  );
  await decline(login, acme);
});

test('BRW-05, TOK-17: the authorization request carries what protects it, and the code exchange what proves it', async () => {
  const { acme, machine } = await newcomer();
  const login = await pendingLogin(machine);
  expect(await login.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
  expect(Object.fromEntries(login.authorizationUrl.searchParams)).toEqual({
    client_id: 'cli',
    response_type: 'code',
    redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    state: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge_method: 'S256',
  });
  expect([...login.authorizationUrl.searchParams]).toHaveLength(9);
  expect(acme.requestsTo('/token')).toEqual([
    {
      localPort: Number(new URL(acme.issuer).port),
      method: 'POST',
      path: '/token',
      url: '/token',
      parameters: {
        grant_type: 'authorization_code',
        client_id: 'cli',
        code: expect.any(String),
        code_verifier: expect.stringMatching(/^[\w-]{43}$/),
        redirect_uri: login.redirectUri.href,
      },
      headers: expect.objectContaining({
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      }),
      remotePort: expect.any(Number),
    },
  ]);
  expect(acme.requestsTo('/token')[0]?.headers).not.toHaveProperty('authorization');
});

test(
  'BRW-06: no two sign-ins share a state, a nonce or a challenge, and each verifier proves its challenge',
  { timeout: 300_000 },
  async () => {
    const { acme, machine } = await newcomer();
    const logins = isFull ? 200 : 10;
    for (let done = 0; done < logins; done++) {
      const login = await pendingLogin(machine);
      expect(await login.signIn()).toMatchObject({ exitCode: 0 });
    }
    const asked = acme.requestsTo('/auth').map(({ parameters }) => parameters);
    for (const name of ['state', 'nonce', 'code_challenge']) {
      const values = asked.flatMap((parameters) => parameters[name] ?? []);
      expect(new Set(values.filter((value) => /^[\w-]{43}$/.test(value))).size).toBe(logins);
    }
    const verifiers = acme.requestsTo('/token').map(({ parameters }) => parameters['code_verifier'] ?? '');
    // RFC 7636 4.1; 43 characters of 6 bits hold the 256 bits of its section 7.1.
    for (const verifier of verifiers) expect(verifier).toMatch(/^[\w.~-]{43,128}$/);
    expect(new Set(verifiers.map(challengeOf))).toEqual(
      new Set(asked.map((parameters) => parameters['code_challenge'])),
    );
    expect(new Set(verifiers).size).toBe(logins);
  },
);

/** RFC 7636 4.2. */
function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier, 'ascii').digest('base64url');
}

describe('BRW-08: whatever the browser’s program does, the login goes on, its output stays clean, and no zombie is left', () => {
  test.each([
    ['it fails', 'process.exit(1)'],
    ['it crashes', "process.kill(process.pid, 'SIGSEGV')"],
    ['it ends well', 'process.exit(0)'],
    [
      'it writes 10 MB to each output',
      "process.stdout.write('x'.repeat(1e7), () => process.stderr.write('x'.repeat(1e7), () => process.exit()))",
    ],
  ])('%s', async (_title, ending) => {
    const { machine, stubs } = await stubbed();
    const login = await pendingLoginWithBrowser(machine, [
      '--json',
      '--browser',
      stubs.write('stub', ending),
    ]);
    const launch = await stubs.next();
    await expect.poll(() => childrenOf(launch.parent)).toEqual([]);
    const { exitCode, stdout, stderr } = await login.signIn();
    expect({ exitCode, account: JSON.parse(stdout) }).toMatchObject({
      exitCode: 0,
      account: { provider: 'acme' },
    });
    expect(stderr).not.toContain('xxx');
    expect(stderr.includes('warning: no browser was started')).toBe(/fails|crashes/.test(_title));
  });

  // The contract: what `--browser` starts is never killed by us.
  test('it never ends: it outlives the login in a process group of its own, holding none of our outputs', async () => {
    const { machine, stubs } = await stubbed();
    const stub = stubs.write('stub', 'setInterval(() => {}, 1000)');
    const login = await pendingLoginWithBrowser(machine, ['--browser', stub]);
    const { pid, parent, group } = await stubs.next();
    onTestFinished(() => void kill(pid, 'SIGKILL'));
    expect(await login.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
    expect({ group, state: stateOf(pid) }).toEqual({ group: pid, state: expect.stringMatching(/^[RS]$/) });
    expect(() => kill(parent, 0)).toThrow('ESRCH');
  });
});

/** The processes, zombies too, that `pid` has started and not waited for yet. */
function childrenOf(pid: number): string[] {
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && statOf(entry)[1] === String(pid));
}

function stateOf(pid: number): string | undefined {
  return statOf(String(pid))[0];
}

/** State, parent and so on; nothing of a process that has just gone. */
function statOf(pid: string): string[] {
  try {
    return (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '').split(' ');
  } catch {
    return [];
  }
}

describe('BRW-09: BROWSER is a program and its words, and never a line for a shell', () => {
  test.each<[browser: string, received: string[]]>([
    ['STUB', ['URL']],
    ['STUB %s', ['URL']],
    ['STUB --url=%s&x', ['--url=URL&x']],
    ['STUB ; touch X', [';', 'touch', 'X', 'URL']],
    ['STUB && touch X', ['&&', 'touch', 'X', 'URL']],
    ['STUB | tee X', ['|', 'tee', 'X', 'URL']],
    ['STUB > X', ['>', 'X', 'URL']],
    ['STUB $(touch X) `touch X` $HOME ~ *', ['$(touch', 'X)', '`touch', 'X`', '$HOME', '~', '*', 'URL']],
    ['STUB\ntouch X', ['touch', 'X', 'URL']],
    ['"STUB" "a b" \'c d\' e\\ f', ['a b', 'c d', 'e f', 'URL']],
    ['FOLDER/a stub', ['URL']],
    ['"FOLDER/a stub" -n', ['-n', 'URL']],
    ['FOLDER/$(touch X)', ['URL']],
  ])('%j', async (browser, received) => {
    const { acme, machine, stubs } = await stubbed();
    for (const name of ['stub', 'a stub', '$(touch X)']) stubs.write(name);
    const BROWSER = browser
      .replace('STUB', () => join(machine.folder, 'stub'))
      .replace('FOLDER', () => machine.folder);
    const login = await pendingLoginWithBrowser(machine, [], { BROWSER }, machine.folder);
    const { href } = login.authorizationUrl;
    expect((await stubs.next()).arguments).toEqual(received.map((word) => word.replace('URL', () => href)));
    expect(await decline(login, acme)).toMatchObject({ exitCode: 3, stdout: '' });
    expect(existsSync(join(machine.folder, 'X'))).toBe(false);
  });

  test.each([
    ['FOLDER/stub; touch X', 'there is no program "FOLDER/stub;"'],
    ['FOLDER/stub;touch X', 'there is no program "FOLDER/stub;touch"'],
    ['$(touch X)', 'there is no program "$(touch"'],
    ['`touch X`', 'there is no program "`touch"'],
    ['"FOLDER/stub', 'the browser command has a quote that is not closed'],
  ])('%j starts nothing, and the login goes on without', async (browser, reason) => {
    const { machine, stubs } = await stubbed();
    stubs.write('stub');
    const fill = (text: string) => text.replace('FOLDER', () => machine.folder);
    const login = await pendingLoginWithBrowser(machine, [], { BROWSER: fill(browser) }, machine.folder);
    const { exitCode, stderr } = await login.signIn();
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      `warning: no browser was started (${fill(reason)}): open the address above yourself\n`,
    );
    expect(stubs.count).toBe(0);
    expect(existsSync(join(machine.folder, 'X'))).toBe(false);
  });
});

const hints: Readonly<Record<string, string>> = {
  client_id: 'hint: use --client-id\n',
  redirect_uri: 'hint: use --redirect-uri\n',
  scope: 'hint: use --scope\n',
  prompt: 'hint: use --prompt\n',
  login_hint: 'hint: use --login-hint\n',
  response_mode: 'hint: use --response-mode\n',
};

describe('BRW-12: what the sign-in itself sets cannot be replaced', () => {
  test.each([
    'client_id',
    'redirect_uri',
    'response_type',
    'response_mode',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'client_secret',
    'prompt',
    'login_hint',
  ])('%s', async (name) => {
    const machine = newMachine();
    const argv = ['login', '--issuer', 'http://127.0.0.1:1', '--client-id', 'cli'];
    const hint = hints[name] ?? '';
    const refused = {
      exitCode: 2,
      stdout: '',
      stderr: `error: --auth-param cannot set ${name}: the sign-in itself does\n${hint}`,
    };
    expect(await machine.spawn([...argv, '--auth-param', 'a=b', '--auth-param', `${name}=x`])).toEqual(
      refused,
    );
  });

  test('nor by way of the environment', async () => {
    const argv = ['login', '--issuer', 'http://127.0.0.1:1', '--client-id', 'cli'];
    expect(await newMachine().spawn(argv, { AUTHCLI_AUTH_PARAM: 'a=b state=x' })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'error: --auth-param cannot set state: the sign-in itself does\n',
    });
  });
});

describe('BRW-13: a query of the endpoint’s own is kept, but for what is ours, which stands there once', () => {
  test.each([
    '?tenant=x&state=evil&redirect_uri=http://evil.test/',
    '?tenant=x&state=evil&state=evil2&client_id=evil&client_id=evil2&scope=admin',
    '?tenant=x&%73tate=evil&response_type=token&response%5Ftype=token&code_challenge_method=plain&nonce=evil',
    '?tenant=x&code_challenge=evil&code_challenge=&code_challenge_method=plain&prompt=none',
  ])('%s', async (query) => {
    const { acme, machine } = await newcomer();
    const endpoint = `${acme.issuer}/auth${query}`;
    acme.answerNext(wellKnown, await changedMetadata(acme, { authorization_endpoint: endpoint }));
    const login = await pendingLogin(machine);
    const names = [...login.authorizationUrl.searchParams.keys()];
    expect(names.toSorted()).toEqual([
      'client_id',
      'code_challenge',
      'code_challenge_method',
      'nonce',
      'prompt',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
      'tenant',
    ]);
    expect(login.authorizationUrl.searchParams.get('tenant')).toBe('x');
    expect(login.authorizationUrl.href).not.toContain('evil');
    expect(await login.signIn()).toMatchObject({ exitCode: 0 });
  });
});

/** The package looks for its script before it starts it. */
function slowOpener(folder: string): string {
  const hook = join(folder, 'slow.cjs');
  writeFileSync(
    hook,
    `const files = require('node:fs/promises');
const { access } = files;
files.access = (...given) => new Promise((done) => setTimeout(done, 1500)).then(() => access(...given));`,
  );
  return `--require=${hook}`;
}

describe('BRW-16: a program of the current folder is never taken for a browser, or for what starts one', () => {
  const planted = [
    'xdg-open',
    'open',
    'powershell.exe',
    'wslview',
    'sh',
    'node',
    'env',
    'uname',
    'grep',
    'sed',
    'xdg-mime',
    'dbus-send',
    'x-www-browser',
    'firefox',
    'chromium',
    'google-chrome',
  ];

  test('with the opener of the system', async () => {
    const { machine, stubs } = await stubbed();
    for (const name of planted) stubs.write(`here/${name}`);
    const env = { DISPLAY: ':7', PATH: `${ownPath(machine.folder)}::here:./` };
    const browser = stubs.write('bin/x-www-browser');
    const login = await pendingLoginWithBrowser(machine, [], env, join(machine.folder, 'here'));
    expect(await stubs.next()).toMatchObject({
      program: browser,
      env: { PATH: join(machine.folder, 'bin') },
    });
    expect(await login.signIn()).toMatchObject({ exitCode: 0 });
    expect(stubs.count).toBe(1);
  });

  test('with an opener that is slow to load', async () => {
    const { machine, stubs } = await stubbed();
    for (const name of planted) stubs.write(`here/${name}`);
    const env = { DISPLAY: ':7', PATH: ownPath(machine.folder), NODE_OPTIONS: slowOpener(machine.folder) };
    stubs.write('bin/x-www-browser');
    const login = await pendingLoginWithBrowser(machine, [], env, join(machine.folder, 'here'));
    expect(await stubs.next()).toMatchObject({ env: { PATH: join(machine.folder, 'bin') } });
    expect(await login.signIn()).toMatchObject({ exitCode: 0 });
    expect(stubs.count).toBe(1);
  });

  test.each([
    ['firefox', 'firefox is not installed'],
    ['xdg-open', 'there is no program "xdg-open"'],
    ['open -a Safari', 'there is no program "open"'],
  ])('with --browser %j', async (browser, reason) => {
    const { machine, stubs } = await stubbed();
    for (const name of planted) stubs.write(`here/${name}`);
    const env = { PATH: ownPath(machine.folder) };
    const here = join(machine.folder, 'here');
    const login = await pendingLoginWithBrowser(machine, ['--browser', browser], env, here);
    const { stderr } = await login.signIn();
    expect(stderr).toContain(`warning: no browser was started (${reason})`);
    expect(stubs.count).toBe(0);
  });
});
