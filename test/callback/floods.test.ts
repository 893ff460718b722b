import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, platform } from 'node:process';
import { createInterface } from 'node:readline';

import { rolldown } from 'rolldown';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import {
  listenForAuthorizationResponse,
  type AuthorizationResponseListener,
} from '../../src/callback/listener.js';
import { connectTo, readReply, requestText, sendRaw } from './raw-http.js';

const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const good = `/callback?code=c&state=${state}`;
const signedIn = { kind: 'signed_in', provider: 'erp', account: 'ada' } as const;

let listener: AuthorizationResponseListener;
let received: ReturnType<AuthorizationResponseListener['receive']>;
const sockets: Socket[] = [];

beforeEach(async () => {
  listener = await listenForAuthorizationResponse({ ports: [0], path: '/callback' });
  received = listener.receive(state);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener.close();
});

/** How long the browser waits for its page, and the process for the end of the listener. */
async function finishLogin(): Promise<{ status: number; answeredMs: number; closedMs: number }> {
  const started = performance.now();
  const page = sendRaw(listener.redirectUri, requestText(listener.redirectUri, good));
  await (await received).respond(signedIn);
  const { status } = await page;
  const answered = performance.now();
  await listener.close();
  return { status, answeredMs: answered - started, closedMs: performance.now() - answered };
}

async function openMany(count: number, use: (socket: Socket) => void): Promise<void> {
  const opened = Array.from({ length: count }, async () => {
    const socket = await connectTo(listener.redirectUri);
    sockets.push(socket);
    use(socket);
  });
  await Promise.all(opened);
}

describe('the good response is answered within half a second', () => {
  test.for<{ what: string; count: number; use: (socket: Socket) => void }>([
    { what: 'an idle connection that a browser opened ahead of time', count: 1, use: () => {} },
    { what: '1,000 connections that send their request byte by byte', count: 1000, use: trickle },
    {
      what: '1,000 connections that are reset at once',
      count: 1000,
      use: (socket) => void socket.resetAndDestroy(),
    },
    {
      what: '1,000 connections that are closed in one direction',
      count: 1000,
      use: (socket) => void socket.end(),
    },
    {
      what: '200 bodies that never end',
      count: 200,
      use: (socket) =>
        void socket.write(requestText(listener.redirectUri, good, ['Transfer-Encoding: chunked'], 'POST')),
    },
  ])('after $what', { timeout: 20_000 }, async ({ count, use }) => {
    await openMany(count, use);
    const { status, answeredMs, closedMs } = await finishLogin();
    expect(status).toBe(200);
    expect(answeredMs).toBeLessThan(500);
    expect(closedMs).toBeLessThan(500);
  });

  test('after 10,000 forged responses', { timeout: 20_000 }, async () => {
    const started = performance.now();
    const forged = requestText(listener.redirectUri, '/callback?code=forged&state=forged');
    const statuses = new Set<number>();
    const attackers = Array.from({ length: 10 }, async () => {
      for (let sent = 0; sent < 1000; sent += 1) {
        statuses.add((await sendRaw(listener.redirectUri, forged)).status);
      }
    });
    await Promise.all(attackers);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect([...statuses]).toEqual([400]);
    expect(listener.ignored).toBe(10_000);
    expect((await finishLogin()).answeredMs).toBeLessThan(500);
  });
});

test(
  'a request that does not arrive within 5 s is answered, a silent connection only closed',
  { timeout: 10_000 },
  async () => {
    const [slow, silent] = [await connectTo(listener.redirectUri), await connectTo(listener.redirectUri)];
    const started = performance.now();
    slow.write('GET /callback?code=c HTTP/1.1\r\nHost: ');
    const replies = await Promise.all([readReply(slow), readReply(silent)]);

    expect(performance.now() - started).toBeLessThan(7000);
    expect(replies.map(({ status }) => status)).toEqual([408, Number.NaN]);
    expect(replies[1]).toEqual({ status: Number.NaN, headers: {}, body: '' });
  },
);

test.skipIf(platform === 'win32')(
  'with 64 file descriptors, neither their end nor 200 idle connections keep the browser out, or the process alive',
  { timeout: 20_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'authcli-listener-'));
    try {
      const bundle = await rolldown({ input: 'src/callback/listener.ts', platform: 'node' });
      await bundle.write({ file: join(folder, 'listener.mjs'), format: 'esm' });
      await writeFile(join(folder, 'login.mjs'), loginProgram);
      const login = spawn('sh', ['-c', 'ulimit -n 64; exec "$0" "$1"', execPath, join(folder, 'login.mjs')], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => void login.kill('SIGKILL'));
      const ended = once(login, 'exit');
      const lines = createInterface(login.stdout)[Symbol.asyncIterator]();
      const { value: redirectUri }: IteratorResult<string, undefined> = await lines.next();
      if (redirectUri === undefined) throw new Error('the login program did not start');

      const dropped = await connectTo(redirectUri);
      await once(dropped, 'close');
      login.stdin.end();
      expect((await lines.next()).value).toBe('released');

      const idle = await Promise.all(Array.from({ length: 200 }, () => connectTo(redirectUri)));
      sockets.push(...idle);
      const started = performance.now();
      const page = await sendRaw(redirectUri, requestText(redirectUri, good));
      expect(page.status).toBe(200);
      expect(performance.now() - started).toBeLessThan(500);
      expect(await ended).toEqual([0, null]);
      expect(performance.now() - started).toBeLessThan(1500);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

/** Has no file descriptor left for a connection until its stdin ends. */
const loginProgram = `
import { closeSync, openSync } from 'node:fs';
import { listenForAuthorizationResponse } from './listener.mjs';
const listener = await listenForAuthorizationResponse({ ports: [0], path: '/callback' });
console.log(listener.redirectUri);
const descriptors = [];
try {
  for (;;) descriptors.push(openSync('/dev/null'));
} catch {}
process.stdin.resume().on('close', () => {
  for (const descriptor of descriptors) closeSync(descriptor);
  console.log('released');
});
const { respond } = await listener.receive('${state}');
await respond({ kind: 'signed_in', provider: 'erp', account: 'ada' });
await listener.close();
`;

/** One byte each 400 ms, as slow-loris does. */
function trickle(socket: Socket): void {
  const text = requestText(listener.redirectUri, '/callback?code=slow&state=slow');
  let sent = 0;
  const timer = setInterval(() => void socket.write(text.charAt(sent++)), 400);
  socket.once('close', () => clearInterval(timer));
}
