import { once } from 'node:events';
import type { Server } from 'node:net';

/** Returns the port, which the system chooses unless it is told one. */
export async function listen(server: Server, host = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
