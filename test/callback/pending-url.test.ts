import { once } from 'node:events';
import { createServer } from 'node:http';

import { expect, onTestFinished, test } from 'vitest';

import { listenForAuthorizationResponse } from '../../src/callback/listener.js';
import { fetchPendingUrl, pendingUrlAddress } from '../../src/callback/pending-url.js';
import { requestText, sendRaw } from '../support/raw-http.js';

const authorizationUrl = new URL('https://acme.test/authorize?client_id=cli&state=Xq0y4o0bYbQ0m1u5rC2o1A');

async function offering(): Promise<string> {
  const listener = await listenForAuthorizationResponse({ host: '127.0.0.1', ports: [0], path: '/callback' });
  onTestFinished(() => listener.close());
  return listener.offer(authorizationUrl);
}

test('whoever has the address learns the URL', async () => {
  const address = await offering();
  expect(await fetchPendingUrl(address)).toEqual(authorizationUrl);
  const { status, headers, body } = await sendRaw(address, requestText(address, new URL(address).pathname));
  expect({ status, body }).toEqual({ status: 200, body: authorizationUrl.href });
  expect(headers).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'content-security-policy': "default-src 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'close',
  });
});

test.each([
  ['a page of another site under its own name', 'Host: evil.test', 421],
  ['a page of another site that knows the address', 'Origin: https://evil.test', 404],
])('not so %s', async (_title, line, status) => {
  const address = await offering();
  const reply = await sendRaw(address, requestText(address, new URL(address).pathname, [line]));
  expect(reply.status).toBe(status);
  expect(reply.body).not.toContain('Xq0y4o0bYbQ0m1u5rC2o1A');
});

test('whoever has taken the port since cannot give another URL', async () => {
  const server = createServer((_request, response) => response.end('https://evil.test/authorize'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const bound = server.address();
  const port = typeof bound === 'object' ? bound?.port : undefined;
  const address = pendingUrlAddress(authorizationUrl, new URL(`http://127.0.0.1:${port}/callback`));
  expect(await fetchPendingUrl(address.href)).toBeUndefined();
});
