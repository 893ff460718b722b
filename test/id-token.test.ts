import { createHash, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { newcomer } from './support/newcomer.js';
import type { Outcome } from './support/run.js';
import { approves } from './support/user-agents.js';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const accessToken = 'the-access-token';
const atHash = createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url');

type Claims = Record<string, unknown>;

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function sign(claims: Claims, key: KeyObject, header: object = { alg: 'RS256', kid: 'ours' }): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createSign('sha256').update(signed).sign(key, 'base64url')}`;
}

/** A login at a provider whose token endpoint and keys are ours: `forge` turns good claims into an ID token. */
async function loginWith(forge: (good: Claims) => string): Promise<Outcome> {
  const { acme, machine } = await newcomer();
  const json = { 'content-type': 'application/json' };
  const outcome = await machine.run(['login', '-q'], {
    openBrowser: async (url) => {
      const now = Math.floor(Date.now() / 1000);
      const nonce = url.searchParams.get('nonce');
      const idToken = forge({
        iss: acme.issuer,
        aud: 'cli',
        sub: 'jane',
        nonce,
        iat: now,
        exp: now + 60,
        at_hash: atHash,
      });
      const tokenSet = { access_token: accessToken, token_type: 'bearer', id_token: idToken };
      acme.answerNext('/token', { status: 200, headers: json, body: JSON.stringify(tokenSet) });
      const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'ours', alg: 'RS256', use: 'sig' }];
      acme.answerNext('/jwks', { status: 200, headers: json, body: JSON.stringify({ keys }) });
      void approves(url);
      return { kind: 'launched' };
    },
  });
  const { stdout } = await machine.run(['status', '--json']);
  expect(stdout === '{"sessions":[]}\n').toBe(outcome.exitCode !== 0);
  return outcome;
}

function shifted(seconds: number): (good: Claims) => string {
  return (good) =>
    sign({ ...good, iat: Number(good['iat']) + seconds, exp: Number(good['exp']) + seconds }, privateKey);
}

test('a good ID token is accepted, with or without at_hash', async () => {
  expect(await loginWith((good) => sign(good, privateKey))).toMatchObject({ exitCode: 0 });
  expect(await loginWith(({ at_hash: _hash, ...rest }) => sign(rest, privateKey))).toMatchObject({
    exitCode: 0,
  });
});

test('clocks that differ by half a minute are no trouble', async () => {
  expect(await loginWith(shifted(-30))).toMatchObject({ exitCode: 0 });
  expect(await loginWith(shifted(30))).toMatchObject({ exitCode: 0 });
});

describe('an ID token is refused, and nothing kept', () => {
  test.each<[string, (good: Claims) => string]>([
    ['signed by a stranger', (good) => sign(good, stranger)],
    ['of an unknown key', (good) => sign(good, privateKey, { alg: 'RS256', kid: 'theirs' })],
    ['not signed', (good) => `${encode({ alg: 'none' })}.${encode(good)}.`],
    ['of another algorithm', (good) => sign(good, privateKey, { alg: 'HS256', kid: 'ours' })],
    ['of four parts', (good) => `${sign(good, privateKey)}.x`],
    ['of another issuer', (good) => sign({ ...good, iss: `${String(good['iss'])}1` }, privateKey)],
    [
      'of an issuer with a slash more',
      (good) => sign({ ...good, iss: `${String(good['iss'])}/` }, privateKey),
    ],
    ['for another audience', (good) => sign({ ...good, aud: 'cli1' }, privateKey)],
    ['for a second audience', (good) => sign({ ...good, aud: ['cli', 'other'] }, privateKey)],
    [
      'for a second audience, azp ours',
      (good) => sign({ ...good, aud: ['cli', 'other'], azp: 'cli' }, privateKey),
    ],
    ['issued to another client', (good) => sign({ ...good, azp: 'other' }, privateKey)],
    ['with another nonce', (good) => sign({ ...good, nonce: 'other' }, privateKey)],
    ['without a nonce', ({ nonce: _nonce, ...rest }) => sign(rest, privateKey)],
    ['without a subject', ({ sub: _sub, ...rest }) => sign(rest, privateKey)],
    ['with an empty subject', (good) => sign({ ...good, sub: '' }, privateKey)],
    ['with a subject of 300 characters', (good) => sign({ ...good, sub: 'x'.repeat(300) }, privateKey)],
    ['with a subject that is a number', (good) => sign({ ...good, sub: 4711 }, privateKey)],
    [
      'with the hash of another access token',
      (good) => sign({ ...good, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }, privateKey),
    ],
    ['that has expired', (good) => sign({ ...good, exp: Number(good['iat']) - 360 }, privateKey)],
    ['without an expiry', ({ exp: _exp, ...rest }) => sign(rest, privateKey)],
    ['without a time of issue', ({ iat: _iat, ...rest }) => sign(rest, privateKey)],
    ['that is not valid yet', (good) => sign({ ...good, nbf: Number(good['iat']) + 3600 }, privateKey)],
  ])('%s', async (_title, forge) => {
    const outcome = await loginWith(forge);
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(/\nerror: [^\n]+\n(hint: [^\n]+\n)?$/);
    expect(outcome.stderr).not.toContain('eyJ');
  });

  test.each([-7 * 24 * 3600, 600, 3600])('issued %i s from now: both times are told', async (seconds) => {
    const outcome = await loginWith((good) =>
      sign({ ...good, iat: Number(good['iat']) + seconds }, privateKey),
    );
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(
      /error: the clocks differ by \d+ s: the provider says \S+Z, this machine \S+Z\nhint: set the clock of this machine, then sign in again\n$/,
    );
  });
});
