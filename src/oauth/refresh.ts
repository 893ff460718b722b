import { refreshTokenGrant, setJwksCache, type Configuration, type ExportedJWKSCache } from 'openid-client';

import { AuthError } from '../errors.js';

import { buildConfiguration, type Client } from './configuration.js';
import { isInvalidGrant, toAuthError } from './failure.js';
import { assertIdToken, assertSameSubject } from './id-token.js';
import { definedOnly } from './parameters.js';
import { readTokenSet, type TokenSet } from './token-set.js';
import { providerFetch, type Wire } from './wire.js';

export type RefreshAnswer =
  | { readonly kind: 'refreshed'; readonly tokenSet: TokenSet }
  /** The provider has definitively ended the session. */
  | { readonly kind: 'ended'; readonly reason: string };

interface RefreshGrant {
  readonly refreshToken: string;
  readonly sub: string | null;
  readonly expectsIdToken: boolean;
}

/** RFC 6749 6, RFC 8707 2.2: a narrower scope, another resource. */
interface RefreshParameters {
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
  readonly audience?: string | undefined;
}

export async function refresh(
  client: Client,
  { refreshToken, sub, expectsIdToken }: RefreshGrant,
  { scope, resource, audience }: RefreshParameters,
  wire: Wire,
): Promise<RefreshAnswer> {
  try {
    const configuration = buildConfiguration(client, wire);
    const parameters = definedOnly({ scope, resource, audience });
    if (expectsIdToken) await fetchKeys(configuration, wire);
    const answer = await refreshTokenGrant(configuration, refreshToken, parameters);
    const tokenSet = readTokenSet(answer, wire.now());
    assertIdToken(tokenSet, client.clientId);
    assertSameSubject(tokenSet.claims, sub);
    return { kind: 'refreshed', tokenSet };
  } catch (error) {
    if (isInvalidGrant(error)) return { kind: 'ended', reason: 'the provider says invalid_grant' };
    throw toAuthError(error, 'the refresh');
  }
}

/**
 * The keys that will verify the new ID token, before the old refresh token is burned: keys that cannot be fetched afterwards
 * would cost the session. A key that is not among them is looked for once more, which openid-client does after a minute.
 */
async function fetchKeys(configuration: Configuration, wire: Wire): Promise<void> {
  const { jwks_uri: address } = configuration.serverMetadata();
  if (address === undefined) return;
  const headers = { accept: 'application/json' };
  const response = await providerFetch(wire)(address, { method: 'GET', headers, redirect: 'manual' });
  const keys: unknown = response.ok ? await response.json().catch(() => undefined) : undefined;
  if (!isKeySet(keys)) throw new AuthError('protocol', `there are no keys at ${address}`);
  setJwksCache(configuration, { jwks: keys, uat: Math.floor(Date.now() / 1000) - 61 });
}

function isKeySet(value: unknown): value is ExportedJWKSCache['jwks'] {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys);
}
