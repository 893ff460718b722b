import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { newSigningKey, sign, type Claims } from '../support/forged-id-token.js';
import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import type { ProviderOptions } from '../support/provider-configuration.js';
import { startProvider, type Answer } from '../support/provider.js';
import { refreshTokensUsed } from '../support/refresh-tokens.js';
import type { Machine, Outcome } from '../support/run.js';
import { openedSession, sealedSession } from '../support/sessions.js';
import { accessToken, expiredToken, forgedRefresh, keySet, signedBy, type Forge } from './forged-provider.js';
import { changedMetadata, jsonAnswer, wellKnown } from './metadata.js';
import { isFull } from './sizes.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };

async function signedIn(options?: ProviderOptions): Promise<Newcomer> {
  const known = await newcomer(undefined, options);
  expect(await login(known.machine)).toMatchObject({ exitCode: 0, stdout: '' });
  return known;
}

async function expire({ acme, machine }: Newcomer): Promise<void> {
  acme.answerNext('/token', expiredToken);
  expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({
    exitCode: 0,
    stdout: 'expired\n',
  });
}

/** All that lies in the folders of that machine. */
function everyFile({ folder }: Machine): string {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'))
    .join('\n');
}

/** The session is what it was, byte for byte, and gives a token as soon as the provider is well again. */
async function expectKept({ machine }: Newcomer, before: string): Promise<void> {
  expect(sealedSession(machine)).toBe(before);
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
}

test('REF-01: an expired token costs one request; the new refresh token is kept, the old one nowhere', async () => {
  const known = await signedIn();
  const { acme, machine } = known;
  await expire(known);
  const { refreshToken: old } = openedSession(machine);
  const before = acme.requestsTo('/token').length;
  const refreshed = await machine.spawn(['token']);
  expect(refreshed).toEqual(success);
  expect(
    acme
      .requestsTo('/token')
      .slice(before)
      .map(({ parameters }) => parameters),
  ).toEqual([{ grant_type: 'refresh_token', refresh_token: old, client_id: 'cli' }]);
  const session = openedSession(machine);
  expect(session.refreshToken).not.toBe(old);
  expect(JSON.stringify(session)).not.toContain(old);
  const lying = everyFile(machine);
  for (const secret of [old, session.refreshToken, session.idToken, refreshed.stdout.trim()]) {
    expect(lying).not.toContain(secret);
  }
  expect(await machine.spawn(['token'])).toEqual(refreshed);
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
});

test('REF-02: without a new refresh token the old one goes on', async () => {
  const { acme, machine } = await signedIn();
  const { refreshToken } = openedSession(machine);
  for (const answer of [
    { access_token: 'second', token_type: 'bearer' },
    { access_token: 'third', token_type: 'bearer', expires_in: 3600 },
  ]) {
    acme.answerNext('/token', jsonAnswer(JSON.stringify(answer)));
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      ...success,
      stdout: `${answer.access_token}\n`,
    });
    expect(openedSession(machine)).toMatchObject({ refreshToken, refreshable: true });
  }
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  expect(refreshTokensUsed(acme)).toEqual([refreshToken, refreshToken, refreshToken]);
});

function withBody(status: number, body: string, type = 'application/json'): Answer {
  return { status, headers: { 'content-type': type }, body };
}

function busy(status: number): string {
  return (
    `error: the provider answers ${status} at ISSUER/token\n` +
    'hint: try again in a moment; nothing that is stored was changed\n'
  );
}

function refusal(what: string): string {
  return `error: the provider refused the refresh: ${what}\n`;
}

function failedCheck(what: string): string {
  return `error: the refresh failed a check: ${what}\n`;
}

describe('a refresh that fails without saying that the session is over keeps it, byte for byte', () => {
  const invalidGrant = '{"error":"invalid_grant"}';
  test.each<[title: string, answer: Answer, exitCode: number, stderr: string]>([
    ['REF-04: 500', { status: 500 }, 6, busy(500)],
    ['REF-04: 502 with HTML', withBody(502, '<html>', 'text/html'), 6, busy(502)],
    ['REF-04: 503', { status: 503 }, 6, busy(503)],
    ['REF-04: 504', { status: 504 }, 6, busy(504)],
    ['REF-04: 429', { status: 429 }, 6, busy(429)],
    ['REF-04: 408', { status: 408 }, 6, busy(408)],
    ['REF-06: 503 whose body says invalid_grant', withBody(503, invalidGrant), 6, busy(503)],
    ['REF-06: 500 whose body says invalid_grant', withBody(500, invalidGrant), 6, busy(500)],
    ['REF-06: 429 whose body says invalid_grant', withBody(429, invalidGrant), 6, busy(429)],
    [
      'REF-05: 400 invalid_client',
      withBody(400, '{"error":"invalid_client"}'),
      5,
      `${refusal('invalid_client')}hint: check the client ID cli; if the provider has it as a confidential client, say where its secret is: authcli login --client-secret-cmd COMMAND\n`,
    ],
    [
      'REF-05: 400 invalid_request',
      withBody(400, '{"error":"invalid_request"}'),
      5,
      refusal('invalid_request'),
    ],
    ['REF-05: 400 with an error of its own', withBody(400, '{"error":"tea_time"}'), 5, refusal('tea_time')],
    [
      'REF-05: 400 that speaks of invalid_grant elsewhere',
      withBody(400, '{"error":"busy","error_description":"invalid_grant"}'),
      5,
      refusal('busy (invalid_grant)'),
    ],
    [
      'REF-05: 400 without a body',
      { status: 400 },
      5,
      failedCheck('HTTP status 400, and the answer is not JSON'),
    ],
    [
      'REF-05: 400 with HTML that speaks of invalid_grant',
      withBody(400, '<p>invalid_grant</p>', 'text/html'),
      5,
      failedCheck('HTTP status 400, and the answer is not JSON'),
    ],
    [
      'REF-05: 401 whose body says invalid_grant',
      withBody(401, invalidGrant),
      5,
      `${refusal('invalid_grant')}hint: start again: authcli login\n`,
    ],
    [
      'REF-05: 403 whose body says invalid_grant',
      withBody(403, invalidGrant),
      5,
      `${refusal('invalid_grant')}hint: start again: authcli login\n`,
    ],
    ['REF-05: 404', { status: 404 }, 5, failedCheck('HTTP status 404, and the answer is not JSON')],
    [
      'REF-05: 200 whose body says invalid_grant',
      withBody(200, invalidGrant),
      5,
      failedCheck('"response" body "access_token" property must be a string'),
    ],
    ['REF-05: 200 with HTML', withBody(200, '<html>', 'text/html'), 5, failedCheck('the answer is not JSON')],
    [
      'REF-05: a redirect',
      { status: 308, headers: { location: 'http://127.0.0.1:9/token' } },
      5,
      'error: the provider answers ISSUER/token with a redirect (308), which is not followed\n',
    ],
    [
      'REF-05: a token with a line break',
      jsonAnswer('{"access_token":"a\\nb","token_type":"bearer"}'),
      5,
      "error: the provider's access_token holds characters that no token may have\n",
    ],
  ])('%s', async (_title, answer, exitCode, stderr) => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = sealedSession(machine);
    const asked = acme.requestsTo('/token').length;
    acme.answerNext('/token', answer);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      exitCode,
      stdout: '',
      stderr: stderr.replace('ISSUER', acme.issuer),
    });
    expect(acme.requestsTo('/token')).toHaveLength(asked + 1);
    await expectKept(known, before);
  });

  test('REF-04: connections that are cut, twice', async () => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = sealedSession(machine);
    for (let times = 0; times < 2; times++) acme.answerNext('/token', 'reset');
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({
      exitCode: 6,
      stdout: '',
      stderr: expect.stringMatching(/^error: cannot reach \S+: connection (closed|reset)\nhint: check/),
    });
    await expectKept(known, before);
  });

  // Longer than a label may be: the resolver refuses it without asking anybody.
  const unknownHost = `https://${'x'.repeat(64)}.test`;
  let gone = '';
  beforeAll(async () => {
    const provider = await startProvider();
    gone = provider.issuer;
    await provider.stop();
  });

  test.each<[title: string, host: (issuer: string) => string, reason: string]>([
    ['a host that has no address', () => unknownHost, 'no such host'],
    ['a host where nobody listens', () => gone, 'connection refused'],
    ['TLS with somebody who speaks none', (issuer) => issuer.replace('http:', 'https:'), '\\S.*'],
  ])('REF-04: %s', async (_title, host, reason) => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = sealedSession(machine);
    forgetMetadata(machine);
    acme.answerNext(wellKnown, await changedMetadata(acme, { token_endpoint: `${host(acme.issuer)}/token` }));
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^error: cannot reach \\S+: ${reason}\nhint: check the connection, then run the same command again; nothing that is stored was changed\n$`,
        ),
      ),
    });
    forgetMetadata(machine);
    await expectKept(known, before);
  });

  test.runIf(isFull)('REF-04: no answer', { timeout: 120_000 }, async () => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = sealedSession(machine);
    acme.answerNext('/token', 'hang');
    const startedAt = performance.now();
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 6, stdout: '' });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    await expectKept(known, before);
  });
});

describe('a refreshed ID token that is not about this session: its access token is not printed', () => {
  const anotherPerson = 'it is about somebody else than the session';
  const ours = newSigningKey('RS256');
  const stranger = newSigningKey('RS256');
  const claiming =
    (changes: Claims): Forge =>
    (good) =>
      sign({ ...good, ...changes }, ours);

  test.each<[title: string, forge: Forge, reason: string]>([
    ['REF-08: another person', claiming({ sub: 'john-4711' }), anotherPerson],
    ['REF-08: nobody', claiming({ sub: '' }), 'its subject is empty or malformed'],
    ['REF-09: another issuer', claiming({ iss: 'https://evil.test' }), 'unexpected JWT "iss"'],
    ['REF-09: another audience', claiming({ aud: 'other' }), 'unexpected JWT "aud"'],
    [
      'REF-09: a second audience',
      claiming({ aud: ['cli', 'other'], azp: 'cli' }),
      'another audience as well',
    ],
    ['REF-09: another client', claiming({ azp: 'other' }), 'it was issued to another client (azp)'],
    [
      'REF-09: the nonce of another sign-in',
      claiming({ nonce: 'other' }),
      'it is of another sign-in (nonce)',
    ],
    ['REF-09: the signature of somebody else', signedBy(stranger), 'JWT signature verification failed'],
    ['REF-09: the hash of another token', claiming({ at_hash: 'AAAA' }), 'at_hash'],
  ])('%s', async (_title, forge, reason) => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = openedSession(machine);
    const good = await machine.spawn(['token']);
    acme.answerNext('/jwks', keySet(ours.jwk));
    const outcome = await forgedRefresh(known, forge);
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(/^error: [^\n]+\n$/);
    expect(outcome.stderr).toContain(reason);
    expect(outcome.stderr).not.toMatch(/eyJ|the-access-token|the-refresh-token/);
    expect(await machine.spawn(['token'])).toEqual(good);
    const unverifiedRefreshToken = reason === anotherPerson ? null : 'the-refresh-token';
    expect(openedSession(machine)).toEqual({ ...before, unverifiedRefreshToken });
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  });

  test.each<[title: string, forge: Forge]>([
    ['without a nonce, as OpenID Connect asks for', ({ nonce: _nonce, ...rest }) => sign(rest, ours)],
    ['with the nonce of the sign-in', signedBy(ours)],
  ])('REF-09: %s, it is good', async (_title, forge) => {
    const known = await signedIn();
    known.acme.answerNext('/jwks', keySet(ours.jwk));
    expect(await forgedRefresh(known, forge)).toEqual({ ...success, stdout: `${accessToken}\n` });
  });
});

test('REF-20: tokens for different scopes share one refresh token, and none is used twice', async () => {
  const known = await signedIn();
  const { acme, machine } = known;
  const targets = [['--scope', 'openid'], ['--scope', 'openid email'], []];
  for (let round = 0; round < 2; round++) {
    for (const target of targets) {
      expect(await machine.spawn(['token', '--force-refresh', ...target])).toEqual(success);
    }
  }
  const together = targets.map((target) => machine.spawn(['token', '--force-refresh', ...target]));
  for (const outcome of await Promise.all(together)) expect(outcome).toEqual(success);
  expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  const used = refreshTokensUsed(acme);
  expect(used).toHaveLength(10);
  expect(new Set(used).size).toBe(used.length);
});

describe('REF-21: a provider that gives a new refresh token', () => {
  let refreshes = 0;
  test.each<[title: string, rotate: boolean | (() => boolean), each: number]>([
    ['never', false, Infinity],
    ['every second time', () => ++refreshes % 2 === 0, 2],
    ['every time', true, 1],
  ])('%s', async (_title, rotateRefreshToken, each) => {
    const cycles = isFull ? 20 : 6;
    const { acme, machine } = await signedIn({ rotateRefreshToken });
    for (let cycle = 0; cycle < cycles; cycle++) {
      expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
    }
    expect(new Set(refreshTokensUsed(acme)).size).toBe(Math.ceil(cycles / each) || 1);
  });
});

describe('REF-22: a refresh token whose end is known', () => {
  const expired = { access_token: 'expired', token_type: 'bearer', expires_in: 0 };

  const passed = [{ refresh_expires_in: -1 }, { refresh_token_expires_in: '-1' }];

  test.each(passed)('and has passed by this clock: the provider is asked, once: %o', async (lifetime) => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', jsonAnswer(JSON.stringify({ ...expired, ...lifetime })));
    await machine.spawn(['token', '--force-refresh']);
    expect(await machine.spawn(['status', '-p', 'acme', '--json'])).toMatchObject({
      exitCode: 4,
      stdout: expect.stringContaining('"state":"login_required"'),
    });
    acme.endSessions();
    const requests = acme.requestsTo('/token').length;
    expect(await machine.spawn(['token'])).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the session at acme is over: the provider says invalid_grant\nhint: authcli login -p acme\n',
    });
    expect(acme.requestsTo('/token')).toHaveLength(requests + 1);
    for (const argv of [['token'], ['token', '--force-refresh']]) {
      expect(await machine.spawn(argv)).toMatchObject({ exitCode: 4, stdout: '' });
    }
    expect(acme.requestsTo('/token')).toHaveLength(requests + 1);
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual(success);
  });

  test.each(passed)('and has passed only by this clock: the session goes on: %o', async (lifetime) => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', jsonAnswer(JSON.stringify({ ...expired, ...lifetime })));
    await machine.spawn(['token', '--force-refresh']);
    expect(await machine.spawn(['token'])).toEqual(success);
    // The end of the old refresh token is not that of the new one.
    expect(openedSession(machine)).toMatchObject({ refreshable: true, refreshExpiresAt: null });
    expect(await machine.spawn(['status', '-p', 'acme'])).toMatchObject({ exitCode: 0 });
  });

  test('and has passed is not tried while the old token is still good', async () => {
    const { acme, machine } = await signedIn();
    const answer = { ...expired, access_token: 'good', expires_in: 600, refresh_expires_in: -1 };
    acme.answerNext('/token', jsonAnswer(JSON.stringify(answer)));
    await machine.spawn(['token', '--force-refresh']);
    const requests = acme.requests.length;
    expect(await machine.spawn(['token', '--min-ttl', '1h'])).toEqual({
      exitCode: 0,
      stdout: 'good\n',
      stderr: expect.stringMatching(
        /^warning: .* its refresh token expired at \S+Z; this token is still good until \S+Z\n$/,
      ),
    });
    expect(acme.requests).toHaveLength(requests);
  });

  test.each([
    ['to come', 3600],
    ['that means none', 0],
    ['that is none', 'soon'],
    ['that is nothing', null],
    ['in the far future', 1e300],
  ])('%s is sent', async (_title, refresh_expires_in) => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', jsonAnswer(JSON.stringify({ ...expired, refresh_expires_in })));
    await machine.spawn(['token', '--force-refresh']);
    expect(await machine.spawn(['token'])).toEqual(success);
  });
});

/** As if a day had passed. */
function forgetMetadata({ folder }: Machine): void {
  rmSync(join(folder, 'state', 'metadata'), { recursive: true, force: true });
}
