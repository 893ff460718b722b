import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { writeFileAtomically } from '../atomic-file.js';
import type { ServerMetadata } from '../oauth/discovery.js';
import type { Provider } from '../providers/provider.js';
import { readOwnFile } from '../store/own-file.js';
import { makeStateFolder } from '../store/make-state-folder.js';
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
  provider: Pick<Provider, 'issuer' | 'metadata'>,
  surroundings: ClientSurroundings,
  { isFresh }: { readonly isFresh: boolean },
): Promise<ServerMetadata> {
  const { discover, withSettings } = await import('../oauth/discovery.js');
  const { issuer, metadata: { from, ...rest } = {} } = provider;
  if (from === 'none') return withSettings({ issuer }, rest, issuer);
  const rule = { ...rest, from };
  const path = cachePath(provider, surroundings);
  const cached = isFresh
    ? undefined
    : readCache(path, surroundings, (found) => withSettings(found, rule, issuer));
  if (cached !== undefined) return cached;
  const published = await discover(issuer, surroundings, rule);
  const metadata = withSettings(published, rule, issuer);
  writeCache(path, published, surroundings);
  return metadata;
}

/** After an answer that failed a check: a provider that has moved an endpoint must not wait a day to be found again. */
export function forgetServerMetadata(provider: Provider, surroundings: ClientSurroundings): void {
  try {
    rmSync(cachePath(provider, surroundings), { force: true });
  } catch {
    // Then it is asked for again after a day.
  }
}

/** @param verify throws where nobody should rely on what is found */
function readCache(
  path: string,
  { ownership, now }: ClientSurroundings,
  verify: (found: ServerMetadata) => ServerMetadata,
): ServerMetadata | undefined {
  try {
    const text = readOwnFile(path, ownership);
    if (text === undefined) return undefined;
    const { fetchedAt, metadata }: CachedMetadata = JSON.parse(text);
    const age = now().getTime() - Date.parse(fetchedAt);
    if (!(age >= 0 && age < longestUseMs)) return undefined;
    return verify(metadata);
  } catch {
    // A cache that cannot be read, or that nobody should rely on, costs one request, not the command.
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
    makeStateFolder({ folder, ownership }, 'metadata');
    writeFileAtomically(path, `${JSON.stringify(cached)}\n`);
  } catch {
    // Nor does one that cannot be written.
  }
}

function cachePath(
  { issuer, metadata }: Pick<Provider, 'issuer' | 'metadata'>,
  { folder }: ClientSurroundings,
): string {
  const address = metadata?.from ?? issuer;
  return join(folder, 'metadata', `${createHash('sha256').update(address).digest('hex').slice(0, 16)}.json`);
}
