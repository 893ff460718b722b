import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { writeFileAtomically } from '../atomic-file.js';
import type { ServerMetadata } from '../oauth/discovery.js';
import { makeOwnFolder, readOwnFile } from '../store/own-file.js';
import type { ClientSurroundings } from './surroundings.js';

interface CachedMetadata {
  readonly fetchedAt: string;
  readonly metadata: ServerMetadata;
}

const longestUseMs = 24 * 60 * 60 * 1000;

/** The issuer's metadata: verified within the last day, which spares a refresh one request, or fetched and verified now. */
export async function serverMetadata(
  issuer: string,
  surroundings: ClientSurroundings,
): Promise<ServerMetadata> {
  return (await readCache(issuer, surroundings)) ?? fetchServerMetadata(issuer, surroundings);
}

export async function fetchServerMetadata(
  issuer: string,
  surroundings: ClientSurroundings,
): Promise<ServerMetadata> {
  const { discover } = await import('../oauth/discovery.js');
  const metadata = await discover(issuer, surroundings);
  writeCache(metadata, surroundings);
  return metadata;
}

/** After an answer that failed a check: a provider that has moved an endpoint must not wait a day to be found again. */
export function forgetServerMetadata(issuer: string, { folder }: ClientSurroundings): void {
  try {
    rmSync(cachePath(folder, issuer), { force: true });
  } catch {
    // Then it is asked for again after a day.
  }
}

async function readCache(
  issuer: string,
  { folder, ownership, now }: ClientSurroundings,
): Promise<ServerMetadata | undefined> {
  const { assertMetadata } = await import('../oauth/discovery.js');
  try {
    const text = readOwnFile(cachePath(folder, issuer), ownership);
    if (text === undefined) return undefined;
    const { fetchedAt, metadata }: CachedMetadata = JSON.parse(text);
    const age = now().getTime() - Date.parse(fetchedAt);
    if (!(age >= 0 && age < longestUseMs)) return undefined;
    assertMetadata(metadata, issuer);
    return metadata;
  } catch {
    // A cache that cannot be read, or that nobody should rely on, costs one request, not the command.
    return undefined;
  }
}

function writeCache(metadata: ServerMetadata, { folder, ownership, now }: ClientSurroundings): void {
  const cached: CachedMetadata = { fetchedAt: now().toISOString(), metadata };
  try {
    makeOwnFolder(join(folder, 'metadata'), ownership);
    writeFileAtomically(cachePath(folder, metadata.issuer), `${JSON.stringify(cached)}\n`);
  } catch {
    // Nor does one that cannot be written.
  }
}

function cachePath(folder: string, issuer: string): string {
  return join(folder, 'metadata', `${createHash('sha256').update(issuer).digest('hex').slice(0, 16)}.json`);
}
