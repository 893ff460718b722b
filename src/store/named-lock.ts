import { hash } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { AuthError, systemErrorCode } from '../errors.js';
import type { Attempt } from './lock.js';
import { readLockSecret } from './lock-secret.js';
import type { Ownership } from './own-file.js';

/** An address on Linux has 108 bytes, the first of which is zero for an abstract one. */
const abstractLength = 107;
const mostWaiting = 200;

/**
 * A lock that is held by listening under a name: an abstract Unix socket on Linux, a named pipe on Windows. It needs no native module.
 * The kernel frees the name when the process ends. Only processes of one network namespace (Linux) exclude each other.
 */
export class NamedLock {
  readonly #address: string | undefined;
  #server: Server | undefined;
  /** The connections of those who wait. They are told nothing: they wait for the end of their connection. */
  readonly #waiting = new Set<Socket>();

  private constructor(address: string | undefined) {
    this.#address = address;
  }

  /** @param folder keeps the random part of the name, so that no other user can take it first */
  static async open(
    folder: string,
    lockName: string,
    platform: NodeJS.Platform,
    ownership: Ownership,
  ): Promise<NamedLock> {
    const prefix = addressPrefixes[platform];
    if (prefix === undefined) return new NamedLock(undefined);
    const secret = await readLockSecret(folder, ownership);
    // Other users see the names that are in use, but cannot tell from one of them what the others will be.
    const name = `authcli-${hash('sha256', `${secret} ${lockName}`)}`;
    // Some versions of Node fill a short name up with zeros, others do not: only a name of full length is the same for all.
    return new NamedLock(prefix + name.padEnd(abstractLength, '-'));
  }

  tryAcquire(): Promise<Attempt> {
    if (this.#address === undefined) return Promise.resolve({ kind: 'unavailable', trouble: noName() });
    if (this.#server !== undefined) return Promise.resolve({ kind: 'acquired' });
    return this.#listen(this.#address);
  }

  /**
   * Settles when the holder gives the name back or dies, at the latest after `longestMs`. No process polls: a hundred that try 40
   * times a second would slow the one that they wait for.
   */
  waitForRelease(longestMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const connection = connect(this.#address ?? '').resume();
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        connection.destroy();
        resolve();
      };
      const timer = setTimeout(end, longestMs);
      signal.addEventListener('abort', end);
      // Where there is nobody any more, or no room, the next try tells.
      connection.on('error', end).on('close', end);
    });
  }

  release(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const connection of this.#waiting) connection.destroy();
  }

  /** No connection keeps this process alive, and nothing that somebody sends is read. */
  #keep(connection: Socket): void {
    this.#waiting.add(connection.pause().unref());
    connection.on('error', () => {}).on('close', () => this.#waiting.delete(connection));
  }

  #listen(path: string): Promise<Attempt> {
    return new Promise((resolve) => {
      const server = createServer((connection) => this.#keep(connection)).unref();
      // Any user can connect. Those for whom there is no room try again from time to time.
      server.maxConnections = mostWaiting;
      server.on('error', (error) => {
        const isHeld = systemErrorCode(error) === 'EADDRINUSE';
        resolve(isHeld ? { kind: 'held' } : { kind: 'unavailable', trouble: noName(error) });
      });
      // In a worker of node:cluster the primary process would listen in its place, for all workers.
      server.listen({ path, exclusive: true }, () => {
        this.#server = server;
        resolve({ kind: 'acquired' });
      });
    });
  }
}

const addressPrefixes: { readonly [name in NodeJS.Platform]?: string } = {
  linux: '\0',
  android: '\0',
  win32: '\\\\.\\pipe\\',
};

function noName(cause?: unknown): AuthError {
  return new AuthError('store', 'this system gives no lock by name', { cause });
}
