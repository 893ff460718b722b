import { once } from 'node:events';
import { createServer } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import {
  listenForAuthorizationResponse,
  type AuthorizationResponseListener,
  type ListenerOptions,
} from '../../src/callback/listener.js';
import { AuthError } from '../../src/errors.js';
import { freePort, takenPort } from '../support/ports.js';
import { connectTo, readReply, requestText, sendRaw } from '../support/raw-http.js';

const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const signedIn = { kind: 'signed_in', provider: 'erp', account: 'ada@example.com' } as const;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function listen(options: Partial<ListenerOptions> = {}): Promise<AuthorizationResponseListener> {
  const listener = await listenForAuthorizationResponse({
    host: '127.0.0.1',
    ports: [0],
    path: '/callback',
    ...options,
  });
  open.push(listener);
  return listener;
}

describe('an authorization response', () => {
  test('comes home with its parameters, and the page waits for the end of the login', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const page = fetch(
      `${listener.redirectUri}?code=a%2Bb%20c&state=${state}&iss=https%3A%2F%2Fas.example&foo=1`,
    );
    const { url, respond } = await received;

    expect(url.href).toBe(
      `${listener.redirectUri}?code=a%2Bb%20c&state=${state}&iss=https%3A%2F%2Fas.example&foo=1`,
    );
    expect(url.searchParams.get('code')).toBe('a+b c');
    await respond(signedIn);
    const response = await page;
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('ada@example.com');
    expect(listener.ignored).toBe(0);
  });

  test('may be an error, and a login that failed is not shown as a success', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const page = fetch(`${listener.redirectUri}?error=access_denied&state=${state}`);
    const { url, respond } = await received;

    expect(url.searchParams.get('error')).toBe('access_denied');
    await respond({ kind: 'failed', message: 'the sign-in was refused', hint: 'authcli login' });
    const response = await page;
    const html = await response.text();
    expect(response.status).toBe(400);
    expect(html).toContain('the sign-in was refused');
    expect(html).not.toContain('signed in');
  });

  test('may carry a code of 8 KiB with characters that end lines and strings', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const code = `\0\r\nSet-Cookie: x=1 😀 +%2B${'c'.repeat(8192)}`;
    const page = fetch(`${listener.redirectUri}?${new URLSearchParams({ code, state }).toString()}`);
    const { url, respond } = await received;

    expect(url.searchParams.get('code')).toBe(code);
    await respond(signedIn);
    expect((await page).headers.get('set-cookie')).toBeNull();
  });

  test('is taken once: a repetition with the right state gets a harmless page', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const first = fetch(`${listener.redirectUri}?code=first&state=${state}`);
    const { url, respond } = await received;
    const second = await fetch(`${listener.redirectUri}?code=second&state=${state}`);

    expect(url.searchParams.get('code')).toBe('first');
    expect(second.status).toBe(409);
    expect(await second.text()).toContain('already been answered');
    await respond(signedIn);
    expect((await first).status).toBe(200);
    expect(listener.ignored).toBe(0);
  });

  test('matches nothing before its state is known', async () => {
    const counts: number[] = [];
    const listener = await listen({ onIgnored: (count) => counts.push(count) });
    const early = await fetch(`${listener.redirectUri}?code=early&state=`);
    const received = listener.receive(state);
    const wrong = await fetch(`${listener.redirectUri}?code=stray&state=wrong`);
    void fetch(`${listener.redirectUri}?code=good&state=${state}`).catch(() => {});

    expect([early.status, wrong.status]).toEqual([400, 400]);
    expect((await received).url.searchParams.get('code')).toBe('good');
    expect(listener.ignored).toBe(2);
    expect(counts).toEqual([1, 2]);
  });

  test('of one login brought to the listener of another is refused there', async () => {
    const [ours, theirs] = [await listen(), await listen()];
    const received = [ours.receive(state), theirs.receive('another-state-0123456789')];
    const stray = await fetch(`${theirs.redirectUri}?code=ours&state=${state}`);
    void fetch(`${ours.redirectUri}?code=ours&state=${state}`).catch(() => {});
    void fetch(`${theirs.redirectUri}?code=theirs&state=another-state-0123456789`).catch(() => {});

    expect(stray.status).toBe(400);
    const codes = (await Promise.all(received)).map(({ url }) => url.searchParams.get('code'));
    expect(codes).toEqual(['ours', 'theirs']);
  });

  test('sent twice in one go is answered once', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const request = requestText(listener.redirectUri, `/callback?code=c&state=${state}`);
    const stray = requestText(listener.redirectUri, '/callback?code=c&state=wrong');
    const reply = sendRaw(listener.redirectUri, `${request}${stray}`);
    await (await received).respond(signedIn);

    expect((await reply).body.match(/<!doctype html>/gu)).toHaveLength(1);
    expect(listener.ignored).toBe(0);
  });
});

describe('the page', () => {
  test('does not keep the login waiting when the browser has gone', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const socket = await connectTo(listener.redirectUri);
    socket.write(requestText(listener.redirectUri, `/callback?code=c&state=${state}`));
    const { respond } = await received;
    socket.resetAndDestroy();

    await expect(respond(signedIn)).resolves.toBeUndefined();
    // The same where the server has seen the end of the connection.
    await expect(respond(signedIn)).resolves.toBeUndefined();
  });

  test('reaches a client that keeps its connection open for ever', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const socket = await connectTo(listener.redirectUri);
    const reply = readReply(socket);
    socket.write(
      requestText(listener.redirectUri, `/callback?code=c&state=${state}`, ['Connection: keep-alive']),
    );
    await (await received).respond(signedIn);
    await listener.close();

    expect((await reply).headers['connection']).toBe('close');
    expect((await reply).body).toMatch(/<\/html>\n$/u);
  });
});

test(
  'a request that does not arrive in time is answered, a silent connection only closed',
  { timeout: 10_000 },
  async () => {
    const listener = await listen();
    const [slow, silent] = [await connectTo(listener.redirectUri), await connectTo(listener.redirectUri)];
    const started = performance.now();
    slow.write('GET /callback?code=c HTTP/1.1\r\nHost: ');
    const [late, none] = await Promise.all([readReply(slow), readReply(silent)]);

    expect(performance.now() - started).toBeLessThan(7000);
    expect(late.status).toBe(408);
    expect(none).toEqual({ status: Number.NaN, headers: {}, body: '' });
  },
);

test.each([
  { path: '/signin/back', told: '/signin/back' },
  { path: '/', told: '/' },
  { path: '/cb/9RrXb0gKqhJqkK0c', told: '/cb/9RrXb0gKqhJqkK0c' },
  { path: '/a b/ü', told: '/a%20b/%C3%BC' },
  { path: '/a%2Fb', told: '/a%2Fb' },
  { path: '//evil.test/cb', told: '//evil.test/cb' },
])('the path may be $path, and is the only one then', async ({ path, told }) => {
  const listener = await listen({ path });
  const { origin, port } = new URL(listener.redirectUri);
  expect(listener.redirectUri).toBe(`http://127.0.0.1:${port}${told}`);
  const received = listener.receive(state);
  expect((await fetch(`${origin}/callback?code=c&state=${state}`)).status).toBe(404);
  void fetch(`${listener.redirectUri}?code=c&state=${state}`).catch(() => {});
  expect((await received).url.href).toBe(`${listener.redirectUri}?code=c&state=${state}`);
});

describe('the port', () => {
  test('is the first free one of a list', async () => {
    const [taken, free] = [await takenPort(), await freePort()];
    const listener = await listen({ ports: [taken, free] });
    expect(listener.redirectUri).toBe(`http://127.0.0.1:${free}/callback`);
  });

  test('is a wrong use of the command when every one of the list is taken', async () => {
    const [first, second] = [await takenPort(), await takenPort()];
    const failure: unknown = await listen({ ports: [first, second] }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AuthError);
    expect(failure).toMatchObject({
      code: 'usage',
      message: `port ${first} is in use, port ${second} is in use`,
      hint: 'give another port that the provider accepts: --port N',
    });
  });

  test('cannot be taken by another process while we listen', async () => {
    const listener = await listen();
    const intruder = createServer();
    intruder.listen(Number(new URL(listener.redirectUri).port), '127.0.0.1');
    const [error] = await once(intruder, 'error');
    expect(error).toMatchObject({ code: 'EADDRINUSE' });
  });

  test('is free again after close, whatever is still connected, and closing twice does no harm', async () => {
    const listener = await listen();
    const received = listener.receive(state);
    const idle = await connectTo(listener.redirectUri);
    const answered = await connectTo(listener.redirectUri);
    answered.write(requestText(listener.redirectUri, `/callback?code=c&state=${state}`));
    const { respond } = await received;
    const ended = Promise.all([idle, answered].map((socket) => once(socket, 'close')));
    await Promise.all([listener.close(), respond(signedIn)]);

    await ended;
    await respond(signedIn);
    await listener.close();
    await expect(fetch(listener.redirectUri)).rejects.toThrow('fetch failed');
  });
});
