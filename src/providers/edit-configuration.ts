import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';

import { reserveFile, writeFileAtomically } from '../atomic-file.js';
import { fileTrouble } from '../file-trouble.js';
import { assertKept } from '../kept-mode.js';
import { assertNoneOfAnother, makeFolder } from '../own-folder.js';
import { assertTrustedFolders, decodeText, readText, type ConfigurationFile } from './configuration.js';

/** Loads what a change needs, for a command that must not fail when the program is replaced while it waits. */
export async function loadEditor(): Promise<void> {
  await Promise.all([import('jsonc-parser'), import('./jsonc.js'), import('./entry-schema.js')]);
}

/** Sets, or with undefined removes, one value in place: comments and order stay as the person wrote them. */
export async function editConfiguration(
  file: ConfigurationFile,
  path: readonly string[],
  value: unknown,
): Promise<void> {
  const { applyEdits, modify } = await import('jsonc-parser');
  const text = readText(file).trim() || '{}';
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: '\n' };
  const changed = applyEdits(text, modify(text, [...path], value, { formattingOptions }));
  await decodeText(changed, file.path);
  writing(file, (target) => writeFileAtomically(target, `${changed.trimEnd()}\n`));
}

/** Before anything is done that would have to be undone if the configuration could not be written. */
export function assertChangeable(file: ConfigurationFile): void {
  writing(file, (target) => {
    const reserved = reserveFile(target, 0);
    try {
      // Written, it would be refused by the next command.
      if (file.uid !== undefined) assertKept(dirname(target), reserved.mode(), 'configuration');
    } finally {
      reserved.discard();
    }
  });
}

/** Nothing is made in a folder of another user, nor where the next command would refuse to read it. */
function writing(file: ConfigurationFile, write: (target: string) => void): void {
  const { path, required, uid } = file;
  const folder = dirname(path);
  try {
    if (!makeFolder(folder, uid, 'configuration')) assertNoneOfAnother(folder, uid, 'configuration');
    const target = behindLinks(path);
    assertNoneOfAnother(dirname(target), uid, 'configuration');
    if (!required) assertTrustedFolders(path, target, uid);
    write(target);
  } catch (error) {
    throw fileTrouble('write', path, error, 'configuration');
  }
}

/** People keep their configuration as a link into a folder of dotfiles: the rename must hit its target. */
function behindLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
