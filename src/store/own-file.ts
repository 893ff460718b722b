import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';

import { AuthError, systemErrorCode } from '../errors.js';
import { fileTrouble, type FileVerb } from '../file-trouble.js';
import { assertKept } from '../kept-mode.js';
import { patiently } from '../patiently.js';

/** Who we are, and whom to tell about what was mended. */
export interface Ownership {
  /** Absent on Windows, where the folders' access lists do this work. */
  readonly uid: number | undefined;
  readonly warn: (message: string) => void;
}

/** What is written beside the sessions is far smaller. */
const largestFile = 1024 * 1024;

/** No link is followed, and a pipe without a writer does not hang the open. Windows knows neither flag. */
export const noSurprise = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Reads a file that only we may have written; undefined when there is none.
 * A link, a pipe, a device or another user's file is refused: whoever put it there chooses what we read.
 * @param largest in bytes; what is larger is damaged
 */
export function readOwnFile(path: string, ownership: Ownership, largest = largestFile): string | undefined {
  let descriptor: number;
  try {
    descriptor = patiently(() => openSync(path, constants.O_RDONLY | noSurprise));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw storeTrouble('read', path, error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw notRegular(path);
    assertOwned(path, stats, ownership);
    if (stats.size > largest) {
      throw new AuthError('store', `${path} is damaged: it is larger than anything that authcli writes`);
    }
    if (isOpenToOthers(stats, ownership)) narrow(descriptor, path, ownership);
    return readFileSync(descriptor, 'utf8');
  } catch (error) {
    throw storeTrouble('read', path, error);
  } finally {
    closeSync(descriptor);
  }
}

/** A pipe, a device or a folder in the place of a file of ours. */
export function notRegular(path: string): AuthError {
  return new AuthError('store', `${path} is not a regular file`, { hint: `move it away: ${path}` });
}

/** Narrows a file that we made; nothing happens to one that is not ours, which is reported where it is read. */
export function narrowOwnFile(path: string, ownership: Ownership): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || found.uid !== ownership.uid || !isOpenToOthers(found, ownership)) return;
  try {
    const descriptor = openSync(path, constants.O_RDONLY | noSurprise);
    try {
      narrow(descriptor, path, ownership);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw storeTrouble('read', path, error);
  }
}

function narrow(descriptor: number, path: string, { warn }: Ownership): void {
  narrowVerified(
    path,
    () => fchmodSync(descriptor, 0o600),
    () => fstatSync(descriptor),
  );
  warn(`${path} could be read by others: narrowed to 0600`);
}

/** A chmod may succeed without effect, or not be known at all: only the mode afterwards tells. */
export function narrowVerified(path: string, change: () => void, look: () => Stats): void {
  try {
    change();
  } catch (error) {
    if (systemErrorCode(error) === 'EROFS') throw error;
  }
  assertKept(path, look().mode, 'sessions');
}

/** A file-system failure, as the person sees it. */
export function storeTrouble(verb: FileVerb, path: string, error: unknown): AuthError {
  return fileTrouble(verb, path, error, 'sessions');
}

export function assertOwned(path: string, stats: Stats, { uid }: Ownership): void {
  if (uid !== undefined && stats.uid !== uid) {
    throw new AuthError('store', `${path} belongs to another user (uid ${stats.uid}, we are ${uid})`, {
      hint: 'run authcli as the user who signed in, or set AUTHCLI_STATE_DIR to a folder of your own',
    });
  }
}

export function isOpenToOthers(stats: Stats, { uid }: Ownership): boolean {
  return uid !== undefined && (stats.mode & 0o077) !== 0;
}
