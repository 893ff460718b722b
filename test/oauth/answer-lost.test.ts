import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import { describe, expect, test } from 'vitest';

import { AuthError } from '../../src/errors.js';
import { providerFetch, type Wire } from '../../src/oauth/wire.js';
import { drip, startBlackHole, startServer } from '../hostile/servers.js';
import { isFull } from '../hostile/sizes.js';
import { canCertify, newAuthority } from '../support/certificates.js';
import { login, newcomer } from '../support/newcomer.js';
import { freePort } from '../support/ports.js';
import { startProxy, type ProxyOptions } from '../support/proxy.js';

/** When a request has ended without an answer that is of use: whether the provider may have acted on it. */
async function isAnswerLost(url: string, { method = 'POST', ...more }: Ask = {}): Promise<boolean> {
  const post = {
    method,
    headers: {},
    body: new URLSearchParams({ refresh_token: 'r' }),
    redirect: 'manual',
  } as const;
  const error: unknown = await providerFetch(wire(more))(url, post).then(
    () => new Error('there is an answer'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof AuthError)) throw error;
  return error.isAnswerLost;
}

type Ask = Partial<Pick<Wire, 'signal' | 'env'>> & { readonly method?: string };

function wire({ signal = new AbortController().signal, env = {} }: Ask): Wire {
  return { signal, env, now: () => new Date(), trace: () => {}, conceal: () => {} };
}

async function http(conduct: (socket: Socket) => void): Promise<string> {
  return `http://127.0.0.1:${await startServer(conduct)}/token`;
}

async function https(conduct: (socket: Socket) => void): Promise<string> {
  return (await http(conduct)).replace('http:', 'https:');
}

/** Once something of the request is there. */
const then =
  (answer: (socket: Socket) => void) =>
  (socket: Socket): void =>
    void socket.once('data', () => answer(socket));

const saying = (answer: string) => http(then((socket) => socket.end(answer.replaceAll('\n', '\r\n'))));

async function closedPort(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}/token`;
}

/** The environment of a machine behind that proxy. */
async function through(options: ProxyOptions): Promise<{ readonly env: Wire['env'] }> {
  return { env: { HTTPS_PROXY: `http://127.0.0.1:${(await startProxy(options)).port}` } };
}

const elsewhere = 'https://login.acme.invalid/token';

describe('nothing was sent:', () => {
  test.each<[title: string, ask: () => Promise<boolean>]>([
    ['a name that nobody knows', () => isAnswerLost(`https://${'x'.repeat(64)}.test/token`)],
    ['a port where nobody listens', async () => isAnswerLost(await closedPort())],
    [
      'a connection that ends in the handshake',
      async () => isAnswerLost(await https(then((to) => to.end()))),
    ],
    [
      'a proxy that is not there',
      async () => isAnswerLost(elsewhere, { env: { HTTPS_PROXY: await closedPort() } }),
    ],
    [
      'a proxy that wants a password',
      async () => isAnswerLost(elsewhere, await through({ credentials: 'a:b' })),
    ],
    ['a proxy that refuses', async () => isAnswerLost(elsewhere, await through({ answer: 502 }))],
    [
      'a connection behind a proxy that is reset in the handshake',
      async () => isAnswerLost(await https(then((socket) => socket.resetAndDestroy())), await through({})),
    ],
    [
      'a connection behind a proxy to somebody who speaks no TLS',
      async () => isAnswerLost(await https(then((to) => to.end('220 mail\r\n'))), await through({})),
    ],
    ['an address in the clear elsewhere', () => isAnswerLost('http://login.acme.invalid/token')],
  ])('%s', async (_title, ask) => {
    expect(await ask()).toBe(false);
  });

  test.skipIf(!canCertify).each([
    ['', false],
    [', behind a proxy', true],
  ])('a certificate that is not trusted%s', async (_title, isBehindProxy) => {
    const server = createTlsServer(newAuthority().issue('IP:127.0.0.1'));
    const url = `https://127.0.0.1:${await startServer(() => {}, { server })}/token`;
    expect(await isAnswerLost(url, isBehindProxy ? await through({}) : {})).toBe(false);
  });

  test('a proxy that is silent, and somebody ends it', async () => {
    const ended = new AbortController();
    const asked = isAnswerLost(elsewhere, { ...(await through({ answer: 'hang' })), signal: ended.signal });
    ended.abort(new AuthError('timeout', 'enough'));
    expect(await asked).toBe(false);
  });

  test.runIf(isFull)('nobody answers the SYN', { timeout: 30_000 }, async () => {
    expect(await isAnswerLost(`http://127.0.0.1:${await startBlackHole()}/token`)).toBe(false);
  });
});

describe('the answer is there:', () => {
  test.each([
    ['500', 'HTTP/1.1 500 No\ncontent-length: 0\n\n'],
    ['503 that is cut', 'HTTP/1.1 503 No\ncontent-length: 9\n\nx'],
    ['429', 'HTTP/1.1 429 No\nretry-after: 1\ncontent-length: 0\n\n'],
    ['408', 'HTTP/1.1 408 No\ncontent-length: 0\n\n'],
    ['a redirect', 'HTTP/1.1 307 No\nlocation: /\ncontent-length: 0\n\n'],
    ['a member twice', 'HTTP/1.1 200 OK\ncontent-length: 13\n\n{"a":1,"a":2}'],
  ])('%s', async (_title, answer) => {
    expect(await isAnswerLost(await saying(answer))).toBe(false);
  });

  test('more than 1 MiB', async () => {
    const body = 'x'.repeat(1024 * 1024 + 1);
    const url = await saying(`HTTP/1.1 200 OK\ncontent-length: ${body.length}\n\n${body}`);
    expect(await isAnswerLost(url)).toBe(false);
  });
});

describe('the answer is lost:', () => {
  test.each<[title: string, conduct: (socket: Socket) => void]>([
    ['the connection is closed', then((socket) => socket.end())],
    ['the connection is reset', then((socket) => socket.resetAndDestroy())],
    ['what comes is not HTTP', then((socket) => socket.end('220 mail\r\n'))],
    ['half an answer', then((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"a'))],
    ['half a head', then((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-'))],
  ])('%s', async (_title, conduct) => {
    expect(await isAnswerLost(await http(conduct))).toBe(true);
  });

  test.skipIf(!canCertify)('a connection through a proxy is reset once the request is there', async () => {
    const authority = newAuthority();
    const certificate = authority.issue('DNS:localhost');
    const { env } = await through({});
    const { acme, machine } = await newcomer(
      { AUTHCLI_STORE: 'file', NODE_EXTRA_CA_CERTS: authority.file, ...env },
      { host: 'localhost', certificate },
    );
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const asked = acme.requestsTo('/token').length;
    acme.answerNext('/token', 'reset');
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    // Which is why it is asked for once more.
    expect(acme.requestsTo('/token')).toHaveLength(asked + 2);
  });

  test.each<[title: string, conduct: (socket: Socket) => void]>([
    ['before the answer', () => {}],
    ['in the middle of the answer', drip],
  ])('somebody ends it %s', async (_title, conduct) => {
    const ended = new AbortController();
    const url = await http(
      then((socket) => {
        conduct(socket);
        ended.abort(new AuthError('network', 'the provider did not answer in time'));
      }),
    );
    expect(await isAnswerLost(url, { signal: ended.signal })).toBe(true);
  });

  test.runIf(isFull)('silence, and an answer that never ends', { timeout: 60_000 }, async () => {
    const endless = await Promise.all([http(() => {}), http(then(drip))]);
    expect(await Promise.all(endless.map((url) => isAnswerLost(url)))).toEqual([true, true]);
  });

  test('but not that of a GET, which changes nothing', async () => {
    expect(await isAnswerLost(await http(then((socket) => socket.end())), { method: 'GET' })).toBe(false);
  });
});

test('whoever ends a request is told apart from what ended it: code, words and hint stay', async () => {
  const ended = new AbortController();
  const reason = new AuthError('timeout', 'enough', { hint: 'wait' });
  const url = await http(then(() => ended.abort(reason)));
  const request = { method: 'POST', headers: {}, body: 'a=b', redirect: 'manual' } as const;
  await expect(providerFetch(wire({ signal: ended.signal }))(url, request)).rejects.toMatchObject({
    code: 'timeout',
    message: 'enough',
    hint: 'wait',
    isAnswerLost: true,
    cause: reason,
  });
});
