import { refreshTokenGrant } from 'openid-client';

import { buildConfiguration, type Client } from './configuration.js';
import { isInvalidGrant, toAuthError } from './failure.js';
import { assertIdToken, assertSameSignIn } from './id-token.js';
import { loadKeys } from './keys.js';
import { definedOnly } from './parameters.js';
import { proofOf } from './proof.js';
import { readTokenSet, type TokenSet } from './token-set.js';
import type { Wire } from './wire.js';

export type RefreshAnswer =
  | { readonly kind: 'refreshed'; readonly tokenSet: TokenSet }
  /** The provider has definitively ended the session. */
  | { readonly kind: 'ended'; readonly reason: string };

interface RefreshGrant {
  readonly refreshToken: string;
  readonly sub: string | null;
  /** Of the ID token that the session has. */
  readonly nonce: unknown;
  readonly expectsIdToken: boolean;
  /** What the session is bound to (RFC 9449). */
  readonly proofKey: string | null;
}

/** RFC 6749 6, RFC 8707 2.2: a narrower scope, another resource. */
interface RefreshParameters {
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
  readonly audience?: string | undefined;
}

export async function refresh(
  client: Client,
  { refreshToken, sub, nonce, expectsIdToken, proofKey }: RefreshGrant,
  { scope, resource, audience }: RefreshParameters,
  wire: Wire,
): Promise<RefreshAnswer> {
  try {
    const configuration = await buildConfiguration(client, wire);
    const proof = await proofOf(proofKey, configuration);
    const parameters = { ...client.tokenParameters, ...definedOnly({ scope, resource, audience }) };
    if (expectsIdToken) await loadKeys(configuration, wire);
    const answer = await refreshTokenGrant(configuration, refreshToken, parameters, proof);
    const tokenSet = readTokenSet(answer, wire.now(), proofKey !== null);
    assertIdToken(tokenSet, client.clientId);
    assertSameSignIn(tokenSet.claims, sub, nonce);
    return { kind: 'refreshed', tokenSet };
  } catch (error) {
    if (isInvalidGrant(error)) return { kind: 'ended', reason: 'the provider says invalid_grant' };
    throw toAuthError(error, 'the refresh', client, { scope });
  }
}
