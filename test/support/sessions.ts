import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { openRecord } from '../../src/store/seal.js';
import { parseRecord } from '../../src/store/session-record.js';
import type { Session } from '../../src/store/session.js';
import type { Machine } from './run.js';

/** The files of the sessions that are kept there. */
export function sessionFiles({ folder }: Machine): string[] {
  const sessions = join(folder, 'state', 'sessions');
  return readdirSync(sessions)
    .filter((name) => name.endsWith('.session'))
    .map((name) => join(sessions, name));
}

/** The file of the only session. */
export function onlySessionFile(machine: Machine): string {
  return sessionFiles(machine)[0] ?? '';
}

/** The only session, as it lies on the disk. */
export function sealedSession(machine: Machine): string {
  return readFileSync(onlySessionFile(machine), 'utf8');
}

/** The session of that file, or the only one, with its secrets: the key lies in a file beside it. */
export function openedSession(machine: Machine, file = onlySessionFile(machine)): Session {
  const parsed = parseRecord(readFileSync(file, 'utf8'));
  const key = Buffer.from(readFileSync(join(machine.folder, 'state', 'store.key'), 'utf8'), 'base64');
  if (parsed.kind !== 'record') throw new Error(`the session is ${parsed.kind}`);
  const opened = openRecord(parsed.record, key, file.slice(file.lastIndexOf('/') + 1));
  if (opened.kind !== 'opened') throw new Error(`the session cannot be opened: ${opened.kind}`);
  return opened.session;
}
