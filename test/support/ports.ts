import { once } from 'node:events';
import { createServer } from 'node:net';

import { onTestFinished } from 'vitest';

import { listen } from './listen.js';

/** A port that somebody holds until the test ends. */
export async function takenPort(host = '127.0.0.1', wanted = 0): Promise<number> {
  const squatter = createServer((socket) => socket.destroy());
  onTestFinished(() => void squatter.close());
  return listen(squatter, host, wanted);
}

/** One that nobody held a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}
