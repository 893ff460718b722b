import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { removeIfThere } from '../atomic-file.js';
import type { KeySurroundings } from './key-source.js';
import { openLock } from './lock.js';

const orphanedAfterMs = 10 * 60_000;

type SweepSurroundings = Pick<KeySurroundings, 'folder' | 'ownership' | 'locking'>;

/**
 * Removes the temporary files that a killed process left half-written. Age proves nothing by itself: a process may be frozen, or the
 * clock may have jumped. Room that is kept for the answer to a refresh is removed only while we hold the lock of that session.
 * @param heldSession the file name of the session that the caller has locked
 */
export async function sweep(
  sessions: string,
  heldSession: string,
  now: Date,
  surroundings: SweepSurroundings,
): Promise<void> {
  for (const name of readdirSync(sessions)) {
    if (!name.endsWith('.tmp')) continue;
    const path = join(sessions, name);
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (now.getTime() - modified <= orphanedAfterMs) continue;
    const session = /^\.(.+\.session)\./.exec(name)?.[1];
    if (session === undefined || session === heldSession) removeIfThere(path);
    else await removeUnderLock(path, join(sessions, `${session}.lock`), surroundings);
  }
}

/** Nothing happens where somebody else holds the lock. */
async function removeUnderLock(
  path: string,
  lockPath: string,
  surroundings: SweepSurroundings,
): Promise<void> {
  const lock = await openLock(lockPath, surroundings);
  try {
    if (await lock.tryAcquire()) removeIfThere(path);
  } finally {
    lock.release();
  }
}
