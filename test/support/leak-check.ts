import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

import { canaryRecord, filesBelow } from './canaries.js';

const watched = [...new Set([tmpdir(), '/tmp', '/dev/shm'])];
const before = new Set<string>();

/** Begins the record of the run's secrets. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-run-'));
  const record = join(folder, 'canaries');
  writeFileSync(record, '');
  env[canaryRecord] = record;
  for (const path of watched.flatMap(entries)) before.add(path);
  return () => rmSync(folder, { recursive: true });
}

/** Where the run left one of its secrets behind in a temporary folder, and which kind. */
export function leaksOfTheRun(): string[] {
  const record = env[canaryRecord];
  if (record === undefined) return [];
  const secrets = readFileSync(record, 'utf8').trim().split('\n').filter(Boolean).map(parse);
  const left = watched.flatMap(entries).filter((path) => !before.has(path) && !record.startsWith(path));
  const leaks = [...new Set(left)].flatMap((path) =>
    Array.from(filesBelow(path)).flatMap(([file, content]) =>
      secrets.filter(({ secret }) => content.includes(secret)).map(({ kind }) => `${kind} in ${file}`),
    ),
  );
  return [...new Set(leaks)];
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function parse(line: string): { kind: string; secret: string } {
  const noted: { kind: string; secret: string } = JSON.parse(line);
  return noted;
}
