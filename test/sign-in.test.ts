import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { expect, test } from 'vitest';

import type { ProviderOptions } from './support/provider-configuration.js';
import { newcomer, startAcme, type Newcomer } from './support/newcomer.js';
import { agent, newMachine, type Machine } from './support/run.js';
import { approves, approvesAs, authorizationResponse, browserOf, denies } from './support/user-agents.js';

const jane = { sub: 'jane-4711', username: 'jane', email: 'jane@acme.test', name: 'Jane Doe' };
const scope = 'openid profile email offline_access';

async function signedIn(options?: ProviderOptions): Promise<Newcomer> {
  const { acme, machine } = await newcomer(undefined, options);
  const outcome = await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approves));
  expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr: expect.stringMatching(/^\n {2}http\S+\n\n$/) });
  return { acme, machine };
}

function sessionFiles({ folder }: Machine): string[] {
  return readdirSync(join(folder, 'state', 'sessions')).filter((name) => name.endsWith('.session'));
}

test('a person signs in, uses the token, lets it be refreshed, and signs out', async () => {
  const { acme, machine } = await newcomer();
  const browser = browserOf(approves);

  const login = await machine.run(['login', '--prompt', 'consent', '--json'], browser);
  expect(login.exitCode).toBe(0);
  expect(JSON.parse(login.stdout)).toEqual({
    provider: 'acme',
    issuer: acme.issuer,
    account: jane,
    scope,
    expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    refreshable: true,
    store: 'file',
  });
  const page = await browser.pages[0];
  expect(page?.body).toContain('jane@acme.test');

  const first = await machine.run(['token']);
  expect(first).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' });
  expect(await machine.run(['token', '-p', 'acme'])).toEqual(first);
  expect(acme.requestsTo('/token')).toHaveLength(1);

  const refreshed = await machine.run(['token', '--force-refresh']);
  expect(refreshed).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' });
  expect(refreshed.stdout).not.toBe(first.stdout);
  expect(await machine.run(['token'])).toEqual(refreshed);

  const logout = await machine.run(['logout']);
  expect(logout).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      '✓ Signed out of acme as jane@acme.test: refresh token and access token revoked, session forgotten.\n',
  });
  expect(await machine.run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: 'error: not signed in to acme\nhint: authcli login -p acme\n',
  });
  expect(sessionFiles(machine)).toEqual([]);

  const tokenRequests = acme
    .requestsTo('/token')
    .map(({ method, parameters }) => [method, parameters['grant_type']]);
  expect(tokenRequests).toEqual([
    ['POST', 'authorization_code'],
    ['POST', 'refresh_token'],
  ]);
  const revoked = acme.requestsTo('/token/revocation').map(({ parameters }) => parameters['token_type_hint']);
  expect(revoked).toEqual(['refresh_token', 'access_token']);
});

test('the session file shows who signed in, and nothing that is secret', async () => {
  const { machine } = await signedIn();
  const [file = ''] = sessionFiles(machine);
  const content = readFileSync(join(machine.folder, 'state', 'sessions', file), 'utf8');
  const { stdout } = await machine.run(['token']);
  expect(JSON.parse(content.split('\n')[0] ?? '')).toMatchObject({
    provider: 'acme',
    account: jane,
    refreshable: true,
  });
  expect(content).not.toContain(stdout.trim());
  expect(content).not.toContain('eyJ');
});

test('status tells the sessions, and for one of them whether it can still give a token', async () => {
  const { acme, machine } = await newcomer();
  expect(await machine.run(['status', '--json'])).toEqual({
    exitCode: 0,
    stdout: '{"sessions":[]}\n',
    stderr: '',
  });
  expect(await machine.run(['status', '-p', 'acme'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: 'not signed in to acme\n',
  });

  await machine.run(['login', '--prompt', 'consent'], browserOf(approves));
  const status = await machine.run(['status', '-p', 'acme', '--json']);
  expect(status.exitCode).toBe(0);
  expect(JSON.parse(status.stdout)).toEqual({
    sessions: [
      {
        provider: 'acme',
        issuer: acme.issuer,
        account: jane,
        scope,
        state: 'valid',
        expiresAt: expect.any(String),
        refreshable: true,
        store: 'file',
        default: true,
      },
    ],
  });
  expect(await machine.run(['status'])).toEqual({
    exitCode: 0,
    stdout:
      '   PROVIDER  ACCOUNT         STATE      TOKEN        STORE  SCOPE\n' +
      `*  acme      jane@acme.test  signed in  60 min left  file   ${scope}\n`,
    stderr: '',
  });
});

test('every form of the token says the same', async () => {
  const { acme, machine } = await signedIn();
  const token = (await machine.run(['token'])).stdout.trim();
  const form = async (...argv: string[]) => (await machine.run(['token', ...argv])).stdout;
  expect(await form('--output', 'header')).toBe(`Authorization: Bearer ${token}\n`);
  expect(await form('--output', 'env')).toBe(`export AUTHCLI_ACCESS_TOKEN='${token}'\n`);
  const json = await form('--json');
  expect(await form('--output', 'json')).toBe(json);
  expect(JSON.parse(json)).toEqual({
    access_token: token,
    token_type: 'Bearer',
    expires_at: expect.stringMatching(/Z$/),
    scope,
    issuer: acme.issuer,
    provider: 'acme',
    account: jane,
  });
  const idToken = await form('--type', 'id');
  expect(JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
    sub: jane.sub,
    aud: 'cli',
  });
});

test('a token that ends too soon is refreshed, and one that always will is printed with a warning', async () => {
  const { acme, machine } = await signedIn({ accessTokenLifetime: 30 });
  const token = await machine.run(['token']);
  expect(token).toEqual({
    exitCode: 0,
    stdout: expect.stringMatching(/^\S+\n$/),
    stderr: 'warning: the new token lives shorter than --min-ttl asks for\n',
  });
  expect(await machine.run(['token', '--min-ttl', '10s'])).toEqual({ ...token, stderr: '' });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});

test('a refresh keeps the rotated refresh token: many in a row never use one twice', async () => {
  const { acme, machine } = await signedIn();
  for (let round = 0; round < 5; round++) {
    expect((await machine.run(['token', '--force-refresh'])).exitCode).toBe(0);
  }
  const used = acme.requestsTo('/token').flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
  expect(new Set(used).size).toBe(5);
});

test('a session that the provider has ended is remembered as such, without another request', async () => {
  const { acme, machine } = await signedIn();
  acme.endSessions();
  const refused = await machine.run(['token', '--force-refresh']);
  expect(refused).toEqual({
    exitCode: 4,
    stdout: '',
    stderr:
      'error: the session at acme is over: the provider says invalid_grant\nhint: authcli login -p acme\n',
  });
  const requests = acme.requests.length;
  expect(await machine.run(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: the session at acme ended on \S+Z: the provider says invalid_grant\nhint: authcli login -p acme\n$/,
    ),
  });
  expect((await machine.run(['status', '-p', 'acme'])).exitCode).toBe(4);
  expect(acme.requests).toHaveLength(requests);
});

test('a denied consent is the person’s answer, not a failure of the program', async () => {
  const { acme, machine } = await newcomer();
  const browser = browserOf(denies);
  const outcome = await machine.run(['login', '-q'], browser);
  expect(outcome).toEqual({
    exitCode: 3,
    stdout: '',
    stderr: expect.stringContaining(
      'error: the provider refused the sign-in: access_denied (The person denied the access)\n' +
        'hint: run authcli login again and allow the access\n',
    ),
  });
  expect((await browser.pages[0])?.body).toContain('access_denied');
  expect(acme.requestsTo('/token')).toEqual([]);
  expect(sessionFiles(machine)).toEqual([]);
});

test('somebody else signing in is refused, and nothing is kept', async () => {
  const { machine } = await newcomer();
  const outcome = await machine.run(
    ['login', '-q', '-a', 'jane@acme.test'],
    browserOf(approvesAs('john@acme.test')),
  );
  expect(outcome).toEqual({
    exitCode: 3,
    stdout: '',
    stderr: expect.stringContaining(
      'error: john@acme.test signed in, but jane@acme.test was expected; nothing was kept\n',
    ),
  });
  expect(sessionFiles(machine)).toEqual([]);
});

test('two accounts live side by side: the last to sign in is the current one, -a names the other', async () => {
  const { machine } = await signedIn();
  await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approvesAs('john@acme.test')));
  const who = async (...argv: string[]) =>
    /[a-z]+@acme.test/.exec((await machine.run(['token', '--json', ...argv])).stdout)?.[0];
  expect(await who()).toBe('john@acme.test');
  expect(await who('-a', 'jane')).toBe('jane@acme.test');
  expect(await machine.run(['token', '-a', 'eve'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: eve is not signed in to acme \(signed in: (jane|john)@acme.test, (jane|john)@acme.test\)\nhint: authcli login -p acme -a eve\n$/,
    ),
  });
  await machine.run(['logout']);
  expect(await who()).toBe('jane@acme.test');
  const all = await machine.run(['logout', '--all', '--json']);
  expect(JSON.parse(all.stdout)).toEqual({
    sessions: [
      {
        provider: 'acme',
        account: jane,
        revoked: ['refresh_token', 'access_token'],
        notRevoked: [],
        reason: null,
      },
    ],
  });
});

test('with nothing configured, an issuer and a client ID are enough; what worked is saved', async () => {
  const acme = await startAcme();
  const machine = newMachine();
  const outcome = await machine.run(
    ['login', '--issuer', acme.issuer, '--client-id', 'cli', '--prompt', 'consent', '--store', 'file', '-q'],
    browserOf(approves),
  );
  expect(outcome.exitCode).toBe(0);
  const name = acme.issuer.replace('http://', '');
  const configuration: unknown = JSON.parse(
    readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8'),
  );
  expect(configuration).toEqual({
    store: 'file',
    providers: {
      [name]: { issuer: acme.issuer, clientId: 'cli', scope: 'openid profile email offline_access' },
    },
  });
  expect(await machine.run(['token'])).toEqual({
    exitCode: 0,
    stdout: expect.stringMatching(/^\S+\n$/),
    stderr: '',
  });
});

test('a sign-in at a new issuer that fails leaves no provider behind', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const argv = ['login', '--issuer', acme.issuer, '--client-id', 'cli', '-q'];
  expect((await machine.run(argv, browserOf(denies))).exitCode).toBe(3);
  expect(await machine.run(['provider', 'list', '--json'])).toEqual({
    exitCode: 0,
    stdout: '{"providers":{}}\n',
    stderr: '',
  });
});

test('no refresh token although offline access was asked for: a warning, and what to do', async () => {
  const { machine } = await newcomer();
  const outcome = await machine.run(['login', '-q'], browserOf(approves));
  expect(outcome).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: expect.stringContaining(
      'warning: acme gave no refresh token: when the access token expires, you must sign in again\n' +
        'hint: authcli login -p acme --prompt consent\n',
    ),
  });
  expect((await machine.run(['token', '--force-refresh'])).exitCode).toBe(4);
});

test('logout forgets even when the provider cannot be reached, and says that the tokens live on', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token/revocation', { status: 503 });
  acme.answerNext('/token/revocation', 'reset');
  expect(await machine.run(['logout'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      `warning: refresh token and access token not revoked (the provider answers 503 at ${acme.issuer}/token/revocation): good at acme until expiry\n` +
      '✓ Signed out of acme as jane@acme.test: session forgotten.\n',
  });
  expect(await machine.run(['logout'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'not signed in: there is nothing to log out of\n',
  });
});

test('logout --no-revoke asks nothing of the provider', async () => {
  const { acme, machine } = await signedIn();
  const requests = acme.requests.length;
  expect((await machine.run(['logout', '--no-revoke'])).exitCode).toBe(0);
  expect(acme.requests).toHaveLength(requests);
  expect(sessionFiles(machine)).toEqual([]);
});

test('token --login signs in where there is no other way', async () => {
  const { machine } = await newcomer();
  const outcome = await machine.run(['token', '--login', '-q'], browserOf(approves));
  expect(outcome).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/) });
});

test('where the browser runs elsewhere, the address that it ended at, its query or the code can be pasted', async () => {
  const { machine } = await newcomer();
  const pastes: ((response: URL) => string)[] = [
    (response) => response.href,
    (response) => response.search,
    (response) => response.searchParams.get('code') ?? '',
  ];
  for (const paste of pastes) {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const outcome = await machine.run(['login', '-q'], {
      stdin,
      isTerminal: true,
      openBrowser: async (url) => {
        const redirectUri = new URL(url.searchParams.get('redirect_uri') ?? '');
        const response = await authorizationResponse(url, redirectUri);
        stdin.write(`${redirectUri.href}?code=FORGED&state=WRONG\n`);
        stdin.write(`${paste(response)}\n`);
        return { kind: 'launched' };
      },
    });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.stderr).toContain('that cannot be used: the URL belongs to another login; still waiting');
  }
});

test('the command line beats the environment, also where two options say the same', async () => {
  const { machine, acme } = await signedIn();
  const token = (await machine.run(['token'])).stdout;
  const form = (argv: string[], env: Record<string, string>) => machine.spawn(['token', ...argv], env);
  expect((await form([], { AUTHCLI_OUTPUT: 'header' })).stdout).toBe(`Authorization: Bearer ${token}`);
  expect((await form(['--json'], { AUTHCLI_OUTPUT: 'header' })).stdout).toContain('"access_token"');
  const login = ['login', '-q', '--browser', agent, '--prompt', 'consent', '--timeout', '20s'];
  expect(await machine.spawn(login, { AUTHCLI_NO_BROWSER: '1' })).toMatchObject({ exitCode: 0 });
  expect(acme.requestsTo('/token')).toHaveLength(2);
});

test('an ID token goes into a header as the bearer token that it is', async () => {
  const { machine } = await signedIn();
  const { stdout } = await machine.run(['token', '--type', 'id', '--output', 'header']);
  expect(stdout).toMatch(/^Authorization: Bearer eyJ\S+\n$/);
});

test('what is no option is none, before the command or after it', async () => {
  const machine = newMachine();
  for (const argv of [
    ['token', '-undefined'],
    ['--type', 'id', 'token'],
    ['--type=id', 'token'],
  ]) {
    expect(await machine.run(argv)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('unknown option'),
    });
  }
});

test('a session whose key is gone can be forgotten', async () => {
  const { acme, machine } = await signedIn();
  rmSync(join(machine.folder, 'state', 'store.key'));
  const requests = acme.requests.length;
  expect(await machine.run(['logout', '--json'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('"notRevoked":["refresh_token","access_token"]'),
  });
  expect(acme.requests).toHaveLength(requests);
  expect(sessionFiles(machine)).toEqual([]);
});

test('a passphrase that cannot be used is refused instead of being ignored', async () => {
  const { machine } = await signedIn();
  expect(await machine.run(['login', '--store', 'keychain', '--passphrase'])).toMatchObject({
    exitCode: 2,
    stderr: 'error: --passphrase goes with --store file\nhint: authcli login --store file --passphrase\n',
  });
  expect(await machine.run(['login', '--passphrase'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('the sealed sessions have a key file already'),
  });
  expect(await machine.run(['store', 'migrate', 'keychain', '--passphrase'])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr:
      'error: --passphrase goes with the file store: the keychain holds a key of its own\n' +
      'hint: authcli store migrate keychain (asks by itself for what opens the sessions), or authcli store migrate file --passphrase\n',
  });
});

test('a machine whose clock is wrong keeps its session through a refresh', async () => {
  const { machine } = await signedIn();
  const wrong = { now: () => new Date(Date.now() + 3 * 3600_000) };
  expect(await machine.run(['token'], wrong)).toMatchObject({ exitCode: 0 });
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a token for other scopes comes through the refresh token, is kept beside the first, and costs one request', async () => {
  const { acme, machine } = await signedIn();
  const base = await machine.run(['token']);
  const narrow = await machine.run(['token', '--scope', 'openid,email', '--json']);
  expect(narrow).toMatchObject({ exitCode: 0, stderr: '' });
  expect(narrow.stdout).toContain('"scope":"openid email"');
  expect(await machine.run(['token', '--scope', 'email openid', '--json'])).toEqual(narrow);
  expect(await machine.run(['token'])).toEqual(base);
  const asked = acme
    .requestsTo('/token')
    .map(({ parameters }) => [parameters['grant_type'], parameters['scope']]);
  expect(asked).toEqual([
    ['authorization_code', undefined],
    ['refresh_token', 'openid email'],
  ]);
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
  expect((await machine.run(['logout'])).exitCode).toBe(0);
  expect(acme.requestsTo('/token/revocation')).toHaveLength(3);
});
