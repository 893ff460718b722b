import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { AuthError } from '../errors.js';
import { lockWaitMs } from '../time-budgets.js';
import { FileLock } from './file-lock.js';
import type { KeySurroundings } from './key-source.js';
import { NamedLock } from './named-lock.js';

const pauseMs = 25;
/** A holder may be stopped after it has done what the others wait for. */
const longestSleepMs = 1_000;
const patientMs = 2_000;

/** How this system keeps two processes apart. */
export interface Locking {
  readonly platform: NodeJS.Platform;
  /** Told to a person who has not asked for quiet; the same text is shown once. */
  readonly notice: (text: string) => void;
}

type LockSurroundings = Pick<KeySurroundings, 'folder' | 'ownership' | 'locking'>;

export interface Lock {
  /** Takes the lock, unless somebody else has it. */
  tryAcquire(): Promise<boolean>;
  /** Waits until another try is worth it. */
  waitForRelease(signal: AbortSignal): Promise<void>;
  /** Gives back whatever was taken. */
  release(): void;
}

/** The outcome of one try. A part that does not work here is `unavailable`: the other one then has to do. */
export type Attempt =
  | { readonly kind: 'acquired' | 'held' }
  | { readonly kind: 'unavailable'; readonly trouble: AuthError };

/**
 * Runs `work` while no other process does so under the same path. The kernel holds the lock, so it is free the instant its holder
 * dies; the file stays, because removing it would let two holders in.
 * @param surroundings `folder` keeps the random part of the lock's name
 * @param settled is asked between two tries: its answer ends the wait, and the lock is not needed any more
 */
export async function withLock<T>(
  path: string,
  surroundings: LockSurroundings & Pick<KeySurroundings, 'signal' | 'waiting'>,
  work: () => Promise<T>,
  settled?: () => Promise<T | undefined>,
): Promise<T> {
  const { signal, waiting } = surroundings;
  const lock = await openLock(path, surroundings);
  try {
    signal.throwIfAborted();
    const begun = Date.now();
    let isTold = false;
    while (!(await lock.tryAcquire())) {
      if (!isTold && Date.now() - begun > patientMs) {
        isTold = true;
        waiting(
          `Waiting for another authcli that is working on this session (${lockWaitMs / 1000} s at most).`,
        );
      }
      if (Date.now() - begun > lockWaitMs) throw stillHeld();
      await lock.waitForRelease(signal);
      signal.throwIfAborted();
      const answer = await settled?.();
      if (answer !== undefined) return answer;
    }
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Opens the lock file without acquiring the lock. Every build takes the same two locks in the same order: first the name, then the
 * file. One of them is enough; builds that have both are kept apart from builds that have one.
 */
export async function openLock(
  path: string,
  { folder, ownership, locking }: LockSurroundings,
): Promise<Lock> {
  const file = new FileLock(path);
  const name = await NamedLock.open(folder, basename(path), locking.platform, ownership).catch(
    (error: unknown) => {
      file.release();
      throw error;
    },
  );
  let named: Attempt;
  return {
    async tryAcquire() {
      named = await name.tryAcquire();
      if (named.kind === 'held') return false;
      const filed = await file.tryAcquire();
      if (filed.kind !== 'unavailable') return filed.kind === 'acquired';
      if (named.kind === 'unavailable') throw filed.trouble;
      const elsewhere = 'an authcli in another container or on another machine that shares the folder';
      const advice = 'AUTHCLI_STATE_DIR names another folder';
      locking.notice(`${filed.trouble.message}: ${elsewhere} is not waited for (${advice})`);
      return true;
    },
    async waitForRelease(signal) {
      if (named.kind === 'held') await name.waitForRelease(longestSleepMs, signal);
      // Those who wake up together do not all try at once.
      await pause(pauseMs * Math.random(), undefined, { signal }).catch(() => {});
    },
    release() {
      file.release();
      name.release();
    },
  };
}

function stillHeld(): AuthError {
  return new AuthError(
    'timeout',
    `another authcli has been working on this session for ${lockWaitMs / 1000} seconds`,
    {
      remedy: { kind: 'advice', text: 'run the same command again, or look for a stuck authcli process' },
    },
  );
}
