import type { Client, ClientAuthentication } from '../oauth/configuration.js';
import { atMtlsEndpoints } from '../oauth/mutual-tls.js';
import type { SigningKey } from '../oauth/signing-key.js';
import type { Provider } from '../providers/provider.js';
import { clientAuthentication } from './client-authentication.js';
import { serverMetadata } from './server-metadata.js';
import type { ClientSurroundings } from './surroundings.js';

/** A provider as the protocol sees it: its endpoints, how the client proves who it is, and what is special about both. */
export async function connect(
  provider: Provider,
  surroundings: ClientSurroundings,
  { isFresh = false } = {},
): Promise<Client> {
  const authentication = await clientAuthentication(provider, surroundings);
  const metadata = await serverMetadata(provider, surroundings, { isFresh });
  return clientOf(provider, metadata, authentication);
}

/** The same where the secret has been fetched before. */
export async function reconnect(
  provider: Provider,
  authentication: ClientAuthentication,
  surroundings: ClientSurroundings,
): Promise<Client> {
  return clientOf(provider, await serverMetadata(provider, surroundings, { isFresh: false }), authentication);
}

export function clientOf(
  { clientId, preset, client, authorization = {}, token = {}, userinfo, revocation = {} }: Provider,
  metadata: Client['metadata'],
  authentication: ClientAuthentication,
): Client {
  return {
    metadata: 'certificate' in authentication ? atMtlsEndpoints(metadata) : metadata,
    clientId,
    preset,
    authentication,
    authorization,
    tokenParameters: token.parameters ?? {},
    refreshEndpoint: token.refreshEndpoint,
    tokenAnswer: { ...token, scopeSeparator: token.scopeSeparator ?? authorization.scopeSeparator },
    isPushed: authorization.pushed ?? false,
    requestKey: requestKeyOf(authentication, client?.signedRequests),
    userinfo,
    revocation,
  };
}

/** The key that the client authenticates with signs its requests too, where the provider or the entry wants that. */
function requestKeyOf(
  authentication: ClientAuthentication,
  isWanted: boolean | undefined,
): SigningKey | undefined {
  return isWanted && authentication.method === 'private_key_jwt' ? authentication.key : undefined;
}
