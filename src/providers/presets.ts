import { existsSync, readdirSync, readFileSync } from 'node:fs';

import * as v from 'valibot';

import { AuthError } from '../errors.js';
import { nearest } from '../nearest.js';

/**
 * The catalogue: one file of plain data for each provider, made into an entry of the configuration once, when the provider is
 * added. Nothing else reads it: what a session depends on stands in the configuration, where the person can see and change it.
 */

const text = v.pipe(v.string(), v.nonEmpty());

const setting = v.strictObject({
  /** What it is, as its explanation in the help. */
  what: text,
  /**
   * `url`: an address that others are made from, a bare host will do. `issuer`: one that must stay as it is, to the last slash.
   * `text`: anything, for a parameter. A word that fits into an address when absent.
   */
  kind: v.optional(v.picklist(['url', 'issuer', 'text'])),
  /** Of the whole value. */
  pattern: v.optional(text),
  /** The values that may be chosen, and what each stands for. */
  choices: v.optional(v.record(text, v.string())),
  default: v.optional(text),
  /** Texts of the entry that need it are left out where it is not given. */
  optional: v.optional(v.literal(true)),
  example: v.optional(text),
});

const presetSchema = v.strictObject({
  name: text,
  documentation: v.pipe(v.string(), v.url()),
  settings: v.optional(v.record(text, setting), {}),
  /** Absent where a client needs none. */
  secret: v.optional(
    v.strictObject({
      need: v.picklist(['required', 'optional']),
      authentication: v.picklist(['client_secret_basic', 'client_secret_post']),
    }),
  ),
  /** A provider's entry without the client ID; its texts may hold `{setting}` and `{clientId}`. */
  entry: v.looseObject({ issuer: text }),
  /** How the client is registered there; the texts may hold `{redirectUri}` too. */
  register: v.pipe(v.array(text), v.minLength(1), v.maxLength(3)),
  /** What nobody has read in the provider's documentation or source. */
  unverified: v.optional(v.array(text), []),
  notes: v.optional(v.array(text), []),
});

export type Setting = v.InferOutput<typeof setting>;

export interface Preset extends v.InferOutput<typeof presetSchema> {
  readonly id: string;
}

const catalogue = new URL('catalogue/', import.meta.url);

export function presetIds(): string[] {
  return readdirSync(catalogue)
    .map((file) => file.replace(/\.json$/, ''))
    .toSorted();
}

export function readPreset(id: string): Preset {
  const file = new URL(`${id}.json`, catalogue);
  if (!/^[a-z0-9-]+$/.test(id) || !existsSync(file)) throw unknownPreset(id);
  return { id, ...v.parse(presetSchema, JSON.parse(readFileSync(file, 'utf8'))) };
}

function unknownPreset(id: string): AuthError {
  const meant = nearest(id, presetIds());
  return new AuthError('usage', `there is no preset named "${id}"`, {
    hint:
      meant === undefined ? 'authcli provider presets' : `did you mean ${meant}? authcli provider presets`,
  });
}
