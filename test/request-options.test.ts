import { expect, test } from 'vitest';

import { newcomer } from './support/newcomer.js';
import { approves, browserOf } from './support/user-agents.js';

const good = { exitCode: 0, stdout: '', stderr: expect.stringMatching(/^\n {2}http\S+\n\n$/) };

test('what a person asks for is in the requests, each where it belongs', async () => {
  const { acme, machine } = await newcomer();
  const options = Object.entries({
    '--prompt': 'consent',
    '--login-hint': 'jane',
    '--domain-hint': 'acme.test',
    '--max-age': '5m',
    '--auth-param': 'kiosk=1',
    '--token-param': 'trace=2',
    '--scope': 'openid,offline_access',
    '--consent-scope': 'profile email',
    '--ui-locales': 'de en',
    '--audience': 'api',
    '--claims': '{"id_token":{"email":null}}',
  }).flat();
  expect(await machine.run(['login', '-q', ...options], browserOf(approves))).toEqual({
    ...good,
    stderr: expect.stringContaining('http'),
  });
  const own = { state: expect.any(String), nonce: expect.any(String), code_challenge: expect.any(String) };
  const redirectUri = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  expect(acme.requestsTo('/auth')[0]?.parameters).toEqual({
    ...own,
    redirect_uri: redirectUri,
    client_id: 'cli',
    response_type: 'code',
    code_challenge_method: 'S256',
    scope: 'openid offline_access profile email',
    prompt: 'consent',
    login_hint: 'jane',
    domain_hint: 'acme.test',
    max_age: '300',
    ui_locales: 'de en',
    kiosk: '1',
    audience: 'api',
    claims: '{"id_token":{"email":null}}',
  });
  expect(acme.requestsTo('/token')[0]?.parameters).toEqual({
    code: expect.any(String),
    code_verifier: expect.any(String),
    client_id: 'cli',
    grant_type: 'authorization_code',
    redirect_uri: redirectUri,
    scope: 'openid offline_access',
    audience: 'api',
    trace: '2',
  });
});

test('a scope about the person that the provider does not know is told as not granted', async () => {
  const { machine } = await newcomer();
  const scope = ['--scope', 'openid email phone'];
  expect(await machine.run(['login', '-q', ...scope], browserOf(approves))).toEqual({
    ...good,
    stderr: expect.stringMatching(/^\n {2}http\S+\n\nwarning: not granted: phone\n$/),
  });
});

test.each([
  ['as JSON', (claims: string) => claims],
  ['in base64', (claims: string) => Buffer.from(claims).toString('base64')],
  [
    'as the header of an API',
    (claims: string) =>
      `Bearer realm="", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64url')}"`,
  ],
])('a claims challenge %s is passed on', async (_title, write) => {
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';
  const { acme, machine } = await newcomer();
  expect(await machine.run(['login', '-q', '--claims', write(claims)], browserOf(approves))).toMatchObject({
    exitCode: 0,
  });
  expect(acme.requestsTo('/auth')[0]?.parameters['claims']).toBe(claims);
});

test('IDT-29: an essential acr that the ID token does not have is a failed sign-in', async () => {
  const { machine } = await newcomer();
  const claims = '{"id_token":{"acr":{"essential":true,"values":["gold"]}}}';
  const outcome = await machine.run(['login', '-q', '--claims', claims], browserOf(approves));
  expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
  expect(outcome.stderr).toMatch(
    /\nerror: the ID token is refused: the sign-in is not of the kind that was asked for \(acr\)\n$/,
  );
  expect(await machine.run(['status', '--json'])).toMatchObject({ stdout: '{"sessions":[]}\n' });
});

test('IDT-29: one that was only wished for is a warning', async () => {
  const { machine } = await newcomer();
  const outcome = await machine.run(['login', '-q', '--acr-values', 'gold'], browserOf(approves));
  expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
  expect(outcome.stderr).toContain(
    'warning: the sign-in is of another kind than --acr-values asks for: the provider does not say which\n',
  );
});

test.each([
  [
    '--claims',
    '{"id_token":',
    '--claims must be a JSON object such as {"id_token":{"acr":{"essential":true}}}, or a claims challenge',
  ],
  [
    '--claims',
    '[1]',
    '--claims must be a JSON object such as {"id_token":{"acr":{"essential":true}}}, or a claims challenge',
  ],
  [
    '--claims',
    '{"id_token":{"acr":1}}',
    '--claims must be a JSON object such as {"id_token":{"acr":{"essential":true}}}, or a claims challenge',
  ],
  ['--max-age', 'soon', '--max-age must be a duration of up to 24h, such as 90s, 5m or 1h'],
  ['--consent-scope', '"', '--consent-scope holds characters that no scope may have (RFC 6749 3.3)'],
  ['--resource', '/relative', '--resource must be an absolute URI without a fragment'],
  ['--token-param', 'code_verifier=x', '--token-param cannot set code_verifier: the sign-in itself does'],
  ['--auth-param', 'max_age=1', '--auth-param cannot set max_age: the sign-in itself does'],
])('%s %s is refused before anything is done', async (option, value, message) => {
  const { acme, machine } = await newcomer();
  const outcome = await machine.run(['login', option, value]);
  expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
  expect(outcome.stderr.split('\n')[0]).toBe(`error: ${message}`);
  expect(acme.requests).toEqual([]);
});
