import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';

import { AuthError, systemErrorCode } from '../errors.js';
import { faultOfDocument } from '../json-document.js';
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
    const value: unknown = JSON.parse(text);
    if (faultOfDocument(text) === undefined) return value;
  } catch {
    // Comments, or a mistake.
  }
  const { parseJsonc } = await import('./jsonc.js');
  return parseJsonc(text, path);
}

export function readText({ path, required }: ConfigurationFile): string {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > largestFile)
      throw new AuthError('usage', `${path} is no configuration file`);
    return decodeBytes(readFileSync(path), path);
  } catch (error) {
    if (error instanceof AuthError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' && !required) return '';
    throw new AuthError('usage', `cannot read the configuration ${path}: ${reason ?? 'unknown failure'}`, {
      cause: error,
    });
  }
}

export function decodeBytes(bytes: Buffer, path: string): string {
  if (!isUtf8(bytes)) throw new AuthError('usage', `${path} is not in UTF-8`);
  return bytes.toString().replace(/^\uFEFF/, '');
}
