import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { AuthError } from '../errors.js';
import type { KeySurroundings } from './key-source.js';
import { noSurprise, storeTrouble, type Ownership } from './own-file.js';

const longestWaitMs = 30_000;
const betweenTriesMs = 25;
const patientMs = 2_000;

type LockSurroundings = Pick<KeySurroundings, 'ownership' | 'signal' | 'waiting'>;

export interface Lock {
  /** Takes it, if nobody else has it. */
  isTaken(): boolean;
  free(): void;
}

/**
 * Runs `work` while no other process does so under the same path. The kernel holds the lock (OFD lock, flock, LockFileEx),
 * so it is free the instant its holder dies; the file stays, because removing it would let two holders in.
 */
export async function withLock<T>(
  path: string,
  { ownership, signal, waiting }: LockSurroundings,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await openLock(path, ownership);
  try {
    signal.throwIfAborted();
    const begun = Date.now();
    let isTold = false;
    while (!lock.isTaken()) {
      if (!isTold && Date.now() - begun > patientMs) {
        isTold = true;
        waiting('Waiting for another authcli that is working on this session (30 s at most).');
      }
      if (Date.now() - begun > longestWaitMs) {
        throw new AuthError('timeout', 'another authcli has been working on this session for 30 seconds', {
          hint: 'run the same command again, or look for a stuck authcli process',
        });
      }
      await pause(betweenTriesMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    return await work();
  } finally {
    lock.free();
  }
}

/** Nobody's yet. */
export async function openLock(path: string, ownership: Ownership): Promise<Lock> {
  const tryLock = await loadTryLock();
  if (tryLock === undefined) {
    ownership.warn('this system has no file lock that authcli can use: do not run several authcli at once');
    return { isTaken: () => true, free: () => {} };
  }
  const descriptor = openLockFile(path);
  return {
    isTaken: () => isGranted(tryLock, descriptor, path),
    // Closing frees the lock.
    free: () => closeSync(descriptor),
  };
}

/** A pipe in its place would hang the open, a link would have us lock somebody else's file. */
function openLockFile(path: string): number {
  try {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | noSurprise, 0o600);
    if (fstatSync(descriptor).isFile()) return descriptor;
    closeSync(descriptor);
  } catch (error) {
    throw storeTrouble('lock', path, error);
  }
  throw new AuthError('store', `${path} is not a regular file`, { hint: `move it away: ${path}` });
}

/** Some network file systems know no locks. */
function isGranted(tryLock: (descriptor: number) => boolean, descriptor: number, path: string): boolean {
  try {
    return tryLock(descriptor);
  } catch (error) {
    throw storeTrouble('lock', path, error);
  }
}

/** There is no build for musl (Alpine), and optional dependencies may be left out. */
async function loadTryLock(): Promise<((descriptor: number) => boolean) | undefined> {
  try {
    const { default: native } = await import('fs-native-extensions');
    return native.tryLock;
  } catch {
    return undefined;
  }
}
