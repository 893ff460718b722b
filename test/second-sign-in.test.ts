import { describe, expect, test } from 'vitest';

import { claimsOf } from './support/forged-id-token.js';
import { knowing, login, signedIn, type Newcomer } from './support/newcomer.js';
import type { Outcome } from './support/run.js';
import { openedSession } from './support/sessions.js';
import { refreshTokensSent, spoiled, without, type Spoil } from './support/spoiled-answer.js';
import { approvesAs, browserOf } from './support/user-agents.js';

const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const refresh = ['token', '--force-refresh'];
const goesOn = 'warning: acme gave no refresh token: that of the earlier sign-in goes on\n';

const withoutRefreshToken = without('refresh_token');

/** Nobody is named, and the refresh token is `first`. */
const nameless: Spoil = (answer) => ({ ...without('id_token')(answer), refresh_token: 'first' });

const boundWithoutRefreshToken: Spoil = (answer) => ({ ...withoutRefreshToken(answer), token_type: 'DPoP' });

async function signInWithout({ acme, machine }: Newcomer, ...argv: string[]): Promise<Outcome> {
  acme.answerNext('/token', spoiled(acme, withoutRefreshToken));
  return machine.run(
    ['login', '-q', '--prompt', 'consent', ...argv],
    browserOf(approvesAs('jane@acme.test')),
  );
}

function revoked(acme: Newcomer['acme']): (string | undefined)[] {
  return acme.requestsTo('/token/revocation').map(({ parameters }) => parameters['token']);
}

describe('a second sign-in that brings no refresh token', () => {
  test('goes on with that of the first, and says so', async () => {
    const known = await signedIn();
    const { acme, machine } = known;
    const before = openedSession(machine);
    expect(await signInWithout(known)).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining(goesOn),
    });
    const after = openedSession(machine);
    expect(after).toMatchObject({ refreshable: true, refreshToken: before.refreshToken });
    expect(after.accessToken.value).not.toBe(before.accessToken.value);
    expect(after.idToken).not.toBe(before.idToken);
    expect(revoked(acme)).toEqual([]);
    for (let times = 0; times < 2; times++) expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme)[0]).toBe(before.refreshToken);
  });

  test('and once more: its answers carry the nonce of the sign-in that the refresh token is of', async () => {
    const known = await signedIn();
    const { machine } = known;
    const { nonce } = claimsOf(openedSession(machine).idToken ?? '');
    await signInWithout(known);
    expect(openedSession(machine).refreshNonce).toBe(nonce);
    await signInWithout(known);
    expect(openedSession(machine).refreshNonce).toBe(nonce);
    expect(await machine.run(refresh)).toEqual(success);
    // One of its own ends that.
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(openedSession(machine).refreshNonce).toBeUndefined();
    expect(await machine.run(refresh)).toEqual(success);
  });

  test('goes on with one that was kept unverified, too', async () => {
    const known = await signedIn();
    const { acme, machine } = known;
    acme.answerNext(
      '/token',
      spoiled(acme, (answer) => ({ ...answer, token_type: 'mac' })),
    );
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5 });
    const { unverifiedRefreshToken } = openedSession(machine);
    await signInWithout(known);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme).at(-1)).toBe(unverifiedRefreshToken);
  });

  test('of a provider that names nobody has that of the first revoked, and says so', async () => {
    const known = await knowing({ scope: 'email offline_access' });
    const { acme, machine } = known;
    acme.answerNext('/token', spoiled(acme, nameless));
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(openedSession(machine)).toMatchObject({ account: { sub: null }, refreshToken: 'first' });
    acme.answerNext(
      '/token',
      spoiled(acme, ({ access_token, token_type }) => ({ access_token, token_type })),
    );
    const second = await machine.run(['login', '-q'], browserOf(approvesAs('john@acme.test')));
    expect(second).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining(
        'warning: acme gave no refresh token, and that of the session before this one was revoked\n',
      ),
    });
    expect(openedSession(machine)).toMatchObject({ refreshable: false, refreshToken: null });
    expect(revoked(acme)).toEqual(['first']);
  });

  test('that is bound to a key, after one that is not, has that of the first revoked', async () => {
    const { acme, machine } = await signedIn();
    const { refreshToken } = openedSession(machine);
    acme.answerNext('/token', spoiled(acme, boundWithoutRefreshToken));
    const argv = ['login', '-q', '--prompt', 'consent', '--dpop'];
    expect(await machine.run(argv, browserOf(approvesAs('jane@acme.test')))).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('was revoked'),
    });
    expect(openedSession(machine).refreshToken).toBeNull();
    expect(revoked(acme)).toEqual([refreshToken]);
  });

  test('fails no sign-in where the revocation fails', async () => {
    const known = await knowing({ scope: 'email offline_access' });
    const { acme, machine } = known;
    acme.answerNext('/token', spoiled(acme, nameless));
    await login(machine);
    acme.answerNext('/token/revocation', { status: 503 });
    acme.answerNext(
      '/token',
      spoiled(acme, ({ access_token, token_type }) => ({ access_token, token_type })),
    );
    expect(await machine.run(['login', '-q'], browserOf(approvesAs('jane@acme.test')))).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining(
        'that of the session before this one could not be revoked: the provider answers 503 at',
      ),
    });
  });
});

test('a second sign-in of somebody else leaves the refresh token of the first alone', async () => {
  const known = await signedIn();
  const { acme, machine } = known;
  acme.answerNext('/token', spoiled(acme, withoutRefreshToken));
  const john = await machine.run(
    ['login', '-q', '--prompt', 'login'],
    browserOf(approvesAs('john@acme.test')),
  );
  expect(john).toMatchObject({ exitCode: 0 });
  expect(john.stderr).not.toContain('earlier sign-in');
  expect(revoked(acme)).toEqual([]);
  expect(await machine.run([...refresh, '-a', 'jane@acme.test'])).toEqual(success);
});
