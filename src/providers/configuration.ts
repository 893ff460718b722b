import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statfsSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';

import { AuthError, systemErrorCode } from '../errors.js';
import { fileTrouble } from '../file-trouble.js';
import { faultOfDocument } from '../json-document.js';
import { shellWord } from '../remote-text.js';
import { decodeConfiguration, type Configuration } from './decode-configuration.js';

export type { Configuration };

export interface ConfigurationFile {
  readonly path: string;
  /** Named by the person: then it must exist. */
  readonly required: boolean;
  /** Ours; undefined on Windows, where access lists do the work of owner and mode. */
  readonly uid: number | undefined;
}

const largestFile = 1024 * 1024;

export async function readConfiguration(file: ConfigurationFile): Promise<Configuration> {
  return decodeText(readText(file), file.path);
}

export async function decodeText(text: string, path: string): Promise<Configuration> {
  if (text.trim() === '') return { providers: {} };
  return decodeConfiguration(await parse(text, path), path);
}

/** Plain JSON needs no parser of its own, which is what most calls find. */
export async function parse(text: string, path: string): Promise<unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (faultOfDocument(text) === undefined) return value;
  } catch {
    // Comments, or a mistake.
  }
  const { parseJsonc } = await import('./jsonc.js');
  return parseJsonc(text, path);
}

export function readText({ path, required, uid }: ConfigurationFile): string {
  try {
    return readOpened(path, (stats, read) => {
      const bytes = read(largestFile);
      assertOwn(path, stats, uid);
      if (!required) assertTrustedFolders(path, realpathSync(path), uid);
      return decodeBytes(bytes, path);
    });
  } catch (error) {
    if (error instanceof AuthError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' && !required) return '';
    if (reason === 'ENOENT') throw nothingThere(path);
    const { message, remedy } = fileTrouble('read', path, error, 'configuration');
    throw new AuthError('usage', message, { remedy, cause: error });
  }
}

function nothingThere(path: string): AuthError {
  return new AuthError('usage', `there is no configuration ${JSON.stringify(path)}`, {
    remedy: { kind: 'advice', text: 'check the path that names it' },
  });
}

/**
 * Whoever can write there can put another configuration in the place of ours: where its path is, and where the link that it may
 * be leads.
 */
export function assertTrustedFolders(path: string, target: string, uid: number | undefined): void {
  for (const folder of new Set([dirname(path), dirname(target)])) assertOwn(folder, statSync(folder), uid);
}

/** What is looked at is what is read, whatever stands at that path by then. */
export function readOpened<T>(path: string, use: (stats: Stats, read: (largest: number) => Buffer) => T): T {
  // A pipe without a writer does not hang the open. Windows does not know the flag.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = fstatSync(descriptor);
    return use(stats, (largest) => {
      if (stats.isFile() && stats.size <= largest) return readFileSync(descriptor);
      throw new AuthError('usage', `${path} is not a configuration file`);
    });
  } finally {
    closeSync(descriptor);
  }
}

/** It says where to sign in and what commands to run: whoever can write it, or put another in its place, acts as the person. */
function assertOwn(path: string, stats: Stats, uid: number | undefined): void {
  if (uid === undefined) return;
  if (!isOwn(stats, uid)) {
    throw new AuthError('usage', `${path} belongs to another user (uid ${stats.uid}, we are ${uid})`, {
      hint: 'run authcli as that user, or use a configuration of your own',
    });
  }
  // In a sticky folder everybody has files of their own.
  const isSticky = stats.isDirectory() && (stats.mode & 0o1000) !== 0;
  if (isSticky || (stats.mode & 0o022) === 0) return;
  throw new AuthError('usage', `${path} can be written by others`, {
    hint: `see that it says what you want, then: chmod go-w ${shellWord(path)}${orElsewhere(path)}`,
  });
}

/** The numbers by which Linux knows the file systems that take a mode and do not keep it: FAT, NTFS, SMB, Plan 9 (WSL), FUSE. */
const withoutModes: ReadonlySet<number> = new Set([
  0x4d44, 0x2011bab0, 0x5346544e, 0x7366746e, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x65735546,
  0x786f4256,
]);

/** Where the chmod that we advise may have no effect. */
function orElsewhere(path: string): string {
  try {
    const isDoubtful = withoutModes.has(statfsSync(path).type);
    return isDoubtful ? '; if that has no effect, keep it on another file system (AUTHCLI_CONFIG_DIR)' : '';
  } catch {
    return '';
  }
}

/** An administrator may write for everybody. */
export function isOwn(stats: Stats, uid: number | undefined): boolean {
  return uid === undefined || stats.uid === uid || stats.uid === 0;
}

export function decodeBytes(bytes: Buffer, path: string): string {
  if (!isUtf8(bytes)) throw new AuthError('usage', `${path} is not in UTF-8`);
  return bytes.toString().replace(/^\uFEFF/, '');
}
