import { ResponseBodyError, tokenRevocation } from 'openid-client';

import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import type { Wire } from './wire.js';

export type TokenKind = 'refresh_token' | 'access_token';

export function canRevoke({ metadata }: Client): boolean {
  return metadata.revocation_endpoint !== undefined;
}

/** RFC 7009 2.1 and 2.2.1. An unknown token counts as revoked, by the RFC's own rule. */
export async function revoke(
  client: Client,
  token: string,
  kind: TokenKind,
  wire: Wire,
): Promise<'revoked' | 'unsupported'> {
  try {
    await tokenRevocation(await buildConfiguration(client, wire), token, { token_type_hint: kind });
    return 'revoked';
  } catch (error) {
    if (error instanceof ResponseBodyError && error.error === 'unsupported_token_type') return 'unsupported';
    throw toAuthError(error, 'the revocation', client);
  }
}
