import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { systemErrorCode } from './errors.js';

/** A write that is complete on the disk but not yet visible. */
export interface PendingFile {
  readonly commit: () => void;
  readonly discard: () => void;
}

/**
 * Readers see the old file or the new one, whole, whatever happens in between: a kill, a full disk, a power cut.
 * An in-place write shows torn files and destroys the old one on a full disk.
 */
export function writeFileAtomically(path: string, content: string): void {
  prepareFile(path, content).commit();
}

export function prepareFile(path: string, content: string): PendingFile {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(9).toString('hex')}.tmp`);
  try {
    writeDurably(temporary, content);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
  return {
    commit() {
      try {
        renamePatiently(temporary, path);
      } catch (error) {
        removeIfThere(temporary);
        throw error;
      }
      syncFolder(dirname(path));
    },
    discard: () => removeIfThere(temporary),
  };
}

export function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Either it is gone, which is what was wanted, or the folder refuses, which the next write will report.
  }
}

function writeDurably(path: string, content: string): void {
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    const bytes = Buffer.from(content);
    for (let written = 0; written < bytes.length;) {
      written += writeSync(descriptor, bytes, written);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Windows refuses to rename over a file that another process has open at this moment: EPERM or EBUSY, for a while. */
function renamePatiently(from: string, to: string): void {
  const deadline = Date.now() + 2_000;
  for (;;) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      const busy = ['EPERM', 'EBUSY'].includes(systemErrorCode(error) ?? '');
      if (!busy || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** Without it the rename itself may be undone by a power cut. Windows cannot open a folder. */
function syncFolder(folder: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(folder, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
