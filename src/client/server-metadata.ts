import { createHash } from 'node:crypto';
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
  return readCache(issuer, surroundings) ?? (await fetchServerMetadata(issuer, surroundings));
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

function readCache(
  issuer: string,
  { folder, ownership, now }: ClientSurroundings,
): ServerMetadata | undefined {
  try {
    const text = readOwnFile(cachePath(folder, issuer), ownership);
    if (text === undefined) return undefined;
    const { fetchedAt, metadata }: CachedMetadata = JSON.parse(text);
    const age = now().getTime() - Date.parse(fetchedAt);
    return metadata.issuer === issuer && age >= 0 && age < longestUseMs ? metadata : undefined;
  } catch {
    // A cache that cannot be read costs one request, not the command.
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
