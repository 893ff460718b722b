import { lstatSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { reserveFile } from './atomic-file.js';
import { AuthError, systemErrorCode } from './errors.js';
import type { Holding } from './file-trouble.js';
import { assertKept } from './kept-mode.js';

/** Absent on Windows, where the folders' access lists do the work of owner and mode. */
type Uid = number | undefined;

/**
 * Makes the folder, and those above it, for us alone, where it is not there yet. Returns whether it made it.
 * Nothing is made below a folder of another user: with sudo and the HOME of a person, that person could not use it any more.
 */
export function makeFolder(path: string, uid: Uid, holds: Holding): boolean {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
  assertNoneOfAnother(nearestFolder(dirname(path)), uid, holds);
  const highest = makeMissing(path);
  try {
    if (uid !== undefined) assertModesCount(path, holds);
  } catch (error) {
    // The next try finds the same place, and says the same.
    if (highest !== undefined) removeEmpty(path, highest);
    throw error;
  }
  return true;
}

/** Also before a file is made in a folder that is there. */
export function assertNoneOfAnother(folder: string, uid: Uid, holds: Holding): void {
  if (uid === undefined) return;
  const owner = statSync(folder).uid;
  if (owner === uid || owner === 0) return;
  throw new AuthError(
    'store',
    `${folder} belongs to another user (uid ${owner}, we are ${uid}): nothing is made there`,
    {
      remedy: { kind: 'move_folder', holds, because: uid === 0 ? 'foreign_to_root' : 'foreign' },
    },
  );
}

/**
 * One by one, because Node's own recursion says ENOENT for a file system that is read-only. Returns the highest one that was made;
 * undefined where another process was faster.
 */
function makeMissing(path: string): string | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST' && statSync(path).isDirectory()) return undefined;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const highest = makeMissing(dirname(path));
  const own = makeMissing(path);
  return highest ?? own;
}

/** From the folder up to the highest one that was made for it. */
function removeEmpty(path: string, highest: string): void {
  rmdirSync(path);
  if (path !== highest) removeEmpty(dirname(path), highest);
}

function nearestFolder(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined && dirname(path) !== path ? nearestFolder(dirname(path)) : path;
}

/** Some file systems take a mode and do not keep it: those of Windows, and many network drives. Told before anything is kept there. */
function assertModesCount(folder: string, holds: Holding): void {
  assertKept(folder, statSync(folder).mode, holds);
  assertFilesKeepModes(folder, holds);
}

/** Leaves nothing behind. */
function assertFilesKeepModes(folder: string, holds: Holding): void {
  const probe = reserveFile(join(folder, 'probe'), 0);
  try {
    assertKept(folder, probe.mode(), holds);
  } finally {
    probe.discard();
  }
}
