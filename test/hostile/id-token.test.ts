import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { describe, expect, onTestFinished, test } from 'vitest';

import {
  accessTokenHash,
  claimsOf,
  encode,
  newSigningKey,
  sign,
  signWithSecret,
  type Claims,
} from '../support/forged-id-token.js';
import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import type { Answer } from '../support/provider.js';
import type { Outcome } from '../support/run.js';
import {
  accessToken,
  forgedRefresh,
  forgedSignIn,
  keySet,
  signedBy,
  type Forge,
  type ForgedSignIn,
} from './forged-provider.js';
import { changedMetadata, jsonAnswer, wellKnown } from './metadata.js';
import { isFull, patience } from './sizes.js';

const ours = newSigningKey('RS256');
const oursOfEc = newSigningKey('ES256');
const stranger = newSigningKey('RS256');

const minute = 60;
const hour = 60 * minute;
const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';

const accepted: ForgedSignIn = { exitCode: 0, stdout: '', said: '', sessions: 1 };
const refreshed: Outcome = { exitCode: 0, stdout: `${accessToken}\n`, stderr: '' };

/** One line and perhaps a hint; no token, no code. */
const anyRefusal = /^error: (?!.*(eyJ|the-|a-code))[^\n]+\n(hint: [^\n]+\n)?$/;

function refused(said = anyRefusal, exitCode = 5): ForgedSignIn {
  return { exitCode, stdout: '', said: expect.stringMatching(said), sessions: 0 };
}

/** Somebody whose provider has these keys, however often it is asked. */
async function newcomerAt(keys: readonly unknown[], metadata: object = {}): Promise<Newcomer> {
  const known = await newcomer();
  known.acme.answerNext(wellKnown, await changedMetadata(known.acme, { ...metadata }));
  for (let times = 0; times < 2; times++) known.acme.answerNext('/jwks', keySet(...keys));
  return known;
}

/** A sign-in at a provider whose only key is ours. */
async function signInWith(forge: Forge): Promise<ForgedSignIn> {
  return forgedSignIn(await newcomerAt([ours.jwk]), forge);
}

function claiming(changes: Claims): Forge {
  return (good) => sign({ ...good, ...changes }, ours);
}

function without(claim: string): Forge {
  return (good) => sign(Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim)), ours);
}

/** With that claim so many seconds after the time of issue. */
function timed(claim: string, seconds: number): Forge {
  return (good) => sign({ ...good, [claim]: Number(good['iat']) + seconds }, ours);
}

function issuedBy(change: (issuer: string) => unknown): Forge {
  return (good) => sign({ ...good, iss: change(String(good['iss'])) }, ours);
}

/** What is left of a good ID token when its text has been changed. */
function rewritten(change: (idToken: string) => string): Forge {
  return (good) => change(sign(good, ours));
}

function refusal(reason: string): RegExp {
  return new RegExp(`^error: the ID token is refused: ${reason}\n$`);
}

function failedCheck(what: string): RegExp {
  return new RegExp(`^error: the code exchange failed a check: ${what}[^\n]*\n$`);
}

/** Both times, the difference, and what to do. */
function clocksDiffer(seconds: number): RegExp {
  return new RegExp(
    `^error: the clocks differ by ${about(seconds)} s: the provider says ${time}, this machine ${time}\n` +
      'hint: set the clock of this machine, then sign in again\n$',
  );
}

/** The sign-in itself takes a moment. */
function about(seconds: number): string {
  return `(${[-3, -2, -1, 0, 1, 2, 3].map((difference) => seconds + difference).join('|')})`;
}

describe('IDT-01: an ID token of each usual algorithm is accepted, at the sign-in and at a refresh', () => {
  test.each(['RS256', 'PS256', 'ES256', 'Ed25519'] as const)('%s', async (idTokenSigningAlg) => {
    const { machine } = await newcomer(undefined, { idTokenSigningAlg });
    expect(await login(machine)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    const { stdout } = await machine.spawn(['token', '--type', 'id']);
    expect(JSON.parse(Buffer.from(stdout.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({
      alg: idTokenSigningAlg,
    });
  });

  test('EdDSA, by its older name', async () => {
    const key = newSigningKey('EdDSA');
    const known = await newcomerAt([key.jwk], { id_token_signing_alg_values_supported: ['EdDSA'] });
    const at_hash = accessTokenHash(accessToken, 'sha512');
    expect(await forgedSignIn(known, (good) => sign({ ...good, at_hash }, key))).toEqual(accepted);
  });

  test('a token is printed', async () => {
    const known = await newcomerAt([ours.jwk]);
    expect(await forgedSignIn(known, signedBy(ours))).toEqual(accepted);
    expect(await known.machine.spawn(['token'])).toEqual(refreshed);
    expect(claimsOf((await known.machine.spawn(['token', '--type', 'id'])).stdout)).toMatchObject({
      sub: 'jane',
    });
  });
});

describe('a signature that is not the provider’s', () => {
  const publicPem = createPublicKey(ours.privateKey).export({ type: 'spki', format: 'pem' });
  test.each<[title: string, forge: Forge]>([
    ['IDT-02: RS256, of another key with the same ID', signedBy(stranger)],
    ['IDT-02: RS256, one bit flipped', (good) => flipped(sign(good, ours))],
    ['IDT-02: RS256, over other claims', (good) => aboutJohn(sign(good, ours))],
    ['IDT-02: RS256, empty', (good) => sign(good, ours).replace(/[^.]+$/, '')],
    ['IDT-02: ES256, of another key with the same ID', signedBy(newSigningKey('ES256'))],
    ['IDT-02: ES256, one bit flipped', (good) => flipped(sign(good, oursOfEc))],
    ['IDT-02: ES256, all zeros, which some libraries took for good', signedSo(Buffer.alloc(64))],
    ['IDT-02: ES256, too short', signedSo(Buffer.alloc(8, 1))],
    ['IDT-02: HS256, whatever its key', (good) => signWithSecret(good, 'guess', 'ours')],
    ['IDT-04: HS256, keyed with the public key as PEM', (good) => signWithSecret(good, publicPem, 'ours')],
    [
      'IDT-04: HS256, keyed with the public key as JWK',
      (good) => signWithSecret(good, JSON.stringify(ours.jwk), 'ours'),
    ],
    [
      'IDT-04: HS256, keyed with the modulus',
      (good) => signWithSecret(good, Buffer.from(ours.jwk.n ?? '', 'base64url'), 'ours'),
    ],
    ['IDT-04: HS256, keyed with nothing', (good) => signWithSecret(good, '', 'ours')],
    ['IDT-05: none at all', (good) => `${encode({ alg: 'none' })}.${encode(good)}.`],
    ['IDT-05: none, by another spelling', (good) => `${encode({ alg: 'nOnE' })}.${encode(good)}.`],
    ['IDT-05: of an algorithm without a name', signedBy(ours, { alg: undefined })],
    ['IDT-05: of several algorithms', signedBy(ours, { alg: ['RS256'] })],
  ])('%s', async (_title, forge) => {
    // What a careless provider announces decides nothing: its keys do.
    const known = await newcomerAt([ours.jwk, oursOfEc.jwk], {
      id_token_signing_alg_values_supported: ['RS256', 'ES256', 'HS256', 'none'],
    });
    expect(await forgedSignIn(known, forge)).toEqual(refused());
  });

  test.each(['ES256', 'PS256', 'EdDSA'] as const)(
    'IDT-05: %s where the provider announces RS256 is refused, though the key is the provider’s',
    async (alg) => {
      const key = newSigningKey(alg);
      const known = await newcomerAt([ours.jwk, key.jwk]);
      expect(await forgedSignIn(known, signedBy(key))).toEqual(
        refused(failedCheck('unexpected JWT "alg" header parameter')),
      );
    },
  );
});

function flipped(idToken: string): string {
  const [header, claims, signature = ''] = idToken.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return `${header}.${claims}.${bytes.toString('base64url')}`;
}

function aboutJohn(idToken: string): string {
  const [header, , signature] = idToken.split('.');
  return `${header}.${encode({ ...claimsOf(idToken), sub: 'john' })}.${signature}`;
}

function signedSo(signature: Buffer): Forge {
  return (good) =>
    `${encode({ alg: 'ES256', kid: 'ours' })}.${encode(good)}.${signature.toString('base64url')}`;
}

test('IDT-06: an unknown key is looked for once more, and then refused', async () => {
  const known = await newcomerAt([ours.jwk]);
  expect(await forgedSignIn(known, signedBy(ours, { kid: 'theirs' }))).toEqual(
    refused(failedCheck('error when selecting a JWT verification key, no applicable keys found')),
  );
  expect(known.acme.requestsTo('/jwks')).toHaveLength(2);
});

describe('IDT-08: a key that was rotated just before signing is found', () => {
  const next = newSigningKey('RS256', 'next');

  test('at the sign-in', async () => {
    const known = await newcomer();
    known.acme.answerNext('/jwks', keySet(ours.jwk));
    known.acme.answerNext('/jwks', keySet(ours.jwk, next.jwk));
    expect(await forgedSignIn(known, signedBy(next))).toEqual(accepted);
    expect(known.acme.requestsTo('/jwks')).toHaveLength(2);
  });

  test('at a refresh', async () => {
    const known = await newcomer();
    await login(known.machine);
    const before = known.acme.requestsTo('/jwks').length;
    known.acme.answerNext('/jwks', keySet(ours.jwk));
    known.acme.answerNext('/jwks', keySet(ours.jwk, next.jwk));
    expect(await forgedRefresh(known, signedBy(next))).toEqual(refreshed);
    expect(known.acme.requestsTo('/jwks')).toHaveLength(before + 2);
  });
});

describe('IDT-09: keys that cannot be had cost nothing', () => {
  const noKeys = /^error: there are no keys at \S+\/jwks\n$/;
  const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' };
  const huge = jsonAnswer(`{"keys":[]${' '.repeat(2 * 1024 * 1024)}}`);
  const answers: [title: string, answer: Answer, exitCode: number, said: RegExp][] = [
    ['500', { status: 500 }, 6, /^error: the provider answers 500 at \S+\/jwks\nhint: try again in a moment/],
    ['a cut connection', 'reset', 6, /^error: cannot reach \S+: connection (closed|reset)\nhint: check/],
    ['404', { status: 404 }, 5, noKeys],
    ['HTML', html, 5, noKeys],
    ['nothing', { status: 200 }, 5, noKeys],
    ['no object', jsonAnswer(JSON.stringify([ours.jwk])), 5, noKeys],
    ['no list', jsonAnswer(JSON.stringify({ keys: ours.jwk })), 5, noKeys],
    [
      'a redirect',
      { status: 302, headers: { location: '/elsewhere' } },
      5,
      /^error: the provider answers \S+\/jwks with a redirect \(302\), which is not followed\n$/,
    ],
    ['2 MB', huge, 5, /^error: the provider sends an answer of more than 1 MiB\n$/],
  ];

  test.each(answers)('%s: the code is not sent', async (_title, answer, exitCode, said) => {
    const known = await newcomer();
    known.acme.answerNext('/jwks', answer);
    expect(await forgedSignIn(known, signedBy(ours))).toEqual(refused(said, exitCode));
    expect(known.acme.requestsTo('/token')).toEqual([]);
  });

  test('at a refresh: the refresh token is not sent', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    const before = acme.requestsTo('/token').length;
    for (const [, answer, exitCode, said] of answers) {
      acme.answerNext('/jwks', answer);
      expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
        exitCode,
        stdout: '',
        stderr: expect.stringMatching(said),
      });
    }
    expect(acme.requestsTo('/token')).toHaveLength(before);
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('in the clear, on another machine: nobody is asked', async () => {
    const known = await newcomerAt([], { jwks_uri: 'http://keys.acme.test/jwks' });
    expect(await forgedSignIn(known, signedBy(ours))).toEqual(
      refused(
        /^error: the provider's endpoint http:\/\/keys\.acme\.test\/jwks is neither https nor on this machine\n$/,
      ),
    );
    expect(known.acme.requestsTo('/token')).toEqual([]);
  });

  test('at no address', async () => {
    const known = await newcomerAt([], { jwks_uri: undefined });
    expect(await forgedSignIn(known, signedBy(ours))).toEqual(refused());
  });

  test.runIf(isFull)('no answer', async () => {
    const known = await newcomer();
    known.acme.answerNext('/jwks', 'hang');
    expect(await forgedSignIn(known, signedBy(ours))).toEqual(
      refused(/^error: cannot reach \S+: no answer within \d\d seconds\nhint: check/, 6),
    );
    expect(known.acme.requestsTo('/token')).toEqual([]);
  });
});

describe('IDT-10: an ID token that brings its own key convinces nobody, and nobody is asked for that key', () => {
  test.each(['jku', 'x5u', 'jwk', 'x5c'] as const)('%s', async (name) => {
    const asked: string[] = [];
    const attacker = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(JSON.stringify({ keys: [stranger.jwk] }));
    });
    attacker.listen(0, '127.0.0.1');
    await once(attacker, 'listening');
    onTestFinished(() => void attacker.close());
    const address = attacker.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/keys`;
    const brought = { [name]: { jku: url, x5u: url, jwk: stranger.jwk, x5c: ['MIIB'] }[name] };

    const known = await newcomerAt([ours.jwk]);
    expect(await forgedSignIn(known, signedBy(stranger, brought))).toEqual(refused());
    expect(await signInWith(signedBy(ours, brought))).toEqual(accepted);
    expect(asked).toEqual([]);
  });

  test('an extension that would have to be understood is refused', async () => {
    expect(await signInWith(signedBy(ours, { crit: ['b64'], b64: false }))).toEqual(refused());
  });
});

describe('IDT-12: a key that no provider should publish verifies nothing', () => {
  const weakest = newSigningKey('RS256', 'ours', 512);
  const weak = newSigningKey('RS256', 'ours', 1024);
  const { n: _n, ...withoutModulus } = ours.jwk;
  const secretBytes = Buffer.alloc(32, 7);
  const secret = { kty: 'oct', k: secretBytes.toString('base64url'), kid: 'ours' };
  const bySecret: Forge = (good) => signWithSecret(good, secretBytes, 'ours');
  const privatePem = ours.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const withPrivateHalf = { ...createPrivateKey(privatePem).export({ format: 'jwk' }), ...ours.jwk };
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
  const p384Pem = p384.export({ type: 'spki', format: 'pem' });
  const ofP384 = { ...createPublicKey(p384Pem).export({ format: 'jwk' }), kid: 'ours' };

  test.each<[title: string, key: unknown, forge: Forge]>([
    ['RSA of 512 bits', weakest.jwk, signedBy(weakest)],
    ['RSA of 1024 bits', weak.jwk, signedBy(weak)],
    ['RSA with the exponent 1: anybody can sign', { ...ours.jwk, e: 'AQ' }, signedByNobody],
    ['RSA with the exponent 1, written long', { ...ours.jwk, e: 'AAAB' }, signedByNobody],
    ['RSA with an even exponent', { ...ours.jwk, e: 'AQAA' }, signedBy(ours)],
    ['RSA without an exponent', { ...ours.jwk, e: undefined }, signedBy(ours)],
    ['RSA without a modulus', withoutModulus, signedBy(ours)],
    ['a secret', secret, bySecret],
    ['a secret said to be for RS256', { ...secret, alg: 'RS256' }, bySecret],
    ['one whose private half is there for all to read', withPrivateHalf, signedBy(ours)],
    ['one for encryption', { ...ours.jwk, use: 'enc' }, signedBy(ours)],
    ['one for signing only', { ...ours.jwk, key_ops: ['sign'] }, signedBy(ours)],
    ['one whose uses are no list', { ...ours.jwk, key_ops: 7 }, signedBy(ours)],
    ['an elliptic curve of another size', ofP384, signedBy(oursOfEc)],
    ['a point that is not on its curve', { ...oursOfEc.jwk, y: oursOfEc.jwk.x }, signedBy(oursOfEc)],
    ['nothing', null, signedBy(ours)],
    ['a text', 'ours', signedBy(ours)],
  ])('%s', async (_title, key, forge) => {
    const known = await newcomerAt([key], {
      id_token_signing_alg_values_supported: ['RS256', 'ES256', 'HS256'],
    });
    expect(await forgedSignIn(known, forge)).toEqual(refused());
  });

  test('beside a good one, it takes nothing from that', async () => {
    const bad = [null, { ...weak.jwk, kid: 'weak' }, secret, withPrivateHalf, { ...ours.jwk, e: 'AQ' }];
    expect(await forgedSignIn(await newcomerAt([...bad, ours.jwk]), signedBy(ours))).toEqual(accepted);
  });

  test('two with the same ID are told apart by nobody', async () => {
    const known = await newcomerAt([stranger.jwk, ours.jwk]);
    expect(await forgedSignIn(known, signedBy(stranger))).toEqual(refused());
  });

  test('of several one must be named', async () => {
    const known = await newcomerAt([ours.jwk, { ...stranger.jwk, kid: 'theirs' }]);
    expect(await forgedSignIn(known, signedBy(ours, { kid: undefined }))).toEqual(refused());
  });

  test('the only one there is needs no ID', async () => {
    expect(await signInWith(signedBy(ours, { kid: undefined }))).toEqual(accepted);
  });
});

/** EMSA-PKCS1-v1_5 alone: with the exponent 1 that is a signature. */
function signedByNobody(good: Claims): string {
  const signed = `${encode({ alg: 'RS256', kid: 'ours' })}.${encode(good)}`;
  const digest = createHash('sha256').update(signed).digest('hex');
  const digestInfo = Buffer.from(`3031300d060960864801650304020105000420${digest}`, 'hex');
  const padding = Buffer.alloc(256 - 3 - digestInfo.length, 0xff);
  const signature = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.from([0]), digestInfo]);
  return `${signed}.${signature.toString('base64url')}`;
}

describe('an ID token that is not about this sign-in', () => {
  const otherIssuer = failedCheck('unexpected JWT "iss"');
  const otherAudience = failedCheck('unexpected JWT "aud"');
  const secondAudience = refusal('it is meant for another audience as well');
  const otherClient = refusal('it was issued to another client \\(azp\\)');
  const badSubject = refusal('its subject is empty or malformed');
  const badHash = refusal('its hash of the access token is wrong \\(at_hash\\)');
  const missing = (claim: string): RegExp => failedCheck(`JWT "${claim}" \\(.*\\) claim missing`);

  test.each<[title: string, forge: Forge, said: RegExp]>([
    ['IDT-13: an issuer with a character more', issuedBy((issuer) => `${issuer}1`), otherIssuer],
    ['IDT-13: an issuer with a slash more', issuedBy((issuer) => `${issuer}/`), otherIssuer],
    ['IDT-13: an issuer on another host', issuedBy(() => 'https://evil.test'), otherIssuer],
    ['IDT-13: an issuer in capitals', issuedBy((issuer) => issuer.replace('http', 'HTTP')), otherIssuer],
    ['IDT-13: an issuer without its scheme', issuedBy((issuer) => issuer.replace('http:', '')), otherIssuer],
    ['IDT-13: several issuers', issuedBy((issuer) => [issuer]), otherIssuer],
    ['IDT-13: no issuer', without('iss'), missing('iss')],
    [
      'IDT-13: the nonce of another sign-in',
      claiming({ nonce: 'x' }),
      failedCheck('unexpected ID Token "nonce"'),
    ],
    ['IDT-13: no nonce', without('nonce'), missing('nonce')],
    ['IDT-14: an audience with a character more', claiming({ aud: 'cli1' }), otherAudience],
    ['IDT-14: another client', claiming({ aud: ['other'] }), otherAudience],
    ['IDT-14: an audience in capitals', claiming({ aud: 'CLI' }), otherAudience],
    ['IDT-14: no audience', without('aud'), missing('aud')],
    ['IDT-14: an empty list of audiences', claiming({ aud: [] }), otherAudience],
    ['IDT-14: an audience that is a number', claiming({ aud: 7 }), otherAudience],
    ['IDT-16: a second audience', claiming({ aud: ['cli', 'other'] }), failedCheck('.* untrusted audiences')],
    ['IDT-16: a second audience, azp ours', claiming({ aud: ['cli', 'other'], azp: 'cli' }), secondAudience],
    ['IDT-16: ourselves twice', claiming({ aud: ['cli', 'cli'], azp: 'cli' }), secondAudience],
    ['IDT-17: issued to another client', claiming({ azp: 'other' }), otherClient],
    ['IDT-17: issued to nobody', claiming({ azp: '' }), otherClient],
    ['IDT-18: no expiry', without('exp'), missing('exp')],
    ['IDT-18: an expiry as text', claiming({ exp: '4102444800' }), failedCheck('unexpected JWT "exp"')],
    ['IDT-18: an expiry of zero', claiming({ exp: 0 }), failedCheck('unexpected JWT "exp"')],
    ['IDT-18: an expiry before all time', claiming({ exp: -1e15 }), failedCheck('unexpected JWT "exp"')],
    [
      'IDT-18: an expiry that no calendar knows',
      claiming({ exp: 1e15 }),
      refusal('its expiry is not a time'),
    ],
    [
      'IDT-18: expired six minutes ago',
      timed('exp', -6 * minute),
      refusal(`it expired ${time}, and this machine says ${time}, ${about(6 * minute)} s later`),
    ],
    ['IDT-20: no time of issue', without('iat'), missing('iat')],
    ['IDT-20: a time of issue as text', claiming({ iat: 'now' }), failedCheck('unexpected JWT "iat"')],
    ['IDT-20: issued a week ago', timed('iat', -7 * 24 * hour), clocksDiffer(7 * 24 * hour)],
    ['IDT-20: issued in an hour', timed('iat', hour), clocksDiffer(hour)],
    [
      'IDT-20: issued at no time',
      claiming({ iat: 1e300 }),
      /^error: the clocks differ by \S+ s: [^\n]+\nhint/,
    ],
    [
      'IDT-21: good in an hour',
      timed('nbf', hour),
      refusal(`it is good from ${time} on, and this machine says ${time}, ${about(hour)} s earlier`),
    ],
    ['IDT-21: good from a text on', claiming({ nbf: 'now' }), failedCheck('unexpected JWT "nbf"')],
    ['IDT-22: no subject', without('sub'), missing('sub')],
    ['IDT-22: an empty subject', claiming({ sub: '' }), badSubject],
    ['IDT-22: a subject that is a number', claiming({ sub: 4711 }), failedCheck('unexpected JWT "sub"')],
    ['IDT-22: a subject that is nobody', claiming({ sub: null }), failedCheck('unexpected JWT "sub"')],
    ['IDT-22: a subject of 300 characters', claiming({ sub: 'x'.repeat(300) }), badSubject],
    ['IDT-22: a subject that moves the cursor', claiming({ sub: 'jane\u001b[2J' }), badSubject],
    ['IDT-24: the hash of another token', claiming({ at_hash: accessTokenHash('another') }), badHash],
    ['IDT-24: another hash', claiming({ at_hash: accessTokenHash(accessToken, 'sha512') }), badHash],
    ['IDT-24: a hash that is a number', claiming({ at_hash: 7 }), badHash],
  ])('%s', async (_title, forge, said) => {
    expect(await signInWith(forge)).toEqual(refused(said));
  });
});

test('IDT-24: without a hash of the access token it is as good', async () => {
  expect(await signInWith(without('at_hash'))).toEqual(accepted);
});

describe('IDT-25: what is no signed ID token is refused at once', () => {
  const megabytes = 'x'.repeat(10 * 1024 * 1024);
  test.each<[title: string, forge: Forge]>([
    ['encrypted: five parts', rewritten((idToken) => `${idToken}.x.x`)],
    ['four parts', rewritten((idToken) => `${idToken}.x`)],
    ['two parts', rewritten((idToken) => idToken.replace(/\.[^.]*$/, ''))],
    ['empty', () => ''],
    ['dots only', () => '..'],
    ['a header that is not base64url', rewritten((idToken) => `*${idToken}`)],
    ['claims that are not base64url', rewritten((idToken) => idToken.replace('.', '.*'))],
    ['a signature that is not base64url', rewritten((idToken) => `${idToken}*`)],
    ['a header that is no JSON', rewritten((idToken) => idToken.replace(/^[^.]*/, 'e30x'))],
    ['a header that is no object', rewritten((idToken) => idToken.replace(/^[^.]*/, encode([])))],
    ['claims that are no object', rewritten((idToken) => idToken.replace(/\.[^.]*\./, `.${encode([])}.`))],
    ['a line break', rewritten((idToken) => `${idToken}\n`)],
    ['200 kB', claiming({ filling: 'x'.repeat(200_000) })],
    ['10 MB', claiming({ filling: megabytes })],
  ])('%s', async (_title, forge) => {
    const known = await newcomerAt([ours.jwk]);
    let answeredAt = 0;
    const outcome = await forgedSignIn(known, (good) => {
      const idToken = forge(good);
      answeredAt = performance.now();
      return idToken;
    });
    expect(outcome).toEqual(refused());
    expect(performance.now() - answeredAt).toBeLessThan(2_000 * patience);
  });
});

function clockOff(seconds: number, lifetime: number): Forge {
  return (good) => {
    const iat = Number(good['iat']) + seconds;
    return sign({ ...good, iat, nbf: iat, exp: iat + lifetime }, ours);
  };
}

describe('IDT-26: the provider’s clock', () => {
  test.each([-30, 30])('%i s off is no trouble', async (seconds) => {
    expect(await signInWith(clockOff(seconds, minute))).toEqual(accepted);
  });

  test.each([
    [-10 * minute, minute],
    [-10 * minute, hour],
    [10 * minute, minute],
    [10 * minute, hour],
  ])('%i s off is, with an ID token for %i s: both times are told', async (seconds, lifetime) => {
    expect(await signInWith(clockOff(seconds, lifetime))).toEqual(refused(clocksDiffer(Math.abs(seconds))));
  });
});

describe('IDT-28: with --max-age the sign-in at the provider must be young', () => {
  test.each<[title: string, secondsAgo: number | undefined, outcome: ForgedSignIn]>([
    ['a young one', 60, accepted],
    [
      'an old one',
      2 * hour,
      refused(
        /^error: the ID token is refused: the sign-in at the provider is of \S+Z, older than --max-age allows\n$/,
      ),
    ],
    ['one of no time', undefined, refused()],
  ])('%s', async (_title, secondsAgo, outcome) => {
    const forge: Forge = (good) =>
      sign(
        { ...good, ...(secondsAgo !== undefined && { auth_time: Number(good['iat']) - secondsAgo }) },
        ours,
      );
    const known = await newcomerAt([ours.jwk]);
    expect(await forgedSignIn(known, forge, '--max-age', '10m')).toEqual(outcome);
  });
});
