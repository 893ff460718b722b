import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

import { onTestFinished } from 'vitest';

import { listen } from './listen.js';

export interface ProxyOptions {
  /** `user:password`, which it then asks for. */
  readonly credentials?: string;
  /** What it answers to a CONNECT, or that it never does. */
  readonly answer?: number | 'hang';
}

export interface Proxy {
  readonly port: number;
  /** What it was asked to connect to, in order. */
  readonly authorities: readonly string[];
  /** Whatever else it was asked for, in the clear. */
  readonly requests: readonly string[];
  /** The ports that it connected from. */
  readonly tunnels: ReadonlySet<number>;
}

/** A proxy on 127.0.0.1 that knows CONNECT and nothing else; it ends with the test. */
export async function startProxy({ credentials, answer }: ProxyOptions = {}): Promise<Proxy> {
  const authorities: string[] = [];
  const tunnels = new Set<number>();
  const open = new Set<Duplex>();
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    response.writeHead(501).end();
  });
  server.on('connect', ({ url: authority = '', headers }, client: Duplex) => {
    authorities.push(authority);
    open.add(client);
    client.on('error', () => {});
    if (answer === 'hang') return;
    const status = answer ?? (headers['proxy-authorization'] === expected ? 200 : 407);
    if (status !== 200) {
      client.end(
        `HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic realm="acme"\r\ncontent-length: 0\r\n\r\n`,
      );
      return;
    }
    const upstream = connect(Number(authority.split(':').at(-1)), '127.0.0.1', () => {
      tunnels.add(upstream.localPort ?? 0);
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(upstream).pipe(client);
    });
    open.add(upstream);
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  const port = await listen(server);
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return { port, authorities, requests, tunnels };
}
