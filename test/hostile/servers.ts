import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { execPath } from 'node:process';

import { onTestFinished } from 'vitest';

import { listen } from '../support/listen.js';

/** A TCP server that does with each connection what the test says; it ends with the test. */
export async function startServer(
  conduct: (socket: Socket) => void,
  { host = '127.0.0.1', server = createServer() }: { host?: string; server?: Server } = {},
): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  server.on('secureConnection' in server ? 'secureConnection' : 'connection', conduct);
  const port = await listen(server, host);
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return port;
}

/** One byte at a time, for ever, behind the head of a good answer. */
export function drip(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n');
  const timer = setInterval(() => socket.write(' '), 200);
  socket.on('close', () => clearInterval(timer));
}

/** A port that answers no SYN, as behind a firewall that drops: a process that accepts nothing, its queue full. */
export async function startBlackHole({ host = '127.0.0.1', port = 0 } = {}): Promise<number> {
  const program = `
    const server = require('node:net').createServer().listen({ port: ${port}, host: '${host}', backlog: 1 }, () => {
      require('node:fs').writeSync(1, server.address().port + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [text]: unknown[] = await once(child.stdout, 'data');
  const bound = Number(text);
  while (await connects(bound, host));
  return bound;
}

/** The connection stays in the queue until the test is over. */
async function connects(port: number, host: string): Promise<boolean> {
  const socket = connect(port, host);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const waiting = new AbortController();
  const patience = setTimeout(() => waiting.abort(), 300);
  try {
    await once(socket, 'connect', { signal: waiting.signal });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(patience);
  }
}
