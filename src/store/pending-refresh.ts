import { statSync } from 'node:fs';

import {
  overwriteFile,
  removeIfThere,
  reserveFile,
  writeFileAtomically,
  type ReservedFile,
} from '../atomic-file.js';
import { systemErrorCode } from '../errors.js';
import { readOwnFile, storeTrouble, type Ownership } from './own-file.js';
import type { Session } from './session.js';

/** An Entra ID token set has about 5 kB, and 20 kB happens; base64 and the summary come on top. */
export const roomForSession = 64 * 1024;

export interface PendingRefresh {
  /** When a refresh was begun of which nobody knows how it ended; undefined when there is none. */
  readonly interruptedAt: string | undefined;
  /**
   * Writes the session with a refresh token that has just come, before the answer that brought it is checked. Durable when this
   * returns; where the disk refuses now, the next call of these functions tries again.
   */
  readonly keep: (withRefreshToken: Session) => void;
  /** Durable when this returns. */
  readonly commit: (next: Session) => void;
  /** @param isAnswerLost the provider may have acted on the request */
  readonly abandon: (isAnswerLost: boolean) => void;
}

/** See SessionWriter. @param path of the session's file */
export function beginRefresh(
  path: string,
  seal: (session: Session) => string,
  now: Date,
  ownership: Ownership,
): PendingRefresh {
  const journal = `${path}.refreshing`;
  const interruptedAt = readOwnFile(journal, ownership)?.trim() || undefined;
  // One for the refresh token by itself, one for the whole session once it is checked.
  const places: ReservedFile[] = [];
  const discardPlaces = (): void => places.splice(0).forEach((place) => place.discard());
  // A session that has grown becomes larger by one more answer.
  const grown = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) + roomForSession / 2;
  const room = Math.max(roomForSession, grown);
  try {
    while (places.length < 2) places.push(writing(path, () => reserveFile(path, room)));
    writing(journal, () => writeFileAtomically(journal, `${now.toISOString()}\n`));
  } catch (error) {
    discardPlaces();
    throw error;
  }
  let unwritten: Session | undefined;
  const write = (next: Session): void => {
    writing(path, () => replace(path, seal(next), places.shift()));
    unwritten = undefined;
    removeIfThere(journal);
  };
  const ending = (work: () => void): void => {
    try {
      work();
    } finally {
      discardPlaces();
    }
  };
  return {
    interruptedAt,
    keep: (withRefreshToken) => {
      try {
        write(withRefreshToken);
      } catch {
        unwritten = withRefreshToken;
      }
    },
    commit: (next) => ending(() => write(next)),
    abandon: (isAnswerLost) =>
      ending(() => {
        if (unwritten !== undefined) write(unwritten);
        else if (!isAnswerLost) removeIfThere(journal);
      }),
  };
}

function replace(path: string, sealed: string, place: ReservedFile | undefined): void {
  try {
    (place ?? reserveFile(path, 0)).commit(sealed);
  } catch (error) {
    // The folder became read-only since; what lies in the file is worth nothing any more. A disk that reports an error is
    // another matter: what it has must not be touched.
    if (!isAboutTheFolder(error)) throw error;
    overwriteFile(path, sealed);
  }
}

function isAboutTheFolder(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(systemErrorCode(error) ?? '');
}

/** A failure of `write` as the person sees it. */
export function writing<T>(path: string, write: (path: string) => T): T {
  try {
    return write(path);
  } catch (error) {
    throw storeTrouble('write', path, error);
  }
}
