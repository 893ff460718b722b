import { refreshTokenGrant } from 'openid-client';

import { buildConfiguration, type Client } from './configuration.js';
import { isInvalidGrant, toAuthError } from './failure.js';
import { assertSameSignIn } from './id-token.js';
import { newRefreshToken } from './new-refresh-token.js';
import { definedOnly, joinScopes } from './parameters.js';
import { proofOf } from './proof.js';
import { requestTokens, type Grant } from './token-request.js';
import type { TokenSet } from './token-set.js';
import { assertSamePerson } from './userinfo.js';
import type { Wire } from './wire.js';

export type RefreshAnswer =
  | { readonly kind: 'refreshed'; readonly tokenSet: TokenSet }
  /** The provider has definitively ended the session. */
  | { readonly kind: 'ended'; readonly reason: string };

interface RefreshGrant {
  readonly refreshToken: string;
  readonly sub: string | null;
  /** Of the ID token that the session has; undefined where it has none. */
  readonly signIn: { readonly iss?: unknown; readonly nonce?: unknown } | undefined;
  /** What the session is bound to (RFC 9449). */
  readonly proofKey: string | null;
  /** Seconds, as the provider last gave them for such a token. */
  readonly lastLifetime: number | undefined;
}

/** RFC 6749 6, RFC 8707 2.2: a narrower scope, another resource. */
interface RefreshParameters {
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
  readonly audience?: string | undefined;
}

/** @param keep is given the refresh token that the answer brings, before anything of the answer is checked */
export async function refresh(
  client: Client,
  { refreshToken, sub, signIn, proofKey, lastLifetime }: RefreshGrant,
  { scope, resource, audience }: RefreshParameters,
  wire: Wire,
  keep: (refreshToken: string) => void,
): Promise<RefreshAnswer> {
  try {
    const there = atRefreshEndpoint(client);
    const proof = await proofOf(proofKey, await buildConfiguration(there, wire));
    const parameters = {
      ...client.tokenParameters,
      ...definedOnly({
        scope: joinScopes([scope], client.authorization.scopeSeparator),
        resource,
        audience,
      }),
    };
    const expected = { idToken: signIn !== undefined, isBound: proofKey !== null, lastLifetime };
    const grant: Grant = (configuration) => refreshTokenGrant(configuration, refreshToken, parameters, proof);
    const tokenSet = await requestTokens(there, expected, grant, wire, (body) => {
      const brought = newRefreshToken(body, client, sub);
      if (brought !== undefined) keep(brought);
    });
    assertSameSignIn(tokenSet.claims, sub, signIn ?? {});
    assertSamePerson(client, tokenSet, sub);
    return { kind: 'refreshed', tokenSet };
  } catch (error) {
    if (isInvalidGrant(error)) return { kind: 'ended', reason: 'the provider says invalid_grant' };
    throw toAuthError(error, 'the refresh', client, { scope });
  }
}

function atRefreshEndpoint(client: Client): Client {
  const { metadata, refreshEndpoint } = client;
  return refreshEndpoint === undefined
    ? client
    : { ...client, metadata: { ...metadata, token_endpoint: refreshEndpoint } };
}
