import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { AuthError } from '../errors.js';
import { writeFileAtomically } from '../atomic-file.js';
import { readOwnFile, storeTrouble, type Ownership } from './own-file.js';
import { setAside } from './set-aside.js';
import { isKeyReference, type KeyReference } from './session-record.js';

export interface StoreFolder {
  readonly folder: string;
  readonly ownership: Ownership;
}

/** What the state folder says of itself. */
export interface StoreDescription {
  /** The account of the keychain item: two state folders never share a key. */
  readonly id: string;
  /** The kind of key of `--store file`, chosen with its first session. */
  readonly file?: KeyReference;
}

export function readDescription({ folder, ownership }: StoreFolder): StoreDescription | undefined {
  const path = descriptionPath(folder);
  const text = readOwnFile(path, ownership);
  if (text === undefined) return undefined;
  try {
    const description: Partial<StoreDescription> | null = JSON.parse(text);
    if (typeof description?.id === 'string' && /^[0-9a-f]{32}$/.test(description.id)) {
      if (description.file === undefined) return { id: description.id };
      if (isKeyReference(description.file)) return { id: description.id, file: description.file };
    }
  } catch {
    // Reported below, with the file's name.
  }
  throw new AuthError('store', `${path} is damaged`, {
    hint: 'restore it from a backup, or move it away and sign in again',
  });
}

/** Call under the store's lock. */
export function describeStore(where: StoreFolder, change: Partial<StoreDescription>): StoreDescription {
  const known = readDescription(where);
  const description = { ...(known ?? { id: randomBytes(16).toString('hex') }), ...change };
  const path = descriptionPath(where.folder);
  try {
    writeFileAtomically(path, JSON.stringify(description) + '\n');
  } catch (error) {
    throw storeTrouble('write', path, error);
  }
  return description;
}

/** For a sign-in: sessions name their keys themselves, so all that is lost with it can be found again. */
export function setAsideDamagedDescription(where: StoreFolder): void {
  const path = descriptionPath(where.folder);
  try {
    readDescription(where);
  } catch {
    where.ownership.warn(`a damaged file was set aside: ${setAside(path)}`);
  }
}

function descriptionPath(folder: string): string {
  return join(folder, 'store.json');
}
