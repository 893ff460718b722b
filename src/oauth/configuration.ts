import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  clockTolerance,
  Configuration,
  customFetch,
  enableNonRepudiationChecks,
  None,
  PrivateKeyJwt,
  TlsClientAuth,
  type ClientAuth,
  type ServerMetadata,
} from 'openid-client';

import { fetchKeys } from './keys.js';
import type { ClientCertificate } from './mutual-tls.js';
import { acceptableTo, importSigningKey, type SigningKey } from './signing-key.js';
import { standardAnswer, type TokenAnswerRule } from './token-answer.js';
import type { RevocationRule } from './revocation.js';
import type { UserinfoRule } from './userinfo.js';
import { providerFetch, type OnSuccess, type Wire } from './wire.js';

/** A client at an authorization server. */
export interface Client {
  readonly metadata: ServerMetadata;
  readonly clientId: string;
  /** The catalogue's entry that tells where the client is registered. */
  readonly preset?: string | undefined;
  readonly authentication: ClientAuthentication;
  readonly authorization: AuthorizationRule;
  /** Further parameters of every request to the token endpoint. */
  readonly tokenParameters: Readonly<Record<string, string>>;
  /** In place of the token endpoint, for a refresh. */
  readonly refreshEndpoint?: string | undefined;
  readonly tokenAnswer: TokenAnswerRule;
  /** Signs the authorization request (RFC 9101). */
  readonly requestKey?: SigningKey | undefined;
  /** The authorization request is sent ahead (RFC 9126), also where nobody demands it. */
  readonly isPushed: boolean;
  /** Absent: as OpenID Connect has it. */
  readonly userinfo?: UserinfoRule | undefined;
  readonly revocation: RevocationRule;
}

/** How the authorization request and its response differ from RFC 6749 4.1 and OpenID Connect Core 3.1.2. */
export interface AuthorizationRule {
  readonly scopeSeparator?: ' ' | ',' | undefined;
  /** False: none is sent, for it would not come back. */
  readonly nonce?: false | undefined;
  /** Values of `error` that mean `access_denied`. */
  readonly deniedErrors?: readonly string[] | undefined;
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
    }
  /** OpenID Connect Core 9, RFC 7523. */
  | { readonly method: 'private_key_jwt'; readonly key: SigningKey }
  /** RFC 8705 2. */
  | {
      readonly method: 'tls_client_auth' | 'self_signed_tls_client_auth';
      readonly certificate: ClientCertificate;
    };

/** Whether an ID token is valid by the clock of this machine is for those to say who use it, in words that name the clock. */
const anyClock = 10 * 365 * 24 * 3600;

type SendRequest = ReturnType<typeof providerFetch>;

/** Signatures of ID tokens are always verified, and our own fetch decides which plain http is harmless. */
export async function buildConfiguration(
  client: Client,
  wire: Wire,
  askForTokens = askTokenEndpoint(client, wire),
): Promise<Configuration> {
  const { metadata, clientId, authentication } = client;
  const clientMetadata = { [clockTolerance]: anyClock };
  const authenticate = await authenticator(authentication, metadata);
  const configuration = new Configuration(metadata, clientId, clientMetadata, authenticate);
  const request = providerFetch(wire, certificateOf(client));
  configuration[customFetch] = async (url, options) => {
    // The one address here that no client proves itself to.
    if (isSameAddress(url, metadata.jwks_uri)) return Response.json(await fetchKeys(url, wire));
    const send = isSameAddress(url, metadata.token_endpoint) ? askForTokens : request;
    return send(url, options);
  };
  allowInsecureRequests(configuration);
  enableNonRepudiationChecks(configuration);
  return configuration;
}

/** Its answers as RFC 6749 has them. */
export function askTokenEndpoint(client: Client, wire: Wire, onSuccess?: OnSuccess): SendRequest {
  const request = providerFetch(wire, certificateOf(client), onSuccess);
  return async (url, options) => standardAnswer(await request(url, options), client.tokenAnswer);
}

function certificateOf({ authentication }: Client): ClientCertificate | undefined {
  return 'certificate' in authentication ? authentication.certificate : undefined;
}

async function authenticator(
  authentication: ClientAuthentication,
  metadata: ServerMetadata,
): Promise<ClientAuth> {
  switch (authentication.method) {
    case 'none':
      return None();
    case 'client_secret_basic':
      return authentication.secret === '' || authentication.formEncoding === false
        ? plainBasic(authentication.secret)
        : ClientSecretBasic(authentication.secret);
    case 'client_secret_post':
      return ClientSecretPost(authentication.secret);
    case 'private_key_jwt': {
      const supported = metadata.token_endpoint_auth_signing_alg_values_supported;
      const signingKey = acceptableTo(supported, authentication.key);
      const key = await importSigningKey(signingKey);
      return PrivateKeyJwt(signingKey.keyId === undefined ? key : { key, kid: signingKey.keyId });
    }
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return TlsClientAuth();
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
