import {
  buildAuthorizationUrl,
  buildAuthorizationUrlWithJAR,
  buildAuthorizationUrlWithPAR,
  type Configuration,
  type DPoPHandle,
} from 'openid-client';

import { AuthError } from '../errors.js';
import type { Client } from './configuration.js';
import { withParameters } from './parameters.js';
import { importSigningKey } from './signing-key.js';

const longestUrl = 16_384;

/**
 * The authorization request: in the URL, as a signed request object (RFC 9101), or sent ahead (RFC 9126). The endpoint may have a
 * query of its own (RFC 6749 3.1); none of our parameters may come from there.
 */
export async function authorizationUrl(
  configuration: Configuration,
  client: Client,
  parameters: Readonly<Record<string, string>>,
  proof: { readonly DPoP?: DPoPHandle },
): Promise<URL> {
  const complete = { ...parameters, client_id: client.clientId, response_type: 'code' };
  const request = await signed(configuration, client, complete);
  const url = isPushed(client)
    ? await buildAuthorizationUrlWithPAR(configuration, request, proof)
    : withParameters(buildAuthorizationUrl(configuration, request), request);
  if (url.href.length > longestUrl) {
    throw new AuthError('protocol', `the authorization request is longer than ${longestUrl} characters`);
  }
  return withParameters(url, { client_id: client.clientId });
}

async function signed(
  configuration: Configuration,
  { clientId, metadata, requestKey }: Client,
  parameters: Record<string, string>,
): Promise<Record<string, string>> {
  if (requestKey === undefined) {
    if (metadata.require_signed_request_object !== true) return parameters;
    throw new AuthError('usage', `${metadata.issuer} takes signed authorization requests only`, {
      hint: 'add a key to sign with: authcli provider add … --force --client-auth private_key_jwt --client-key FILE',
    });
  }
  const key = await importSigningKey(requestKey);
  const kid = requestKey.keyId;
  const url = await buildAuthorizationUrlWithJAR(
    configuration,
    parameters,
    kid === undefined ? key : { key, kid },
  );
  const object = url.searchParams.get('request') ?? '';
  return { client_id: clientId, request: object };
}

function isPushed({ metadata, isPushed: isWanted }: Client): boolean {
  if (metadata.pushed_authorization_request_endpoint !== undefined) {
    return isWanted || metadata.require_pushed_authorization_requests === true;
  }
  if (!isWanted) return false;
  throw new AuthError('usage', `${metadata.issuer} announces no endpoint for pushed authorization requests`, {
    hint: 'leave out --par, and "pushed" in the configuration of this provider',
  });
}
