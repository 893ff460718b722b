import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

import { AuthError, systemErrorCode } from '../errors.js';
import type { Attempt } from './lock.js';
import { noSurprise, notRegular, storeTrouble } from './own-file.js';

type TryLock = (descriptor: number) => boolean;

/**
 * The kernel's lock on an open file (OFD lock, flock, LockFileEx), by a native module that not every build has. Processes in other
 * network namespaces and, where the file system passes locks on, other machines are kept apart, too.
 */
export class FileLock {
  readonly #path: string;
  #descriptor: number | undefined;

  /** The file is opened at once, so that trouble with it shows before anybody waits. */
  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openLockFile(path);
  }

  async tryAcquire(): Promise<Attempt> {
    // Loaded late: a process that only waits for a name never needs it, and it costs 8 MB.
    const tryLock = await loadTryLock();
    if (tryLock === undefined) return { kind: 'unavailable', trouble: notInstalled() };
    for (;;) {
      const descriptor = (this.#descriptor ??= openLockFile(this.#path));
      const attempt = attemptLock(tryLock, descriptor, this.#path);
      if (attempt.kind !== 'acquired' || isSameFile(descriptor, this.#path)) return attempt;
      // The file was removed or replaced since it was opened: a lock on it excludes nobody who comes now.
      this.release();
    }
  }

  /** Closing the file frees the lock. */
  release(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
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
  throw notRegular(path);
}

function isSameFile(descriptor: number, path: string): boolean {
  const opened = fstatSync(descriptor, { bigint: true });
  const present = statSync(path, { bigint: true, throwIfNoEntry: false });
  return opened.ino === present?.ino && opened.dev === present.dev;
}

function attemptLock(tryLock: TryLock, descriptor: number, path: string): Attempt {
  try {
    return { kind: tryLock(descriptor) ? 'acquired' : 'held' };
  } catch (error) {
    return { kind: 'unavailable', trouble: noFileLock(path, error) };
  }
}

/** There is no build for musl (Alpine), and optional dependencies may be left out. */
async function loadTryLock(): Promise<TryLock | undefined> {
  try {
    const { default: native } = await import('fs-native-extensions');
    return native.tryLock;
  } catch {
    return undefined;
  }
}

function notInstalled(): AuthError {
  return new AuthError('store', 'the native file lock (fs-native-extensions) is missing', {
    remedy: { kind: 'advice', text: 'install the program again, with its optional dependencies' },
  });
}

const explanations: Readonly<Record<string, string>> = {
  // ENOLCK on Linux and on macOS, for which Node has no name.
  'Unknown system error -37': 'its file system gives no locks',
  'Unknown system error -77': 'its file system gives no locks',
  ENOSYS: 'its file system knows no locks',
  ENOTSUP: 'its file system knows no locks',
  EOPNOTSUPP: 'its file system knows no locks',
  EBADF: 'its file system refuses locks',
  EINVAL: 'its file system knows no locks',
};

/** Network file systems, mostly. */
function noFileLock(path: string, cause: unknown): AuthError {
  const code = systemErrorCode(cause) ?? 'unknown failure';
  return new AuthError('store', `cannot lock ${path}: ${explanations[code] ?? code}`, {
    remedy: {
      kind: 'advice',
      text: 'keep the folder on a local disk: AUTHCLI_STATE_DIR names that of the sessions, AUTHCLI_CONFIG_DIR that of the configuration',
    },
    cause,
  });
}
