import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  clockTolerance,
  Configuration,
  customFetch,
  enableNonRepudiationChecks,
  None,
  type ClientAuth,
  type ServerMetadata,
} from 'openid-client';

import type { UserinfoRule } from './userinfo.js';
import { providerFetch, type Wire } from './wire.js';

/** A client at an authorization server. */
export interface Client {
  readonly metadata: ServerMetadata;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** Further parameters of every request to the token endpoint. */
  readonly tokenParameters: Readonly<Record<string, string>>;
  /** Absent: as OpenID Connect has it. */
  readonly userinfo?: UserinfoRule | undefined;
}

/** RFC 6749 2.3. */
export type ClientAuthentication =
  /** A public client. */
  | { readonly method: 'none' }
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post';
      readonly secret: string;
      /** False: Basic authentication with the ID and the secret as they are. */
      readonly formEncoding?: false | undefined;
    };

/** Signatures of ID tokens are always verified, and our own fetch decides which plain http is harmless. */
export function buildConfiguration(
  { metadata, clientId, authentication }: Client,
  wire: Wire,
  { clockToleranceSeconds = 30 } = {},
): Configuration {
  const clientMetadata = { [clockTolerance]: clockToleranceSeconds };
  const configuration = new Configuration(metadata, clientId, clientMetadata, authenticator(authentication));
  configuration[customFetch] = providerFetch(wire);
  allowInsecureRequests(configuration);
  enableNonRepudiationChecks(configuration);
  return configuration;
}

function authenticator(authentication: ClientAuthentication): ClientAuth {
  switch (authentication.method) {
    case 'none':
      return None();
    case 'client_secret_basic':
      return authentication.secret === '' || authentication.formEncoding === false
        ? plainBasic(authentication.secret)
        : ClientSecretBasic(authentication.secret);
    case 'client_secret_post':
      return ClientSecretPost(authentication.secret);
  }
}

/** RFC 7617 without the form encoding that RFC 6749 2.3.1 puts under it. */
function plainBasic(secret: string): ClientAuth {
  return (_server, { client_id: id }, _body, headers) => {
    headers.set('authorization', `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`);
  };
}
