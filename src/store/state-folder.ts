import { chmodSync, lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';

import { AuthError } from '../errors.js';
import { shownMode } from '../kept-mode.js';
import {
  assertOwned,
  isOpenToOthers,
  narrowOwnFile,
  narrowVerified,
  storeTrouble,
  type Ownership,
} from './own-file.js';

/** Where sessions, keys and caches lie. */
export interface StateFolder {
  readonly folder: string;
  readonly ownership: Ownership;
}

/** The file with the random part of the names of locks. A folder of configurations has one, too, so it does not make the folder a state folder. */
export const lockSecretName = '.authcli-lock-name';

export type Part = 'sessions' | 'metadata';

export const parts: readonly string[] = ['sessions', 'metadata'] satisfies Part[];

/** Lies in a folder that was there before us: authcli puts its files into it, and never changes the folder. */
export const foundMarker = 'folder-not-made-by-authcli';

/** The names of what we write: keys, locks and the description of the store; sessions and all that goes with one; metadata. */
const ownName =
  /^(?:store\.(?:json|key|lock)\b.*|\.authcli-lock-name|[^@]+@(?:[\da-f]{16}\.(?:session|current)|current|login)\b.*|[\da-f]{16}\.json)$/;

/** Narrows the folders and files that we made. Nothing happens where there is no such folder. */
export function assertStateFolder({ folder, ownership }: StateFolder): void {
  if (ownership.uid === undefined) return;
  for (const path of [folder, join(folder, 'sessions')]) {
    try {
      checkFolder(path, ownership);
    } catch (error) {
      throw storeTrouble('read', path, error);
    }
  }
  narrowOwnFiles(folder, ['store.json', 'store.key', 'store.lock'], ownership);
  narrowOwnFile(join(folder, lockSecretName), ownership);
}

/** @param names of what lies in the folder */
export function narrowOwnFiles(folder: string, names: readonly string[], ownership: Ownership): void {
  if (ownership.uid === undefined) return;
  for (const name of names) if (ownName.test(name)) narrowOwnFile(join(folder, name), ownership);
}

export function checkFolder(path: string, ownership: Ownership): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    throw new AuthError('store', `${path} is not a folder`, { hint: `move it away: ${path}` });
  }
  // An administrator may have made it for everybody.
  if (stats.uid !== 0) assertOwned(path, stats, ownership);
  if (!isOpenToOthers(stats, ownership)) return;
  if (isNarrowable(path, stats, ownership)) {
    narrowVerified(
      path,
      () => chmodSync(path, 0o700),
      () => lstatSync(path),
    );
    ownership.warn(`${path} was open to others: narrowed to 0700`);
  } else if ((stats.mode & 0o1022) !== 0) {
    throw shared(path, stats);
  }
}

/** We made it, as far as can be told: nobody shares a folder of ours by making it sticky, and ours has a file of ours in it. */
function isNarrowable(path: string, { uid, mode }: Stats, ownership: Ownership): boolean {
  if (uid !== ownership.uid || (mode & 0o1000) !== 0) return false;
  const names = readdirSync(path);
  return !names.includes(foundMarker) && holdsOwn(path, names, ownership);
}

export function holdsOwn(folder: string, names: readonly string[], { uid }: Ownership): boolean {
  const isOwn = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.uid === uid;
  return names.some((name) => {
    const path = join(folder, name);
    if (!parts.includes(name)) return ownName.test(name) && isOwn(path);
    return (
      isOwn(path) && lstatSync(path).isDirectory() && readdirSync(path).some((inner) => ownName.test(inner))
    );
  });
}

function shared(path: string, { mode }: Stats): AuthError {
  return new AuthError(
    'store',
    `${path} is shared with others (mode ${shownMode(mode)}): no session is kept there`,
    { remedy: { kind: 'move_folder', holds: 'sessions', because: 'shared', example: join(path, 'authcli') } },
  );
}
