import { readFileSync, statSync } from 'node:fs';

import type { ParseError } from 'jsonc-parser';

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

export async function decodeText(text: string, file: ConfigurationFile): Promise<Configuration> {
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

export function readText({ path, required }: ConfigurationFile): string {
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
