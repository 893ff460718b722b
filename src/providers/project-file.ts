import { hash } from 'node:crypto';
import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { sep } from 'node:path';

import { AuthError, systemErrorCode } from '../errors.js';
import { isObject } from '../json-document.js';
import { decodeBytes, isOwn, parse, readOpened } from './configuration.js';
import { decodeProjectEntry, mistake, remedyToAdd } from './project-entry.js';
import type { Remedy } from '../remedy.js';
import { isProviderName, type ProviderEntry } from './provider.js';

const largestFile = 256 * 1024;

/** A `.authcli.json` that comes with a project, which somebody else may have written. */
export interface ProjectFile {
  /** Its real path, which its sessions belong to. */
  readonly path: string;
  readonly defaultProvider?: string;
  readonly providers: Readonly<Record<string, ProjectProvider>>;
  /** Nothing of the file is taken then. */
  readonly fault?: AuthError;
}

/** One provider of it. */
export type ProjectProvider =
  | {
      readonly kind: 'entry';
      readonly entry: ProviderEntry;
      readonly digest: string;
      /** How a person adds the same provider. */
      readonly makeOwn: Remedy;
    }
  /** It says more than a project may, or is malformed: who uses it is told so. */
  | { readonly kind: 'refused'; readonly fault: AuthError };

export interface Reader {
  /** Undefined on Windows. */
  readonly uid: number | undefined;
  /** On Windows: the folder of the person, outside of which others may write. */
  readonly profile: string | undefined;
  readonly warn: (message: string) => void;
}

/** Undefined where the file counts for nothing: it is not there, or somebody else may have put it there. */
export async function readProjectFile(path: string, reader: Reader): Promise<ProjectFile | undefined> {
  try {
    const text = readTrusted(path, reader);
    return text === undefined ? undefined : await decode(realpathSync(path), text);
  } catch (error) {
    if (error instanceof AuthError) return { path, providers: {}, fault: error };
    // Most folders have none, and some cannot be looked into.
    const code = systemErrorCode(error) ?? 'unknown failure';
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(code)) return undefined;
    return { path, providers: {}, fault: new AuthError('usage', `cannot read ${path}: ${code}`) };
  }
}

/** A link of another user could make a file of ours, which we once cloned, the project of a folder that he can write. */
function readTrusted(path: string, reader: Reader): string | undefined {
  return readOpened(path, (stats, read) => {
    const distrust = distrustOf(path, stats, reader);
    if (distrust === undefined) return decodeBytes(read(largestFile), path);
    reader.warn(`${path} is not used: ${distrust}`);
    return undefined;
  });
}

/** Why the file is not used; undefined where it is. */
function distrustOf(path: string, stats: Stats, { uid, profile }: Reader): string | undefined {
  if (uid === undefined) {
    return isBelow(profile, path) ? undefined : 'it lies outside of your own folder, where others may write';
  }
  if (!isOwn(stats, uid) || !isOwn(lstatSync(path), uid)) return 'it belongs to another user';
  return (stats.mode & 0o002) === 0 ? undefined : 'everybody can write it';
}

/** Names of Windows differ in case and are the same. */
function isBelow(folder: string | undefined, path: string): boolean {
  if (!folder) return false;
  const within = `${realpathSync(folder)}${sep}`.toLowerCase();
  return realpathSync(path).toLowerCase().startsWith(within);
}

async function decode(path: string, text: string): Promise<ProjectFile> {
  const at = (place: string, expected: string): never => {
    throw mistake(path, place, expected);
  };
  const content = text.trim() === '' ? {} : await parse(text, path);
  if (!isObject(content)) return at('the file', 'an object');
  const { $schema: _, defaultProvider, providers = {}, ...strangers } = content;
  const [stranger] = Object.keys(strangers);
  if (stranger !== undefined) at(stranger, 'absent: a project names $schema, defaultProvider and providers');
  const isName = typeof defaultProvider === 'string' && isProviderName(defaultProvider);
  if (defaultProvider !== undefined && !isName) return at('defaultProvider', 'the name of a provider');
  if (!isObject(providers)) return at('providers', 'an object');
  const decoded: Record<string, ProjectProvider> = {};
  for (const [name, entry] of Object.entries(providers)) {
    if (!isProviderName(name)) at(`providers.${name}`, 'named with a-z 0-9 . _ : - only');
    decoded[name] = await decodeProvider(name, entry, path);
  }
  return { path, providers: decoded, ...(isName && { defaultProvider }) };
}

async function decodeProvider(name: string, value: unknown, path: string): Promise<ProjectProvider> {
  try {
    const { written, entry } = await decodeProjectEntry(name, value, path);
    const digest = hash('sha256', JSON.stringify([name, written]));
    return { kind: 'entry', entry, digest, makeOwn: remedyToAdd(name, written) };
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return { kind: 'refused', fault: error };
  }
}
