import * as v from 'valibot';

import { isProtectedAddress } from '../loopback.js';
import { isScope, issuerFault } from './provider.js';

/**
 * What a provider's entry may say beyond issuer, client and scope: how this provider differs from the standards, and how the
 * client proves who it is. A small set of typed settings; the published JSON Schema is made from it. Messages complete "must be …".
 */

function text(expected: string) {
  return v.pipe(v.string(expected), v.nonEmpty(expected));
}

const parameters = v.record(v.string(), v.string('a text'), 'an object of texts');

const address = v.pipe(
  v.string('an https address'),
  v.check((value) => URL.canParse(value) && isProtectedAddress(new URL(value)), 'an https address'),
);

/** Where a secret is to be had; never the secret itself. */
const secretSource = v.union(
  [
    v.strictObject({ env: text('the name of an environment variable') }),
    v.strictObject({ file: text('the path of a file') }),
    v.strictObject({ command: text('a command that prints the secret') }),
  ],
  'one of {"env": NAME}, {"file": PATH} and {"command": COMMAND}',
);

const client = v.strictObject(
  {
    authentication: v.optional(
      v.picklist(
        ['client_secret_basic', 'client_secret_post'],
        '"client_secret_basic" or "client_secret_post"',
      ),
    ),
    secret: v.optional(secretSource),
  },
  'an object',
);

const metadata = v.strictObject(
  {
    /** Instead of the well-known addresses under the issuer; `none` where the provider publishes nothing. */
    from: v.optional(v.union([v.literal('none'), address], 'an https address, or "none"')),
    /** Added to what the provider publishes, or in its place. */
    set: v.optional(v.record(v.string(), v.unknown(), 'an object')),
  },
  'an object',
);

const authorization = v.strictObject({ parameters: v.optional(parameters) }, 'an object');

const token = v.strictObject({ parameters: v.optional(parameters) }, 'an object');

const claimPath = text('names joined by dots');

/** Where a provider that is no OpenID provider says who signed in; its address is metadata.set.userinfo_endpoint. */
const userinfo = v.strictObject(
  {
    method: v.optional(v.picklist(['GET', 'POST'], '"GET" or "POST"')),
    /** The object that is about the person. */
    at: v.optional(claimPath),
    /** Where in it the identifier, the username, the address and the name are. */
    sub: v.optional(claimPath),
    username: v.optional(claimPath),
    email: v.optional(claimPath),
    name: v.optional(claimPath),
  },
  'an object',
);

export const entrySchema = v.strictObject(
  {
    issuer: v.pipe(
      v.string('the URL of the issuer'),
      v.check(
        (value) => issuerFault(value) === undefined,
        ({ input }) => `the URL of an issuer, but it ${issuerFault(input) ?? ''}`,
      ),
    ),
    clientId: text('the client ID, a text'),
    scope: v.optional(
      v.pipe(
        v.string('scopes separated by single spaces'),
        v.check(isScope, 'scopes separated by single spaces'),
      ),
    ),
    /** The catalogue's entry that this one was made from: for its advice. */
    preset: v.optional(text('the name of a preset')),
    client: v.optional(client),
    metadata: v.optional(metadata),
    authorization: v.optional(authorization),
    token: v.optional(token),
    userinfo: v.optional(userinfo),
  },
  'an object',
);

/** The whole file: for the published JSON Schema. */
export const configurationSchema = v.strictObject({
  $schema: v.optional(v.string()),
  defaultProvider: v.optional(v.string()),
  store: v.optional(v.picklist(['keychain', 'file'])),
  providers: v.optional(v.record(v.string(), entrySchema)),
});

export type ProviderEntry = v.InferOutput<typeof entrySchema>;

/** @param complain is told of the first mistake: where it is, and what was expected there */
export function decodeEntirely(
  value: unknown,
  complain: (path: string, expected: string) => never,
): ProviderEntry {
  const result = v.safeParse(entrySchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  if (issue.type !== 'strict_object' || issue.expected !== 'never') return complain(path, issue.message);
  const known = fieldNames(path.split('.').slice(0, -1));
  return complain(path, `absent: known here are ${known.join(', ')}`);
}

function fieldNames(path: readonly string[]): string[] {
  let at: v.GenericSchema = entrySchema;
  for (const name of path) {
    const field = 'entries' in at && isFields(at.entries) ? at.entries[name] : undefined;
    at = field !== undefined && 'wrapped' in field && isSchema(field.wrapped) ? field.wrapped : entrySchema;
  }
  return 'entries' in at && isFields(at.entries) ? Object.keys(at.entries) : [];
}

function isFields(value: unknown): value is Record<string, v.GenericSchema> {
  return typeof value === 'object' && value !== null;
}

function isSchema(value: unknown): value is v.GenericSchema {
  return isFields(value) && 'kind' in value;
}
