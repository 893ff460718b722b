import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { writeFileAtomically } from '../atomic-file.js';
import type { ServerMetadata } from '../oauth/discovery.js';
import type { Provider } from '../providers/provider.js';
import { makeOwnFolder, readOwnFile } from '../store/own-file.js';
import type { ClientSurroundings } from './surroundings.js';

interface CachedMetadata {
  readonly fetchedAt: string;
  readonly metadata: ServerMetadata;
}

const longestUseMs = 24 * 60 * 60 * 1000;

/**
 * What the provider publishes, with what its entry sets. Fetched and verified now where it `isFresh`, else at most a day ago,
 * which spares a refresh one request.
 */
export async function serverMetadata(
  provider: Provider,
  surroundings: ClientSurroundings,
  { isFresh }: { readonly isFresh: boolean },
): Promise<ServerMetadata> {
  const { discover, withSettings } = await import('../oauth/discovery.js');
  const { issuer, metadata: { from, set = {} } = {} } = provider;
  if (from === 'none') return withSettings({ issuer }, set);
  const path = cachePath(surroundings.folder, from ?? issuer);
  const cached = isFresh ? undefined : readCache(path, issuer, surroundings);
  const published = cached ?? (await discover(issuer, surroundings, from));
  if (cached === undefined) writeCache(path, published, surroundings);
  return withSettings(published, set);
}

function readCache(
  path: string,
  issuer: string,
  { ownership, now }: ClientSurroundings,
): ServerMetadata | undefined {
  try {
    const text = readOwnFile(path, ownership);
    if (text === undefined) return undefined;
    const { fetchedAt, metadata }: CachedMetadata = JSON.parse(text);
    const age = now().getTime() - Date.parse(fetchedAt);
    return metadata.issuer === issuer && age >= 0 && age < longestUseMs ? metadata : undefined;
  } catch {
    // A cache that cannot be read costs one request, not the command.
    return undefined;
  }
}

function writeCache(
  path: string,
  metadata: ServerMetadata,
  { folder, ownership, now }: ClientSurroundings,
): void {
  const cached: CachedMetadata = { fetchedAt: now().toISOString(), metadata };
  try {
    makeOwnFolder(join(folder, 'metadata'), ownership);
    writeFileAtomically(path, `${JSON.stringify(cached)}\n`);
  } catch {
    // Nor does one that cannot be written.
  }
}

function cachePath(folder: string, address: string): string {
  return join(folder, 'metadata', `${createHash('sha256').update(address).digest('hex').slice(0, 16)}.json`);
}
