import { AuthError, systemErrorCode } from '../errors.js';
import { decodeBytes, decodeText, isOwn, readOpened, type Configuration } from './configuration.js';
import type { ProviderEntry } from './provider.js';

const largestFile = 256 * 1024;

export interface ProjectFile {
  readonly path: string;
  readonly defaultProvider?: string;
  readonly providers: Readonly<Record<string, ProviderEntry>>;
}

interface Reader {
  /** Undefined on Windows. */
  readonly uid: number | undefined;
  readonly warn: (message: string) => void;
}

/**
 * It comes with a project that somebody else may have written, so it names the default provider and adds providers, and nothing
 * else: it cannot change one that the person has, name a secret or run a command.
 */
export async function readProjectFile(path: string, reader: Reader): Promise<ProjectFile | undefined> {
  const text = readTrusted(path, reader);
  return text === undefined ? undefined : decode(path, await decodeText(text, path));
}

/** The person's own entries win over those of the project. */
export function withProject(own: Configuration, project: ProjectFile | undefined): Configuration {
  if (project === undefined) return own;
  const defaultProvider = project.defaultProvider ?? own.defaultProvider;
  return {
    ...own,
    ...(defaultProvider !== undefined && { defaultProvider }),
    providers: { ...project.providers, ...own.providers },
  };
}

function readTrusted(path: string, { uid, warn }: Reader): string | undefined {
  try {
    return readOpened(path, (stats, read) => {
      const isTrusted = isOwn(stats, uid);
      if (!isTrusted || (uid !== undefined && (stats.mode & 0o002) !== 0)) {
        warn(`${path} is not used: ${isTrusted ? 'everybody can write it' : 'it belongs to another user'}`);
        return undefined;
      }
      return decodeBytes(read(largestFile), path);
    });
  } catch (error) {
    if (error instanceof AuthError) throw error;
    // Most folders have none, and some cannot be looked into.
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw new AuthError('usage', `cannot read ${path}: ${systemErrorCode(error) ?? 'unknown failure'}`);
  }
}

function decode(path: string, { defaultProvider, store, providers }: Configuration): ProjectFile {
  if (store !== undefined) throw notForProjects(path, 'store');
  for (const [provider, entry] of Object.entries(providers)) {
    const named = (['secret', 'key', 'certificate'] as const).find(
      (field) => entry.client?.[field] !== undefined,
    );
    if (named !== undefined) throw notForProjects(path, `providers.${provider}.client.${named}`);
  }
  return { path, providers, ...(defaultProvider !== undefined && { defaultProvider }) };
}

function notForProjects(path: string, place: string): AuthError {
  return new AuthError('usage', `${path}: ${place} is not for a project to say`, {
    hint: 'put it into your own configuration (authcli provider add), or remove it from that file',
  });
}
