import * as v from 'valibot';

import { clientId, issuer, ports, presetName, redirectPath, scope } from './entry-schema.js';

/**
 * All that a project may say of a provider. It is a schema of its own: whatever is added to a person's entry later is not a
 * project's to say, unless somebody adds it here as well.
 */

const redirect = v.strictObject({ ports: v.optional(ports), path: v.optional(redirectPath) }, 'an object');

const named = v.strictObject(
  { issuer, clientId, scope: v.optional(scope), redirect: v.optional(redirect) },
  'an object',
);

const fromPreset = v.strictObject(
  {
    preset: presetName,
    /** Settings of the preset that are part of its issuer. */
    settings: v.optional(v.record(v.string(), v.string('a text'), 'an object of texts')),
    clientId,
    scope: v.optional(scope),
    redirect: v.optional(redirect),
  },
  'an object',
);

export const projectSchemas = { named, fromPreset };

/** The whole file: for the published JSON Schema. */
export const projectFileSchema = v.strictObject({
  $schema: v.optional(v.string()),
  defaultProvider: v.optional(v.string()),
  providers: v.optional(v.record(v.string(), v.union([named, fromPreset]))),
});

export type ProjectEntryText = v.InferOutput<typeof named> | v.InferOutput<typeof fromPreset>;
