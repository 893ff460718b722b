import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, linkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { removeIfThere, writeNewFile } from '../atomic-file.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { readOwnFile, storeTrouble, type Ownership } from './own-file.js';
import { lockSecretName } from './state-folder.js';

const pattern = /^[0-9a-f]{32}\n$/;
const copyTakesMs = 1_000;
const betweenLooksMs = 50;

/** The random part of the names of a folder's locks. It is made once: with two of them, two processes would hold one lock. */
export async function readLockSecret(folder: string, ownership: Ownership): Promise<string> {
  const path = join(folder, lockSecretName);
  for (let waitedMs = 0; waitedMs <= copyTakesMs; waitedMs += betweenLooksMs) {
    const text = readOwnFile(path, ownership);
    if (text === undefined) make(path);
    else if (pattern.test(text)) return text.trim();
    // Another process may be copying it at this moment.
    else await pause(betweenLooksMs);
  }
  throw new AuthError('store', `${path} is damaged`, {
    remedy: { kind: 'advice', text: `remove it while no authcli is running: ${path}` },
  });
}

function make(path: string): void {
  const temporary = `${path}.${randomBytes(9).toString('hex')}.tmp`;
  try {
    writeNewFile(temporary, `${randomBytes(16).toString('hex')}\n`);
    placeOnce(temporary, path);
  } catch (error) {
    throw storeTrouble('write', path, error);
  } finally {
    removeIfThere(temporary);
  }
}

/** A link appears whole and replaces nothing. Some file systems know no links; there a reader may see half of a copy for a moment. */
function placeOnce(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return;
    copyOnce(temporary, path);
  }
}

function copyOnce(temporary: string, path: string): void {
  try {
    copyFileSync(temporary, path, constants.COPYFILE_EXCL);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}
