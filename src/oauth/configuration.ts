import {
  allowInsecureRequests,
  Configuration,
  customFetch,
  enableNonRepudiationChecks,
  None,
  type ServerMetadata,
} from 'openid-client';

import { providerFetch, type Wire } from './wire.js';

/** A client at an authorization server. */
export interface Client {
  readonly metadata: ServerMetadata;
  readonly clientId: string;
}

/** Signatures of ID tokens are always verified, and our own fetch decides which plain http is harmless. */
export function buildConfiguration({ metadata, clientId }: Client, wire: Wire): Configuration {
  const configuration = new Configuration(metadata, clientId, undefined, None());
  configuration[customFetch] = providerFetch(wire);
  allowInsecureRequests(configuration);
  enableNonRepudiationChecks(configuration);
  return configuration;
}
