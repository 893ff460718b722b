import { appendFileSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

/** Where every secret of the run is noted, for the search at its end (leak-check.ts). */
export const canaryRecord = 'AUTHCLI_TEST_CANARIES';

/** Shorter ones, such as a test's own "at", occur by chance. */
const shortest = 16;
/** What a test made up itself is shorter, and stands in its source, of which a copy may lie anywhere. */
const shortestRandom = 40;
const largestFile = 8 * 1024 * 1024;

/** By the secret: what it is. */
const known = new Map<string, string>();

let isBlind = false;

/** For a campaign, which puts anything in any place: what it hides it looks for itself. */
export function overlookCanaries(): void {
  isBlind = true;
  known.clear();
}

/** A secret that authcli holds from now on: no output and no file may show it. */
export function noteCanary(kind: string, secret: unknown): void {
  // What holds a space is no secret that authcli would take: a fuzz puts a scope in a token's place.
  if (typeof secret !== 'string' || secret.length < shortest || /\s/.test(secret)) return;
  if (isBlind || known.has(secret)) return;
  known.set(secret, kind);
  const record = env[canaryRecord];
  if (record !== undefined && secret.length >= shortestRandom)
    appendFileSync(record, `${JSON.stringify({ kind, secret })}\n`);
  // The claims of a JWT may stand elsewhere, its signature nowhere.
  const signature = /^eyJ[\w-]+\.[\w-]+\.([\w-]+)$/.exec(secret)?.[1];
  noteCanary(kind, signature);
}

const parameters = new Set([
  'access_token',
  'refresh_token',
  'id_token',
  'code',
  'code_verifier',
  'client_secret',
  'device_code',
]);

/** Those of a token response, an authorization response, or a request. */
export function noteCanaries(message: unknown): void {
  if (typeof message !== 'object' || message === null) return;
  for (const [name, value] of Object.entries(message)) if (parameters.has(name)) noteCanary(name, value);
}

/** What `authcli token` is for: its answer, and nothing else, may hold them. */
export const tokens: ReadonlySet<string> = new Set(['access_token', 'id_token']);

/** @param allowed kinds that may stand there */
export function assertNoCanary(text: string, place: string, allowed?: ReadonlySet<string>): void {
  for (const [secret, kind] of known) {
    if (text.includes(secret) && allowed?.has(kind) !== true) {
      throw new Error(`${place} shows the ${kind} ${secret.slice(0, 6)}…`);
    }
  }
}

export function assertNoCanaryIn(folder: string, allowed?: ReadonlySet<string>): void {
  for (const [path, content] of filesBelow(folder)) assertNoCanary(content, path, allowed);
}

/** Regular files of a bearable size, by their path; what vanishes meanwhile is not there. */
export function* filesBelow(path: string): Generator<[path: string, content: string]> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) {
    for (const name of readable(() => readdirSync(path)) ?? []) {
      if (!isForeign(name)) yield* filesBelow(join(path, name));
    }
  } else if (stats?.isFile() && stats.size <= largestFile) {
    const content = readable(() => readFileSync(path, 'latin1'));
    if (content !== undefined) yield [path, content];
  }
}

const foreign = new Set(['node_modules', '.git', 'ssr']);

/** Of a working copy that somebody makes meanwhile, and of vitest, which keeps the tests' sources there. */
function isForeign(name: string): boolean {
  return foreign.has(name);
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
