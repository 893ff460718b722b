import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { describe, expect, onTestFinished, test } from 'vitest';

import { forThisTest, keyringInstalled, startKeyring } from '../support/keyring.js';
import { login, newcomer, startAcme, type Newcomer } from '../support/newcomer.js';
import type { Answer } from '../support/provider.js';
import { takenPort } from '../support/ports.js';
import { requirement } from '../support/requirements.js';
import type { World } from '../../src/world.js';
import { agent, type Machine, type Outcome } from '../support/run.js';
import { openedSession, sealedSession, sessionFiles } from '../support/sessions.js';
import { browserOf, oneBrowser } from '../support/user-agents.js';
import { changedMetadata, jsonAnswer, wellKnown } from './metadata.js';
import { isFull, patience } from './sizes.js';

const revocation = '/token/revocation';

/** @param metadata that the provider announces in place of its own */
async function signedIn(metadata: object = {}): Promise<Newcomer> {
  const known = await newcomer();
  known.acme.answerNext(wellKnown, await changedMetadata(known.acme, { ...metadata }));
  expect(await login(known.machine)).toMatchObject({ exitCode: 0, stdout: '' });
  return known;
}

function signedOut(what: string, warning = ''): Outcome {
  return { exitCode: 0, stdout: '', stderr: `${warning}✓ Signed out of acme as jane@acme.test: ${what}.\n` };
}

function warningOf(reason: string): string {
  return `warning: refresh token and access token not revoked (${reason}): good at acme until expiry\n`;
}

/** Of the session there is nothing left; the next one who asks for a token is told so, and the provider is not asked. */
async function expectGone({ acme, machine }: Newcomer): Promise<void> {
  const requests = acme.requests.length;
  expect(sessionFiles(machine)).toEqual([]);
  const left = readdirSync(join(machine.folder, 'state', 'sessions'));
  expect(left.filter((name) => !/\.(lock|queue)$/.test(name))).toEqual([]);
  const startedAt = performance.now();
  expect(await machine.spawn(['token'])).toEqual(notSignedIn);
  expect(performance.now() - startedAt).toBeLessThan(500 * patience);
  expect(await machine.spawn(['logout'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: 'not signed in: there is nothing to log out of\n',
  });
  expect(acme.requests).toHaveLength(requests);
}

const notSignedIn: Outcome = {
  exitCode: 4,
  stdout: '',
  stderr: 'error: not signed in to acme\nhint: authcli login -p acme\n',
};

async function greeting(issuer: string, accessToken: string): Promise<number> {
  const response = await fetch(`${issuer}/api/hello`, {
    headers: { authorization: `Bearer ${accessToken}` },
  });
  return response.status;
}

test('OUT-01, OUT-13: a sign-out revokes the refresh token, then each access token, and leaves nothing', async () => {
  const known = await signedIn();
  const { acme, machine } = known;
  await machine.spawn(['token', '--scope', 'openid email']);
  const { refreshToken, accessToken, otherAccessTokens } = openedSession(machine);
  const accessTokens = [accessToken, ...Object.values(otherAccessTokens)].map(({ value }) => value);
  expect(accessTokens).toHaveLength(2);
  expect(await greeting(acme.issuer, accessToken.value)).toBe(200);

  expect(await machine.spawn(['logout'])).toEqual(
    signedOut('refresh token and access token revoked, session forgotten'),
  );
  expect(acme.requestsTo(revocation).map(({ method, parameters }) => [method, parameters])).toEqual([
    ['POST', { client_id: 'cli', token: refreshToken, token_type_hint: 'refresh_token' }],
    ...accessTokens.map((token) => ['POST', { client_id: 'cli', token, token_type_hint: 'access_token' }]),
  ]);
  expect(await greeting(acme.issuer, accessToken.value)).toBe(401);
  await expectGone(known);
});

test('OUT-02: a provider that does not know the tokens any more has nothing against their end', async () => {
  const known = await signedIn();
  known.acme.endSessions();
  expect(await known.machine.spawn(['logout'])).toEqual(
    signedOut('refresh token and access token revoked, session forgotten'),
  );
  await expectGone(known);
});

test('OUT-02: of a session that the provider has ended, only the access token is left to revoke', async () => {
  const known = await signedIn();
  known.acme.endSessions();
  expect(await known.machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 4 });
  expect(await known.machine.spawn(['logout'])).toEqual(signedOut('access token revoked, session forgotten'));
  expect(known.acme.requestsTo(revocation)).toHaveLength(1);
  await expectGone(known);
});

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A revocation endpoint of somebody else. */
async function startEndpoint(
  answer: (response: ServerResponse) => void,
): Promise<{ readonly address: string; readonly received: readonly Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    void text(request).then((body) => {
      received.push({ method, url, headers, body });
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { address: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/revoke`, received };
}

test('OUT-14: a token that is revoked travels in the body alone, with the client that it belongs to', async () => {
  const endpoint = await startEndpoint((response) => response.end());
  const known = await signedIn({ revocation_endpoint: endpoint.address });
  const { refreshToken, accessToken } = openedSession(known.machine);
  expect(await known.machine.spawn(['logout', '--verbose'])).toMatchObject({ exitCode: 0, stdout: '' });
  const asked = endpoint.received.map(({ method, url, headers, body }) => ({
    method,
    url,
    authorization: headers.authorization,
    type: headers['content-type'],
    body: Object.fromEntries(new URLSearchParams(body)),
  }));
  const form = 'application/x-www-form-urlencoded;charset=UTF-8';
  const request = { method: 'POST', url: '/revoke', authorization: undefined, type: form };
  expect(asked).toEqual([
    { ...request, body: { client_id: 'cli', token: refreshToken, token_type_hint: 'refresh_token' } },
    { ...request, body: { client_id: 'cli', token: accessToken.value, token_type_hint: 'access_token' } },
  ]);
});

describe('OUT-04: a revocation endpoint that is not safe is not used; the session is forgotten all the same', () => {
  test('in the clear, on another machine', async () => {
    const known = await signedIn({ revocation_endpoint: 'http://acme.test/revoke' });
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut(
        'session forgotten',
        warningOf("the provider's endpoint http://acme.test/revoke is neither https nor on this machine"),
      ),
    );
    await expectGone(known);
  });

  test.each([301, 302, 307, 308])('a redirect (%i)', async (status) => {
    const elsewhere = await startEndpoint((response) => response.end());
    const known = await signedIn();
    for (let times = 0; times < 2; times++) {
      known.acme.answerNext(revocation, { status, headers: { location: elsewhere.address } });
    }
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut(
        'session forgotten',
        warningOf(
          `the provider answers ${known.acme.issuer}${revocation} with a redirect (${status}), which is not followed`,
        ),
      ),
    );
    expect(elsewhere.received).toEqual([]);
    await expectGone(known);
  });

  test('no address at all', async () => {
    const known = await signedIn({ revocation_endpoint: 'nowhere' });
    expect(await known.machine.spawn(['logout'])).toMatchObject({ exitCode: 0, stdout: '' });
    await expectGone(known);
  });
});

test('OUT-05: without a revocation endpoint the session is forgotten, and the person told what lives on', async () => {
  const known = await signedIn({ revocation_endpoint: undefined });
  expect(await known.machine.spawn(['logout'])).toEqual(
    signedOut('session forgotten', warningOf('the provider has no revocation endpoint')),
  );
  await expectGone(known);
});

describe('OUT-06: a provider that revokes only tokens of one kind', () => {
  const unsupported: Answer = {
    status: 400,
    headers: { 'content-type': 'application/json' },
    body: '{"error":"unsupported_token_type"}',
  };

  test('refresh tokens: that is all there is to do', async () => {
    const known = await signedIn();
    known.acme.answerNext(revocation, { status: 200 });
    known.acme.answerNext(revocation, unsupported);
    expect(await known.machine.spawn(['logout', '--json'])).toEqual({
      exitCode: 0,
      stdout: `${JSON.stringify({
        sessions: [
          {
            provider: 'acme',
            account: {
              sub: 'jane-4711',
              username: 'jane',
              email: 'jane@acme.test',
              name: 'Jane Doe',
            },
            revoked: ['refresh_token'],
            notRevoked: ['access_token'],
            reason: null,
          },
        ],
      })}\n`,
      stderr: '✓ Signed out of acme as jane@acme.test: refresh token revoked, session forgotten.\n',
    });
    await expectGone(known);
  });

  test('access tokens: the session lives on over there, and the person is told', async () => {
    const known = await signedIn();
    known.acme.answerNext(revocation, unsupported);
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut(
        'access token revoked, session forgotten',
        'warning: refresh token not revoked (the provider does not revoke tokens of this kind): good at acme until expiry\n',
      ),
    );
    await expectGone(known);
  });
});

describe('OUT-08: what the provider answers keeps nobody signed in', () => {
  test.each<[title: string, answer: Answer, reason: string]>([
    ['500', { status: 500 }, `the provider answers 500 at ISSUER${revocation}`],
    [
      '503, to be tried later',
      { status: 503, headers: { 'retry-after': '1' } },
      `the provider answers 503 at ISSUER${revocation}`,
    ],
    ['429', { status: 429 }, `the provider answers 429 at ISSUER${revocation}`],
    [
      '401, as some do to public clients',
      { status: 401, headers: { 'content-type': 'application/json' }, body: '{"error":"invalid_client"}' },
      'the provider refused the revocation: invalid_client',
    ],
    [
      '400, as some do for a token that is gone',
      { status: 400, headers: { 'content-type': 'application/json' }, body: '{"error":"invalid_request"}' },
      'the provider refused the revocation: invalid_request',
    ],
    ['404', { status: 404 }, 'the revocation failed a check: HTTP status 404, and the answer is not JSON'],
  ])('%s', async (_title, answer, reason) => {
    const known = await signedIn();
    for (let times = 0; times < 2; times++) known.acme.answerNext(revocation, answer);
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut('session forgotten', warningOf(reason.replace('ISSUER', known.acme.issuer))),
    );
    expect(known.acme.requestsTo(revocation)).toHaveLength(2);
    await expectGone(known);
  });

  test.each<[title: string, answer: Answer]>([
    ['200 with HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }],
    ['200 with an error', jsonAnswer('{"error":"invalid_client"}')],
  ])('%s is a yes', async (_title, answer) => {
    const known = await signedIn();
    for (let times = 0; times < 2; times++) known.acme.answerNext(revocation, answer);
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut('refresh token and access token revoked, session forgotten'),
    );
    await expectGone(known);
  });

  test.runIf(isFull)('nothing', async () => {
    const known = await signedIn();
    for (let times = 0; times < 2; times++) known.acme.answerNext(revocation, 'hang');
    const startedAt = performance.now();
    expect(await known.machine.spawn(['logout'])).toEqual(
      signedOut('session forgotten', warningOf('the provider does not answer')),
    );
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await expectGone(known);
  });
});

test('OUT-08: five sessions, one of whose providers is gone: all are forgotten, and one is told of', async () => {
  const { acme, machine } = await newcomer();
  const other = await startAcme();
  const names = ['acme', 'beta', 'gamma', 'delta', 'other'];
  for (const name of names.slice(1)) await add(machine, name, name === 'other' ? other.issuer : acme.issuer);
  for (const name of names) expect(await login(machine, '-p', name)).toMatchObject({ exitCode: 0 });
  await other.stop();

  const { exitCode, stdout, stderr } = await machine.spawn(['logout', '--all', '--json']);
  expect({ exitCode, warnings: stderr.split('\n').filter((line) => line.startsWith('warning')) }).toEqual({
    exitCode: 0,
    warnings: [
      `warning: refresh token and access token not revoked (cannot reach ${other.issuer.slice(7)}: connection refused): good at other until expiry`,
    ],
  });
  const { sessions }: { sessions: { provider: string; revoked: string[] }[] } = JSON.parse(stdout);
  const revoked = Object.fromEntries(sessions.map((session) => [session.provider, session.revoked]));
  const both = ['refresh_token', 'access_token'];
  expect(revoked).toEqual({ acme: both, beta: both, gamma: both, delta: both, other: [] });
  expect(sessionFiles(machine)).toEqual([]);
  expect(await machine.spawn(['status', '--json'])).toMatchObject({ stdout: '{"sessions":[]}\n' });
});

async function add(machine: Machine, name: string, issuer: string): Promise<void> {
  const scope = 'openid email offline_access';
  const outcome = await machine.spawn([
    'provider',
    'add',
    name,
    '--issuer',
    issuer,
    '--client-id',
    'cli',
    '--scope',
    scope,
  ]);
  expect(outcome).toMatchObject({ exitCode: 0 });
}

describe.skipIf(!requirement('gnome-keyring', keyringInstalled()))(
  'OUT-10: a keychain that is locked',
  () => {
    test('keeps everybody signed in, says so, and asks nothing of the provider', async () => {
      const keyring = await forThisTest(startKeyring());
      const { acme, machine } = await newcomer(keyring.env);
      expect(await login(machine)).toMatchObject({ exitCode: 0 });
      const before = sealedSession(machine);
      const requests = acme.requests.length;
      await keyring.lock();
      for (const argv of [['logout'], ['logout', '--all'], ['logout', '-p', 'acme']]) {
        expect(await machine.spawn(argv)).toEqual({
          exitCode: 7,
          stdout: '',
          stderr: expect.stringMatching(
            /^error: still signed in to acme as jane@acme\.test: the keyring is locked\nhint: unlock it[^\n]*\n$/,
          ),
        });
      }
      expect(acme.requests).toHaveLength(requests);
      expect(sealedSession(machine)).toBe(before);
      expect(existsSync(join(machine.folder, 'state', 'store.json'))).toBe(true);
    });
  },
);

/** The lines that a person reads, without the address. */
function lines({ stderr }: Outcome): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.startsWith('  http'));
}

/** A browser that ends up where `goes` takes it, given the address that the provider should send it to. */
function returning(goes: (returnTo: URL, state: string) => Promise<unknown>) {
  const visits: Promise<unknown>[] = [];
  const openBrowser: World['openBrowser'] = async ({ searchParams }) => {
    const returnTo = new URL(searchParams.get('post_logout_redirect_uri') ?? '');
    visits.push(goes(returnTo, searchParams.get('state') ?? ''));
    return { kind: 'launched' };
  };
  return { openBrowser, visits };
}

function withState(returnTo: URL, state: string): URL {
  const url = new URL(returnTo);
  url.searchParams.set('state', state);
  return url;
}

describe('OUT-12: the session at the provider ends with ours', () => {
  const endpoint = '/session/end';
  const forgotten =
    '✓ Signed out of acme as jane@acme.test: refresh token and access token revoked, session forgotten.';

  const visiting = 'Signing out at acme. A browser opens now; if none does, visit this address:';

  test('and is gone over there; no token is in an address', async () => {
    const { acme, machine } = await newcomer();
    const browser = browserOf(oneBrowser());
    const signIns = () => acme.requests.filter(({ parameters }) => 'login' in parameters).length;
    for (let times = 0; times < 2; times++) {
      const outcome = await machine.run(['login', '-q', '--prompt', 'consent'], browser);
      expect(outcome).toMatchObject({ exitCode: 0 });
    }
    expect(signIns()).toBe(1);
    const before = acme.requests.length;
    const outcome = await machine.run(['logout', '--end-session'], browser);
    expect({ ...outcome, stderr: lines(outcome) }).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: [forgotten, visiting, '✓ Signed out at acme too.'],
    });
    const [asked] = acme.requestsTo(endpoint);
    expect(asked?.parameters).toEqual({
      client_id: 'cli',
      logout_hint: 'jane@acme.test',
      post_logout_redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(acme.requests.slice(before).filter(({ url }) => /token=|id_token/.test(url))).toEqual([]);
    const page = await browser.pages.at(-1);
    expect(page?.body).toContain('Signed out in your terminal and at the provider.');
    await expectGone({ acme, machine });
    await machine.run(['login', '-q'], browser);
    expect(signIns()).toBe(2);
  });

  test('with the built program, once for a provider with two accounts, and after the answer', async () => {
    const known = await signedIn();
    await login(known.machine, '--browser', `${agent} --as john@acme.test`);
    const { exitCode, stdout, stderr } = await known.machine.spawn([
      'logout',
      '--all',
      '--json',
      '--end-session',
      '--browser',
      agent,
    ]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ sessions: [{ provider: 'acme' }, { provider: 'acme' }] });
    expect(stderr).toMatch(/✓ Signed out at acme too\.\n$/);
    expect(known.acme.requestsTo(endpoint)).toHaveLength(1);
    await expectGone(known);
  });

  test.each<[title: string, goes: (returnTo: URL, state: string) => Promise<unknown>]>([
    ['no state', (returnTo) => fetch(returnTo)],
    ['another state', (returnTo) => fetch(withState(returnTo, 'x'.repeat(43)))],
    ['an empty state', (returnTo) => fetch(withState(returnTo, ''))],
    [
      'the right state twice',
      (returnTo, state) => fetch(`${withState(returnTo, state).href}&state=${state}`),
    ],
  ])('%s: a warning, and exit 0', async (_title, goes) => {
    const known = await signedIn();
    const outcome = await known.machine.run(['logout', '--end-session'], returning(goes));
    expect({ ...outcome, stderr: lines(outcome) }).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: [
        forgotten,
        visiting,
        'warning: not known to be signed out at acme: the browser came back without our state',
      ],
    });
    await expectGone(known);
  });

  test('what is no browser coming back does not count', async () => {
    const known = await signedIn();
    const statuses: number[] = [];
    const browser = returning(async (returnTo, state) => {
      const good = withState(returnTo, state);
      const embedded = { 'sec-fetch-dest': 'iframe', 'sec-fetch-mode': 'navigate' };
      for (const [url, init] of [
        [good, { method: 'POST' }],
        [new URL('/favicon.ico', good), {}],
        [good, { headers: embedded }],
        [good, { headers: { 'sec-purpose': 'prefetch' } }],
        [good, {}],
      ] as const) {
        statuses.push((await fetch(url, init)).status);
      }
    });
    const outcome = await known.machine.run(['logout', '--end-session'], browser);
    await Promise.all(browser.visits);
    expect(statuses).toEqual([405, 404, 403, 403, 200]);
    expect(lines(outcome).at(-1)).toBe('✓ Signed out at acme too.');
  });

  test('a browser that never comes back is waited for until --timeout, and nobody is signed in meanwhile', async () => {
    const known = await signedIn();
    const outcome = await known.machine.run(['logout', '--end-session', '--timeout', '2s'], {
      openBrowser: async () => ({ kind: 'not_launched', reason: 'no display' }),
    });
    expect({ ...outcome, stderr: lines(outcome) }).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: [
        forgotten,
        visiting,
        'warning: no browser was started (no display): open the address above yourself',
        'warning: not known to be signed out at acme: not finished within 2 s',
      ],
    });
    await expectGone(known);
  });

  test.each<[title: string, metadata: object, last: string]>([
    [
      'no endpoint for it',
      { end_session_endpoint: undefined },
      'acme has no end session endpoint: its own session in the browser goes on.',
    ],
    [
      'one in the clear',
      { end_session_endpoint: 'http://acme.test/out' },
      'warning: not known to be signed out at acme: the end_session_endpoint in the metadata of ISSUER is not an https address',
    ],
  ])('%s: no browser opens', async (_title, metadata, last) => {
    const known = await signedIn(metadata);
    const outcome = await known.machine.run(['logout', '--end-session'], {
      openBrowser: () => Promise.reject(new Error('nothing is to be opened')),
    });
    expect({ ...outcome, stderr: lines(outcome) }).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: [forgotten, last.replace('ISSUER', known.acme.issuer)],
    });
    await expectGone(known);
  });

  test('where no registered port is free, the browser does it without coming back', async () => {
    const known = await signedIn();
    const [one, two] = [await takenPort(), await takenPort()];
    known.machine.configure({
      providers: {
        acme: { issuer: known.acme.issuer, clientId: 'cli', redirect: { ports: [one, two] } },
      },
    });
    const browser = browserOf(oneBrowser());
    const outcome = await known.machine.run(['logout', '--end-session'], browser);
    expect({ ...outcome, stderr: lines(outcome) }).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: [forgotten, visiting, 'acme does the rest in the browser.'],
    });
    await Promise.all(browser.pages);
    const [asked] = known.acme.requestsTo(endpoint);
    expect(asked?.parameters).toEqual({ client_id: 'cli', logout_hint: 'jane@acme.test' });
    await expectGone(known);
  });

  test('somebody who is not signed in is not sent anywhere', async () => {
    const { acme, machine } = await newcomer();
    const requests = acme.requests.length;
    expect(await machine.run(['logout', '--end-session'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: 'not signed in: there is nothing to log out of\n',
    });
    expect(acme.requests).toHaveLength(requests);
  });
});
