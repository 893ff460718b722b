import { expect, test } from 'vitest';

import { printableJson } from '../src/remote-text.js';
import { json, newBench } from './hostile/fuzz/bench.js';
import { assertPrintable } from './hostile/fuzz/outcome-rules.js';
import { goodClaims, goodHeader, signedJwt } from './hostile/fuzz/signed-jwt.js';

/** Deletes, moves the cursor (C1), turns the reading direction, hides, breaks the line, and belongs to nobody. */
const hostile = 'a\u007f\u009b2J\u0085\u202e\u2066\u200b\u00ad\u2028\u2029\ufeff\ue000\u{e0041}\u{10fffd}b';
const people = '\u00c5sa \ud83d\udc69\u200d\ud83d\udcbb \u05d3\u05d5\u05d3';

test.each<[title: string, value: unknown]>([
  ['a text', hostile],
  ['a name with an emoji of several parts', people],
  ['a name of a member', { [hostile]: 1, nested: [{ [people]: null }] }],
  ['nested values', { claims: [[{ a: hostile }], hostile, 7, true, null] }],
  ['half a character', '\ud800 \udc00'],
  ['quotation marks and backslashes', '"\\\u0000\n\\u0041'],
])('JSON shows no character that a terminal would obey, and is equal after reading: %s', (_, value) => {
  const text = printableJson(value);
  assertPrintable(text);
  expect(text).not.toContain('\n');
  expect(JSON.parse(text)).toEqual(value);
});

test('letters and emoji of one part stay as they are', () => {
  expect(printableJson('\u00c5sa \ud83d\udcbb')).toBe('"\u00c5sa \ud83d\udcbb"');
  expect(printableJson('\u{e0041}\u009b')).toBe('"\\udb40\\udc41\\u009b"');
});

test('no command prints a character of the provider that a terminal would obey', async () => {
  const bench = await newBench();
  const { acme, machine } = bench;
  const account = { sub: 'jane-4711', username: people, email: null, name: hostile };
  const idToken = (nonce?: string): string =>
    signedJwt(
      Buffer.from(JSON.stringify(goodHeader)),
      Buffer.from(
        JSON.stringify({
          ...goodClaims(acme.issuer, nonce),
          name: hostile,
          preferred_username: people,
          [hostile]: { [people]: [hostile] },
        }),
      ),
    );
  const answer = (nonce: string) => ({
    status: 200,
    headers: json,
    body: JSON.stringify({
      access_token: 'canary-access-0123456789',
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: 'canary-refresh-0123456789',
      scope: 'openid profile email offline_access',
      id_token: idToken(nonce),
    }),
  });
  acme.answerAlways('/me', {
    status: 200,
    headers: json,
    body: JSON.stringify({ sub: 'jane-4711', nested: { [hostile]: hostile } }),
  });
  const login = await bench.signIn(answer, '--json');
  const outcomes = [
    login,
    await bench.token('--json'),
    await machine.run(['status', '--json']),
    await machine.run(['whoami', '--json']),
    await machine.run(['provider', 'show', '--json']),
    await machine.run(['provider', 'list', '--json']),
    await machine.run(['provider', 'presets', '--json']),
    await machine.run(['provider', 'presets', 'keycloak', '--json']),
    await machine.run(['store', 'status', '--json']),
    await machine.run(['logout', '--json', '--no-revoke']),
  ];
  for (const { exitCode, stdout, stderr } of outcomes) {
    expect(exitCode).toBe(0);
    assertPrintable(stderr);
    expect(stdout).toMatch(/^[^\n]+\n$/);
    assertPrintable(stdout);
  }
  const [loggedIn, printed, status, whoami, , , , , , logout] = outcomes.map(({ stdout }): unknown =>
    JSON.parse(stdout),
  );
  expect(loggedIn).toMatchObject({ account });
  expect(printed).toMatchObject({ account });
  expect(status).toMatchObject({ sessions: [{ account }] });
  expect(whoami).toMatchObject({
    name: hostile,
    [hostile]: { [people]: [hostile] },
    nested: { [hostile]: hostile },
  });
  expect(logout).toMatchObject({ sessions: [{ account }] });
});

test('tables and errors show no such character either', async () => {
  const bench = await newBench();
  const { acme, machine } = bench;
  const refusal = JSON.stringify({ error: `invalid_${hostile}`, error_description: hostile });
  const failed = await bench.signIn(() => ({ status: 400, headers: json, body: refusal }), '--json');
  expect(failed).toMatchObject({ exitCode: 5, stdout: '' });
  assertPrintable(failed.stderr);
  const body = (nonce: string): string =>
    JSON.stringify({
      access_token: 'canary-access-0123456789',
      token_type: 'Bearer',
      id_token: signedJwt(
        Buffer.from(JSON.stringify(goodHeader)),
        Buffer.from(
          JSON.stringify({ ...goodClaims(acme.issuer, nonce), name: hostile, [hostile]: [hostile] }),
        ),
      ),
    });
  await bench.signIn((nonce) => ({ status: 200, headers: json, body: body(nonce) }));
  acme.answerAlways('/me', { status: 200, headers: json, body: '{"sub":"jane-4711"}' });
  for (const argv of [
    ['whoami'],
    ['status'],
    ['token', '--output', 'env'],
    ['token', '--output', 'header'],
    ['logout'],
  ]) {
    const { exitCode, stdout, stderr } = await machine.run(argv);
    expect(exitCode).toBe(0);
    assertPrintable(stdout);
    assertPrintable(stderr);
  }
});
