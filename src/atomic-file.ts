import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { systemErrorCode } from './errors.js';
import { patiently } from './patiently.js';

/** Room on the disk for a file that is not visible yet. */
export interface ReservedFile {
  /** The file is there, whole and durable, when this returns. */
  readonly commit: (content: string) => void;
  readonly discard: () => void;
  /** As the file system has it, whatever was asked for. */
  readonly mode: () => number;
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
    mode: () => fstatSync(descriptor).mode,
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

/** Durable when this returns. @throws where there is something at that path */
export function writeNewFile(path: string, content: string): void {
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    writeDurably(descriptor, Buffer.from(content));
  } finally {
    closeSync(descriptor);
  }
}

export function removeIfThere(path: string): void {
  try {
    patiently(() => unlinkSync(path));
  } catch {
    // Either it is gone, which is what was wanted, or the folder refuses, which the next write will report.
  }
}

/** Renames to a path at which others may be reading. */
export function renamePatiently(from: string, to: string): void {
  patiently(() => renameSync(from, to));
}

function writeDurably(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, written);
  }
  ftruncateSync(descriptor, bytes.length);
  whereKnown(unknownForFiles, () => fsyncSync(descriptor));
}

/** Somebody may have tidied up while this process was frozen. */
function renameOrWriteAnew(temporary: string, path: string, content: string): void {
  try {
    patiently(() => renameSync(temporary, path));
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    writeFileAtomically(path, content);
  }
}

/** Without it the rename itself may be undone by a power cut. */
function syncFolder(folder: string): void {
  whereKnown(unknownForFolders, () => {
    const descriptor = openSync(folder, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** A file system that cannot do this at all says so in these ways. A disk that fails says EIO, ENOSPC or EDQUOT. */
const unknownForFiles: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
]);

/** Windows: EPERM at the sync. Others: EISDIR or EACCES at the opening, EBADF or EINVAL at the sync. */
const unknownForFolders: ReadonlySet<string | undefined> = new Set([
  ...unknownForFiles,
  'EPERM',
  'EACCES',
  'EISDIR',
  'EBADF',
]);

/** The file is written and in its place by then: a save must not fail because the system cannot promise more. */
function whereKnown(unknown: ReadonlySet<string | undefined>, sync: () => void): void {
  try {
    sync();
  } catch (error) {
    if (!unknown.has(systemErrorCode(error))) throw error;
  }
}
