import { customFetch, ResponseBodyError, tokenRevocation, type Configuration } from 'openid-client';

import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import type { Wire } from './wire.js';

/** How a revocation request differs from RFC 7009 2.1. */
export interface RevocationRule {
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** In place of `token`. */
  readonly tokenParameter?: string | undefined;
}

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
    const { parameters, tokenParameter } = client.revocation;
    const configuration = await buildConfiguration(client, wire);
    if (tokenParameter !== undefined) renameToken(configuration, tokenParameter);
    await tokenRevocation(configuration, token, { ...parameters, token_type_hint: kind });
    return 'revoked';
  } catch (error) {
    if (error instanceof ResponseBodyError && error.error === 'unsupported_token_type') return 'unsupported';
    throw toAuthError(error, 'the revocation', client);
  }
}

/** openid-client knows one name only. */
function renameToken(configuration: Configuration, name: string): void {
  const send = configuration[customFetch];
  if (send === undefined) return;
  configuration[customFetch] = (url, options) => {
    const form = new URLSearchParams(options.body instanceof URLSearchParams ? options.body : '');
    form.set(name, form.get('token') ?? '');
    form.delete('token');
    return send(url, { ...options, body: form });
  };
}
