import { tokenRevocation } from 'openid-client';

import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import type { Wire } from './wire.js';

export type TokenKind = 'refresh_token' | 'access_token';

export function canRevoke({ metadata }: Client): boolean {
  return metadata.revocation_endpoint !== undefined;
}

/** RFC 7009 2.1. An unknown token counts as revoked, by the RFC's own rule. */
export async function revoke(client: Client, token: string, kind: TokenKind, wire: Wire): Promise<void> {
  try {
    await tokenRevocation(buildConfiguration(client, wire), token, { token_type_hint: kind });
  } catch (error) {
    throw toAuthError(error, 'the revocation');
  }
}
