import { env } from 'node:process';

import { expect, test } from 'vitest';

import { accessTokenHash, claimsOf, newSigningKey, sign } from '../support/forged-id-token.js';
import { signedIn } from '../support/newcomer.js';
import { randomNumbers } from '../support/random.js';
import { openedSession } from '../support/sessions.js';
import { refreshTokensSent, spoiled, type Spoil } from '../support/spoiled-answer.js';
import { success } from './session.js';

/** 1,000 in `npm run test:faults`. */
const rounds = Number(env['AUTHCLI_FAULT_REFUSED'] ?? 20);
const random = randomNumbers('refused answers');
const stranger = newSigningKey('ES256');

const withMembers =
  (changes: object): Spoil =>
  (answer) => ({ ...answer, ...changes });

/** Not signed by the provider, so that whatever else is wrong with it comes on top. */
const withForgedIdToken =
  (changes: object): Spoil =>
  (answer) => {
    const good = {
      ...claimsOf(String(answer['id_token'])),
      at_hash: accessTokenHash(String(answer['access_token'])),
    };
    return { ...answer, id_token: sign({ ...good, ...changes }, stranger) };
  };

const checks: readonly Spoil[] = [
  withMembers({ token_type: 'mac' }),
  withMembers({ token_type: 7 }),
  withMembers({ expires_in: 'soon' }),
  withMembers({ expires_in: [12] }),
  withMembers({ expires_in: -1 }),
  withMembers({ access_token: 7 }),
  withMembers({ access_token: 'a\u0007b' }),
  withMembers({ access_token: 'x'.repeat(70_000) }),
  withMembers({ scope: 'open"id' }),
  withMembers({ scope: 7 }),
  withMembers({ id_token: 7 }),
  withMembers({ id_token: 'x.y.z' }),
  withForgedIdToken({}),
  withForgedIdToken({ iss: 'https://other.test' }),
  withForgedIdToken({ aud: ['cli', 'other'] }),
  withForgedIdToken({ exp: 'never' }),
  withForgedIdToken({ sub: null }),
  withMembers({ access_token: undefined }),
  (answer) => `${JSON.stringify(answer).slice(0, -1)},"token_type":"bearer"}`,
  (answer) => `${JSON.stringify(answer).slice(0, -1)},"deep":${'['.repeat(100)}${']'.repeat(100)}}`,
  (answer) => `${JSON.stringify(answer).slice(0, -1)},"large":"${'x'.repeat(1_100_000)}"}`,
];

test(
  `${rounds} refreshes whose answer fails a random check: no session is lost, the next good refresh works`,
  { timeout: 3_600_000 },
  async ({ task }) => {
    const { acme, machine } = await signedIn();
    for (let round = 0; round < rounds; round++) {
      const which = Math.floor(random() * checks.length);
      const asked = acme.requestsTo('/token').length;
      acme.answerNext('/token', spoiled(acme, checks[which] ?? withMembers({ token_type: 'mac' })));
      const refused = await machine.run(['token', '--force-refresh']);
      expect(refused, `check ${which}`).toMatchObject({ exitCode: 5, stdout: '' });
      expect(await machine.run(['token', '--force-refresh']), `after check ${which}`).toEqual(success);
      // The first of these is asked for twice: the provider itself answers what is then spoiled.
      expect(acme.requestsTo('/token')).toHaveLength(asked + 3);
    }
    expect(openedSession(machine).unverifiedRefreshToken).toBeNull();
    const sent = refreshTokensSent(acme);
    expect(new Set(sent).size).toBe(sent.length);
    task.meta.measured = { rounds, result: `0 sessions lost, ${rounds} x exit 5, ${rounds} x exit 0` };
  },
);
