import { sep } from 'node:path';

import { systemErrorCode } from './errors.js';

const isWindows = sep === '\\';
/** Virus scanners and search indexes have been seen to hold a file for some seconds. */
const longestHoldMs = 7_500;
const busyOnWindows: ReadonlySet<string | undefined> = new Set(['EPERM', 'EACCES', 'EBUSY']);

/**
 * Windows refuses to replace, remove or open a file that another process has open in its own way, and only for as long as it does. The
 * work is done in one go, so that a Ctrl-C takes effect after it: on Windows a save can take that long.
 */
export function patiently<T>(work: () => T): T {
  const deadline = Date.now() + longestHoldMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      const isHeld = isWindows && busyOnWindows.has(systemErrorCode(error));
      if (!isHeld || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
