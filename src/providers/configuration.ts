import { mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import type { ParseError } from 'jsonc-parser';

import { reserveFile, writeFileAtomically } from '../atomic-file.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { decodeConfiguration, type Configuration } from './decode-configuration.js';

export type { Configuration };

export interface ConfigurationFile {
  readonly path: string;
  /** Named by the person: then it must exist. */
  readonly required: boolean;
}

const largestFile = 1024 * 1024;

export async function readConfiguration(file: ConfigurationFile): Promise<Configuration> {
  return decodeText(readText(file), file);
}

/** Sets, or with undefined removes, one value in place: comments and order stay as the person wrote them. */
export async function changeConfiguration(
  file: ConfigurationFile,
  path: readonly string[],
  value: unknown,
): Promise<void> {
  const { applyEdits, modify } = await import('jsonc-parser');
  const text = readText(file).trim() || '{}';
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: '\n' };
  const changed = applyEdits(text, modify(text, [...path], value, { formattingOptions }));
  await decodeText(changed, file);
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

async function decodeText(text: string, file: ConfigurationFile): Promise<Configuration> {
  if (text.trim() === '') return { providers: {} };
  return decodeConfiguration(await parse(text, file.path), file.path);
}

/** Plain JSON needs no parser of its own, which is what most calls find. */
async function parse(text: string, path: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {
    const jsonc = await import('jsonc-parser');
    const errors: ParseError[] = [];
    const value: unknown = jsonc.parse(text, errors, { allowTrailingComma: true });
    const first = errors[0];
    if (first === undefined) return value;
    const before = text.slice(0, first.offset).split('\n');
    const place = `${path}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
    throw new AuthError(
      'usage',
      `${place}: no valid JSON (${spelledOut(jsonc.printParseErrorCode(first.error))})`,
      {
        hint: 'mend that line; comments and trailing commas are allowed',
      },
    );
  }
}

/** `CloseBraceExpected` as a person would say it. */
function spelledOut(code: string): string {
  return code.replace(/(?<=.)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

function readText({ path, required }: ConfigurationFile): string {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > largestFile)
      throw new AuthError('usage', `${path} is no configuration file`);
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (error instanceof AuthError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' && !required) return '';
    throw new AuthError('usage', `cannot read the configuration ${path}: ${reason ?? 'unknown failure'}`, {
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
