import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test } from 'vitest';

import { chromiumInstalled, signInOn, startChromium } from '../support/chromium.js';
import { expectHarmless } from '../support/harmless-reply.js';
import { login as signInAtOnce, newcomer, startAcme, type Newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import { connectTo, formText, isRefused, readReply, requestText, sendRaw } from '../support/raw-http.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { authorizationResponse, authorizationResponseForm } from '../support/user-agents.js';
import { pendingLogin, type PendingLogin } from './pending-login.js';
import { listeningSockets, openDescriptors, peakMemory, processesOf } from './processes.js';
import { recordingBrowser } from './recording-browser.js';
import { isFull, patience } from './sizes.js';

const json = { 'content-type': 'application/json' };
const ownAddresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
const hasIpv6 = ownAddresses.some(({ address }) => address === '::1');

interface Waiting extends Newcomer {
  readonly login: PendingLogin;
}

/** Somebody whose browser has not come back yet. */
async function waiting(...argv: string[]): Promise<Waiting> {
  const { acme, machine } = await newcomer();
  return { acme, machine, login: await pendingLogin(machine, argv) };
}

/** A request that must not end the login: STATE, PORT and ISSUER stand for what the stranger may know of it. */
interface Junk {
  readonly what: string;
  readonly status: number;
  readonly target?: string;
  readonly lines?: readonly string[];
  readonly method?: string;
}

/** As good as the response that is waited for, but for its code. */
const stolen = '/callback?code=STOLEN&state=STATE&iss=ISSUER';

/** Sends each, and expects its status and a reply that gives nothing away. */
async function expectRefused({ acme, login }: Waiting, junk: readonly Junk[]): Promise<void> {
  const fill = (text: string) =>
    text
      .replaceAll('STATE', login.state)
      .replaceAll('PORT', login.redirectUri.port)
      .replaceAll('ISSUER', encodeURIComponent(acme.issuer));
  await expectAnswers(login, junk, ({ target = stolen, lines = [], method }) =>
    requestText(login.redirectUri.href, fill(target), lines.map(fill), method),
  );
}

async function expectAnswers<T extends { readonly what: string; readonly status: number }>(
  login: PendingLogin,
  junk: readonly T[],
  textOf: (one: T) => string,
  method: 'GET' | 'POST' = 'GET',
): Promise<void> {
  const statuses: [string, number][] = [];
  for (const one of junk) {
    const reply = await sendRaw(login.redirectUri.href, textOf(one));
    expectHarmless(reply, secretsOf(login), method);
    statuses.push([one.what, reply.status]);
  }
  expect(statuses).toEqual(junk.map(({ what, status }) => [what, status]));
}

function secretsOf({ authorizationUrl }: PendingLogin): string[] {
  const secret = ['state', 'nonce', 'code_challenge'];
  return ['STOLEN', ...secret.map((name) => authorizationUrl.searchParams.get(name) ?? '')];
}

/** The person signs in all the same, and theirs is the only code that was ever redeemed. */
async function expectSignIn({ acme, login }: Waiting, warning = ''): Promise<void> {
  expect(acme.requestsTo('/token')).toEqual([]);
  expect(await login.signIn()).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      `Signing in to acme. Visit this address:\n\n  ${login.authorizationUrl.href}\n\n${warning}` +
      '✓ Signed in to acme as jane@acme.test; the session is kept in a sealed file.\n',
  });
  expect(codesRedeemed(acme)).toEqual([expect.not.stringContaining('STOLEN')]);
}

const ignoredOne = 'warning: ignored 1 request with a wrong state; still waiting for the right one\n';

function codesRedeemed(acme: Provider): (string | undefined)[] {
  return acme.requestsTo('/token').map(({ parameters }) => parameters['code']);
}

describe('who can reach the listener', () => {
  test('LST-01: the program listens on one port of 127.0.0.1, and on no other address of the machine', async () => {
    const { login, ...person } = await waiting();
    const port = Number(login.redirectUri.port);
    expect(listeningSockets(login.pid)).toEqual([`127.0.0.1:${port}`]);
    const others = ownAddresses
      .filter(({ address, scopeid }) => address !== '127.0.0.1' && !scopeid)
      .map(({ address }) => address);
    for (const host of ['127.0.0.2', ...others]) {
      expect([host, await isRefused(port, host)]).toEqual([host, true]);
    }
    await expectSignIn({ login, ...person });
  });

  test('LST-02: the redirect URI is the literal address with the port that is bound', async () => {
    const { login } = await waiting();
    expect(login.authorizationUrl.searchParams.getAll('redirect_uri')).toEqual([
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d{3,4}\/callback$/),
    ]);
    expect(listeningSockets(login.pid)).toEqual([login.redirectUri.host]);
  });

  test.skipIf(!hasIpv6)('LST-04: who takes the same port on [::1] gets no request', async () => {
    const person = await waiting();
    let connections = 0;
    const squatter = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    squatter.listen(Number(person.login.redirectUri.port), '::1');
    onTestFinished(() => void squatter.close());
    await once(squatter, 'listening');
    await expectSignIn(person);
    expect(connections).toBe(0);
  });

  test.skipIf(!hasIpv6)(
    'LST-05: where a provider insists on localhost, both of its addresses are ours',
    async () => {
      const { acme, machine } = await newcomer();
      const address = { AUTHCLI_LISTEN: 'localhost' };
      const login = await pendingLogin(machine, [], address);
      const { port } = login.redirectUri;
      expect(login.redirectUri.href).toBe(`http://localhost:${port}/callback`);
      expect(listeningSockets(login.pid)).toEqual([`127.0.0.1:${port}`, `[::1]:${port}`]);
      for (const host of ['127.0.0.1', '::1', '::']) {
        const squatter = createServer().listen(Number(port), host);
        onTestFinished(() => void squatter.close());
        const [error] = await once(squatter, 'error');
        expect([host, error]).toEqual([host, expect.objectContaining({ code: 'EADDRINUSE' })]);
      }
      process.kill(login.pid, 'SIGTERM');
      expect(await login.outcome).toMatchObject({ exitCode: null, stdout: '' });
      for (const host of ['127.0.0.1', '::1']) expect(await isRefused(Number(port), host)).toBe(true);
      expect(acme.requestsTo('/token')).toEqual([]);
    },
  );

  test.skipIf(!hasIpv6)(
    'LST-05: who holds [::1] already ends the login before a browser starts',
    async () => {
      const { acme, machine } = await newcomer();
      const squatter = createServer().listen(0, '::1');
      onTestFinished(() => void squatter.close());
      await once(squatter, 'listening');
      const address = squatter.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const browser = recordingBrowser(machine);
      const startedAt = performance.now();
      const argv = ['login', '--browser', browser.path, '--listen', 'localhost', '--port', String(port)];
      expect(await machine.spawn(argv)).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `error: port ${port} is in use on [::1]\nhint: give another port that the provider accepts: --port N\n`,
      });
      expect(performance.now() - startedAt).toBeLessThan(2_000 * patience);
      expect(browser.urls()).toEqual([]);
      expect(acme.requestsTo('/auth')).toEqual([]);
    },
  );

  test('LST-06: a port that is taken ends the login before a browser starts, and no other is used', async () => {
    const { machine, acme } = await newcomer();
    const squatter = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const browser = recordingBrowser(machine);
    const startedAt = performance.now();
    expect(await machine.spawn(['login', '--browser', browser.path, '--port', String(port)])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: port ${port} is in use\nhint: give another port that the provider accepts: --port N\n`,
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000 * patience);
    expect(browser.urls()).toEqual([]);
    expect(acme.requestsTo('/auth')).toEqual([]);
  });

  test.skipIf(!requirement('perl', isOnPath('perl')))(
    'LST-08: nobody can take the port beside us, however the socket is marked as shared',
    async () => {
      const person = await waiting();
      const { port } = person.login.redirectUri;
      const tries = ['INADDR_LOOPBACK', 'INADDR_ANY'].map((address) => {
        const program = `
          socket(S, PF_INET, SOCK_STREAM, 0) or die;
          setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1) or die;
          setsockopt(S, SOL_SOCKET, SO_REUSEPORT, 1) or die;
          print bind(S, sockaddr_in(${port}, ${address})) && listen(S, 1) ? "taken" : $!{EADDRINUSE} ? "in use" : $!;`;
        return execFileSync('perl', ['-MSocket', '-MErrno', '-e', program], { encoding: 'utf8' });
      });
      expect(tries).toEqual(['in use', 'in use']);
      await expectSignIn(person);
    },
  );

  test.each<{
    readonly how: string;
    readonly end: (person: Waiting) => void;
    readonly exitCode: number | null;
  }>([
    { how: 'a sign-in', end: ({ login }) => void login.signIn(), exitCode: 0 },
    { how: 'a denial', end: ({ login }) => void deny(login), exitCode: 3 },
    { how: 'the end of its time', end: () => {}, exitCode: 8 },
    ...(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const).map((signal) => ({
      how: signal,
      end: ({ login }: Waiting) => void process.kill(login.pid, signal),
      exitCode: null,
    })),
  ])('LST-38: after $how the port is closed and no process is left', async ({ end, exitCode }) => {
    const person = await waiting(...(exitCode === 8 ? ['--timeout', '2s'] : []));
    const { login, machine } = person;
    expect(await isRefused(Number(login.redirectUri.port))).toBe(false);
    const startedAt = performance.now();
    end(person);
    expect(await login.outcome).toMatchObject({ exitCode, stdout: '' });
    expect(await isRefused(Number(login.redirectUri.port))).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan((exitCode === 8 ? 3_000 : 1_000) * patience);
    expect(processesOf(machine)).toEqual([]);
  });

  test('LST-38: `token` opens no port, not even while it refreshes', async () => {
    const { acme, machine } = await newcomer();
    await signInAtOnce(machine);
    const listening = new Promise<string[]>((resolve) => {
      acme.answerNext('/token', async () => resolve(processesOf(machine).flatMap(listeningSockets)));
    });
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await listening).toEqual([]);
  });
});

async function deny({ authorizationUrl, redirectUri }: PendingLogin): Promise<void> {
  await fetch(
    await authorizationResponse(authorizationUrl, redirectUri, { login: 'jane@acme.test', answer: 'deny' }),
  );
}

describe('requests that are not the response coming home', () => {
  test('LST-09: what browsers ask for by themselves is not there, and the login goes on', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        '/favicon.ico',
        '/robots.txt',
        '/apple-touch-icon.png',
        '/.well-known/security.txt',
        '/callback/',
        '//callback',
      ].map((target) => ({ what: target, target, status: 404 })),
    );
    await expectSignIn(person);
  });

  test('LST-10: the root tells nothing of the login that waits', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      ['/', '/?', '/index.html', '/?code=STOLEN&state=STATE'].map((target) => ({
        what: target,
        target,
        status: 404,
      })),
    );
    await expectSignIn(person);
  });

  test('LST-46: no address ends the login', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        '/cancel',
        '/success',
        '/shutdown',
        '/quit',
        '/wait-for-auth',
        '/callback/cancel',
        '/cancel?state=STATE',
        '/%63allback?code=STOLEN&state=STATE',
        '/x/../callback?code=STOLEN&state=STATE',
        'http://127.0.0.1/callback?code=STOLEN&state=STATE',
      ].map((target) => ({ what: target, target, status: 404 })),
    );
    await expectSignIn(person);
  });

  test('LST-12, AUR-17: a response with a wrong state is refused, and its code never redeemed', async () => {
    const person = await waiting();
    const part = person.login.state.slice(0, 20);
    await expectRefused(
      person,
      ['WRONG', '', part, 'STATEx', 'state', 'STATE%00', '%20STATE', 'undefined', '*'].map((state) => ({
        what: `the state ${state}`,
        target: `/callback?code=STOLEN&state=${state}&iss=ISSUER`,
        status: 400,
      })),
    );
    await expectSignIn(person, ignoredOne);
  });

  test('LST-13, AUR-16: a response without a state is refused, and its code never redeemed', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        '?code=STOLEN',
        '?code=STOLEN&iss=ISSUER',
        '?code=STOLEN&State=STATE',
        '?code=STOLEN#state=STATE',
        '',
      ].map((query) => ({ what: query || 'no query', target: `/callback${query}`, status: 400 })),
    );
    await expectSignIn(person, ignoredOne);
  });

  test('LST-14: an error without the right state ends nothing', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        '?error=access_denied',
        '?error=access_denied&state=WRONG',
        '?error=consent_required&state=',
        '?error=server_error&error_description=Give+up&iss=ISSUER',
      ].map((query) => ({ what: query, target: `/callback${query}`, status: 400 })),
    );
    await expectSignIn(person, ignoredOne);
  });

  test('LST-16: a response with a parameter twice, or with parts that exclude each other, is refused', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        '?code=STOLEN&state=STATE&state=WRONG',
        '?code=STOLEN&state=WRONG&state=STATE',
        '?code=STOLEN&state=STATE&state=STATE',
        '?code=STOLEN&code=c&state=STATE',
        '?code=c&code=STOLEN&state=STATE',
        '?code=STOLEN&state=STATE&foo=1&foo=2',
        '?code=STOLEN&error=access_denied&state=STATE',
        '?code=&state=STATE',
        '?error=&state=STATE',
        '?state=STATE',
      ].map((query) => ({ what: query, target: `/callback${query}`, status: 400 })),
    );
    await expectSignIn(person, ignoredOne);
  });

  test('LST-17: only GET brings the response; no other method is let in from another origin', async () => {
    const person = await waiting();
    const crossOrigin = [
      'Origin: https://evil.test',
      'Access-Control-Request-Method: GET',
      'Access-Control-Request-Private-Network: true',
      'Access-Control-Request-Local-Network: true',
    ];
    await expectRefused(person, [
      ...['OPTIONS', 'HEAD', 'PUT', 'DELETE', 'POST', 'PATCH', 'TRACE', 'PROPFIND'].map((method) => ({
        what: method,
        method,
        lines: method.startsWith('P') ? ['Content-Length: 0'] : [],
        status: 405,
      })),
      { what: 'a preflight', method: 'OPTIONS', lines: crossOrigin, status: 405 },
      { what: 'a tunnel', method: 'CONNECT', target: 'evil.test:443', status: 405 },
    ]);
    await expectSignIn(person);
  });

  test('LST-18: a fetch ahead of time does not spend the code', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        'Sec-Purpose: prefetch',
        'Sec-Purpose: prefetch;prerender',
        'Purpose: prefetch',
        'X-Moz: prefetch',
        'X-Purpose: preview',
      ].map((line) => ({ what: line, lines: [line], status: 403 })),
    );
    await expectSignIn(person);
  });

  test('LST-21: a page of another site that reaches us under its own name is sent away', async () => {
    const person = await waiting();
    await expectRefused(
      person,
      [
        'evil.test:PORT',
        'evil.test',
        '127.0.0.1.evil.test:PORT',
        '127.0.0.1:PORT.evil.test',
        'evil.test:PORT@127.0.0.1:PORT',
      ].map((host) => ({ what: host, lines: [`Host: ${host}`], status: 421 })),
    );
    await expectSignIn(person);
  });

  test('LST-22: only the exact authority of the redirect URI is ours', async () => {
    const person = await waiting();
    await expectRefused(person, [
      ...[
        'localhost:PORT',
        '127.0.0.1',
        '127.0.0.1.:PORT',
        '127.1:PORT',
        '2130706433:PORT',
        '[::1]:PORT',
        '0.0.0.0:PORT',
        '127.0.0.1:080',
        '',
      ].map((host) => ({ what: `Host: ${host}`, lines: [`Host: ${host}`], status: 421 })),
      { what: 'two hosts', lines: ['Host: 127.0.0.1:PORT', 'Host: evil.test'], status: 421 },
      { what: 'two hosts, ours last', lines: ['Host: evil.test', 'Host: 127.0.0.1:PORT'], status: 421 },
      { what: 'the same twice', lines: ['Host: 127.0.0.1:PORT', 'Host: 127.0.0.1:PORT'], status: 421 },
    ]);
    await expectSignIn(person);
  });

  test('LST-24: a page of another site can neither load the response as a part of itself nor read any reply', async () => {
    const person = await waiting();
    const evil = 'Origin: https://evil.test';
    await expectRefused(
      person,
      [
        ['Sec-Fetch-Dest: image'],
        ['Sec-Fetch-Dest: iframe', 'Sec-Fetch-Mode: navigate'],
        ['Sec-Fetch-Dest: object'],
        ['Sec-Fetch-Mode: cors', evil],
        ['Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: empty'],
        ['Sec-Fetch-Mode: websocket', 'Connection: Upgrade', 'Upgrade: websocket', evil],
        ['Origin: null'],
        [evil],
      ].map((lines) => ({ what: lines.join(', '), lines, status: 403 })),
    );
    await expectSignIn(person);
  });

  test('LST-36: nobody is redirected anywhere', async () => {
    const person = await waiting();
    await expectRefused(person, [
      { what: 'a parameter', target: '/callback?redirect=https://evil.test', status: 400 },
      {
        what: 'with the right state',
        target: '/callback?redirect_uri=https://evil.test&state=STATE',
        status: 400,
      },
      { what: 'a parameter of the root', target: '/?url=https://evil.test', status: 404 },
      { what: 'another authority', target: '//evil.test', status: 404 },
      { what: 'another authority and our path', target: '//evil.test/callback', status: 404 },
      { what: 'a proxy request', target: 'http://evil.test/callback', status: 404 },
    ]);
    await expectSignIn(person, ignoredOne);
  });

  test('LST-25: requests without measure are refused and cost no memory', async () => {
    const person = await waiting();
    const before = peakMemory(person.login.pid);
    await expectRefused(person, [
      { what: 'a request line of 64 KiB', target: `${stolen}&pad=${'p'.repeat(65_536)}`, status: 431 },
      {
        what: '10,000 headers',
        lines: Array.from({ length: 10_000 }, (_, n) => `X-${n}: ${n}`),
        status: 431,
      },
      { what: 'a header of 1 MiB', lines: [`X-Pad: ${'p'.repeat(1_048_576)}`], status: 431 },
      { what: 'a name of 1 MiB', lines: [`${'X'.repeat(1_048_576)}: 1`], status: 431 },
      {
        what: 'a body of no clear length',
        method: 'POST',
        lines: ['Content-Length: 1', 'Transfer-Encoding: chunked'],
        status: 400,
      },
      { what: 'no HTTP', method: '\u0016\u0003\u0001', status: 400 },
    ]);
    expect(peakMemory(person.login.pid) - before).toBeLessThan(50);
    await expectSignIn(person);
  });
});

describe('the response that counts', () => {
  test('LST-20: the first code is the one; a second with the same state, while the first is redeemed, is not', async () => {
    const { acme, login } = await waiting();
    const response = await login.response();
    const barrier = new EventEmitter();
    acme.answerNext('/token', async () => {
      barrier.emit('asked');
      await once(barrier, 'open');
    });
    const asked = once(barrier, 'asked');
    const page = fetch(response);
    await asked;
    for (const query of ['code=STOLEN', 'error=access_denied', `code=${response.searchParams.get('code')}`]) {
      const target = `/callback?${query}&state=${login.state}`;
      const reply = await sendRaw(login.redirectUri.href, requestText(login.redirectUri.href, target));
      expect([query, reply.status]).toEqual([query, 409]);
      expectHarmless(reply, secretsOf(login));
    }
    barrier.emit('open');
    expect((await page).status).toBe(200);
    expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(codesRedeemed(acme)).toEqual([response.searchParams.get('code')]);
  });

  test('LST-28: a browser that never closes its connection does not keep the process', async () => {
    const { login } = await waiting();
    const { pathname, search } = await login.response();
    const socket = connect({ port: Number(login.redirectUri.port), host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    let reply = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (reply += chunk));
    socket.write(
      requestText(login.redirectUri.href, pathname + search, [
        'Connection: keep-alive',
        'Keep-Alive: timeout=600',
      ]),
    );
    await once(socket, 'end');
    const answeredAt = performance.now();
    expect(reply).toMatch(/^HTTP\/1\.1 200 OK\r\n(.+\r\n)*Connection: close\r\n/);
    expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(performance.now() - answeredAt).toBeLessThan(1_000 * patience);
    expect(socket.writable).toBe(true);
  });

  test('LST-34: every page forbids to be loaded into, to be kept and to tell where it was', async () => {
    const { acme, login } = await waiting();
    const send = (text: string) => sendRaw(login.redirectUri.href, text);
    const ask = (target: string, ...more: [lines?: string[], method?: string]) =>
      send(requestText(login.redirectUri.href, target, ...more));
    const good = await login.response();
    const replies = await Promise.all([
      ask('/callback'),
      ask('/callback', ['Purpose: prefetch']),
      ask('/'),
      ask('/callback', [], 'PUT'),
      ask('/callback', ['Host: evil.test']),
      ask(`/${'p'.repeat(65_536)}`),
    ]);
    replies.push(await ask(good.pathname + good.search));
    expect(replies.map(({ status }) => status)).toEqual([400, 403, 404, 405, 421, 431, 200]);
    for (const reply of replies)
      expectHarmless(reply, [...secretsOf(login), good.searchParams.get('code') ?? '']);
    expect(await login.outcome).toMatchObject({ exitCode: 0 });

    const next = await waitingAt(acme);
    const failed = await sendRaw(
      next.redirectUri.href,
      requestText(
        next.redirectUri.href,
        `/callback?error=server_error&state=${next.state}&iss=${acme.issuer}`,
      ),
    );
    expect(failed.status).toBe(400);
    expectHarmless(failed, secretsOf(next));
    expect(await next.outcome).toMatchObject({ exitCode: 5 });
  });

  test.each<{
    readonly what: string;
    readonly answer: Parameters<Provider['answerNext']>[1];
    readonly argv?: string[];
    readonly exitCode: number;
    readonly error: string;
  }>([
    {
      what: 'refuses the code',
      answer: { status: 400, headers: json, body: '{"error":"invalid_grant"}' },
      exitCode: 5,
      error: 'the provider refused the code exchange: invalid_grant',
    },
    {
      what: 'answers 500',
      answer: { status: 500 },
      exitCode: 6,
      error: 'the provider answers 500 at ISSUER/token',
    },
    {
      what: 'cuts the connection',
      answer: 'reset',
      exitCode: 6,
      error: 'cannot reach HOST: connection reset',
    },
    {
      what: 'answers with no token',
      answer: { status: 200, headers: json, body: '{}' },
      exitCode: 5,
      error: 'the code exchange failed a check: ',
    },
    {
      what: 'never answers, until the time is up',
      answer: 'hang',
      argv: ['--timeout', '2s'],
      exitCode: 8,
      error: 'not finished within 2 s',
    },
    ...(isFull
      ? ([
          {
            what: 'never answers',
            answer: 'hang',
            exitCode: 6,
            error: 'cannot reach HOST: no answer within 12 seconds',
          },
        ] as const)
      : []),
  ])(
    'LST-40: the page claims no success when the token endpoint $what',
    async ({ answer, argv = [], exitCode, error }) => {
      const { acme, machine, login } = await waiting(...argv);
      const said = error.replace('ISSUER', acme.issuer).replace('HOST', new URL(acme.issuer).host);
      acme.answerNext('/token', answer);
      const page = fetch(await login.response());
      const outcome = await login.outcome;
      expect(outcome).toMatchObject({ exitCode, stdout: '' });
      expect(outcome.stderr).toContain(`\nerror: ${said}`);
      const { status } = await page;
      const body = await (await page).text();
      expect(status).toBe(400);
      expect(body).toContain('<h1>Sign-in failed</h1>');
      expect(body).toContain(said);
      expect(await machine.spawn(['status', '--json'])).toEqual({
        exitCode: 0,
        stdout: '{"sessions":[]}\n',
        stderr: '',
      });
    },
  );

  test('LST-41, AUR-06: of two logins at once, each takes only its own response, with its own verifier', async () => {
    const { acme, machine } = await newcomer();
    const beta = await startAcme();
    await machine.run([
      'provider',
      'add',
      'beta',
      '--issuer',
      beta.issuer,
      '--client-id',
      'cli',
      '--scope',
      'openid',
    ]);
    const [ours, theirs] = await Promise.all([
      pendingLogin(machine, ['-p', 'acme']),
      pendingLogin(machine, ['-p', 'beta']),
    ]);
    const response = await ours.response();
    const astray = new URL(response.search, theirs.redirectUri);
    expect((await fetch(astray)).status).toBe(400);
    expect(await ours.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await theirs.signIn()).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: expect.stringContaining(ignoredOne),
    });
    for (const [provider, login] of [
      [acme, ours],
      [beta, theirs],
    ] as const) {
      const verifiers = provider
        .requestsTo('/token')
        .map(({ parameters }) => parameters['code_verifier'] ?? '');
      expect(verifiers.map(challengeOf)).toEqual([login.authorizationUrl.searchParams.get('code_challenge')]);
    }
  });

  test.each([
    { what: '8 KiB', sent: 'c'.repeat(8192), code: 'c'.repeat(8192) },
    { what: 'plus signs, encoded and not', sent: 'a+b%2Bc%252B', code: 'a b+c%2B' },
    { what: 'a NUL byte', sent: 'a%00b', code: 'a\0b' },
    {
      what: 'the end of a header',
      sent: 'a%0D%0ASet-Cookie:%20x=1%0D%0A%0D%0A',
      code: 'a\r\nSet-Cookie: x=1\r\n\r\n',
    },
    { what: 'an emoji', sent: '%F0%9F%98%80', code: '😀' },
    {
      what: 'further parameters of the token request',
      sent: 'a%26grant_type%3Dpassword',
      code: 'a&grant_type=password',
    },
  ])('LST-42: a code with $what reaches the token endpoint as it was meant', async ({ sent, code }) => {
    const { acme, login } = await waiting();
    acme.answerNext('/token', { status: 400, headers: json, body: '{"error":"invalid_grant"}' });
    const { href } = login.redirectUri;
    const target = `/callback?code=${sent}&state=${login.state}&iss=${encodeURIComponent(acme.issuer)}`;
    const reply = await sendRaw(href, requestText(href, target));
    expect(reply.status).toBe(400);
    expectHarmless(reply, []);
    expect(await login.outcome).toMatchObject({ exitCode: 5, stdout: '' });
    const [exchange, ...more] = acme.requestsTo('/token');
    expect(more).toEqual([]);
    expect(exchange?.parameters).toEqual({
      grant_type: 'authorization_code',
      client_id: 'cli',
      code,
      redirect_uri: href,
      code_verifier: expect.any(String),
    });
    expect(exchange?.headers).not.toHaveProperty('set-cookie');
  });
});

/** A second login at the same provider, on a machine of its own. */
async function waitingAt(acme: Provider): Promise<PendingLogin> {
  const { machine } = await newcomer();
  return pendingLogin(machine, ['-p', 'again', '--issuer', acme.issuer, '--client-id', 'cli']);
}

function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

const formType = 'Content-Type: application/x-www-form-urlencoded';
const topLevel = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'];
const many = isFull ? 1_000 : 200;

describe('floods', () => {
  test.each<[id: string, what: string, count: number, use: (socket: Socket, login: PendingLogin) => void]>([
    ['LST-29', 'an idle connection that a browser opened ahead of time', 1, () => {}],
    ['LST-30', `${many} connections that send their request byte by byte`, many, trickle],
    ['LST-30', `${many} connections that send nothing`, many, () => {}],
    ['LST-32', `${many} connections that are reset at once`, many, (socket) => void socket.resetAndDestroy()],
    ['LST-32', `${many} connections that are closed in one direction`, many, (socket) => void socket.end()],
    ['LST-26', `${many} bodies that never end`, many, endless],
  ])('%s: the response is answered, and the process gone, in spite of %s', async (_id, _what, count, use) => {
    const { login } = await waiting();
    const response = await login.response();
    const before = peakMemory(login.pid);
    await openMany(login, count, use);
    expect(peakMemory(login.pid) - before).toBeLessThan(50);
    await expectPrompt(login, response);
  });

  test('LST-30: the same in spite of 10,000 requests, and 1,000 slow connections that come again and again', async () => {
    const { acme, login } = await waiting();
    const response = await login.response();
    const [slow, junk] = isFull ? ['1000', '10000'] : ['200', '1000'];
    const program = fileURLToPath(new URL('flood.js', import.meta.url));
    const flood = spawn(execPath, [program, login.redirectUri.href, slow, junk], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void flood.kill('SIGKILL'));
    const [said] = await once(createInterface(flood.stdout), 'line');
    // Those without an answer were cut to make room for the ones that came after them.
    expect(Number(/^done, (\d+) answered$/.exec(String(said))?.[1])).toBeGreaterThan(Number(junk) / 2);
    await expectPrompt(login, response);
    expect(codesRedeemed(acme)).toEqual([response.searchParams.get('code')]);
  });

  test.each(['query', 'form_post'])('LST-26: a body without an end is cut (%s)', async (mode) => {
    const person = await waiting('--response-mode', mode);
    const { login } = person;
    const before = peakMemory(login.pid);
    const startedAt = performance.now();
    const lasted = [endless, slowlyEndless].map(async (use) => {
      const socket = await connectTo(login.redirectUri.href);
      const reply = readReply(socket);
      use(socket, login);
      return reply;
    });
    const replies = await Promise.all(lasted);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(replies.map(({ status }) => status)).toEqual(mode === 'query' ? [405, 405] : [413, 408]);
    for (const reply of replies) expectHarmless(reply, secretsOf(login), mode === 'query' ? 'GET' : 'POST');
    expect(peakMemory(login.pid) - before).toBeLessThan(50);
    await expectSignIn(person);
  });

  test.skipIf(!requirement('prlimit', isOnPath('prlimit')))(
    'LST-33: with 64 file descriptors, neither their end nor 200 idle connections keep the browser out',
    async () => {
      const { login } = await waiting();
      const response = await login.response();
      limitOpenFiles(login.pid, Math.max(...openDescriptors(login.pid).filter((each) => each < 64)) + 1);
      const dropped = await Promise.all(Array.from({ length: 5 }, () => connectTo(login.redirectUri.href)));
      if (!dropped.some(({ closed }) => closed)) {
        await Promise.race(dropped.map((socket) => once(socket, 'close')));
      }
      limitOpenFiles(login.pid, 64);
      await openMany(login, 200, () => {});
      await expectPrompt(login, response);
    },
  );
});

function limitOpenFiles(pid: number, count: number): void {
  execFileSync('prlimit', [`--pid=${pid}`, `--nofile=${count}:64`]);
}

async function openMany(
  login: PendingLogin,
  count: number,
  use: (socket: Socket, login: PendingLogin) => void,
): Promise<void> {
  const opened = Array.from({ length: count }, async () => {
    const socket = await connectTo(login.redirectUri.href);
    onTestFinished(() => void socket.destroy());
    use(socket, login);
  });
  await Promise.all(opened);
}

/** The browser is answered within half a second, and the process gone within a second after that. */
async function expectPrompt(login: PendingLogin, response: URL): Promise<void> {
  const startedAt = performance.now();
  const { status } = await sendRaw(
    login.redirectUri.href,
    requestText(login.redirectUri.href, response.pathname + response.search),
  );
  const answeredAt = performance.now();
  expect(status).toBe(200);
  expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
  expect(answeredAt - startedAt).toBeLessThan(500 * patience);
  expect(performance.now() - answeredAt).toBeLessThan(1_000 * patience);
}

/** One byte each 400 ms, as slow-loris does. */
function trickle(socket: Socket, { redirectUri }: PendingLogin): void {
  const request = requestText(redirectUri.href, '/callback?code=slow&state=slow');
  let sent = 0;
  const timer = setInterval(() => void socket.write(request.charAt(sent++)), 400);
  socket.once('close', () => clearInterval(timer));
}

const endlessRequest = ({ redirectUri }: PendingLogin) =>
  requestText(redirectUri.href, '/callback', [formType, 'Transfer-Encoding: chunked'], 'POST');
const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;

function endless(socket: Socket, login: PendingLogin): void {
  socket.write(endlessRequest(login));
  const more = () => {
    while (socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

function slowlyEndless(socket: Socket, login: PendingLogin): void {
  socket.write(endlessRequest(login));
  const timer = setInterval(() => void socket.write('1\r\nx\r\n'), 400);
  socket.once('close', () => clearInterval(timer));
}

describe('a response that comes as a form', () => {
  const formPost = ['--response-mode', 'form_post'];

  test.each([
    { from: 'a program', lines: [] },
    { from: 'a page that keeps its address to itself', lines: ['Origin: null', ...topLevel] },
    { from: 'a page of the provider', lines: ['Origin: ISSUER', ...topLevel] },
    { from: 'a page that names the charset', lines: [`${formType};charset=UTF-8`] },
  ])('LST-44: a form from $from is the response', async ({ lines }) => {
    const { acme, machine } = await newcomer();
    const login = await pendingLogin(machine, formPost);
    expect(login.authorizationUrl.searchParams.get('response_mode')).toBe('form_post');
    const form = await authorizationResponseForm(login.authorizationUrl, login.redirectUri);
    expect(new URLSearchParams(form).get('state')).toBe(login.state);
    const { href } = login.redirectUri;
    const ours = lines.map((line) => line.replace('ISSUER', acme.issuer));
    const reply = await sendRaw(href, formText(href, '/callback', form, ours));
    expect(reply.status).toBe(200);
    expectHarmless(reply, [...secretsOf(login), new URLSearchParams(form).get('code') ?? ''], 'POST');
    expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(codesRedeemed(acme)).toEqual([new URLSearchParams(form).get('code')]);
  });

  test('LST-44: nothing but a form from the provider counts, and the login goes on', async () => {
    const person = await waiting(...formPost);
    const get = (target: string, method = 'GET') =>
      requestText(person.login.redirectUri.href, target, [], method);
    const { state } = person.login;
    await expectAnswers(
      person.login,
      [
        { what: 'GET with a code', text: get(`/callback?code=STOLEN&state=${state}`), status: 405 },
        { what: 'GET with an error', text: get(`/callback?error=access_denied&state=${state}`), status: 405 },
        { what: 'HEAD', text: get('/callback', 'HEAD'), status: 405 },
        { what: 'OPTIONS', text: get('/callback', 'OPTIONS'), status: 405 },
        { what: 'GET of the root', text: get('/'), status: 404 },
      ],
      ({ text }) => text,
      'POST',
    );
    await expectSignIn(person);
  });

  test('LST-45: a form that is not the response is refused, and the login goes on', async () => {
    const person = await waiting(...formPost);
    const { login, acme } = person;
    const good = `code=STOLEN&state=${login.state}&iss=${encodeURIComponent(acme.issuer)}`;
    const tooLarge = `${good}&pad=${'p'.repeat(10 * 1024 * 1024)}`;
    const chunked = `${tooLarge.length.toString(16)}\r\n${tooLarge}\r\n0\r\n\r\n`;
    const { href } = login.redirectUri;
    const before = peakMemory(login.pid);
    const post = (
      status: number,
      what: string,
      form: string,
      lines: readonly string[] = [],
      target = '/callback',
    ) => ({
      what,
      status,
      text: formText(href, target, form, lines),
    });
    const raw = (status: number, what: string, lines: readonly string[], body: string) => ({
      what,
      status,
      text: requestText(href, '/callback', lines, 'POST') + body,
    });
    await expectAnswers(
      login,
      [
        post(400, 'a wrong state', 'code=STOLEN&state=WRONG'),
        post(400, 'no state', 'code=STOLEN'),
        post(400, 'nothing', ''),
        post(400, 'the response in the address', '', [], `/callback?${good}`),
        post(400, 'the state in the address', 'code=STOLEN', [], `/callback?state=${login.state}`),
        post(400, 'an error without a state', 'error=access_denied'),
        post(400, 'two states', `${good}&state=WRONG`),
        post(400, 'two codes', `${good}&code=c`),
        post(400, 'a code and an error', `${good}&error=access_denied`),
        post(400, 'a response object', `${good}&response=e30.e30.e30`),
        post(404, 'another path', good, [], '/'),
        post(404, 'a path below', good, [], '/callback/x'),
        post(421, 'another host', good, ['Host: evil.test']),
        post(421, 'the host localhost', good, [`Host: localhost:${login.redirectUri.port}`]),
        post(403, 'a page of another site', good, ['Origin: https://evil.test', ...topLevel]),
        post(403, 'a page of another site, in an old browser', good, ['Origin: https://evil.test']),
        post(403, 'a script', good, ['Origin: null', 'Sec-Fetch-Mode: cors']),
        post(403, 'a script that cannot read', good, ['Origin: null', 'Sec-Fetch-Mode: no-cors']),
        post(403, 'a frame', good, ['Origin: null', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: iframe']),
        post(415, 'a form with files', good, ['Content-Type: multipart/form-data; boundary=x']),
        post(415, 'plain text', good, ['Content-Type: text/plain']),
        post(415, 'JSON', good, ['Content-Type: application/json']),
        post(415, 'almost a form', good, ['Content-Type: application/x-www-form-urlencoded2']),
        post(415, 'two types', good, [formType, 'Content-Type: text/plain']),
        post(415, 'a packed form', good, ['Content-Encoding: gzip']),
        raw(415, 'no type', [`Content-Length: ${good.length}`], good),
        post(413, '10 MB', tooLarge),
        raw(413, '10 MB in chunks', [formType, 'Transfer-Encoding: chunked'], chunked),
        raw(413, '10 MB announced', [formType, 'Content-Length: 10485760'], 'code=STOLEN'),
        post(413, '64 KiB and a byte', `${good}${'&'.repeat(65_537 - good.length)}`),
        {
          what: '10 MB by PUT',
          status: 405,
          text: formText(href, '/callback', tooLarge).replace('POST', 'PUT'),
        },
      ],
      ({ text }) => text,
      'POST',
    );
    expect(peakMemory(login.pid) - before).toBeLessThan(50);
    await expectSignIn(person, ignoredOne);
  });

  test('LST-44: without being asked for, a form is no response', async () => {
    const person = await waiting();
    const { href } = person.login.redirectUri;
    const form = `code=STOLEN&state=${person.login.state}`;
    await expectAnswers(person.login, [{ what: 'a form', status: 405 }], () =>
      formText(href, '/callback', form),
    );
    await expectSignIn(person);
  });
});

describe.skipIf(!requirement('chromium', chromiumInstalled))('in Chromium', () => {
  test.each(['query', 'form_post'])(
    'LST-37, LEK-04: neither address bar nor history nor a Referer keeps the code (%s)',
    async (mode) => {
      const { acme, machine } = await newcomer();
      const browser = await startChromium();
      onTestFinished(browser.close);
      const login = await pendingLogin(machine, ['--json', '--response-mode', mode]);
      const page = await browser.context.newPage();
      const referers: (string | undefined)[] = [];
      page.on('request', (request) => referers.push(request.headers()['referer']));

      await signInOn(page, login.authorizationUrl);
      const { exitCode, stdout } = await login.outcome;
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ provider: 'acme', account: { email: 'jane@acme.test' } });
      expect(await page.textContent('body')).toContain('jane@acme.test');

      expect(await page.evaluate('location.href')).toBe(login.redirectUri.href);
      const devTools = await browser.context.newCDPSession(page);
      const { entries } = await devTools.send('Page.getNavigationHistory');
      const secrets = [...codesRedeemed(acme), (await machine.spawn(['token'])).stdout.trim()];
      expect(secrets).toHaveLength(2);
      const seen = [...entries.flatMap(({ url, userTypedURL }) => [url, userTypedURL]), ...referers].join(
        '\n',
      );
      for (const secret of secrets) expect(seen).not.toContain(secret);
      expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0 });
      expect(page.url()).toBe(login.redirectUri.href);
    },
  );
});
