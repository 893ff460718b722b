import { describe, expect, test } from 'vitest';

import { jsonAnswer } from './hostile/metadata.js';
import { newSigningKey, sign } from './support/forged-id-token.js';
import { knowing, startAcme, type Newcomer } from './support/newcomer.js';
import type { Provider } from './support/provider.js';
import { newMachine, type Outcome } from './support/run.js';
import { approves, browserOf, type UserAgent } from './support/user-agents.js';

const json = { 'content-type': 'application/json' };
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test.for([
  [
    'as RFC 6749 2.3.1 has it, both form-encoded',
    { secret: { env: 'ACME_SECRET' } },
    basic('a%2Db%5Fc:p%2Ba%2Fs%3Ds'),
  ],
  [
    'both as they are, where the provider wants that',
    { secret: { env: 'ACME_SECRET' }, formEncoding: false },
    basic('a-b_c:p+a/s=s'),
  ],
  ['with no secret at all', { authentication: 'client_secret_basic', secret: 'empty' }, basic('a-b_c:')],
] as const)('Basic authentication: %s', async ([, client, authorization]) => {
  const clientId = 'a-b_c';
  const redirect = { redirect_uris: ['http://127.0.0.1/callback'], application_type: 'native' as const };
  const acme = await startAcme({
    clients: [{ client_id: clientId, token_endpoint_auth_method: 'none', ...redirect }],
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file', ACME_SECRET: 'p+a/s=s' });
  machine.configure({ providers: { acme: { issuer: acme.issuer, clientId, scope: 'openid', client } } });
  acme.answerNext('/token', { status: 401, headers: json, body: '{"error":"invalid_client"}' });
  const outcome = await machine.run(['login', '-q'], browserOf(approves));
  expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
  expect(outcome.stderr).not.toContain('p+a/s=s');
  expect(acme.requestsTo('/token').map(({ headers }) => headers.authorization)).toEqual([authorization]);
});

test('metadata at an address of its own, whatever its name, is fetched from there and nowhere else', async () => {
  const acme = await startAcme();
  const published = await fetch(`${acme.issuer}/.well-known/openid-configuration`);
  acme.answerNext('/auth/v1/openid_configuration', {
    status: 200,
    headers: json,
    body: await published.text(),
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const from = `${acme.issuer}/auth/v1/openid_configuration`;
  machine.configure({
    providers: { acme: { issuer: acme.issuer, clientId: 'cli', scope: 'openid', metadata: { from } } },
  });
  const before = acme.requests.length;
  expect(await machine.run(['login', '-q'], browserOf(approves))).toMatchObject({ exitCode: 0 });
  expect(acme.requests.slice(before).map(({ path }) => path)).toEqual(
    expect.arrayContaining(['/auth/v1/openid_configuration', '/auth', '/token']),
  );
  expect(acme.requests.slice(before).filter(({ path }) => path.includes('.well-known'))).toEqual([]);
});

test('parameters of the entry are sent until the command line says otherwise', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const parameters = { prompt: 'consent', audience: 'https://api.acme.test' };
  machine.configure({
    providers: {
      acme: {
        issuer: acme.issuer,
        clientId: 'cli',
        scope: 'openid offline_access',
        authorization: { parameters },
        token: { parameters: { audience: 'https://token.acme.test' } },
      },
    },
  });
  const sent = () => [
    acme.requestsTo('/auth').at(-1)?.parameters,
    acme.requestsTo('/token').at(-1)?.parameters,
  ];
  expect(await machine.run(['login', '-q'], browserOf(approves))).toMatchObject({ exitCode: 0 });
  expect(sent()).toMatchObject([parameters, { audience: 'https://token.acme.test' }]);
  expect(await machine.run(['token', '--force-refresh', '-q'])).toMatchObject({ exitCode: 0 });
  expect(sent()[1]).toMatchObject({ grant_type: 'refresh_token', audience: 'https://token.acme.test' });
  const own = ['--prompt', 'login', '--audience', 'https://other.acme.test'];
  await machine.run(['login', '-q', ...own], browserOf(approves));
  expect(sent()).toMatchObject([
    { prompt: 'login', audience: 'https://other.acme.test' },
    { audience: 'https://other.acme.test' },
  ]);
});

const tokens = { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-1' };

function answerTokens({ acme }: Newcomer, answer: object): void {
  acme.answerNext('/token', jsonAnswer(JSON.stringify(answer)));
}

function signIn({ machine }: Newcomer, ...argv: string[]): Promise<Outcome> {
  return machine.run(['login', '-q', '--prompt', 'consent', ...argv], browserOf(approves));
}

/** The provider sees the request, and something else answers it: no scope and no parameter is too strange for that. */
function answers({ issuer }: Provider, response: Readonly<Record<string, string>>): UserAgent {
  return async (url) => {
    await fetch(url, { redirect: 'manual' });
    const { redirect_uri: address = '', state = '' } = Object.fromEntries(url.searchParams);
    const { status } = await fetch(
      `${address}?${String(new URLSearchParams({ ...response, state, iss: issuer }))}`,
    );
    return { url, status, body: '' };
  };
}

function signInWithCode({ acme, machine }: Newcomer, ...argv: string[]): Promise<Outcome> {
  return machine.run(['login', '-q', ...argv], browserOf(answers(acme, { code: 'a-code' })));
}

function forceRefresh({ machine }: Newcomer, ...argv: string[]): Promise<Outcome> {
  return machine.run(['token', '--force-refresh', ...argv]);
}

describe('authorization', () => {
  test('scopes are separated by what the provider separates them by, and its own answer is read so', async () => {
    const known = await knowing({ scope: 'read email', authorization: { scopeSeparator: ',' } });
    answerTokens(known, { ...tokens, scope: 'email,read' });
    const outcome = await signInWithCode(known, '--json');
    expect(outcome).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining('warning') });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ scope: 'email read' });
    answerTokens(known, tokens);
    expect(await forceRefresh(known, '--scope', 'read email')).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/auth')[0]?.parameters['scope']).toBe('read,email');
    expect(known.acme.requestsTo('/token')[1]?.parameters['scope']).toBe('read,email');
  });

  test('a comma in the answer only', async () => {
    const known = await knowing({ scope: 'read:user repo', token: { scopeSeparator: ',' } });
    answerTokens(known, { ...tokens, scope: 'repo,read:user' });
    expect(JSON.parse((await signInWithCode(known, '--json')).stdout)).toMatchObject({
      scope: 'repo read:user',
    });
    expect(known.acme.requestsTo('/auth')[0]?.parameters['scope']).toBe('read:user repo');
  });

  test('a scope that is always wanted is asked for whatever else is', async () => {
    const known = await knowing({ authorization: { alwaysScope: 'profile email' } });
    expect(await signIn(known, '--scope', 'openid email')).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/auth')[0]?.parameters['scope']).toBe('openid email profile');
  });

  test('no nonce is sent to a provider that does not repeat it', async () => {
    const known = await knowing({ authorization: { nonce: false } });
    expect(await signIn(known)).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/auth')[0]?.parameters).not.toHaveProperty('nonce');
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 0 });
  });

  test.for([
    ['user_cancelled_login', 3, 'access_denied (user_cancelled_login: no thanks)'],
    ['user_is_tired', 5, 'user_is_tired (no thanks)'],
  ] as const)('%s, where user_cancelled_login means a denial: exit %i', async ([error, exitCode, said]) => {
    const { acme, machine } = await knowing({ authorization: { deniedErrors: ['user_cancelled_login'] } });
    const declines = answers(acme, { error, error_description: 'no thanks' });
    expect(await machine.run(['login', '-q'], browserOf(declines))).toMatchObject({
      exitCode,
      stdout: '',
      stderr: expect.stringContaining(`error: the provider refused the sign-in: ${said}\n`),
    });
  });
});

describe('token', () => {
  test('a refresh goes to its own endpoint, and a session to no other one', async () => {
    const known = await knowing({});
    const { acme, machine } = known;
    const entry = { issuer: acme.issuer, clientId: 'cli', scope: 'email' };
    const at = (path: string) =>
      machine.configure({
        providers: { acme: { ...entry, token: { refreshEndpoint: `${acme.issuer}${path}` } } },
      });
    at('/refresh');
    answerTokens(known, tokens);
    expect(await signIn(known)).toMatchObject({ exitCode: 0 });
    acme.answerNext('/refresh', jsonAnswer(JSON.stringify({ ...tokens, access_token: 'at-2' })));
    expect(await forceRefresh(known)).toEqual({ exitCode: 0, stdout: 'at-2\n', stderr: '' });
    expect(acme.requestsTo('/refresh')[0]?.parameters).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'rt-1',
      client_id: 'cli',
    });
    at('/elsewhere');
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 4, stdout: '' });
    expect(acme.requestsTo('/elsewhere')).toEqual([]);
    expect(acme.requestsTo('/token')).toHaveLength(1);
  });

  const slack = {
    scope: 'users:read chat:write',
    authorization: { scopeSeparator: ',' },
    token: { at: 'authed_user', lifetime: 43_200, errorsWithStatus200: true, typeless: true },
    userinfo: { from: 'token', at: 'authed_user', sub: 'id' },
  };
  const jane = {
    ok: true,
    access_token: 'the-bot',
    token_type: 'bot',
    refresh_token: 'the-bot-refresh',
    scope: 'commands',
    authed_user: { id: 'U1', scope: 'users:read,chat:write', access_token: 'user-1', refresh_token: 'rt-1' },
  };

  test('the answer proper is in a field, and at a refresh where it always is; who signed in stands in it', async () => {
    const known = await knowing(slack);
    answerTokens(known, jane);
    const signedIn = await signInWithCode(known, '--json');
    expect(JSON.parse(signedIn.stdout)).toMatchObject({
      account: { sub: 'U1' },
      scope: 'users:read chat:write',
      refreshable: true,
    });
    const { machine, acme } = known;
    expect(await machine.run(['token'])).toEqual({ exitCode: 0, stdout: 'user-1\n', stderr: '' });
    const began = Date.now();
    answerTokens(known, { ok: true, access_token: 'user-2', token_type: 'user', refresh_token: 'rt-2' });
    const refreshed: { expires_at: string } = JSON.parse((await forceRefresh(known, '--json')).stdout);
    expect(refreshed).toMatchObject({ access_token: 'user-2', token_type: 'Bearer' });
    expect(Date.parse(refreshed.expires_at) - began).toBeGreaterThanOrEqual(43_200_000 - 1);
    expect(acme.requestsTo('/token')[1]?.parameters).toMatchObject({ refresh_token: 'rt-1' });
    const who = await machine.run(['whoami', '--json']);
    expect(JSON.parse(who.stdout)).toEqual({ sub: 'U1', provider: 'acme', issuer: acme.issuer });
    expect(acme.requestsTo('/me')).toEqual([]);
  });

  test('a field without a token completes nothing that is outside', async () => {
    const known = await knowing(slack);
    answerTokens(known, { ...jane, access_token: undefined, authed_user: { id: 'U1', refresh_token: 'rt' } });
    expect(await signInWithCode(known)).toMatchObject({ exitCode: 5, stdout: '' });
    answerTokens(known, { ...jane, authed_user: { id: 'U1', access_token: 'user-1' } });
    expect(await signInWithCode(known)).toMatchObject({ exitCode: 0 });
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 4, stdout: '' });
    expect(known.acme.requestsTo('/token')).toHaveLength(2);
  });

  test('a refresh that names somebody else is refused', async () => {
    const known = await knowing(slack);
    answerTokens(known, jane);
    expect(await signInWithCode(known)).toMatchObject({ exitCode: 0 });
    answerTokens(known, { ...jane, authed_user: { ...jane.authed_user, id: 'U2' } });
    expect(await forceRefresh(known)).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('about somebody else'),
    });
  });

  test('a refusal may have status 200', async () => {
    const known = await knowing(slack);
    answerTokens(known, { ok: false, error: 'invalid_code' });
    expect(await signInWithCode(known)).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('error: the provider refused the code exchange: invalid_code\n'),
    });
    answerTokens(known, jane);
    expect(await signInWithCode(known)).toMatchObject({ exitCode: 0 });
    answerTokens(known, { ...tokens, ok: false, error: 'ratelimited' });
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 5, stdout: '' });
    answerTokens(known, { ok: false, error: 'invalid_grant' });
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 4, stdout: '' });
    expect(known.acme.requestsTo('/token')[3]?.parameters).toMatchObject({ refresh_token: 'rt-1' });
  });

  test.for([
    [undefined, 7200],
    [null, 7200],
    [0, 7200],
    ['0', 7200],
    [60, 60],
    ['60', 60],
  ] as const)('a lifetime of %j is one of %i s where the entry says 7200', async ([lifetime, seconds]) => {
    const known = await knowing({ scope: 'email', token: { lifetime: 7200 } });
    answerTokens(known, { ...tokens, expires_in: lifetime });
    const began = Date.now();
    const { expiresAt }: { expiresAt: string } = JSON.parse((await signIn(known, '--json')).stdout);
    expect(Date.parse(expiresAt)).toBeGreaterThanOrEqual(began + seconds * 1000 - 1);
    expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + seconds * 1000);
  });

  test.for([
    [undefined, 0],
    [null, 0],
    ['user', 0],
    ['DPoP', 5],
    ['PoP', 5],
    ['N_A', 5],
  ] as const)('a token of type %j where types mean nothing: exit %i', async ([type, exitCode]) => {
    const known = await knowing({ scope: 'email', token: { typeless: true } });
    answerTokens(known, { ...tokens, token_type: type });
    expect(await signIn(known)).toMatchObject({ exitCode });
  });

  const optional = { token: { idToken: 'optional' } };

  test('an ID token that may be missing is verified where it is there', async () => {
    const known = await knowing(optional);
    expect(JSON.parse((await signIn(known, '--json')).stdout)).toMatchObject({
      account: { sub: 'jane-4711', email: 'jane@acme.test' },
    });
    expect(known.acme.requestsTo('/token')).toHaveLength(1);
    expect(known.acme.requestsTo('/me')).toEqual([]);
    expect(await forceRefresh(known)).toMatchObject({ exitCode: 0 });
  });

  test('an ID token that may be missing is none that anybody may have signed', async () => {
    const known = await knowing(optional);
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: known.acme.issuer, aud: 'cli', sub: 'jane-4711', iat: now, exp: now + 60 };
    answerTokens(known, { ...tokens, id_token: sign(claims, newSigningKey('RS256')) });
    expect(await signIn(known)).toMatchObject({ exitCode: 5, stdout: '' });
  });

  test('without the ID token that may be missing, userinfo says who signed in', async () => {
    const known = await knowing(optional);
    const profile = { status: 200, headers: json, body: '{"sub":"jane-4711","email":"jane@acme.test"}' };
    for (let times = 0; times < 2; times++) known.acme.answerNext('/me', profile);
    answerTokens(known, tokens);
    expect(JSON.parse((await signIn(known, '--json')).stdout)).toMatchObject({
      account: { sub: 'jane-4711', email: 'jane@acme.test' },
    });
    expect(known.acme.requestsTo('/token')).toHaveLength(1);
    answerTokens(known, tokens);
    expect(await signIn(known, '--max-age', '5m')).toMatchObject({ exitCode: 5, stdout: '' });
    expect(known.acme.requestsTo('/me')).toHaveLength(1);
  });

  test('what is in the place of an ID token may be ignored', async () => {
    const known = await knowing({ token: { idToken: 'ignored' } });
    known.acme.answerNext('/me', { status: 200, headers: json, body: '{"sub":"jane-4711"}' });
    answerTokens(known, { ...tokens, id_token: 'nothing of the kind' });
    expect(JSON.parse((await signIn(known, '--json')).stdout)).toMatchObject({
      account: { sub: 'jane-4711' },
    });
    expect(known.acme.requestsTo('/auth')[0]?.parameters).not.toHaveProperty('nonce');
    expect(await known.machine.run(['token', '--type', 'id'])).toMatchObject({ exitCode: 4, stdout: '' });
  });
});

describe('userinfo', () => {
  test('headers of its own are sent with the token', async () => {
    const known = await knowing({ userinfo: { headers: { 'OCS-APIRequest': 'true' } } });
    expect(await signIn(known)).toMatchObject({ exitCode: 0 });
    expect(await known.machine.run(['whoami', '--json'])).toMatchObject({ exitCode: 0 });
    expect(known.acme.requestsTo('/me')[0]?.headers).toMatchObject({
      'ocs-apirequest': 'true',
      authorization: expect.stringMatching(/^Bearer /),
    });
  });

  test.each([
    ['Authorization', 'x', 'named as a header, and none that the request itself sets'],
    ['Host', 'x', 'named as a header, and none that the request itself sets'],
    ['two words', 'x', 'named as a header, and none that the request itself sets'],
    ['X-Key', 'a\r\nb: c', 'a text that a header can hold'],
  ])('a header %j: %j cannot be set', async (name, value, expected) => {
    const { machine } = await knowing({ userinfo: { headers: { [name]: value } } });
    expect(await machine.run(['whoami'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(expected),
    });
  });

  test.each([
    [{ status: 404, headers: json, body: '{"sub":"jane-4711"}' }, 'with status 404'],
    [{ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'names nobody'],
  ])('%j in its place is refused', async (answer, said) => {
    const known = await knowing({ scope: 'email', userinfo: { method: 'POST' } });
    known.acme.answerNext('/me', answer);
    answerTokens(known, tokens);
    expect(await signIn(known)).toMatchObject({ exitCode: 5, stderr: expect.stringContaining(said) });
    expect(known.acme.requestsTo('/me')[0]?.method).toBe('POST');
  });
});

test('a revocation has the parameters that the provider wants, under its own name for the token', async () => {
  const known = await knowing({
    scope: 'email',
    revocation: { parameters: { tenant: 'acme', token_type_hint: 'x' }, tokenParameter: 'access_token' },
  });
  answerTokens(known, tokens);
  expect(await signIn(known)).toMatchObject({ exitCode: 0 });
  const { acme, machine } = known;
  for (let times = 0; times < 2; times++) acme.answerNext('/token/revocation', { status: 200 });
  expect(await machine.run(['logout'])).toMatchObject({ exitCode: 0 });
  const common = { tenant: 'acme', client_id: 'cli' };
  expect(acme.requestsTo('/token/revocation').map(({ parameters }) => parameters)).toEqual([
    { ...common, access_token: 'rt-1', token_type_hint: 'refresh_token' },
    { ...common, access_token: 'at-1', token_type_hint: 'access_token' },
  ]);
});
