import { allowInsecureRequests, customFetch, discovery, None, type ServerMetadata } from 'openid-client';

import { AuthError } from '../errors.js';
import { isObject } from '../json-document.js';
import { isProtectedAddress } from '../loopback.js';
import { isInternalHost } from './internal-host.js';
import { shellWord } from '../remote-text.js';
import { isAboutTheDocument, toAuthError } from './failure.js';
import { isOfTenant } from './tenant-issuer.js';
import { metadataFetch, type Wire } from './wire.js';

export type { ServerMetadata };

/** How the metadata of a provider differ from RFC 8414. */
export interface MetadataRule {
  /** Their whole address. */
  readonly from?: string | undefined;
  /** What is added to them, or replaced. */
  readonly set?: Readonly<Record<string, unknown>> | undefined;
  /** `tenant`: they may name another tenant than the issuer does, or hold a place for it. */
  readonly issuer?: 'tenant' | undefined;
}

/** The issuer's metadata: OpenID Connect Discovery 1.0, then RFC 8414 where that address knows nothing. */
export async function discover(issuer: string, wire: Wire, rule: MetadataRule = {}): Promise<ServerMetadata> {
  const from = addressOf(issuer, rule);
  const isElsewhere = from !== issuer;
  // openid-client takes an address as it is where this is part of it; elsewhere it would add to it.
  const server = isElsewhere ? new URL('/.well-known/', from) : new URL(issuer);
  const fetchMetadata = metadataFetch(wire);
  for (const algorithm of isElsewhere ? (['oidc'] as const) : (['oidc', 'oauth2'] as const)) {
    try {
      const configuration = await discovery(server, 'discovery', undefined, None(), {
        algorithm,
        execute: [allowInsecureRequests],
        [customFetch]: (url, options) => fetchMetadata(isElsewhere ? from : url, options),
      });
      const metadata = configuration.serverMetadata();
      assertIssuer(metadata.issuer, issuer, rule);
      return metadata;
    } catch (error) {
      assertIssuer(announcedIssuer(error), issuer, rule);
      if (!isAboutTheDocument(error)) throw toAuthError(error, 'discovery');
    }
  }
  throw new AuthError('protocol', `${issuer} publishes no OpenID Connect or OAuth metadata`, {
    hint: 'check the issuer: it is the address before /.well-known/openid-configuration',
  });
}

/** openid-client finds the metadata of an issuer by itself, and then insists on that very issuer. */
function addressOf(issuer: string, rule: MetadataRule): string {
  if (rule.from !== undefined || rule.issuer === undefined) return rule.from ?? issuer;
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/**
 * What a person who names no scope most likely wants: to be known, and a session that lasts. Only what the provider announces
 * is asked for, because some refuse the whole request for one unknown scope.
 */
export function defaultScope(metadata: ServerMetadata): string | null {
  const wanted = ['openid', 'profile', 'email', 'offline_access'];
  const supported: unknown = metadata.scopes_supported;
  if (!Array.isArray(supported)) return metadata.id_token_signing_alg_values_supported ? 'openid' : null;
  return wanted.filter((scope) => supported.includes(scope)).join(' ') || null;
}

/** What the provider publishes, with what its entry adds or replaces: it must hold either way. */
export function withSettings(published: ServerMetadata, rule: MetadataRule, issuer: string): ServerMetadata {
  const metadata = { ...published, ...rule.set, issuer: published.issuer };
  assertMetadata(metadata, issuer, rule);
  return metadata;
}

/**
 * What must hold before anything in the metadata is used, whether they come from the issuer, from a cache or from an entry.
 * @throws {AuthError} 'protocol'
 */
function assertMetadata(metadata: ServerMetadata, issuer: string, rule: MetadataRule): void {
  assertIssuer(metadata.issuer, issuer, rule);
  assertEndpoint(metadata, 'authorization_endpoint');
  assertEndpoint(metadata, 'token_endpoint');
  assertMembers(metadata, metadata.issuer);
  assertAliases(metadata);
  // RFC 7636 4.2: a server that announces methods without S256 would be sent a verifier that it ignores or reads in the clear.
  const methods: unknown = metadata.code_challenge_methods_supported;
  if (methods !== undefined && !(Array.isArray(methods) && methods.includes('S256'))) {
    throw new AuthError('protocol', `${metadata.issuer} does not support PKCE with S256`, {
      hint: settingOf('code_challenge_methods_supported', ['S256']),
    });
  }
}

/**
 * Addresses are texts, lists are lists of texts (RFC 8414 2), and an issuer elsewhere sends nobody into this machine or its
 * network, where it may not go itself. Names are left to TLS: those of a company often have a private address.
 */
function assertMembers(members: Readonly<Record<string, unknown>>, issuer: string, prefix = ''): void {
  const isOutside = !isInternalHost(new URL(issuer).hostname);
  for (const [key, value] of Object.entries(members)) {
    const name = `${prefix}${key}`;
    const isAddress = key === 'jwks_uri' || key.endsWith('_endpoint');
    const isWrong = isAddress
      ? !isText(value)
      : lists.has(name) && !(Array.isArray(value) && value.every(isText));
    if (value !== null && isWrong) throw malformed(name, issuer);
    if (
      isOutside &&
      isAddress &&
      isText(value) &&
      URL.canParse(value) &&
      isInternalHost(new URL(value).hostname)
    ) {
      throw new AuthError(
        'protocol',
        `the ${name} in the metadata of ${issuer} is an address of this machine or of its network`,
      );
    }
  }
}

/** RFC 8705 5: where a client with a certificate is sent in place of the endpoints. */
function assertAliases({ issuer, mtls_endpoint_aliases }: ServerMetadata): void {
  const aliases: unknown = mtls_endpoint_aliases ?? {};
  if (!isObject(aliases)) throw malformed('mtls_endpoint_aliases', issuer);
  assertMembers(aliases, issuer, 'mtls_endpoint_aliases.');
  for (const [name, alias] of Object.entries(aliases)) {
    if (name.endsWith('_endpoint') && alias !== null)
      endpointOf(alias, `mtls_endpoint_aliases.${name}`, issuer);
  }
}

function malformed(name: string, issuer: string): AuthError {
  return new AuthError('protocol', `the ${name} in the metadata of ${issuer} is malformed`);
}

const lists: ReadonlySet<string> = new Set([
  'scopes_supported',
  'id_token_signing_alg_values_supported',
  'code_challenge_methods_supported',
]);

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** RFC 8414 3.3: identical, character by character; a slash more is another issuer. */
function assertIssuer(announced: string | undefined, issuer: string, rule: MetadataRule): void {
  if (announced === undefined || announced === issuer) return;
  if (rule.issuer !== 'tenant' || !isOfTenant(announced, issuer)) {
    throw new AuthError('protocol', `the metadata at ${issuer} is of another issuer: ${announced}`, {
      hint: `if you trust it, use exactly that issuer: --issuer ${shellWord(announced)}`,
    });
  }
}

export function assertEndpoint(
  metadata: ServerMetadata,
  field: 'authorization_endpoint' | 'token_endpoint' | 'end_session_endpoint',
): URL {
  const value: unknown = metadata[field];
  if (value === undefined) {
    throw new AuthError('protocol', `the metadata of ${metadata.issuer} names no ${field}`, {
      hint: settingOf(field, 'https://…'),
    });
  }
  return endpointOf(value, field, metadata.issuer);
}

function endpointOf(value: unknown, name: string, issuer: string): URL {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  // RFC 6749 3.1: no fragment. User information in an address is a disguise.
  if (
    url === undefined ||
    url.href.includes('#') ||
    url.username ||
    url.password ||
    !isProtectedAddress(url)
  ) {
    throw new AuthError('protocol', `the ${name} in the metadata of ${issuer} is not an https address`);
  }
  return url;
}

/** Where the metadata are wrong and the person, or a preset, knows better. */
function settingOf(name: string, value: unknown): string {
  const setting = JSON.stringify({ metadata: { set: { [name]: value } } }).slice(1, -1);
  return `if you know that it has it all the same, say so in the configuration of this provider: ${setting}`;
}

function announcedIssuer(error: unknown): string | undefined {
  if (!(error instanceof Error) || typeof error.cause !== 'object' || error.cause === null) return undefined;
  const body: unknown = 'body' in error.cause ? error.cause.body : undefined;
  if (typeof body !== 'object' || body === null || !('issuer' in body)) return undefined;
  return typeof body.issuer === 'string' ? body.issuer : undefined;
}
