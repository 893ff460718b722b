import { deepEqual, equal, ok } from 'node:assert/strict';

import { expect, test } from 'vitest';

import { code, json, newBench, type Bench } from './bench.js';
import type { Session } from '../../../src/store/session.js';
import type { Outcome } from '../../support/run.js';
import { openedSession } from '../../support/sessions.js';
import { campaign, campaignTimeout } from './campaign.js';
import type { Chance } from './chance.js';
import { hostileNames, hostileTexts } from './hostile-text.js';
import { raw } from './json-text.js';
import { mutatedJson, type SpecialValues } from './mutated-json.js';
import { assertContract, assertJudgement } from './outcome-rules.js';
import { readJsonObject } from './read-json.js';
import { goodIdToken } from './signed-jwt.js';
import { exitCodesOfRefusal, judgeTokenResponse, type TokenAnswer } from './token-response.js';

const good = {
  access_token: 'canary-access-0123456789',
  token_type: 'Bearer',
  expires_in: 3600,
  // No standard has it, and several providers send it.
  refresh_expires_in: 86_400,
  refresh_token: 'canary-refresh-0123456789',
  scope: 'openid profile email offline_access',
};

const special: SpecialValues = {
  access_token: raw('a', 'a b', 'a\nb', 'tok=en', 'dG9rZW4=', 't'.repeat(60_000), 't'.repeat(70_000)),
  token_type: raw('bearer', 'BEARER', 'bEaReR', 'Bearer ', 'mac', 'N_A', 'DPoP', 'dpop', 'bearer,dpop'),
  expires_in: [
    ...raw('3600', '3600s', '1e3', '0x10', ' 60', '+60', '-60', '1e400'),
    '3600.5',
    '31536001',
    '1e15',
    '[3600]',
  ],
  refresh_expires_in: ['-1', '0', '1e400', '[1]', ...raw('60', 'soon')],
  refresh_token: raw('r', 'r r', 'r\u0000r', 'r'.repeat(30_000)),
  scope: raw(
    'openid',
    'openid email admin',
    '',
    ' openid',
    'openid  email',
    'openid,email',
    'op"enid',
    'op\\enid',
  ),
  id_token: raw('e30.e30.', 'a.b.c.d.e', 'e30'),
};

const refusal = { error: 'invalid_request', error_uri: 'https://acme.test/errors' };
const refusalSpecial: SpecialValues = {
  error: raw(
    'invalid_grant',
    'invalid_client',
    'invalid_scope',
    'access_denied',
    'consent_required',
    'login_required',
    'Invalid_Grant',
    'slow_down',
    ...hostileNames,
  ),
  error_description: raw(...hostileTexts),
};

test('a token response at a sign-in', { timeout: campaignTimeout }, async () => {
  const bench = await newBench();
  const failures = await campaign('token response at a sign-in', 100, async (chance, note) => {
    const before = bench.stored();
    let answer: TokenAnswer = { status: 200, headers: {}, body: Buffer.alloc(0) };
    let idToken = '';
    const outcome = await bench.signIn(
      (nonce) => {
        idToken = goodIdToken(bench.acme.issuer, nonce);
        answer = chance.happens(0.2)
          ? refused(code, chance)
          : granted({ ...good, id_token: idToken }, chance);
        return answer;
      },
      ...form(chance),
    );
    note('answer', { ...answer, body: answer.body.toString('latin1') });
    note('outcome', outcome);
    const findings = judgeTokenResponse(answer, { good: idToken, isRequired: true });
    assertContract(outcome);
    assertJudgement(outcome, findings, { refusals: exitCodesOfRefusal(answer, 'sign-in') });
    ok(outcome.exitCode === 0 || bench.stored() === before, 'something was kept');
    assertConcealed(outcome, answer, code);
    return findings;
  });
  expect(failures).toBe('');
});

test('a token response at a refresh', { timeout: campaignTimeout }, async () => {
  const bench = await newBench();
  await signInWell(bench);
  const before = bench.stored();
  const known = openedSession(bench.machine);
  const failures = await campaign('token response at a refresh', 100, async (chance, note) => {
    bench.restore(before);
    const idToken = goodIdToken(bench.acme.issuer);
    const document = chance.happens(0.3) ? good : { ...good, id_token: idToken };
    const answer = chance.happens(0.2) ? refused(good.refresh_token, chance) : granted(document, chance);
    bench.acme.answerAlways('/token', answer);
    const outcome = await bench.token('--force-refresh', ...form(chance));
    note('answer', { ...answer, body: answer.body.toString('latin1') });
    note('outcome', outcome);
    const findings = judgeTokenResponse(answer, { good: idToken, isRequired: false });
    assertContract(outcome);
    assertJudgement(outcome, findings, { refusals: exitCodesOfRefusal(answer, 'refresh') });
    if (outcome.exitCode === 0) {
      const token = readJsonObject(answer.body).fields.get('access_token');
      equal(tokenIn(outcome.stdout), token);
    } else if (outcome.exitCode !== 4) {
      const changed = bench.stored() !== before;
      if (changed) deepEqual(openedSession(bench.machine), withNewRefreshToken(known, answer));
    }
    assertConcealed(outcome, answer, good.refresh_token);
    return findings;
  });
  expect(failures).toBe('');
});

function granted(document: object, chance: Chance): TokenAnswer {
  return { status: 200, headers: contentType(chance), body: mutatedJson(document, special, chance) };
}

/** Some providers repeat in their error what they were sent. */
function refused(sent: string, chance: Chance): TokenAnswer {
  const echo = chance.happens(0.5) ? sent : '';
  const document = { ...refusal, error_description: `${'x'.repeat(chance.below(520))} ${echo}` };
  const status = chance.pick([400, 400, 400, 400, 401, 403, 404, 408, 409, 429, 500, 503, 302, 201]);
  return {
    status,
    headers: { ...contentType(chance), ...(chance.happens(0.15) && challenge(chance)) },
    body: mutatedJson(document, refusalSpecial, chance),
  };
}

function contentType(chance: Chance): Readonly<Record<string, string>> {
  if (chance.happens(0.9)) return json;
  const types = [
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'text/html',
    'text/plain;;',
    ';',
    'x',
  ];
  return { 'content-type': chance.pick(types) };
}

function challenge(chance: Chance): Readonly<Record<string, string>> {
  const error = chance.pick(['invalid_client', 'access_denied', 'constructor', '__proto__', 'toString', '']);
  const challenges = [
    `Bearer error="${error}"`,
    `Basic, Bearer error=${error}`,
    'Basic',
    `DPoP x, error="${error}"`,
    ',,',
    '"',
  ];
  return { 'www-authenticate': chance.pick(challenges) };
}

function form(chance: Chance): readonly string[] {
  return chance.happens(0.2) ? ['--json'] : [];
}

async function signInWell(bench: Bench): Promise<void> {
  const signedIn = await bench.signIn((nonce) => ({
    status: 200,
    headers: json,
    body: JSON.stringify({ ...good, id_token: goodIdToken(bench.acme.issuer, nonce) }),
  }));
  equal(signedIn.exitCode, 0);
}

/** All that may be kept of an answer that is refused: it is the only one that the provider still takes. */
function withNewRefreshToken(known: Session, { status, body }: TokenAnswer): Session {
  const refreshToken = readJsonObject(body).fields.get('refresh_token');
  ok(status < 300 && typeof refreshToken === 'string', 'the session was changed');
  return { ...known, unverifiedRefreshToken: refreshToken, refreshExpiresAt: null };
}

/** Not even its beginning: where a long line is cut may lie in the middle of it. */
function assertConcealed({ stderr }: Outcome, { body }: TokenAnswer, secret: string): void {
  const description = readJsonObject(body).fields.get('error_description');
  const isWhole = typeof description === 'string' && description.includes(secret);
  if (isWhole && stderr.includes(secret.slice(0, 8))) throw new Error('a secret on stderr');
  if (stderr.includes(good.access_token)) throw new Error('an access token on stderr');
}

function tokenIn(stdout: string): unknown {
  return stdout.startsWith('{')
    ? readJsonObject(Buffer.from(stdout)).fields.get('access_token')
    : stdout.slice(0, -1);
}
