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

import { fetchKeys } from './keys.js';
import { assertLifetime } from './token-set.js';
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

/** Whether an ID token is valid by the clock of this machine is for those to say who use it, in words that name the clock. */
const anyClock = 10 * 365 * 24 * 3600;

/** Signatures of ID tokens are always verified, and our own fetch decides which plain http is harmless. */
export function buildConfiguration(
  { metadata, clientId, authentication }: Client,
  wire: Wire,
): Configuration {
  const clientMetadata = { [clockTolerance]: anyClock };
  const configuration = new Configuration(metadata, clientId, clientMetadata, authenticator(authentication));
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

function isSameAddress(url: string, other: string | undefined): boolean {
  return other !== undefined && URL.canParse(other) && new URL(other).href === url;
}
