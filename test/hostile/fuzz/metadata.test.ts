import { equal, ok } from 'node:assert/strict';

import { expect, test } from 'vitest';

import { json, newBench } from './bench.js';
import { campaign, campaignTimeout } from './campaign.js';
import { judgeMetadata } from './metadata.js';
import { raw } from './json-text.js';
import { mutatedJson, type SpecialValues } from './mutated-json.js';
import { assertContract, assertJudgement } from './outcome-rules.js';
import { goodIdToken } from './signed-jwt.js';
import { invalid } from './verdict.js';

const path = '/.well-known/openid-configuration';
const otherPath = '/.well-known/oauth-authorization-server';

/** Nothing here makes anybody look for a host outside of this machine. */
function specialOf(issuer: string): SpecialValues {
  const { port } = new URL(issuer);
  const addresses = raw(
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:text/html,x',
    'ftp://127.0.0.1/',
    '-n',
    '//x',
    '',
    'http://acme.test/',
    'http://127.0.0.1.acme.test/',
    'http://0.0.0.0/',
    `http://[::ffff:127.0.0.1]:${port}/`,
    `${issuer}/auth#x`,
    `${issuer}/auth#`,
    `http://u:p@127.0.0.1:${port}/x`,
    `http://@127.0.0.1:${port}/x`,
    `${issuer}/token?tenant=x`,
    `${issuer}/token?state=evil&redirect_uri=evil`,
    `${issuer}/nothing`,
    `http://127.1:${port}/token`,
    `HTTP://127.0.0.1:${port}/token`,
    `https://127.0.0.1:${port}/token`,
    'http://127.0.0.1:1/',
    `${issuer}/x$(touch%20x)`,
    `${issuer}/\`x\``,
    `${issuer}/\u202ex`,
    ` ${issuer}/token`,
  );
  return {
    issuer: raw(`${issuer}/`, `${issuer}1`, issuer.replace('127.0.0.1', 'localhost'), '', 'x', '\u001b[2J'),
    authorization_endpoint: [...addresses, ...raw('https://acme.test/auth', 'https://acme.test/auth?a=b')],
    token_endpoint: addresses,
    jwks_uri: addresses,
    revocation_endpoint: addresses,
    code_challenge_methods_supported: [
      '["plain"]',
      '[]',
      '"S256"',
      '["S256",null]',
      '["plain","S256"]',
      '{"0":"S256"}',
    ],
    id_token_signing_alg_values_supported: [
      '["none"]',
      '["RS256"]',
      '"ES256"',
      '["ES256",null]',
      '["none","ES256"]',
    ],
    scopes_supported: ['["openid"]', '"openid"', '[null]', '{"includes":1}'],
    authorization_response_iss_parameter_supported: ['false', '"false"', '1'],
  };
}

test('the metadata of an issuer', { timeout: campaignTimeout }, async () => {
  const bench = await newBench();
  const { acme, machine } = bench;
  await machine.run(['provider', 'add', 'plain', '--issuer', acme.issuer, '--client-id', 'cli']);
  const announced = Object.entries(Object.assign({}, await (await fetch(`${acme.issuer}${path}`)).json()));
  const special = specialOf(acme.issuer);
  const before = bench.stored();
  const failures = await campaign('metadata', 200, async (chance, note) => {
    bench.restore(before);
    const status = chance.happens(0.95) ? 200 : chance.pick([201, 204, 301, 400, 404, 429, 500, 503]);
    const body = mutatedJson(Object.fromEntries(announced), special, chance);
    acme.answerAlways(path, { status, headers: json, body });
    acme.answerAlways(otherPath, { status, headers: json, body });
    const outcome = await bench.signIn(
      (nonce) => ({
        status: 200,
        headers: json,
        body: JSON.stringify({
          access_token: 'a',
          token_type: 'bearer',
          id_token: goodIdToken(acme.issuer, nonce),
        }),
      }),
      '-p',
      chance.pick(['acme', 'plain']),
    );
    note('metadata', { status, body: body.toString('latin1') });
    note('outcome', outcome);
    const findings =
      status === 200 ? judgeMetadata(body, new Map(announced)) : [invalid(`RFC 8414 3.2: status ${status}`)];
    assertContract(outcome);
    assertJudgement(outcome, findings, { refusals: status === 429 || status >= 500 ? [6] : [5, 6] });
    ok(!('polluted' in {}), 'a prototype was changed');
    ok(outcome.exitCode === 0 || bench.stored() === before, 'something was kept');
    // It asks the cached metadata where to revoke.
    if (outcome.exitCode === 0 && chance.happens(0.3)) {
      const loggedOut = await machine.run(['logout', '--all']);
      note('logout', loggedOut);
      equal(loggedOut.exitCode, 0);
      assertContract(loggedOut);
    }
    return findings;
  });
  expect(failures).toBe('');
});
