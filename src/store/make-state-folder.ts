import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeFolder } from '../own-folder.js';
import { isOpenToOthers, storeTrouble, type Ownership } from './own-file.js';
import { checkFolder, foundMarker, holdsOwn, parts, type Part, type StateFolder } from './state-folder.js';

/** Makes one of the folders that the state folder has, and the state folder itself, or takes what is there. */
export function makeStateFolder({ folder, ownership }: StateFolder, part: Part): void {
  const path = join(folder, part);
  try {
    for (const one of [folder, path]) {
      if (makeFolder(one, ownership.uid, 'sessions')) continue;
      checkFolder(one, ownership);
      markIfFound(one, ownership);
    }
  } catch (error) {
    throw storeTrouble('create', path, error);
  }
}

/** Later, with files of ours in it, it would look like one that we made. */
function markIfFound(folder: string, ownership: Ownership): void {
  if (ownership.uid === undefined) return;
  // Another process may just be trying the folder.
  const names = readdirSync(folder).filter((name) => !name.endsWith('.tmp'));
  const isPrivate = !isOpenToOthers(lstatSync(folder), ownership);
  // Such as is left of a first sign-in that was stopped at once.
  if (isPrivate && names.every((name) => parts.includes(name))) return;
  if (names.includes(foundMarker) || holdsOwn(folder, names, ownership)) return;
  writeFileSync(
    join(folder, foundMarker),
    'This folder was there before authcli used it, so authcli leaves its mode as it is.\n',
    {
      mode: 0o600,
    },
  );
}
