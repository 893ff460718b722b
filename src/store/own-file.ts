import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import type { Stats } from 'node:fs';

import { AuthError, systemErrorCode } from '../errors.js';

/** Who we are, and whom to tell about what was mended. */
export interface Ownership {
  /** Absent on Windows, where the folders' access lists do this work. */
  readonly uid: number | undefined;
  readonly warn: (message: string) => void;
}

const largestFile = 1024 * 1024;

/** No link is followed, and a pipe without a writer does not hang the open. Windows knows neither flag. */
export const noSurprise = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Reads a file that only we may have written; undefined when there is none.
 * A link, a pipe, a device or another user's file is refused: whoever put it there chooses what we read.
 */
export function readOwnFile(path: string, ownership: Ownership): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | noSurprise);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw storeTrouble('read', path, error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile())
      throw new AuthError('store', `${path} is not a regular file`, { hint: `move it away: ${path}` });
    assertOwned(path, stats, ownership);
    if (stats.size > largestFile) {
      throw new AuthError('store', `${path} is damaged: it is larger than anything that authcli writes`);
    }
    if (isOpenToOthers(stats, ownership)) {
      fchmodSync(descriptor, 0o600);
      ownership.warn(`${path} could be read by others: narrowed to 0600`);
    }
    return readFileSync(descriptor, 'utf8');
  } catch (error) {
    throw storeTrouble('read', path, error);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the folder, or takes the existing one, as 0700 and ours. */
export function makeOwnFolder(path: string, ownership: Ownership): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    assertOwnFolder(path, ownership);
  } catch (error) {
    throw storeTrouble('create', path, error);
  }
}

/** Nothing happens where there is no such folder. */
export function assertOwnFolder(path: string, ownership: Ownership): void {
  try {
    checkOwnFolder(path, ownership);
  } catch (error) {
    throw storeTrouble('read', path, error);
  }
}

function checkOwnFolder(path: string, ownership: Ownership): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory())
    throw new AuthError('store', `${path} is not a folder`, { hint: `move it away: ${path}` });
  assertOwned(path, stats, ownership);
  if (isOpenToOthers(stats, ownership)) {
    chmodSync(path, 0o700);
    ownership.warn(`${path} was open to others: narrowed to 0700`);
  }
}

/** Never deletes: what cannot be read today may be readable tomorrow. Returns where it lies now. */
export function setAside(path: string): string {
  const aside = `${path}.damaged-${Date.now().toString(36)}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    throw storeTrouble('write', path, error);
  }
  return aside;
}

/** A file-system failure, as the person sees it. */
export function storeTrouble(
  verb: 'read' | 'write' | 'create' | 'lock',
  path: string,
  error: unknown,
): AuthError {
  if (error instanceof AuthError) return error;
  const reason = reasonOf(error);
  return new AuthError('store', `cannot ${verb} ${path}: ${explanations[reason] ?? reason}`, {
    hint: hints[reason],
    cause: error,
  });
}

/** EDQUOT, for which Node has no name, on Linux and on macOS. */
const overQuota: ReadonlySet<unknown> = new Set([-122, -69]);

function reasonOf(error: unknown): string {
  const code = systemErrorCode(error);
  const isOverQuota = error instanceof Error && 'errno' in error && overQuota.has(error.errno);
  return code === 'UNKNOWN' && isOverQuota ? 'EDQUOT' : (code ?? 'unknown failure');
}

function assertOwned(path: string, stats: Stats, { uid }: Ownership): void {
  if (uid !== undefined && stats.uid !== uid) {
    throw new AuthError('store', `${path} belongs to another user (uid ${stats.uid}, we are ${uid})`, {
      hint: 'run authcli as the user who signed in, or set AUTHCLI_STATE_DIR to a folder of your own',
    });
  }
}

function isOpenToOthers(stats: Stats, { uid }: Ownership): boolean {
  return uid !== undefined && (stats.mode & 0o077) !== 0;
}

const explanations: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file size limit is reached',
  EIO: 'the disk reports an error',
  ELOOP: 'it is a symbolic link',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EMFILE: 'too many open files',
};

const hints: Readonly<Record<string, string>> = {
  EACCES: 'check the owner and the mode of that folder, or set AUTHCLI_STATE_DIR to a folder of your own',
  EPERM: 'check the owner and the mode of that folder, or set AUTHCLI_STATE_DIR to a folder of your own',
  EROFS: 'set AUTHCLI_STATE_DIR to a folder that can be written',
  ENOSPC: 'free some space, then run the same command again',
  EDQUOT: 'free some space, then run the same command again',
  EFBIG: 'raise the limit (ulimit -f), then run the same command again',
  ELOOP: 'remove the link, or move the folder back to its place',
};
