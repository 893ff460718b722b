import {
  allowInsecureRequests,
  customFetch,
  dynamicClientRegistration,
  None,
  type ServerMetadata,
} from 'openid-client';

import { AuthError } from '../errors.js';
import { toAuthError } from './failure.js';
import { providerFetch, type Wire } from './wire.js';

export interface RegisteredClient {
  readonly clientId: string;
  /** Some give one even to a client that asked to be public. */
  readonly clientSecret: string | null;
}

export interface ClientDescription {
  readonly redirectUris: readonly string[];
  readonly scope: string | undefined;
}

/** RFC 7591: a public native client of the authorization code flow. */
export async function registerClient(
  metadata: ServerMetadata,
  { redirectUris, scope }: ClientDescription,
  wire: Wire,
): Promise<RegisteredClient> {
  if (metadata.registration_endpoint === undefined) {
    throw new AuthError('usage', `${metadata.issuer} registers no clients by itself`, {
      hint: 'register one with the provider, then: authcli provider add NAME --issuer URL --client-id ID',
    });
  }
  const description = {
    client_name: 'authcli',
    application_type: 'native',
    redirect_uris: [...redirectUris],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...(scope !== undefined && { scope }),
  };
  const send = providerFetch(wire);
  try {
    const configuration = await dynamicClientRegistration(new URL(metadata.issuer), description, None(), {
      execute: [allowInsecureRequests],
      // It would discover what has been discovered, and verified, before.
      [customFetch]: async (url, options) =>
        options.method === 'GET' ? Response.json(metadata) : send(url, options),
    });
    const { client_id: clientId, client_secret: clientSecret } = configuration.clientMetadata();
    if (clientSecret !== undefined) wire.conceal(clientSecret);
    return { clientId, clientSecret: clientSecret ?? null };
  } catch (error) {
    throw toAuthError(error, 'the registration');
  }
}
