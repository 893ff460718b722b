import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  listenForAuthorizationResponse,
  type AuthorizationResponseListener,
} from '../../src/callback/listener.js';
import { expectHarmless } from '../support/harmless-reply.js';
import { requestText, sendRaw } from '../support/raw-http.js';

const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const good = `/callback?code=splendid&state=${state}`;
const secrets = [state, 'splendid'];

let listener: AuthorizationResponseListener;
let received: ReturnType<AuthorizationResponseListener['receive']>;

beforeEach(async () => {
  listener = await listenForAuthorizationResponse({ host: '127.0.0.1', ports: [0], path: '/callback' });
  received = listener.receive(state);
});
afterEach(() => listener.close());

async function expectStillWaiting(): Promise<void> {
  const page = sendRaw(listener.redirectUri, requestText(listener.redirectUri, good));
  const { url, respond } = await received;
  expect(url.search).toBe(`?code=splendid&state=${state}`);
  await respond({ kind: 'signed_in', provider: 'erp', account: 'ada' });
  const reply = await page;
  expect(reply.status).toBe(200);
  expectHarmless(reply, secrets);
}

interface HostileRequest {
  readonly what: string;
  readonly target?: string;
  readonly lines?: readonly string[];
  readonly method?: string;
  readonly status: number;
  readonly ignored?: number;
}

const requests: readonly HostileRequest[] = [
  ...[
    '/favicon.ico',
    '/robots.txt',
    '/apple-touch-icon.png',
    '/',
    '/cancel',
    '/success',
    '/shutdown',
    '/quit',
  ].map((target) => ({ what: `a request for ${target}`, target, status: 404 })),
  ...[
    '/callback/',
    '//callback',
    '/x/../callback',
    '/%63allback',
    '/CALLBACK',
    '/callback;a',
    '//evil.test/callback',
    'http://127.0.0.1/callback',
    '*',
  ].map((path) => ({
    what: `the response at ${path}`,
    target: `${path}?code=splendid&state=${state}`,
    status: 404,
  })),
  { what: 'a redirect that it asks for', target: '/?url=https://evil.test', status: 404 },
  {
    what: 'a redirect behind the path',
    target: '/callback?redirect=https://evil.test',
    status: 400,
    ignored: 1,
  },

  ...['OPTIONS', 'HEAD', 'PUT', 'DELETE', 'POST', 'PATCH', 'TRACE', 'PROPFIND'].map((method) => ({
    what: `the response by ${method}`,
    method,
    lines: method.startsWith('P') ? ['Content-Length: 0'] : [],
    status: 405,
  })),
  { what: 'a tunnel through us', method: 'CONNECT', target: 'evil.test:443', status: 405 },
  {
    what: 'a preflight for a private network',
    method: 'OPTIONS',
    lines: ['Origin: https://evil.test', 'Access-Control-Request-Private-Network: true'],
    status: 405,
  },
  {
    what: 'a body that never ends',
    method: 'POST',
    lines: ['Transfer-Encoding: chunked', '', '5', 'hello'],
    status: 405,
  },

  { what: 'the host of a rebound name', lines: ['Host: evil.test:80'], status: 421 },
  { what: 'the host without a port', lines: ['Host: 127.0.0.1'], status: 421 },
  { what: 'an empty host', lines: ['Host:'], status: 421 },
  ...['localhost', '127.0.0.1.', '[::1]', '127.1', '127.0.0.2', 'user@127.0.0.1'].map((host) => ({
    what: `the host ${host} with our port`,
    lines: [`Host: ${host}:PORT`],
    status: 421,
  })),
  { what: 'two hosts', lines: ['Host: 127.0.0.1:PORT', 'Host: evil.test'], status: 421 },
  { what: 'the same host twice', lines: ['Host: 127.0.0.1:PORT', 'Host: 127.0.0.1:PORT'], status: 421 },

  ...[
    'Sec-Purpose: prefetch',
    'Sec-Purpose: prefetch;prerender',
    'Purpose: prefetch',
    'X-Moz: prefetch',
    'X-Purpose: preview',
  ].map((line) => ({ what: `a fetch ahead of time (${line})`, lines: [line], status: 403 })),
  ...['image', 'iframe', 'empty', 'script', 'document, image'].map((destination) => ({
    what: `a sub-resource (Sec-Fetch-Dest: ${destination})`,
    lines: [`Sec-Fetch-Dest: ${destination}`],
    status: 403,
  })),
  ...['no-cors', 'same-origin', 'websocket'].map((mode) => ({
    what: `a sub-resource (Sec-Fetch-Mode: ${mode})`,
    lines: [`Sec-Fetch-Mode: ${mode}`],
    status: 403,
  })),
  {
    what: 'a fetch of another site’s page',
    lines: ['Sec-Fetch-Mode: cors', 'Origin: https://evil.test'],
    status: 403,
  },
  {
    what: 'a fetch with a destination',
    lines: ['Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: document'],
    status: 403,
  },
  { what: 'an origin of a sandboxed page', lines: ['Origin: null'], status: 403 },
  { what: 'the origin of localhost', lines: ['Origin: http://localhost:PORT'], status: 403 },

  { what: 'a wrong state', target: '/callback?code=X&state=WRONG', status: 400, ignored: 1 },
  { what: 'a longer state', target: `/callback?code=X&state=${state}A`, status: 400, ignored: 1 },
  {
    what: 'a part of the state',
    target: `/callback?code=X&state=${state.slice(0, 4)}`,
    status: 400,
    ignored: 1,
  },
  { what: 'an empty state', target: '/callback?code=X&state=', status: 400, ignored: 1 },
  { what: 'no state', target: '/callback?code=INJECTED', status: 400, ignored: 1 },
  { what: 'no query', target: '/callback', status: 400, ignored: 1 },
  { what: 'an error without a state', target: '/callback?error=access_denied', status: 400, ignored: 1 },
  {
    what: 'an error with a wrong state',
    target: '/callback?error=access_denied&state=WRONG',
    status: 400,
    ignored: 1,
  },
  {
    what: 'the right state and a wrong one',
    target: `/callback?code=X&state=${state}&state=W`,
    status: 400,
    ignored: 1,
  },
  {
    what: 'a wrong state and the right one',
    target: `/callback?code=X&state=W&state=${state}`,
    status: 400,
    ignored: 1,
  },

  { what: 'two codes', target: `/callback?code=X&code=Y&state=${state}`, status: 400 },
  { what: 'two issuers', target: `/callback?code=X&iss=a&iss=b&state=${state}`, status: 400 },
  { what: 'a foreign parameter twice', target: `/callback?code=X&foo=a&foo=a&state=${state}`, status: 400 },
  { what: 'a code and an error', target: `/callback?code=X&error=access_denied&state=${state}`, status: 400 },
  { what: 'neither code nor error', target: `/callback?state=${state}`, status: 400 },
  { what: 'an empty code', target: `/callback?code=&state=${state}`, status: 400 },
  { what: 'a response object', target: `/callback?code=X&response=e30.e30.e30&state=${state}`, status: 400 },

  { what: 'a request line of 64 KiB', target: `${good}&pad=${'p'.repeat(65_536)}`, status: 431 },
  { what: 'a header of 1 MiB', lines: [`X-Pad: ${'p'.repeat(1_048_576)}`], status: 431 },
  { what: '10,000 headers', lines: Array.from({ length: 10_000 }, (_, n) => `X-${n}: ${n}`), status: 431 },
  {
    what: 'a body of unknown length',
    lines: ['Content-Length: 1', 'Transfer-Encoding: chunked'],
    status: 400,
  },
  { what: 'a broken header', lines: ['no colon'], status: 400 },
  { what: 'an unknown method', method: 'BREW', status: 400 },
];

describe('a request that is not the response coming home is refused, and the wait goes on', () => {
  test.for(requests)('$what: $status', async ({ target = good, lines = [], method, status, ignored = 0 }) => {
    const { host, port } = new URL(listener.redirectUri);
    expect(host).toBe(`127.0.0.1:${port}`);
    const ours = lines.map((line) => line.replace('PORT', port));
    const reply = await sendRaw(
      listener.redirectUri,
      requestText(listener.redirectUri, target, ours, method),
    );

    expect(reply.status).toBe(status);
    expectHarmless(reply, secrets);
    expect(listener.ignored).toBe(ignored);
    await expectStillWaiting();
  });

  test.for([
    { what: 'a request without a host', text: `GET ${good} HTTP/1.1\r\n\r\n`, status: 421 },
    { what: 'a request of HTTP/1.0', text: `GET ${good} HTTP/1.0\r\n\r\n`, status: 421 },
    { what: 'a TLS hello', text: Buffer.from('160301020001000001fc0303', 'hex'), status: 400 },
    { what: 'HTTP/0.9', text: `GET ${good}\r\n\r\n`, status: 421 },
    { what: 'HTTP/2', text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400 },
  ])('$what: $status', async ({ text, status }) => {
    const reply = await sendRaw(listener.redirectUri, text);
    expect(reply.status).toBe(status);
    expectHarmless(reply, secrets);
    await expectStillWaiting();
  });

  test.for([{ expectation: '100-continue' }, { expectation: 'a-miracle' }])(
    'a request that expects $expectation gets a reply of ours',
    async ({ expectation }) => {
      const text = requestText(listener.redirectUri, '/favicon.ico', [`Expect: ${expectation}`]);
      const reply = await sendRaw(listener.redirectUri, text);
      expect(reply.status).toBe(404);
      expectHarmless(reply, secrets);
    },
  );
});

test.for([
  {
    what: 'of a browser',
    lines: ['Sec-Fetch-Dest: document', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Site: cross-site'],
  },
  { what: 'of an old browser', lines: [] },
  {
    what: 'of a browser on a proxied machine',
    lines: ['Origin: http://127.0.0.1:PORT', 'Upgrade-Insecure-Requests: 1'],
  },
  { what: 'with the cookies of a provider on the same host', lines: [`Cookie: session=${'c'.repeat(8000)}`] },
  { what: 'of Node’s fetch', lines: ['Sec-Fetch-Mode: cors'] },
])('the navigation $what is accepted', async ({ lines }) => {
  const { port } = new URL(listener.redirectUri);
  const ours = lines.map((line) => line.replace('PORT', port));
  void sendRaw(listener.redirectUri, requestText(listener.redirectUri, good, ours));
  expect((await received).url.search).toBe(`?code=splendid&state=${state}`);
});
