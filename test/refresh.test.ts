import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { newcomer, type Newcomer } from './support/newcomer.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import type { Answer } from './support/provider.js';
import type { Machine, Outcome } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

const json = { 'content-type': 'application/json' };

async function signedIn(options?: ProviderOptions): Promise<Newcomer> {
  const { acme, machine } = await newcomer(undefined, options);
  await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approves));
  return { acme, machine };
}

function sealedSession({ folder }: Machine): string {
  const sessions = join(folder, 'state', 'sessions');
  return readFileSync(
    join(sessions, readdirSync(sessions).find((name) => name.endsWith('.session')) ?? ''),
    'utf8',
  );
}

describe('a refresh that fails without saying that the session is over keeps it, byte for byte', () => {
  const unavailable = 'hint: try again in a moment; nothing that is stored was changed\n';
  test.each<[string, Answer, number, string]>([
    ['500', { status: 500 }, 6, `error: the provider answers 500 at ISSUER/token\n${unavailable}`],
    [
      '503 whose body claims invalid_grant',
      { status: 503, headers: json, body: '{"error":"invalid_grant"}' },
      6,
      `error: the provider answers 503 at ISSUER/token\n${unavailable}`,
    ],
    ['429', { status: 429 }, 6, `error: the provider answers 429 at ISSUER/token\n${unavailable}`],
    ['connections that are cut', 'reset' as const, 6, 'error: cannot reach HOST: connection '],
    [
      'HTML',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' },
      5,
      'error: the refresh failed a check: the answer is not JSON\n',
    ],
    [
      '400 without a body',
      { status: 400 },
      5,
      'error: the refresh failed a check: HTTP status 400, and the answer is not JSON\n',
    ],
    [
      'invalid_client',
      { status: 401, headers: json, body: '{"error":"invalid_client"}' },
      5,
      'error: the provider refused the refresh: invalid_client\n',
    ],
    [
      'invalid_grant with another status',
      { status: 403, headers: json, body: '{"error":"invalid_grant"}' },
      5,
      'error: the provider refused the refresh: invalid_grant\n',
    ],
    [
      'a token with a line break',
      { status: 200, headers: json, body: '{"access_token":"a\\nb","token_type":"bearer"}' },
      5,
      "error: the provider's access_token holds characters that no token may have\n",
    ],
    ...['"12abc"', '[12]', '"0x10"', 'null'].map((lifetime): [string, Answer, number, string] => [
      `a lifetime of ${lifetime}`,
      {
        status: 200,
        headers: json,
        body: `{"access_token":"at","token_type":"bearer","expires_in":${lifetime}}`,
      },
      5,
      "error: the provider's expires_in is no number\n",
    ]),
    [
      'a redirect',
      { status: 308, headers: { location: 'http://127.0.0.1:9/token' } },
      5,
      'error: the provider answers ISSUER/token with a redirect (308), which is not followed\n',
    ],
  ])('%s', async (_title, answer, exitCode, message) => {
    const { acme, machine } = await signedIn();
    const before = sealedSession(machine);
    acme.answerNext('/token', answer);
    // What may have been acted on is asked once more, at once.
    if (answer === 'reset') acme.answerNext('/token', answer);
    const outcome = await machine.run(['token', '--force-refresh']);
    expect(outcome).toMatchObject({ exitCode, stdout: '' });
    expect(outcome.stderr).toContain(
      message.replace('ISSUER', acme.issuer).replace('HOST', acme.issuer.slice(7)),
    );
    expect(sealedSession(machine)).toBe(before);
    expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

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

test('a provider that gives no new refresh token has the old one used again', async () => {
  const { acme, machine } = await signedIn({ rotateRefreshToken: false });
  for (let round = 0; round < 3; round++) {
    expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
  }
  const used = acme.requestsTo('/token').flatMap(({ parameters }) => parameters['refresh_token'] ?? []);
  expect(used).toHaveLength(3);
  expect(new Set(used).size).toBe(1);
});

test('lifetimes: text is a number, none is an hour, too long is a year', async () => {
  const { acme, machine } = await signedIn();
  const hour = 3600_000;
  for (const [lifetime, expected] of [
    ['"7200"', 2 * hour],
    ['"7.2e3"', 2 * hour],
    [undefined, hour],
    ['1e12', 365 * 24 * hour],
  ] as const) {
    const tokenSet = `{"access_token":"at","token_type":"bEARER"${lifetime === undefined ? '' : `,"expires_in":${lifetime}`}}`;
    acme.answerNext('/token', { status: 200, headers: json, body: tokenSet });
    const before = Date.now();
    const { stdout } = await machine.run(['token', '--force-refresh', '--json']);
    const expiresAt = /"expires_at":"([^"]+)"/.exec(stdout)?.[1] ?? '';
    expect(Date.parse(expiresAt) - before - expected).toBeGreaterThanOrEqual(0);
    expect(Date.parse(expiresAt) - before - expected).toBeLessThan(10_000);
    expect(stdout).toContain('"token_type":"Bearer"');
  }
});

test('many processes at once make one refresh between them', async () => {
  const { acme, machine } = await signedIn();
  acme.answerNext('/token', {
    status: 200,
    headers: json,
    body: '{"access_token":"old","token_type":"bearer","expires_in":0}',
  });
  await machine.run(['token', '--force-refresh']);
  const before = acme.requestsTo('/token').length;

  // The first one's request is held until all the others have been started, and find a token that has expired.
  const others: Promise<Outcome>[] = [];
  acme.answerNext('/token', async () => {
    for (let started = 1; started < 8; started++) others.push(machine.spawn(['token']));
  });
  const first = await machine.spawn(['token']);
  expect(first).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' });
  expect(await Promise.all(others)).toEqual(Array.from({ length: 7 }, () => first));
  expect(acme.requestsTo('/token')).toHaveLength(before + 1);
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
});

test('keys that cannot be fetched cost nothing: they are asked for before the refresh token is used', async () => {
  const { acme, machine } = await signedIn();
  for (const answer of [{ status: 500 }, { status: 404 }]) {
    acme.answerNext('/jwks', answer);
    const before = acme.requestsTo('/token').length;
    const outcome = await machine.run(['token', '--force-refresh']);
    expect([5, 6]).toContain(outcome.exitCode);
    expect(acme.requestsTo('/token')).toHaveLength(before);
  }
  expect(await machine.run(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
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
