import { AuthError, systemErrorCode } from './errors.js';
import type { Remedy } from './remedy.js';

/** The contents of a folder of ours. They decide which variable or option moves it. */
export type Holding = 'sessions' | 'configuration';

export type FileVerb = 'read' | 'write' | 'create' | 'lock';

/** A failure of the file system, as the person sees it. */
export function fileTrouble(verb: FileVerb, path: string, error: unknown, holds: Holding): AuthError {
  if (error instanceof AuthError) return error;
  const reason = reasonOf(error);
  return new AuthError('store', `cannot ${verb} ${path}: ${explanations[reason] ?? reason}`, {
    remedy: remedyOf(reason, holds),
    cause: error,
  });
}

/** EDQUOT, for which Node has no name, on Linux and on macOS. */
const overQuota: ReadonlySet<unknown> = new Set([-122, -69]);

function reasonOf(error: unknown): string {
  const code = systemErrorCode(error);
  const isOverQuota = error instanceof Error && 'errno' in error && overQuota.has(error.errno);
  return code === 'UNKNOWN' && isOverQuota ? 'EDQUOT' : (code ?? 'unknown failure');
}

const explanations: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file size limit is reached',
  EIO: 'the disk reports an error',
  ELOOP: 'it is a symbolic link',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EMFILE: 'too many open files',
  EBUSY: 'another program has it open',
  ENAMETOOLONG: 'the path is too long',
};

function remedyOf(reason: string, holds: Holding): Remedy | undefined {
  switch (reason) {
    case 'EACCES':
    case 'EPERM':
      return { kind: 'move_folder', holds, because: 'denied' };
    case 'EROFS':
    case 'ENAMETOOLONG':
    case 'ENOTDIR':
      return { kind: 'move_folder', holds, because: 'unusable' };
    case 'ENOSPC':
    case 'EDQUOT':
      return { kind: 'advice', text: 'free some space, then run the same command again' };
    case 'EFBIG':
      return { kind: 'advice', text: 'raise the limit (ulimit -f), then run the same command again' };
    case 'EBUSY':
      return { kind: 'advice', text: 'close that program, then run the same command again' };
    case 'ELOOP':
      return { kind: 'advice', text: 'remove the link, or move the folder back to its place' };
    default:
      return undefined;
  }
}
