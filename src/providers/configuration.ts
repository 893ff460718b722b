import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';

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

async function parse(text: string, path: string): Promise<unknown> {
  const plain = parsePlainly(text);
  if (plain !== undefined) return plain;
  const { parseJsonc } = await import('./jsonc.js');
  return parseJsonc(text, path);
}

/**
 * Plain JSON needs no parser of its own, which is what most calls find. Undefined where it is something else, or an object
 * holds a name twice: the last one would count in silence.
 */
function parsePlainly(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const names = Array.from(text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g), ([, colon]) => colon).filter(
      Boolean,
    );
    return names.length === countNames(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, inner) => sum + countNames(inner), own);
}

export function readText({ path, required }: ConfigurationFile): string {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > largestFile)
      throw new AuthError('usage', `${path} is no configuration file`);
    const bytes = readFileSync(path);
    if (!isUtf8(bytes)) throw new AuthError('usage', `${path} is not in UTF-8`);
    return bytes.toString().replace(/^\uFEFF/, '');
  } catch (error) {
    if (error instanceof AuthError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' && !required) return '';
    throw new AuthError('usage', `cannot read the configuration ${path}: ${reason ?? 'unknown failure'}`, {
      cause: error,
    });
  }
}
