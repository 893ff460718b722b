import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { newcomer, type Newcomer } from '../support/newcomer.js';
import type { Answer } from '../support/provider.js';
import type { Machine, Outcome } from '../support/run.js';
import { bomb, drip, endless, peakMemory } from './floods.js';
import { jsonAnswer } from './metadata.js';
import { pendingLogin } from './pending-login.js';
import { isFull } from './sizes.js';
import { trap } from './trap.js';

const good = { access_token: 'at-4711', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-4711' };

/** A token answer with other members; without an ID token, and so for a login that asks for no `openid`. */
function tokenAnswer(changes: Readonly<Record<string, unknown>> = {}): Answer {
  return jsonAnswer(JSON.stringify({ ...good, ...changes }));
}

const scope = ['--scope', 'email'];

interface Exchanged extends Newcomer {
  readonly outcome: Outcome;
  /** The last that the person sees in the browser. */
  readonly page: string;
}

/** A login whose code is exchanged for `answer`. */
async function exchange(
  answer: Answer,
  argv: readonly string[] = scope,
  env: Readonly<Record<string, string>> = {},
): Promise<Exchanged> {
  const { acme, machine } = await newcomer();
  acme.answerNext('/token', answer);
  const login = await pendingLogin(machine, ['-q', ...argv], env);
  const shown = await fetch(await login.response());
  const { exitCode, stdout, stderr } = await login.outcome;
  // What is said after the address.
  const outcome = { exitCode, stdout, stderr: stderr.replace(/^\n {2}http\S+\n\n/, '') };
  return { acme, machine, outcome, page: await shown.text() };
}

function sessionsOf({ folder }: Machine): string[] {
  return readdirSync(join(folder, 'state', 'sessions')).filter((name) => name.endsWith('.session'));
}

/** What a login leaves behind whose code was exchanged for `answer`. */
async function attempt(answer: Answer, argv = scope): Promise<object> {
  const { acme, machine, outcome, page } = await exchange(answer, argv);
  return {
    ...outcome,
    pageSaysSignedIn: page.includes('Signed in'),
    tokensTold: outcome.stderr.includes('4711'),
    sessions: sessionsOf(machine),
    exchanges: acme.requestsTo('/token').length,
  };
}

/** Nothing is kept or told, and the code was sent once. */
function refused(error: string, exitCode = 5): object {
  return {
    exitCode,
    stdout: '',
    stderr: expect.stringContaining(`error: ${error}`),
    pageSaysSignedIn: false,
    tokensTold: false,
    sessions: [],
    exchanges: 1,
  };
}

const failedCheck = 'the code exchange failed a check: ';

test.each(['Bearer', 'bearer', 'bEARER'])('TOK-01: %s is the type of a bearer token', async (type) => {
  const { machine, outcome } = await exchange(tokenAnswer({ token_type: type }));
  expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  const token = await machine.spawn(['token', '--output', 'header']);
  expect(token).toEqual({ exitCode: 0, stdout: 'Authorization: Bearer at-4711\n', stderr: '' });
});

describe('TOK-02: a token of another type is refused', () => {
  test.each(['mac', 'N_A', 'DPoP', 'Bearer ', '', undefined, null, 5, ['Bearer']])('%j', async (type) => {
    expect(await attempt(tokenAnswer({ token_type: type }))).toEqual(refused('the '));
  });
});

describe('TOK-04: lifetimes', () => {
  const year = 365 * 24 * 3600;
  test.each([
    ['"3600"', 3600],
    ['3.7', 3.7],
    ['1e12', year],
    ['"1e12"', year],
    ['31536001', year],
    [undefined, 3600],
  ])('%s is good for %d s', async (lifetime, expected) => {
    const { expires_in: _, ...rest } = good;
    const body = JSON.stringify(rest);
    const began = Date.now();
    const { machine, outcome } = await exchange(
      jsonAnswer(lifetime === undefined ? body : body.replace('{', `{"expires_in":${lifetime},`)),
    );
    const ended = Date.now();
    expect(outcome).toMatchObject({ exitCode: 0 });
    const { stdout } = await machine.spawn(['status', '--json']);
    const expiresAt = Date.parse(/"expiresAt":"([^"]+)"/.exec(stdout)?.[1] ?? '');
    expect(expiresAt).toBeGreaterThanOrEqual(began + expected * 1000 - 1);
    expect(expiresAt).toBeLessThanOrEqual(ended + expected * 1000);
  });

  test.each(['0', '"0"', '-0'])(
    '%s is over at once: the token is refreshed on its next use',
    async (lifetime) => {
      const { acme, machine, outcome } = await exchange(
        jsonAnswer(JSON.stringify(good).replace('3600', lifetime)),
      );
      expect(outcome).toMatchObject({ exitCode: 0 });
      acme.answerNext('/token', tokenAnswer({ access_token: 'second' }));
      expect(await machine.spawn(['token'])).toEqual({ exitCode: 0, stdout: 'second\n', stderr: '' });
      const [, request] = acme.requestsTo('/token');
      expect(request?.parameters).toMatchObject({ refresh_token: 'rt-4711' });
    },
  );

  test.each([
    '-1',
    '"-1"',
    '"NaN"',
    '"Infinity"',
    '1e400',
    '""',
    '"soon"',
    '"12abc"',
    '[12]',
    'null',
    'true',
    '{}',
    '[]',
    'NaN',
  ])('%s is refused', async (lifetime) => {
    const answer = jsonAnswer(JSON.stringify(good).replace('3600', lifetime));
    expect(await attempt(answer)).toEqual(refused(failedCheck));
  });
});

describe('TOK-05, TOK-06: an access token that is none is refused', () => {
  test.each([
    undefined,
    null,
    '',
    4711,
    true,
    {},
    ['at-4711'],
    'at\n4711',
    'at\r\n4711: x',
    'at-4711\n',
    'at\u001B]52;c;4711\u0007',
    'at 4711',
    'at\t4711',
    'at\u00004711',
    'at\u007F4711',
    'at-4711-\u00E9',
    'at-4711-\u{1F511}',
    'at-4711-\u2028',
    '4711'.repeat(20_000),
  ])('%j', async (token) => {
    expect(await attempt(tokenAnswer({ access_token: token }))).toEqual(refused('the '));
  });
});

test('TOK-08: without a refresh token the login says so, and the end of the token is the end of the session', async () => {
  const { acme, machine, outcome } = await exchange(
    tokenAnswer({ refresh_token: undefined, expires_in: 0 }),
    ['--scope', 'email offline_access'],
  );
  expect(outcome).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      'warning: acme gave no refresh token: when the access token expires, you must sign in again\n' +
      'hint: authcli login -p acme --prompt consent\n',
  });
  expect(await machine.spawn(['token'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: .*there is no refresh token\nhint: authcli login -p acme[^\n]*\n$/,
    ),
  });
  expect(acme.requestsTo('/token')).toHaveLength(1);
});

describe('TOK-09: a refresh token that is none is refused', () => {
  test.each(['', 4711, true, {}, ['rt-4711'], null, 'rt\n4711', 'rt 4711', 'rt-4711-\u00E9'])(
    '%j',
    async (token) => {
      expect(await attempt(tokenAnswer({ refresh_token: token }))).toEqual(refused('the '));
    },
  );
});

describe('TOK-10: another scope than was asked for is told, and kept as it was granted', () => {
  test.each([
    ['openid', 'warning: not granted: email\nwarning: granted without having been asked for: openid\n'],
    ['email admin', 'warning: granted without having been asked for: admin\n'],
    ['email', ''],
    [undefined, ''],
  ])('%j', async (granted, stderr) => {
    const { machine, outcome } = await exchange(tokenAnswer({ scope: granted }));
    expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr });
    const { stdout } = await machine.spawn(['token', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ scope: granted ?? 'email' });
    // eslint-disable-next-line no-control-regex
    expect((await machine.spawn(['status'])).stdout).not.toMatch(/[\0-\x09\x0B-\x1F\x7F-\x9F]/);
  });

  test.each([
    ['email read', 'write'],
    // Nothing else says who it is.
    ['read write', 'email'],
  ])('%j, for an API and without an ID token', async (granted, missing) => {
    const argv = ['--resource', 'https://api.acme.test/v1', '--scope', 'email read write'];
    const { outcome } = await exchange(tokenAnswer({ scope: granted }), argv);
    expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr: `warning: not granted: ${missing}\n` });
  });

  test.each([5, ['email'], {}, null])('%j is refused', async (granted) => {
    expect(await attempt(tokenAnswer({ scope: granted }))).toEqual(refused(failedCheck));
  });

  test.each(['\u001B[2Jemail', 'é', 'a"b'])(
    '%j is refused: no scope has such characters',
    async (granted) => {
      const said = "the provider's scope holds characters that no scope may have\n";
      expect(await attempt(tokenAnswer({ scope: granted }))).toEqual(refused(said));
    },
  );
});

describe('TOK-12: a refused code exchange says why, and the code is not sent again', () => {
  const refusal = 'the provider refused the code exchange: ';
  const whoAreWe =
    'check the client ID cli; if the provider has it as a confidential client, ' +
    'say where its secret is: authcli login --client-secret-cmd COMMAND';
  const grants =
    'allow the client cli the authorization code grant and refresh tokens at the provider, ' +
    'and check that it is enabled there';
  test.each([
    [400, 'invalid_grant', 'start again: authcli login'],
    [400, 'invalid_client', whoAreWe],
    [401, 'invalid_client', whoAreWe],
    [400, 'invalid_request', ''],
    [400, 'unauthorized_client', grants],
    [400, 'unsupported_grant_type', grants],
    [
      400,
      'invalid_scope',
      'ask for less than "email": authcli login --scope …, or have the scopes added to the client',
    ],
    [403, 'invalid_code', ''],
    [400, 'temporarily_unavailable', 'try again in a moment'],
    [400, 'constructor', ''],
  ])('%d %s', async (status, error, hint) => {
    const body = JSON.stringify({ error, error_description: 'no \u001B[31mwonder' });
    const answer = { status, headers: { 'content-type': 'application/json' }, body };
    const next = hint && `hint: ${hint}\n`;
    expect(await attempt(answer)).toEqual(refused(`${refusal}${error} (no  [31mwonder)\n${next}`));
  });

  test.each<[title: string, answer: Answer, message: string]>([
    ['400 without a body', { status: 400 }, `${failedCheck}HTTP status 400, and the answer is not JSON\n`],
    ['400 with an error that is no text', withStatus(400, '{"error":5}'), failedCheck],
    ['201', withStatus(201, JSON.stringify(good)), failedCheck],
    ['204', { status: 204 }, failedCheck],
    [
      'HTML',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>' },
      `${failedCheck}the answer is not JSON\n`,
    ],
    ['half an answer', jsonAnswer('{"access_token":"at-4711'), `${failedCheck}the answer is not JSON\n`],
    ['a list', jsonAnswer('[]'), failedCheck],
    [
      '100,000 levels and no token',
      jsonAnswer(`${'{"a":'.repeat(100_000)}0${'}'.repeat(100_000)}`),
      'the document at ',
    ],
    ['a token in the prototype', jsonAnswer(`{"__proto__":${JSON.stringify(good)}}`), 'the document at '],
  ])('%s', async (_title, answer, message) => {
    expect(await attempt(answer)).toEqual(refused(message));
  });
});

function withStatus(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

describe('TOK-13, TOK-18: what keeps a code from being exchanged now does not make us send it twice', () => {
  const busy = { 'retry-after': '0' };
  test.each<[title: string, answer: Answer, message: string]>([
    ['a connection that is cut', 'reset', 'cannot reach 127.0.0.1:'],
    ['an answer that is lost', 'lost', 'cannot reach 127.0.0.1:'],
    ['429', { status: 429, headers: busy }, 'the provider answers 429 at '],
    ['503', { status: 503, headers: busy }, 'the provider answers 503 at '],
    [
      '503 that claims to be an end',
      { status: 503, headers: { 'content-type': 'application/json' }, body: '{"error":"invalid_grant"}' },
      'the provider answers 503 at ',
    ],
    ['500', { status: 500 }, 'the provider answers 500 at '],
    [
      'a head without end',
      { status: 200, headers: { 'x-filler': 'x'.repeat(1e6) } },
      'cannot reach 127.0.0.1:',
    ],
  ])('%s', async (_title, answer, message) => {
    expect(await attempt(answer)).toEqual(refused(message, 6));
  });
});

/** In the quick form the person's limit ends the wait, at full length that of the request. */
const limit = isFull
  ? { argv: [], exitCode: 6, message: 'cannot reach ' }
  : { argv: ['--timeout', '3s'], exitCode: 8, message: 'not finished within 3 s\n' };

describe('TOK-13, TOK-16: an answer that never comes, or never ends, is not waited for', () => {
  test.each<[string, Answer]>([
    ['no answer', 'hang'],
    ['one byte a second', drip],
  ])('%s', async (_title, answer) => {
    const began = performance.now();
    const left = await attempt(answer, [...scope, ...limit.argv]);
    expect(left).toEqual(refused(limit.message, limit.exitCode));
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe('TOK-14: a redirect of the token endpoint is not followed, and nobody else sees the code', () => {
  test.each([
    [301, 'http://127.0.0.1:TRAP/token'],
    [302, 'http://127.0.0.1:TRAP/token'],
    [303, 'http://127.0.0.1:TRAP/token'],
    [307, 'http://127.0.0.1:TRAP/token'],
    [308, 'http://127.0.0.1:TRAP/token'],
    [307, 'http://0.0.0.0:TRAP/token'],
    [307, 'https://127.0.0.1:TRAP/token'],
    [307, '/token'],
    [308, ''],
  ])('%d to %j', async (status, location) => {
    const { port, visits } = await trap();
    const headers = { location: location.replace('TRAP', String(port)) };
    expect(await attempt({ status, headers })).toEqual(refused('the provider answers http://127.0.0.1:'));
    expect(visits()).toBe(0);
  });
});

describe('TOK-16: an answer without measure is cut off, before it fills the memory', () => {
  const tooLarge = 'the provider sends an answer of more than 1 MiB\n';
  test.each<[title: string, answer: Answer]>([
    ['an endless answer', endless()],
    ['an endless refusal', endless(400)],
    ['a gzip bomb', bomb('gzip')],
    ['a Brotli bomb', bomb('br')],
    ['a gzip bomb within a gzip bomb', bomb('gzip, gzip')],
  ])('%s', async (_title, answer) => {
    const { acme, machine } = await newcomer();
    const memory = peakMemory(machine);
    const peakOf = async (reply: Answer): Promise<[Outcome, number]> => {
      acme.answerNext('/token', reply);
      const login = await pendingLogin(machine, scope, memory.env);
      return [await login.signIn(), memory.mebibytes()];
    };
    const [, usual] = await peakOf(tokenAnswer({ access_token: '' }));
    const [outcome, peak] = await peakOf(answer);
    expect(outcome).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringContaining(`error: ${tooLarge}`),
    });
    expect(sessionsOf(machine)).toEqual([]);
    expect(peak - usual).toBeLessThan(50);
  });

  test('of the keys: no ID token can be verified, and nothing is kept', async () => {
    const { acme, machine } = await newcomer();
    acme.answerNext('/jwks', bomb('gzip'));
    const outcome = await (await pendingLogin(machine)).signIn();
    expect(outcome).toMatchObject({ exitCode: 5, stderr: expect.stringContaining(`error: ${tooLarge}`) });
    expect(sessionsOf(machine)).toEqual([]);
  });

  test('of the revocation: the session is forgotten all the same, with a warning', async () => {
    const { acme, machine, outcome } = await exchange(tokenAnswer());
    expect(outcome).toMatchObject({ exitCode: 0 });
    acme.answerNext('/token/revocation', endless());
    expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0, stdout: '' });
    expect(sessionsOf(machine)).toEqual([]);
  });

  test('of a refresh: the session is kept', async () => {
    const { acme, machine } = await exchange(tokenAnswer());
    acme.answerNext('/token', bomb('gzip'));
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: ${tooLarge}`,
    });
    expect(await machine.spawn(['token'])).toEqual({ exitCode: 0, stdout: 'at-4711\n', stderr: '' });
  });
});

test('TOK-22: no ID token where one was asked for is refused', async () => {
  expect(await attempt(tokenAnswer(), [])).toEqual(refused(failedCheck));
});
