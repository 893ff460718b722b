import * as v from 'valibot';

import { isProtectedAddress } from '../loopback.js';
import { isClientId, isScope, issuerFault } from './provider.js';
import { redirectUriFault } from './redirect.js';
import { decodeWith } from './schema-decoding.js';

/**
 * What a provider's entry may say beyond issuer, client and scope: how this provider differs from the standards, and how the
 * client proves who it is. A small set of typed settings; the published JSON Schema is made from it. Messages complete "must be …".
 */

export function text(expected: string) {
  return v.pipe(v.string(expected), v.nonEmpty(expected));
}

const parameters = v.record(v.string(), v.string('a text'), 'an object of texts');

const address = v.pipe(
  v.string('an https address'),
  v.check((value) => URL.canParse(value) && isProtectedAddress(new URL(value)), 'an https address'),
);

export const scope = v.pipe(
  v.string('scopes separated by single spaces'),
  v.check(isScope, 'scopes separated by single spaces'),
);

const separator = v.picklist([' ', ','], 'a space or a comma');

const port = v.pipe(
  v.number('a port, 1 to 65535'),
  v.integer('a port, 1 to 65535'),
  v.minValue(1, 'a port, 1 to 65535'),
  v.maxValue(65_535, 'a port, 1 to 65535'),
);

/** Into a JSON object, `data.user`, and into its lists, `results.0`. */
const fieldPath = v.pipe(
  v.string('names separated by dots'),
  v.regex(/^[^.\s]+(\.[^.\s]+)*$/, 'names separated by dots'),
);

/** What the request itself sets, and what is the connection's. */
const ownHeaders =
  /^(authorization|dpop|host|cookie|content-.*|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|proxy-.*)$/i;

const headers = v.record(
  v.pipe(
    v.string(),
    v.check(
      (name) => /^[!#$%&'*+.^`|~\w-]+$/.test(name) && !ownHeaders.test(name),
      'named as a header, and none that the request itself sets',
    ),
  ),
  v.pipe(
    v.string('a text'),
    v.regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'a text that a header can hold'),
  ),
  'an object of texts',
);

/** Where a secret is to be had; never the secret itself. */
const secretSource = v.union(
  [
    v.strictObject({ env: text('the name of an environment variable') }),
    v.strictObject({ file: text('the path of a file') }),
    v.strictObject({ command: text('a command that prints the secret') }),
    /** An item of the system's keychain that `provider add` has made. */
    v.strictObject({ keychain: v.literal(true, 'true') }),
  ],
  'one of {"env": NAME}, {"file": PATH}, {"command": COMMAND} and {"keychain": true}',
);

const client = v.strictObject(
  {
    authentication: v.optional(
      v.picklist(
        [
          'client_secret_basic',
          'client_secret_post',
          'private_key_jwt',
          'tls_client_auth',
          'self_signed_tls_client_auth',
        ],
        '"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth" or "self_signed_tls_client_auth"',
      ),
    ),
    /** `empty`: there is none, and the provider wants one all the same, of no characters. */
    secret: v.optional(
      v.union(
        [secretSource, v.literal('empty')],
        'one of {"env": NAME}, {"file": PATH}, {"command": COMMAND} and {"keychain": true}, or "empty"',
      ),
    ),
    /** What private_key_jwt signs with: a private key in PEM or JWK form. */
    key: v.optional(v.strictObject({ file: text('the path of a file') }, '{"file": PATH}')),
    /** What is presented in the TLS handshake (RFC 8705): PEM, the private key in the same file or in one of its own. */
    certificate: v.optional(
      v.strictObject(
        { file: text('the path of a file'), key: v.optional(text('the path of a file')) },
        '{"file": PATH} or {"file": PATH, "key": PATH}',
      ),
    ),
    /** The key signs the authorization request too (RFC 9101). */
    signedRequests: v.optional(v.literal(true, 'true, or absent')),
    /** False where Basic authentication takes the ID and the secret as they are, against RFC 6749 2.3.1. */
    formEncoding: v.optional(v.literal(false, 'false, or absent')),
  },
  'an object',
);

export const ports = v.pipe(v.array(port, 'a list of ports'), v.nonEmpty('a list of ports'));

export const redirectPath = v.pipe(
  v.string('a path that begins with /'),
  v.regex(/^\/[^?#\s]*$/, 'a path that begins with /'),
  v.check((path) => new URL(`http://localhost${path}`).pathname === path, 'a path in its canonical form'),
);

/** Where the authorization response comes in: `http://127.0.0.1:<a free port>/callback` unless this says otherwise. */
const redirect = v.strictObject(
  {
    /** `localhost` only where the provider insists on it. */
    host: v.optional(v.picklist(['127.0.0.1', 'localhost'], '"127.0.0.1" or "localhost"')),
    /** Where the provider compares the port: those that are registered there, of which the first free one is taken. */
    ports: v.optional(ports),
    /** One that ends in `/*` where the provider accepts any path: a random one takes the place of the star each time. */
    path: v.optional(redirectPath),
    /**
     * All of it in one: an http address of this machine, or an https address or a private scheme, from which the person
     * pastes the response.
     */
    uri: v.optional(
      v.pipe(
        v.string('a redirect URI'),
        v.check(
          (value) => redirectUriFault(value) === undefined,
          ({ input }) => `a redirect URI, but it ${redirectUriFault(input) ?? ''}`,
        ),
      ),
    ),
  },
  'an object',
);

const metadata = v.strictObject(
  {
    /** Instead of the well-known addresses under the issuer; `none` where the provider publishes nothing. */
    from: v.optional(v.union([v.literal('none'), address], 'an https address, or "none"')),
    /** Added to what the provider publishes, or in its place. */
    set: v.optional(v.record(v.string(), v.unknown(), 'an object')),
    /**
     * The issuer names the tenant by an alias (`common`, a domain): the metadata may name another tenant or hold `{tenantid}`
     * in its place, and an ID token is of the tenant in its `tid`. Usernames are in domains that the tenant has proved to own.
     */
    issuer: v.optional(v.literal('tenant', '"tenant"')),
  },
  'an object',
);

const authorization = v.strictObject(
  {
    /** Added to every authorization request. */
    parameters: v.optional(parameters),
    scopeSeparator: v.optional(separator),
    /** Asked for whatever other scopes are. */
    alwaysScope: v.optional(scope),
    /** False where the ID token does not repeat it. */
    nonce: v.optional(v.literal(false, 'false, or absent')),
    /** By way of the pushed authorization request endpoint (RFC 9126), also where the provider does not require it. */
    pushed: v.optional(v.literal(true, 'true, or absent')),
    /** Values of `error` in the authorization response that mean `access_denied`. */
    deniedErrors: v.optional(v.array(text('a text'), 'a list of texts')),
  },
  'an object',
);

/** Of the token endpoint: what is asked there, and how its answers differ from RFC 6749 5. */
const token = v.strictObject(
  {
    /** Added to every token request. */
    parameters: v.optional(parameters),
    /** Another token endpoint for the refresh. */
    refreshEndpoint: v.optional(address),
    /** The field that holds the answer proper, such as `authed_user`. */
    at: v.optional(fieldPath),
    /** Between the scopes of the answer; that of the authorization request when absent. */
    scopeSeparator: v.optional(separator),
    /** Seconds that an access token lives where the answer does not say, or says 0; an hour when absent. */
    lifetime: v.optional(
      v.pipe(
        v.number('a number of seconds'),
        v.integer('a number of seconds'),
        v.minValue(1, 'more than zero'),
      ),
    ),
    /** A refusal comes as `error` in an answer that has status 200. */
    errorsWithStatus200: v.optional(v.literal(true, 'true, or absent')),
    /** `token_type` is missing or a word of the provider's own: it is a bearer token all the same. */
    typeless: v.optional(v.literal(true, 'true, or absent')),
    /** `optional`: it may be missing though `openid` was asked for. `ignored`: what is in its place is not one, or not verifiable. */
    idToken: v.optional(v.picklist(['optional', 'ignored'], '"optional" or "ignored"')),
  },
  'an object',
);

/** Who signed in, where the provider says so in its own way; the endpoint is `metadata.set.userinfo_endpoint`. */
const userinfo = v.strictObject(
  {
    /** `token`: in the answer of the token endpoint, nothing more is asked. */
    from: v.optional(v.literal('token', '"token"')),
    method: v.optional(v.picklist(['GET', 'POST'], '"GET" or "POST"')),
    headers: v.optional(headers),
    /** The field that holds the person; those that follow are looked for in it. */
    at: v.optional(fieldPath),
    sub: v.optional(fieldPath),
    username: v.optional(fieldPath),
    email: v.optional(fieldPath),
    name: v.optional(fieldPath),
  },
  'an object',
);

const revocation = v.strictObject(
  {
    /** Added to every revocation request. */
    parameters: v.optional(parameters),
    /** What the provider calls `token`. */
    tokenParameter: v.optional(text('the name of a parameter')),
  },
  'an object',
);

/** It ends up in commands that a person may copy. */
export const presetName = v.pipe(
  v.string('the name of a preset'),
  v.regex(/^[a-z0-9-]+$/, 'the name of a preset'),
);

export const issuer = v.pipe(
  v.string('the URL of the issuer'),
  v.check(
    (value) => issuerFault(value) === undefined,
    ({ input }) => `the URL of an issuer, but it ${issuerFault(input) ?? ''}`,
  ),
);

export const clientId = v.pipe(
  text('the client ID, a text'),
  v.check(isClientId, 'of printable ASCII characters (RFC 6749 A.1)'),
);

export const entrySchema = v.strictObject(
  {
    issuer,
    clientId,
    scope: v.optional(scope),
    /** The catalogue's entry that this one was made from: for its advice. */
    preset: v.optional(presetName),
    client: v.optional(client),
    redirect: v.optional(redirect),
    metadata: v.optional(metadata),
    authorization: v.optional(authorization),
    token: v.optional(token),
    userinfo: v.optional(userinfo),
    revocation: v.optional(revocation),
    /** Tokens bound to a key of ours (RFC 9449). */
    dpop: v.optional(v.literal(true, 'true, or absent')),
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

export function decodeEntirely(
  value: unknown,
  complain: (path: string, expected: string) => never,
): ProviderEntry {
  return decodeWith(entrySchema, value, complain);
}
