import {
  allowInsecureRequests,
  clockTolerance,
  Configuration,
  customFetch,
  enableNonRepudiationChecks,
  None,
  type ServerMetadata,
} from 'openid-client';

import { fetchKeys } from './keys.js';
import { assertLifetime } from './token-set.js';
import { providerFetch, type Wire } from './wire.js';

/** A client at an authorization server. */
export interface Client {
  readonly metadata: ServerMetadata;
  readonly clientId: string;
}

/** Whether an ID token is valid by the clock of this machine is for those to say who use it, in words that name the clock. */
const anyClock = 10 * 365 * 24 * 3600;

/** Signatures of ID tokens are always verified, and our own fetch decides which plain http is harmless. */
export function buildConfiguration({ metadata, clientId }: Client, wire: Wire): Configuration {
  const configuration = new Configuration(metadata, clientId, { [clockTolerance]: anyClock }, None());
  const request = providerFetch(wire);
  configuration[customFetch] = async (url, options) => {
    if (isSameAddress(url, metadata.jwks_uri)) return Response.json(await fetchKeys(url, wire));
    const response = await request(url, options);
    await assertLifetime(response);
    return response;
  };
  allowInsecureRequests(configuration);
  enableNonRepudiationChecks(configuration);
  return configuration;
}

function isSameAddress(url: string, other: string | undefined): boolean {
  return other !== undefined && URL.canParse(other) && new URL(other).href === url;
}
