import {
  allowInsecureRequests,
  customFetch,
  dynamicClientRegistration,
  None,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
  type ClientMetadata,
  type ServerMetadata,
} from 'openid-client';

import { AuthError } from '../errors.js';
import { toAuthError } from './failure.js';
import { providerFetch, type Wire } from './wire.js';

export interface RegisteredClient {
  readonly clientId: string;
  /** Some give one even to a client that asked to be public. */
  readonly secret: { readonly value: string; readonly authentication: SecretMethod } | null;
}

type SecretMethod = 'client_secret_basic' | 'client_secret_post';

export interface ClientDescription {
  readonly redirectUris: readonly string[];
  readonly scope: string | undefined;
  /** Shows that we may (RFC 7591 3). */
  readonly initialAccessToken?: string | undefined;
}

/** RFC 7591: a public native client of the authorization code flow. */
export async function registerClient(
  metadata: ServerMetadata,
  { redirectUris, scope, initialAccessToken }: ClientDescription,
  wire: Wire,
): Promise<RegisteredClient> {
  if (metadata.registration_endpoint === undefined) {
    throw new AuthError('usage', `${metadata.issuer} registers no clients by itself`, {
      hint: byHand,
    });
  }
  const description = {
    client_name: 'authcli',
    application_type: 'native',
    redirect_uris: [...redirectUris],
    ...(metadata.end_session_endpoint !== undefined && { post_logout_redirect_uris: [...redirectUris] }),
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...(scope !== undefined && { scope }),
  };
  const send = providerFetch(wire);
  try {
    const configuration = await dynamicClientRegistration(new URL(metadata.issuer), description, None(), {
      execute: [allowInsecureRequests],
      ...(initialAccessToken !== undefined && { initialAccessToken }),
      // It would discover what has been discovered, and verified, before.
      [customFetch]: async (url, options) =>
        options.method === 'GET' ? Response.json(metadata) : send(url, options),
    });
    const registered = configuration.clientMetadata();
    return { clientId: registered.client_id, secret: secretOf(registered, wire) };
  } catch (error) {
    throw refusalOf(error, initialAccessToken !== undefined) ?? toAuthError(error, 'the registration');
  }
}

function secretOf(
  { client_id: clientId, client_secret: value, token_endpoint_auth_method: method }: ClientMetadata,
  wire: Wire,
): RegisteredClient['secret'] {
  if (value) wire.conceal(value);
  // RFC 7591 3.2.1: the answer says what was registered in the end; one without a method means Basic (2).
  if (method === 'none' || (method === undefined && !value)) return null;
  const authentication = typeof method === 'string' ? method : 'client_secret_basic';
  if (value && isSecretMethod(authentication)) return { value, authentication };
  throw new AuthError(
    'protocol',
    `the provider registered ${clientId} to authenticate with ${authentication}, and gave it nothing for that`,
    { hint: byHand },
  );
}

function isSecretMethod(method: string): method is SecretMethod {
  return method === 'client_secret_basic' || method === 'client_secret_post';
}

const byHand = 'register a client there by hand, then: authcli provider add NAME --issuer URL --client-id ID';

/** RFC 7591 3: who may register is up to the provider, and 3.2.2: so is what is registered. */
function refusalOf(error: unknown, hasToken: boolean): AuthError | undefined {
  if (error instanceof ResponseBodyError && refusals.has(error.error)) {
    const { error: code, error_description: description } = error;
    const message = `the provider refused the registration: ${code}${description ? ` (${description})` : ''}`;
    return new AuthError('protocol', message, { hint: refusals.get(code), cause: error });
  }
  const status = statusOf(error);
  if (status !== 401 && status !== 403) return undefined;
  const message = hasToken
    ? 'the provider refused the initial access token'
    : 'the provider registers no client without an initial access token';
  return new AuthError('protocol', `${message} (${status})`, {
    hint: hasToken
      ? byHand
      : `say where the token is that you were given: --registration-token-cmd COMMAND; or ${byHand}`,
    cause: error,
  });
}

const refusals: ReadonlyMap<string, string> = new Map([
  ['invalid_redirect_uri', `it does not take a loopback redirect URI from everybody; ${byHand}`],
  ['invalid_client_metadata', `check --scope, or ${byHand}`],
]);

function statusOf(error: unknown): number | undefined {
  if (error instanceof ResponseBodyError || error instanceof WWWAuthenticateChallengeError)
    return error.status;
  return error instanceof Error && error.cause instanceof Response ? error.cause.status : undefined;
}
