import type { ServerMetadata } from 'openid-client';

/** RFC 8705 2: what the client proves itself with in the TLS handshake. As text, so that it can be handed to the refresh helper. */
export interface ClientCertificate {
  /** PEM, the client's own first, then those that vouch for it. */
  readonly chain: string;
  /** PKCS #8, PEM. */
  readonly key: string;
}

/** Where the client proves who it is, or that a token is its own (RFC 8705 3). */
const provingEndpoints = [
  'token_endpoint',
  'pushed_authorization_request_endpoint',
  'revocation_endpoint',
  'userinfo_endpoint',
] as const;

/** RFC 8705 5: with the aliases, where there are any, in place of the endpoints of all other clients. */
export function atMtlsEndpoints(metadata: ServerMetadata): ServerMetadata {
  const aliases = metadata.mtls_endpoint_aliases ?? {};
  const named = provingEndpoints.flatMap((name) => {
    const alias = aliases[name];
    return typeof alias === 'string' ? [[name, alias] as const] : [];
  });
  return { ...metadata, ...Object.fromEntries(named) };
}
