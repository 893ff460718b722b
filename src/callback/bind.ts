import { createServer, type Server } from 'node:net';

import { AuthError, systemErrorCode } from '../errors.js';

/** The port that a redirect URI names, ours on each address that its host stands for. */
export interface BoundPort {
  readonly port: number;
  close(): Promise<void>;
}

/** With Node's 511, 1,000 strangers at once leave no place, and a browser tries again only a second later. */
const mostConnecting = 4096;

/** How often the system chooses a port that is free on one stack and taken on the other. */
const mostChoices = 20;

/**
 * @param host a literal loopback address, or `localhost`: a browser may take either of its two addresses, and what we leave
 * another process can take (RFC 8252 8.3)
 * @param ports of which the first free one is taken; 0 is one that the system chooses
 */
export async function bindFirstFree(
  server: Server,
  host: string,
  ports: readonly number[],
): Promise<BoundPort> {
  const failures: BindFailure[] = [];
  for (const port of ports) {
    for (let choices = 0; choices < (port === 0 ? mostChoices : 1); choices++) {
      try {
        return await bind(server, host, port);
      } catch (error) {
        if (!(error instanceof BindFailure)) throw error;
        failures.push(error);
      }
    }
  }
  const reasons = [...new Set(failures.map(({ message }) => message))];
  throw new AuthError('usage', reasons.join(', '), {
    hint: 'give another port that the provider accepts: --port N',
    cause: failures.at(-1)?.cause,
  });
}

async function bind(server: Server, host: string, port: number): Promise<BoundPort> {
  if (host !== 'localhost') {
    return { port: await listenOn(server, host.replace(/[[\]]/g, ''), port), close: async () => {} };
  }
  const other = createServer({ allowHalfOpen: true, noDelay: true });
  const close = () => new Promise<void>((resolve) => void other.close(() => resolve()));
  try {
    const chosen = await listenOnIpv6(other, port);
    const bound = await listenOn(server, '127.0.0.1', chosen);
    // Every connection is one of `server`, which has the limits and the answers.
    other.on('connection', (socket) => server.emit('connection', socket));
    // An accept that fails for want of resources costs one connection, not the login.
    other.on('error', () => {});
    return { port: bound, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The port as it was asked for where the machine has no IPv6: nobody else can listen there then. */
async function listenOnIpv6(server: Server, port: number): Promise<number> {
  try {
    return await listenOn(server, '::1', port);
  } catch (error) {
    if (error instanceof BindFailure && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(error.code ?? ''))
      return port;
    throw error;
  }
}

function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const succeed = () => {
      server.off('error', fail);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    };
    const fail = (error: unknown) => {
      server.off('listening', succeed);
      reject(new BindFailure(host, port, error));
    };
    server.once('error', fail).once('listening', succeed).listen({ host, port, backlog: mostConnecting });
  });
}

class BindFailure extends Error {
  readonly code: string | undefined;

  constructor(host: string, port: number, cause: unknown) {
    const code = systemErrorCode(cause);
    const place = host === '127.0.0.1' ? '' : ` on ${host.includes(':') ? `[${host}]` : host}`;
    const what =
      code === 'EADDRINUSE' ? `is in use${place}` : `cannot be opened${place} (${code ?? 'unknown reason'})`;
    super(`port ${port} ${what}`, { cause });
    this.code = code;
  }
}
