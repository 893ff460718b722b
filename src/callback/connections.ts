import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The connections of a server, of which strangers can never hold so many that the browser gets none. */
export interface Connections {
  /** Never evicts `socket` from now on. */
  keep(socket: Socket): void;
  closeAll(): void;
}

/**
 * Drops the oldest connection for each one above `limit`. Refusing the newest instead, as `maxConnections` does,
 * would let idle sockets keep the browser out; and without a limit they would use up our file descriptors.
 */
export function limitConnections(server: Server, limit: number): Connections {
  const open = new Set<Socket>();
  const evictable = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    evictable.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      evictable.delete(socket);
    });
    if (evictable.size > limit) evictOldest(evictable);
  });
  return {
    keep: (socket) => {
      evictable.delete(socket);
    },
    closeAll: () => {
      for (const socket of open) socket.destroy();
    },
  };
}

function evictOldest(sockets: Set<Socket>): void {
  const [oldest] = sockets;
  if (oldest === undefined) return;
  // Its `close` event comes a turn later; until then the next connection must not count it again.
  sockets.delete(oldest);
  oldest.destroy();
}
