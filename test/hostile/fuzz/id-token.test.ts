import { deepEqual, equal, ok } from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';

import { expect, test } from 'vitest';

import { accessTokenHash } from '../../support/forged-id-token.js';
import { json, newBench } from './bench.js';
import { campaign, campaignTimeout } from './campaign.js';
import type { Chance } from './chance.js';
import { judgeIdToken } from './id-token.js';
import { raw } from './json-text.js';
import { mutatedJson, type SpecialValues } from './mutated-json.js';
import { assertContract, assertJudgement, assertPrintable } from './outcome-rules.js';
import type { Fields } from './read-json.js';
import { goodClaims, goodHeader, signedJwt } from './signed-jwt.js';

const accessToken = 'canary-access-0123456789';

const headerSpecial: SpecialValues = {
  alg: raw('none', 'HS256', 'RS256', 'ES384', 'es256', 'EdDSA'),
  kid: raw('theirs', 'OURS', ''),
  crit: ['[]', '["exp"]', 'null'],
};

function claimsSpecial(issuer: string): SpecialValues {
  const now = Math.floor(Date.now() / 1000);
  const times = [-1e12, -604_800, -3600, -600, -250, -10, 0, 10, 250, 600, 3600, 1e9, 1e15].map((seconds) =>
    String(now + seconds),
  );
  return {
    iss: raw(`${issuer}/`, `${issuer}1`, issuer.toUpperCase(), 'https://evil.test'),
    aud: [
      '["cli"]',
      '["cli","other"]',
      '["other","cli"]',
      '["cli","cli"]',
      '["cli",null]',
      '[["cli"]]',
      '{"0":"cli"}',
      '[]',
      ...raw('cli1', 'CLI', 'cli '),
      '{"length":1,"0":"cli"}',
    ],
    azp: raw('cli', 'other', ''),
    sub: raw('x', 'x'.repeat(255), 'x'.repeat(256), 'jänn', 'a\tb', 'a b', '4711'),
    exp: [...times, `"${now + 3600}"`, `${now + 3600}.5`],
    iat: [...times, `"${now}"`, `${now}.5`],
    nbf: [...times, `"${now}"`],
    auth_time: [...times, `"${now}"`],
    nonce: raw('', 'other'),
    at_hash: raw('', 'AAAAAAAAAAAAAAAAAAAAAA', accessTokenHash('another token')),
    email: raw('jane@acme.test', '\u001b[2Jjane', 'j\u202eane', 'ja\nne', 'x'.repeat(5_000)),
    name: raw('Jane', '\u001b]0;pwned\u0007', '\ud800', '', '\u200b'),
    preferred_username: raw('jane', '../jane', '\u2066'),
  };
}

test('the claims of an ID token', { timeout: campaignTimeout }, async () => {
  const bench = await newBench();
  const { issuer } = bench.acme;
  const before = bench.stored();
  const failures = await campaign('ID token', 200, async (chance, note) => {
    bench.restore(before);
    const special = claimsSpecial(issuer);
    let idToken = '';
    let expectedNonce = '';
    const outcome = await bench.signIn((nonce) => {
      expectedNonce = nonce;
      const now = Math.floor(Date.now() / 1000);
      const person = { email: 'jane@acme.test', name: 'Jane Doe', preferred_username: 'jane' };
      const claims = {
        ...goodClaims(issuer, nonce),
        ...(chance.happens(0.3) && { azp: 'cli', auth_time: now - 60, nbf: now - 5 }),
        ...(chance.happens(0.5) && { at_hash: accessTokenHash(accessToken) }),
        ...(chance.happens(0.5) && person),
      };
      const header = chance.happens(0.2)
        ? mutatedJson(goodHeader, headerSpecial, chance)
        : Buffer.from(JSON.stringify(goodHeader));
      const jwt = signedJwt(header, mutatedJson(claims, special, chance));
      idToken = chance.happens(0.15) ? chance.pick(tamperings)(jwt, chance) : jwt;
      const answer = { access_token: accessToken, token_type: 'bearer', id_token: idToken };
      return { status: 200, headers: json, body: JSON.stringify(answer) };
    }, '--json');
    note('ID token', idToken);
    note(
      'decoded',
      idToken.split('.').map((part) => Buffer.from(part, 'base64url').toString()),
    );
    note('outcome', outcome);
    const { findings, claims } = judgeIdToken(idToken, {
      issuer,
      clientId: 'cli',
      nonce: expectedNonce,
      accessToken,
    });
    assertContract(outcome);
    assertJudgement(outcome, findings);
    ok(idToken.length < 8 || !outcome.stderr.includes(idToken), 'the ID token on stderr');
    if (outcome.exitCode === 0) {
      const { account }: { account: unknown } = JSON.parse(outcome.stdout);
      deepEqual(account, accountOf(claims));
      const listed = await bench.machine.run(['status']);
      equal(listed.exitCode, 0);
      assertPrintable(listed.stdout);
    } else {
      ok(bench.stored() === before, 'something was kept');
    }
    return findings;
  });
  expect(failures).toBe('');
});

function accountOf(claims: Fields): object {
  const text = (name: string) => {
    const value = claims.get(name);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  return {
    sub: claims.get('sub'),
    username: text('preferred_username'),
    email: text('email'),
    name: text('name'),
  };
}

const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** What happens to an ID token after it was signed. */
const tamperings: readonly ((jwt: string, chance: Chance) => string)[] = [
  (jwt, chance) => withPart(jwt, chance.below(3), (part) => withLetter(part, chance)),
  (jwt, chance) => withPart(jwt, chance.below(3), (part) => withLetter(part, chance)),
  (jwt, chance) => withPart(jwt, chance.below(3), () => ''),
  (jwt, chance) =>
    withPart(jwt, chance.below(3), (part) => `${part}${chance.pick(['=', '==', '+', '/', '~', ' ', '\n'])}`),
  (jwt) => withPart(jwt, 2, (part) => part.replaceAll('-', '+').replaceAll('_', '/')),
  (jwt) => withPart(jwt, 2, (part) => Buffer.from(part, 'base64url').toString('hex')),
  (jwt) => withPart(jwt, 2, (part) => part + part),
  (jwt) =>
    withPart(jwt, 2, () => sign('sha256', Buffer.from(signedPartOf(jwt)), stranger).toString('base64url')),
  (jwt) =>
    withPart(jwt, 2, () => {
      const key = { key: stranger, dsaEncoding: 'ieee-p1363' } as const;
      return sign('sha256', Buffer.from(signedPartOf(jwt)), key).toString('base64url');
    }),
  // CVE-2022-21449: the signature of nothing, which some verifiers take for good.
  (jwt) => withPart(jwt, 2, () => Buffer.alloc(64).toString('base64url')),
  (jwt) => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${jwt.split('.')[1]}.`,
  (jwt) => `${jwt}.${jwt.split('.')[2]}`,
  (jwt) => `${jwt}.e30.e30`,
  (jwt) => signedPartOf(jwt),
  (jwt) => `Bearer ${jwt}`,
  (jwt) => jwt.split('.').toReversed().join('.'),
  (jwt, chance) => jwt.slice(0, chance.below(jwt.length)),
];

function signedPartOf(jwt: string): string {
  return jwt.slice(0, jwt.lastIndexOf('.'));
}

function withPart(jwt: string, at: number, change: (part: string) => string): string {
  return jwt
    .split('.')
    .map((part, index) => (index === at ? change(part) : part))
    .join('.');
}

function withLetter(part: string, chance: Chance): string {
  const at = chance.below(part.length);
  return `${part.slice(0, at)}${chance.pick('AbC9-_'.split(''))}${part.slice(at + 1)}`;
}
