import { createServer } from 'node:net';

import { onTestFinished } from 'vitest';

import { listen } from './listen.js';

/** A port that somebody holds until the test ends. */
export async function takenPort(host = '127.0.0.1', wanted = 0): Promise<number> {
  const squatter = createServer((socket) => socket.destroy());
  onTestFinished(() => void squatter.close());
  return listen(squatter, host, wanted);
}

/**
 * Linux, macOS and Windows, as they come, give out no port below 32768 by themselves. A port from above could go to
 * another connection before the test takes it.
 */
const untouched = { from: 20_000, count: 12_000 };
let next = Math.floor(Math.random() * untouched.count);

/** A port that nobody holds, each time another one. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = untouched.from + (next % untouched.count);
    next += 1;
    if (await isFree(port)) return port;
  }
  throw new Error('a hundred ports in a row are taken');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const bound = await listen(server, '127.0.0.1', port).catch(() => undefined);
  await new Promise((resolve) => server.close(resolve));
  return bound !== undefined;
}
