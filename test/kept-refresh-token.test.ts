import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import {
  accessTokenHash,
  claimsOf,
  encode,
  newSigningKey,
  sign,
  type Claims,
} from './support/forged-id-token.js';
import { knowing, login, newcomer, signedIn, type Newcomer } from './support/newcomer.js';
import { childrenOf, killIfThere } from './support/processes.js';
import type { Outcome } from './support/run.js';
import { openedSession, sealedSession } from './support/sessions.js';
import {
  refreshTokensSent,
  spoiled,
  without,
  type Spoil,
  type TokenAnswer,
} from './support/spoiled-answer.js';

const refresh = ['token', '--force-refresh'];
const success: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const json = { 'content-type': 'application/json' };
const ours = newSigningKey('RS256');

/** An ID token that is good but for `changes`, signed with a key that the provider publishes for once. */
function withIdToken(changes: Claims, header?: object): Spoil {
  return (answer) => {
    const own = claimsOf(String(answer['id_token']));
    const claims = { ...own, at_hash: accessTokenHash(String(answer['access_token'])), ...changes };
    return { ...answer, id_token: sign(claims, ours, { ...header }) };
  };
}

const withMembers =
  (changes: TokenAnswer): Spoil =>
  (answer) => ({ ...answer, ...changes });

/** Puts text before the closing brace. */
const withText =
  (more: string): Spoil =>
  (answer) =>
    `${JSON.stringify(answer).slice(0, -1)},${more}}`;

const nested: Spoil = ({ refresh_token }) => ({ refresh_token: 'outer', inner: { refresh_token } });

const refused: readonly (readonly [title: string, spoil: Spoil])[] = [
  ['a token type of another kind', withMembers({ token_type: 'mac' })],
  ['no token type', without('token_type')],
  ['a lifetime that is a word', withMembers({ expires_in: 'soon' })],
  ['a lifetime below zero', withMembers({ expires_in: -5 })],
  ['no access token', without('access_token')],
  ['an access token with a line break', withMembers({ access_token: 'a\nb' })],
  ['a scope with a quotation mark', withMembers({ scope: 'open"id' })],
  ['an ID token that is no JWT', withMembers({ id_token: 'not-a-token' })],
  ['an ID token without a payload', withMembers({ id_token: 'e30..e30' })],
  ['an ID token of another audience', withIdToken({ aud: 'other' })],
  ['an ID token of another issuer', withIdToken({ iss: 'https://other.test' })],
  ['an ID token of another sign-in', withIdToken({ nonce: 'other' })],
  ['an ID token for another client', withIdToken({ azp: 'other' })],
  ['an ID token with the hash of another access token', withIdToken({ at_hash: 'AAAA' })],
  ['an ID token that names nobody', withIdToken({ sub: '' })],
  ['an ID token without a subject', withIdToken({ sub: undefined })],
  ['an ID token whose key is nowhere', withIdToken({}, { kid: 'nowhere' })],
  ['a member twice', withText('"scope":"openid"')],
  ['a member named __proto__', withText('"__proto__":{}')],
  ['more levels than a document has', withText(`"x":${'['.repeat(70)}${']'.repeat(70)}`)],
  ['more than 1 MiB', withText(`"x":"${'x'.repeat(1024 * 1024)}"`)],
  [
    'letters that are not UTF-8',
    (answer) => Buffer.from(JSON.stringify({ ...answer, x: '\u00ff' }), 'latin1'),
  ],
];

async function spoilNext(acme: Newcomer['acme'], spoil: Spoil, status = 200): Promise<() => string> {
  let brought = '';
  acme.answerNext('/jwks', { status: 200, headers: json, body: JSON.stringify({ keys: [ours.jwk] }) });
  const seen = (answer: TokenAnswer) => (brought = String(answer['refresh_token']));
  acme.answerNext('/token', spoiled(acme, spoil, { status, seen }));
  return () => brought;
}

describe('the refresh token of a refresh whose answer is refused is kept, and nothing else of it:', () => {
  test.each(refused)('%s', async (_title, spoil) => {
    const { acme, machine } = await signedIn();
    const before = openedSession(machine);
    const good = await machine.run(['token']);
    const brought = await spoilNext(acme, spoil);
    expect(await machine.run(refresh)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringMatching(/^error: [^\n]+\n(hint: [^\n]+\n)?$/),
    });
    expect(openedSession(machine)).toEqual({ ...before, unverifiedRefreshToken: brought() });
    expect(await machine.run(['token'])).toEqual(good);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme)).toEqual([before.refreshToken, brought()]);
    expect(openedSession(machine)).toMatchObject({ refreshable: true, unverifiedRefreshToken: null });
    expect(await machine.run(refresh)).toEqual(success);
  });

  // Whether these are refused is another rule's to say.
  test.each<[title: string, spoil: Spoil, status?: number]>([
    ['status 201', (answer) => answer, 201],
    ['a lifetime of null', withMembers({ expires_in: null })],
    ['a token type of null', withMembers({ token_type: null })],
    ['an ID token with an at_hash of null', withIdToken({ at_hash: null })],
    ['an ID token with a nonce of null', withIdToken({ nonce: null })],
    ['an ID token with an azp of null', withIdToken({ azp: null })],
    ['an ID token with an auth_time of null', withIdToken({ auth_time: null })],
    ['an ID token that has expired', withIdToken({ exp: 1 })],
    ['a byte order mark', (answer) => `\uFEFF${JSON.stringify(answer)}`],
  ])('or it is taken: %s', async (_title, spoil, status) => {
    const { acme, machine } = await signedIn();
    const brought = await spoilNext(acme, spoil, status);
    const { exitCode } = await machine.run(refresh);
    expect([0, 5]).toContain(exitCode);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme).at(-1)).toBe(brought());
  });

  test('a token for another target goes on with it as well', async () => {
    const { acme, machine } = await signedIn();
    const brought = await spoilNext(acme, withMembers({ token_type: 'mac' }));
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5 });
    expect(await machine.run(['token', '--scope', 'openid'])).toEqual(success);
    expect(refreshTokensSent(acme).at(-1)).toBe(brought());
    expect(await machine.run(refresh)).toEqual(success);
  });

  test('a second answer that is refused replaces it', async () => {
    const { acme, machine } = await signedIn();
    for (let times = 0; times < 3; times++) {
      const brought = await spoilNext(acme, without('access_token'));
      expect(await machine.run(refresh)).toMatchObject({ exitCode: 5 });
      expect(openedSession(machine).unverifiedRefreshToken).toBe(brought());
    }
    expect(await machine.run(refresh)).toEqual(success);
    expect(new Set(refreshTokensSent(acme)).size).toBe(4);
  });

  test('the session is still one that can be refreshed, and a sign-out revokes both refresh tokens', async () => {
    const { acme, machine } = await signedIn();
    const { refreshToken: old } = openedSession(machine);
    const brought = await spoilNext(acme, withMembers({ token_type: 'mac' }));
    await machine.run(refresh);
    expect(await machine.run(['status', '--json'])).toMatchObject({
      stdout: expect.stringContaining('"state":"valid"'),
    });
    expect(await machine.run(['status', '--json'])).toMatchObject({
      stdout: expect.stringContaining('"refreshable":true'),
    });
    expect(await machine.run(['logout'])).toMatchObject({ exitCode: 0 });
    const revoked = acme.requestsTo('/token/revocation').map(({ parameters }) => parameters['token']);
    expect(revoked.slice(0, 2)).toEqual([brought(), old]);
  });

  test('when that refresh token ends is not known any more', async () => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', spoiled(acme, withMembers({ refresh_expires_in: 60 })));
    expect(await machine.run(refresh)).toEqual(success);
    expect(openedSession(machine).refreshExpiresAt).not.toBeNull();
    await spoilNext(acme, withMembers({ token_type: 'mac', refresh_expires_in: 30 }));
    await machine.run(refresh);
    expect(openedSession(machine).refreshExpiresAt).toBeNull();
  });

  test('where an answer has it inside', async () => {
    const { acme, machine } = await knowing({ token: { at: 'inner' } });
    await login(machine);
    const old = openedSession(machine);
    const brought = await spoilNext(acme, nested);
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(openedSession(machine)).toEqual({ ...old, unverifiedRefreshToken: brought() });
    expect(await machine.run(refresh)).toEqual(success);
  });

  test('where the connection is cut after the last brace', async () => {
    const { acme, machine } = await signedIn();
    let brought = '';
    acme.answerNext('/token', async (request, response) => {
      const whole = spoiled(acme, (answer) => answer, {
        headers: { 'content-length': '100000', connection: 'close' },
        seen: (answer) => (brought = String(answer['refresh_token'])),
      });
      if (typeof whole === 'function') await whole(request, response);
      response.socket?.end();
    });
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 6, stdout: '' });
    expect(openedSession(machine).unverifiedRefreshToken).toBe(brought);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme).slice(1)).toEqual([brought]);
  });
});

describe('a refresh token that nobody could send is not kept:', () => {
  test.each<[title: string, spoil: Spoil]>([
    ['an empty one', withMembers({ refresh_token: '' })],
    ['null', withMembers({ refresh_token: null })],
    ['a number', withMembers({ refresh_token: 7 })],
    ['one with a line break', withMembers({ refresh_token: 'a\nb' })],
    ['one that is longer than any', withMembers({ refresh_token: 'x'.repeat(65_537) })],
    ['two of them', withText('"refresh_token":"second"')],
    ['none', without('refresh_token')],
  ])('%s', async (_title, spoil) => {
    const { acme, machine } = await signedIn(undefined, { rotateRefreshToken: false });
    const before = sealedSession(machine);
    await spoilNext(acme, (answer) => spoil({ ...answer, token_type: 'mac' }));
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(sealedSession(machine)).toBe(before);
    expect(await machine.run(refresh)).toEqual(success);
  });
});

describe('an answer that is about somebody else is thrown away whole:', () => {
  test.each<[title: string, changes: Claims]>([
    ['by its ID token', { sub: 'john-4711' }],
    ['by a subject that is a number', { sub: 4711 }],
  ])('%s', async (_title, changes) => {
    const { acme, machine } = await signedIn(undefined, { rotateRefreshToken: false });
    const before = sealedSession(machine);
    await spoilNext(acme, (answer) => withIdToken(changes)({ ...answer, refresh_token: 'of-john' }));
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(sealedSession(machine)).toBe(before);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme)).not.toContain('of-john');
  });

  test('by an ID token that is refused for something else as well', async () => {
    const { acme, machine } = await signedIn(undefined, { rotateRefreshToken: false });
    const before = sealedSession(machine);
    const idToken = `${encode({ alg: 'none' })}.${encode({ sub: 'john-4711' })}.e30`;
    await spoilNext(acme, withMembers({ refresh_token: 'of-john', id_token: idToken }));
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(sealedSession(machine)).toBe(before);
  });

  test("by the provider's own word for it", async () => {
    const { acme, machine } = await newcomer();
    const entry = { issuer: acme.issuer, clientId: 'cli', scope: 'offline_access' };
    const userinfo = { from: 'token', at: 'user', sub: 'id' };
    machine.configure({ providers: { acme: { ...entry, userinfo } } });
    const about = (id: string) => spoiled(acme, withMembers({ user: { id } }));
    acme.answerNext('/token', about('jane'));
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const before = sealedSession(machine);
    acme.answerNext('/token', about('john'));
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(sealedSession(machine)).toBe(before);
  });
});

describe('a refresh token that was kept unverified, and that the provider refuses', () => {
  const unknown = withMembers({ token_type: 'mac', refresh_token: 'unknown' });

  test('gives way to the one before it', async () => {
    const { acme, machine } = await signedIn(undefined, { rotateRefreshToken: false });
    const { refreshToken: old } = openedSession(machine);
    await spoilNext(acme, unknown);
    await machine.run(refresh);
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme)).toEqual([old, 'unknown', old]);
    expect(openedSession(machine)).toMatchObject({ refreshToken: old, unverifiedRefreshToken: null });
  });

  test('ends the session where the provider refuses the one before it as well', async () => {
    const { acme, machine } = await signedIn();
    await spoilNext(acme, unknown);
    await machine.run(refresh);
    const over: Outcome = {
      exitCode: 4,
      stdout: '',
      stderr:
        'error: the session at acme is over: the provider says invalid_grant\nhint: authcli login -p acme\n',
    };
    expect(await machine.run(refresh)).toEqual(over);
    expect(openedSession(machine)).toMatchObject({ refreshToken: null, unverifiedRefreshToken: null });
    expect(refreshTokensSent(acme)).toHaveLength(3);
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 4 });
    expect(refreshTokensSent(acme)).toHaveLength(3);
  });

  test('stays beside the one before it while the provider has trouble', async () => {
    const { acme, machine } = await signedIn(undefined, { rotateRefreshToken: false });
    await spoilNext(acme, unknown);
    await machine.run(refresh);
    const before = sealedSession(machine);
    for (const status of [503, 401]) {
      acme.answerNext('/token', { status });
      expect(await machine.run(refresh)).toMatchObject({ exitCode: status === 503 ? 6 : 5 });
      expect(sealedSession(machine)).toBe(before);
    }
    expect(await machine.run(refresh)).toEqual(success);
  });
});

describe('a new refresh token is durable before the keys are asked for once more', () => {
  const rotated = withIdToken({}, { kid: 'new' });

  test('where they cannot be had: the next refresh goes on with it, and none is sent twice', async () => {
    const { acme, machine } = await signedIn();
    const brought = await spoilNext(acme, rotated);
    acme.answerNext('/jwks', 'reset');
    expect(await machine.run(refresh)).toMatchObject({ exitCode: 6, stdout: '' });
    expect(openedSession(machine).unverifiedRefreshToken).toBe(brought());
    expect(await machine.run(refresh)).toEqual(success);
    const sent = refreshTokensSent(acme);
    expect(sent).toHaveLength(2);
    expect(sent.at(-1)).toBe(brought());
  });

  test('where everything of ours is killed meanwhile', async () => {
    const { acme, machine } = await signedIn();
    const brought = await spoilNext(acme, rotated);
    const asked = new Promise<void>((resolve) => {
      acme.answerNext('/jwks', async (_request, response) => {
        resolve();
        await once(response, 'close');
      });
    });
    const running = machine.start(refresh);
    await asked;
    for (const helper of childrenOf(running.pid)) killIfThere(helper);
    killIfThere(running.pid);
    await running.outcome;
    expect(openedSession(machine).unverifiedRefreshToken).toBe(brought());
    expect(await machine.run(refresh)).toEqual(success);
    expect(refreshTokensSent(acme).at(-1)).toBe(brought());
  });
});
