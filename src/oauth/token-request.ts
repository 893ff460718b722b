import {
  getJwksCache,
  setJwksCache,
  type Configuration,
  type TokenEndpointResponse,
  type TokenEndpointResponseHelpers,
} from 'openid-client';

import { askTokenEndpoint, buildConfiguration, type Client } from './configuration.js';
import { assertIdToken } from './id-token.js';
import { unverifiedClaims } from './jwt.js';
import { isObject } from '../json-document.js';
import { loadKeys } from './keys.js';
import { isTemplate, issuerOfTenant } from './tenant-issuer.js';
import { readTokenSet, type TokenSet } from './token-set.js';
import type { OnSuccess, Wire } from './wire.js';

/** One grant of openid-client's, which sends its request and verifies the answer. */
export type Grant = (
  configuration: Configuration,
  expectsIdToken: boolean,
) => Promise<TokenEndpointResponse & TokenEndpointResponseHelpers>;

interface Expected {
  readonly idToken: boolean;
  /** A token that is bound to a key (RFC 9449). */
  readonly isBound: boolean;
  /** Seconds, as the provider last gave them for such a token. */
  readonly lastLifetime?: number | undefined;
  /** For the request to the token endpoint; as for any other when absent. */
  readonly longestRequestMs?: number;
}

/**
 * Sends one request to the token endpoint, and verifies its answer with all that is known of the provider.
 * @param onSuccess is given the body of an answer with a 2xx status, before anything of it is checked
 */
export async function requestTokens(
  client: Client,
  expected: Expected,
  grant: Grant,
  wire: Wire,
  onSuccess?: OnSuccess,
): Promise<TokenSet> {
  const { longestRequestMs } = expected;
  const tokenWire = longestRequestMs === undefined ? wire : { ...wire, longestRequestMs };
  const ask = askTokenEndpoint(client, tokenWire, onSuccess);
  const configuration = await buildConfiguration(client, wire, ask);
  if (expected.idToken) await loadKeys(configuration, wire);
  const answer = dependsOnAnswer(client)
    ? await grantInTwoSteps(client, expected.idToken, getJwksCache(configuration), grant, wire, ask)
    : await grant(configuration, expected.idToken);
  const tokenSet = readTokenSet(answer, wire.now(), expected.isBound, expected.lastLifetime);
  assertIdToken(tokenSet, client.clientId);
  return tokenSet;
}

/** Whether what is to be verified is known only when the answer is there. */
function dependsOnAnswer({ metadata, tokenAnswer }: Client): boolean {
  return isTemplate(metadata.issuer) || tokenAnswer.idToken === 'optional';
}

/** A first grant sends the request and keeps the answer; a second one, which sends nothing, verifies it. */
async function grantInTwoSteps(
  client: Client,
  expectsIdToken: boolean,
  keys: ReturnType<typeof getJwksCache>,
  grant: Grant,
  wire: Wire,
  ask: ReturnType<typeof askTokenEndpoint>,
): ReturnType<Grant> {
  const kept: Response[] = [];
  const asking = await buildConfiguration(client, wire, async (url, options) => {
    const answer = await ask(url, options);
    if (!answer.ok) return answer;
    kept.push(answer);
    throw new Error('the answer is there, and is verified in the second step');
  });
  try {
    await grant(asking, expectsIdToken);
  } catch (error) {
    if (kept.length === 0) throw error;
  }
  const [answer = Response.error()] = kept;
  const idToken = await idTokenIn(answer);
  const { metadata, tokenAnswer } = client;
  const issuer =
    idToken !== undefined && isTemplate(metadata.issuer)
      ? issuerOfTenant(metadata.issuer, unverifiedClaims(idToken))
      : metadata.issuer;
  const verifying = await buildConfiguration(
    { ...client, metadata: { ...metadata, issuer } },
    wire,
    async () => answer,
  );
  if (keys !== undefined) setJwksCache(verifying, keys);
  return grant(verifying, expectsIdToken && (idToken !== undefined || tokenAnswer.idToken !== 'optional'));
}

async function idTokenIn(answer: Response): Promise<string | undefined> {
  const body: unknown = await answer
    .clone()
    .json()
    .catch(() => undefined);
  return isObject(body) && typeof body['id_token'] === 'string' ? body['id_token'] : undefined;
}
