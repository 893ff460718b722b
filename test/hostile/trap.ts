import { createServer } from 'node:net';

import { onTestFinished } from 'vitest';

import { listen } from '../support/listen.js';

/** A place that nothing must reach. */
export interface Trap {
  readonly port: number;
  /** How many connections it has seen so far. */
  readonly visits: () => number;
}

export async function trap(): Promise<Trap> {
  let visits = 0;
  const server = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  onTestFinished(() => void server.close());
  return { port: await listen(server), visits: () => visits };
}
