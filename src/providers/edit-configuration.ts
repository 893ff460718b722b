import { mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';

import { reserveFile, writeFileAtomically } from '../atomic-file.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { decodeText, readText, type ConfigurationFile } from './configuration.js';

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
  writing(file, (target) => reserveFile(target, 0).discard());
}

function writing({ path }: ConfigurationFile, write: (target: string) => void): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    write(behindLinks(path));
  } catch (error) {
    throw new AuthError('store', `cannot write ${path}: ${systemErrorCode(error) ?? 'unknown failure'}`, {
      hint: 'check the mode and the owner of that folder, or set AUTHCLI_CONFIG_DIR',
      cause: error,
    });
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
