import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { systemErrorCode } from './errors.js';

/** Room on the disk for a file that is not visible yet. */
export interface ReservedFile {
  /** The file is there, whole and durable, when this returns. */
  readonly commit: (content: string) => void;
  readonly discard: () => void;
}

/**
 * Readers see the old file or the new one, whole, whatever happens in between: a kill, a full disk, a power cut.
 * An in-place write shows torn files and destroys the old one on a full disk.
 */
export function writeFileAtomically(path: string, content: string): void {
  reserveFile(path, 0).commit(content);
}

/** Proves that `size` bytes can be written, and keeps them: a disk that becomes full afterwards cannot stop the commit. */
export function reserveFile(path: string, size: number): ReservedFile {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(9).toString('hex')}.tmp`);
  const descriptor = openSync(temporary, 'wx', 0o600);
  const discard = (): void => {
    closeSync(descriptor);
    removeIfThere(temporary);
  };
  const orDiscard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      discard();
      throw error;
    }
  };
  orDiscard(() => writeDurably(descriptor, Buffer.alloc(size)));
  return {
    commit(content) {
      orDiscard(() => {
        writeDurably(descriptor, Buffer.from(content));
        renameOrWriteAnew(temporary, path, content);
      });
      closeSync(descriptor);
      syncFolder(dirname(path));
    },
    discard,
  };
}

/** For what must not be lost where the folder takes no new file any more: a reader may see it torn for a moment. */
export function overwriteFile(path: string, content: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    writeDurably(descriptor, Buffer.from(content));
  } finally {
    closeSync(descriptor);
  }
}

export function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Either it is gone, which is what was wanted, or the folder refuses, which the next write will report.
  }
}

function writeDurably(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, written);
  }
  ftruncateSync(descriptor, bytes.length);
  fsyncSync(descriptor);
}

/** Somebody may have tidied up while this process was frozen. */
function renameOrWriteAnew(temporary: string, path: string, content: string): void {
  try {
    renamePatiently(temporary, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    writeFileAtomically(path, content);
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
