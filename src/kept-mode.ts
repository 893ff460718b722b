import { AuthError } from './errors.js';
import type { Holding } from './file-trouble.js';

/** The bits that others must not have: they must not read a session, nor write a configuration. */
const withheld: Readonly<Record<Holding, number>> = { sessions: 0o077, configuration: 0o022 };

/** @param mode as it is after it was set */
export function assertKept(path: string, mode: number, holds: Holding): void {
  if ((mode & withheld[holds]) === 0) return;
  const others = holds === 'sessions' ? 'read' : 'change';
  throw new AuthError(
    'store',
    `others can ${others} what lies in ${path}: chmod has no effect there, the mode stays ${shownMode(mode)}`,
    {
      remedy: { kind: 'move_folder', holds, because: 'no_modes' },
    },
  );
}

/** As chmod takes it. */
export function shownMode(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
