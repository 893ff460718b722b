import { execPath } from 'node:process';

import { expect, test } from 'vitest';

import type { RefreshReply } from '../src/client/refresh-helper.js';
import { askRefreshHelper } from '../src/platform/refresh-helper-process.js';
import { encode } from './support/forged-id-token.js';
import { newcomer, type Newcomer } from './support/newcomer.js';
import { refreshTokensUsed } from './support/refresh-tokens.js';
import { approves, browserOf } from './support/user-agents.js';

const json = { 'content-type': 'application/json' };

async function signedIn(): Promise<Newcomer> {
  const { acme, machine } = await newcomer();
  await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approves));
  return { acme, machine };
}

test('an answer that was lost is asked for once more, at once', async () => {
  const { acme, machine } = await signedIn();
  const before = acme.requestsTo('/token').length;
  acme.answerNext('/token', 'reset');
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(acme.requestsTo('/token')).toHaveLength(before + 2);
});

test('where the provider burned the refresh token and its answer was lost, the end of the session says so', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token', 'lost');
  const outcome = await machine.run(['token', '--force-refresh']);
  expect(outcome).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: the session at acme is over: the answer to a refresh was lost on the way, and now the provider says invalid_grant\nhint: authcli login -p acme\n$/,
    ),
  });
});

test('the helper repeats no secret that the provider repeats', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token', async ({ parameters }, response) => {
    const description = `not ${parameters['refresh_token'] ?? ''}`;
    const body = JSON.stringify({ error: 'invalid_request', error_description: description });
    response.writeHead(400, json).end(body);
  });
  const said: RefreshReply[] = [];
  const ask = askRefreshHelper(machine.env, execPath);
  const overheard = {
    askRefreshHelper: async (...question: Parameters<typeof ask>) => {
      const reply = await ask(...question);
      said.push(reply);
      return reply;
    },
  };
  expect(await machine.run(['token', '--force-refresh'], overheard)).toMatchObject({ exitCode: 5 });
  expect(said).toMatchObject([
    { kind: 'failed', message: 'the provider refused the refresh: invalid_request (not [redacted])' },
  ]);
});

test('what the helper says is redacted once more by the one that prints it', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token', { status: 503 });
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 6 });
  const [refreshToken = ''] = refreshTokensUsed(acme);
  const talkative = {
    askRefreshHelper: async () => ({
      kind: 'failed' as const,
      code: 'protocol' as const,
      message: `not ${refreshToken}`,
      hint: null,
      remedy: null,
      traces: [],
    }),
  };
  expect(await machine.run(['token', '--force-refresh'], talkative)).toEqual({
    exitCode: 5,
    stdout: '',
    stderr: 'error: not [redacted]\n',
  });
});

test('trouble with the network takes nothing from a token that is good for a while yet', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token', { status: 503 });
  const outcome = await machine.run(['token', '--min-ttl', '2h']);
  expect(outcome).toEqual({
    exitCode: 0,
    stdout: (await machine.run(['token'])).stdout,
    stderr: expect.stringMatching(
      /^warning: the provider answers 503 at \S+\/token; this token is still good until \S+Z\n$/,
    ),
  });
});

const hour = 3600;

/** Whose only claim is when it ends. */
function jwtUntil(exp: number): string {
  return `${encode({ alg: 'none' })}.${encode({ exp })}.signature`;
}

test('lifetimes: text is a number, none is the last one that was given or the end in the token, too long is a year', async () => {
  const { acme, machine } = await signedIn();
  const nowSeconds = Date.now() / 1000;
  for (const [answer, expected] of [
    [{ expires_in: '7200' }, 2 * hour],
    [{}, 2 * hour],
    [{ access_token: jwtUntil(nowSeconds + 1800) }, 1800],
    // What was read off a token is not what the provider said of all.
    [{}, 2 * hour],
    [{ access_token: jwtUntil(nowSeconds + 9 * hour) }, 2 * hour],
    // By this clock it had ended before it came: then the clocks differ.
    [{ access_token: jwtUntil(nowSeconds - 60) }, 2 * hour],
    [{ expires_in: 0 }, 0],
    [{}, 2 * hour],
    [{ expires_in: 1e12 }, 365 * 24 * hour],
  ] as const) {
    const tokenSet = JSON.stringify({ access_token: 'at', token_type: 'bEARER', ...answer });
    acme.answerNext('/token', { status: 200, headers: json, body: tokenSet });
    const before = Date.now();
    const { stdout } = await machine.run(['token', '--force-refresh', '--json']);
    const expiresAt = /"expires_at":"([^"]+)"/.exec(stdout)?.[1] ?? '';
    expect((Date.parse(expiresAt) - before) / 1000 - expected, `after ${tokenSet}`).toBeGreaterThanOrEqual(
      -10,
    );
    expect((Date.parse(expiresAt) - before) / 1000 - expected, `after ${tokenSet}`).toBeLessThan(10);
    expect(stdout).toContain('"token_type":"Bearer"');
  }
});

test.each([
  ['the last one for the same scope', ['--scope', 'openid'], 300],
  ['that of the sign-in for a scope that is new', ['--scope', 'openid email'], hour],
])('lifetimes: an answer without one for a target of its own has %s', async (_title, target, expected) => {
  const { acme, machine } = await signedIn();
  const tokenSet = '{"access_token":"at","token_type":"bearer","expires_in":300}';
  acme.answerNext('/token', { status: 200, headers: json, body: tokenSet });
  await machine.run(['token', '--force-refresh', '--scope', 'openid']);
  acme.answerNext('/token', { status: 200, headers: json, body: tokenSet.replace(',"expires_in":300', '') });
  const { stdout } = await machine.run(['token', '--force-refresh', '--json', ...target]);
  const expiresAt = /"expires_at":"([^"]+)"/.exec(stdout)?.[1] ?? '';
  expect(Math.abs((Date.parse(expiresAt) - Date.now()) / 1000 - expected)).toBeLessThan(10);
});

test.each([
  ['an hour where nothing is known', () => 'at', hour],
  ['what the token itself says', () => jwtUntil(Date.now() / 1000 + 300), 300],
])('lifetimes: at a sign-in whose answer has none it is %s', async (_title, newToken, expected) => {
  const { acme, machine } = await newcomer();
  const entry = ['--issuer', acme.issuer, '--client-id', 'cli', '--scope', 'email'];
  await machine.run(['provider', 'add', 'plain', ...entry]);
  const tokenSet = JSON.stringify({ access_token: newToken(), token_type: 'bearer' });
  acme.answerNext('/token', { status: 200, headers: json, body: tokenSet });
  const { stdout } = await machine.run(['login', '-p', 'plain', '-q', '--json'], browserOf(approves));
  const expiresAt = /"expiresAt":"([^"]+)"/.exec(stdout)?.[1] ?? '';
  expect(Math.abs((Date.parse(expiresAt) - Date.now()) / 1000 - expected)).toBeLessThan(20);
});

test('a token that is good for a while, without a refresh token, is printed with a warning', async () => {
  const { acme, machine } = await newcomer();
  acme.answerNext('/token', {
    status: 200,
    headers: json,
    body: '{"access_token":"short-lived","token_type":"bearer","expires_in":45}',
  });
  await machine.run([
    'provider',
    'add',
    'plain',
    '--issuer',
    acme.issuer,
    '--client-id',
    'cli',
    '--scope',
    'email',
  ]);
  await machine.run(['login', '-p', 'plain', '-q'], browserOf(approves));
  expect(await machine.run(['token', '-p', 'plain'])).toEqual({
    exitCode: 0,
    stdout: 'short-lived\n',
    stderr: expect.stringMatching(
      /^warning: .*there is no refresh token; this token is still good until \S+Z\n$/,
    ),
  });
});
