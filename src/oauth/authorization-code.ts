import {
  authorizationCodeGrant,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';

import { authorizationUrl } from './authorization-url.js';
import { buildConfiguration, type Client } from './configuration.js';
import { toAuthError } from './failure.js';
import { assertCurrent, assertRequestedClaims, type RequestedClaims } from './id-token.js';
import { definedOnly, joinScopes, withParameters } from './parameters.js';
import { proofOf } from './proof.js';
import { requestTokens, type Grant } from './token-request.js';
import type { TokenSet } from './token-set.js';
import { codeExchangeMs } from '../time-budgets.js';
import type { Wire } from './wire.js';

/** What a person may want of one sign-in, in the words of the authorization request. */
export interface RequestOptions {
  readonly prompt?: string | undefined;
  /** `query` when absent; the provider is told only what is given here. */
  readonly responseMode?: 'query' | 'form_post' | undefined;
  readonly loginHint?: string | undefined;
  /** More scopes to consent to in the same visit; no token is asked for them. */
  readonly consentScope?: string | undefined;
  /** OpenID Connect Core 3.1.2.1: the sign-in at the provider may be this old. */
  readonly maxAgeSeconds?: number | undefined;
  /** In order of preference, separated by spaces. */
  readonly acrValues?: string | undefined;
  /** OpenID Connect Core 5.5. */
  readonly claims?: RequestedClaims | undefined;
  /** RFC 8707. */
  readonly resource?: string | undefined;
  /** What some providers have in place of `resource`. */
  readonly audience?: string | undefined;
  /** Further parameters of the authorization request. */
  readonly parameters: Readonly<Record<string, string>>;
  /** And of the token request. */
  readonly tokenParameters?: Readonly<Record<string, string>>;
}

export interface AuthorizationRequest extends RequestOptions {
  readonly redirectUri: string;
  /** As the provider must have it: without a port where it accepts any. */
  readonly registeredRedirectUri: string;
  readonly scope: string | null;
  /** What the tokens are to be bound to (RFC 9449). */
  readonly proofKey?: string | undefined;
}

/** One sign-in, from its URL to its tokens. State, nonce and verifier live here and nowhere else. */
export interface Transaction {
  readonly authorizationUrl: URL;
  readonly state: string;
  /**
   * The response that a code would have come in, had the person pasted all of it. Its `state` and `iss` are ours to fill in:
   * the person vouches for where it comes from, and PKCE for the rest.
   */
  responseOf(code: string): URL;
  /** @param response the redirect URI with the parameters of the authorization response */
  redeem(response: URL): Promise<TokenSet>;
}

export async function beginAuthorization(
  client: Client,
  request: AuthorizationRequest,
  wire: Wire,
): Promise<Transaction> {
  const { scopeSeparator, deniedErrors = [] } = client.authorization;
  const configuration = await buildConfiguration(client, wire);
  const proof = await proofOf(request.proofKey, configuration);
  const state = randomState();
  const pkceCodeVerifier = randomPKCECodeVerifier();
  wire.conceal(pkceCodeVerifier);
  const isOpenId = request.scope?.split(' ').includes('openid') ?? false;
  const expectsIdToken = isOpenId && client.tokenAnswer.idToken !== 'ignored';
  const nonce = expectsIdToken && client.authorization.nonce !== false ? randomNonce() : undefined;
  const asked = joinScopes([request.scope, request.consentScope]);
  // What this one sign-in does not say must not take away what the provider's entry says.
  const ours = {
    ...request.parameters,
    ...definedOnly({
      redirect_uri: request.redirectUri,
      response_mode: request.responseMode,
      scope: joinScopes([request.scope, request.consentScope], scopeSeparator),
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      prompt: request.prompt,
      login_hint: request.loginHint,
      max_age: request.maxAgeSeconds?.toString(),
      acr_values: request.acrValues,
      claims: request.claims && JSON.stringify(request.claims),
      resource: request.resource,
      audience: request.audience,
    }),
  };
  const tokenParameters = {
    ...client.tokenParameters,
    ...request.tokenParameters,
    ...definedOnly({
      resource: request.resource,
      audience: request.audience,
      // Elsewhere the code stands for everything that was consented to.
      scope: request.consentScope && joinScopes([request.scope], scopeSeparator),
    }),
  };
  const refused = {
    redirectUri: request.registeredRedirectUri,
    scope: asked,
    lacksProof:
      request.proofKey === undefined && client.metadata.dpop_signing_alg_values_supported !== undefined,
  };
  return {
    authorizationUrl: await authorizationUrl(configuration, client, ours, proof).catch((error: unknown) => {
      // A request that is pushed may be refused before any browser is involved.
      throw toAuthError(error, 'the sign-in', client, refused);
    }),
    state,
    responseOf(code) {
      const { issuer, authorization_response_iss_parameter_supported: isAnnounced } = client.metadata;
      return withParameters(request.redirectUri, { code, state, ...(isAnnounced && { iss: issuer }) });
    },
    async redeem(response) {
      conceal(response, wire);
      const isRefusal = Boolean(response.searchParams.get('error'));
      try {
        const expected = {
          idToken: expectsIdToken && !isRefusal,
          isBound: request.proofKey !== undefined,
          longestRequestMs: codeExchangeMs,
        };
        const received = standardResponse(response, deniedErrors);
        const grant: Grant = (there, idTokenExpected) => {
          const checks = {
            pkceCodeVerifier,
            expectedState: state,
            idTokenExpected,
            ...(idTokenExpected && nonce !== undefined && { expectedNonce: nonce }),
            ...(request.maxAgeSeconds !== undefined && { maxAge: request.maxAgeSeconds }),
          };
          return authorizationCodeGrant(there, received, checks, tokenParameters, proof);
        };
        const tokenSet = await requestTokens(client, expected, grant, wire);
        assertCurrent(tokenSet, wire.now(), request.maxAgeSeconds);
        assertRequestedClaims(tokenSet, request.claims);
        return tokenSet;
      } catch (error) {
        throw toAuthError(error, isRefusal ? 'the sign-in' : 'the code exchange', client, refused);
      }
    },
  };
}

/** With the standard's word for a denial, and the provider's behind it. */
function standardResponse(response: URL, deniedErrors: readonly string[]): URL {
  const error = response.searchParams.get('error');
  if (error === null || !deniedErrors.includes(error)) return response;
  const description = response.searchParams.get('error_description');
  return withParameters(response, {
    error: 'access_denied',
    error_description: description === null ? error : `${error}: ${description}`,
  });
}

function conceal(response: URL, wire: Wire): void {
  const code = response.searchParams.get('code');
  if (code) wire.conceal(code);
}
