import { shellWord } from '../remote-text.js';

/** What the request was about that a provider has refused. */
export interface RefusedRequest {
  readonly clientId: string;
  readonly isConfidential: boolean;
  /** As it is registered: without a port where any is accepted. */
  readonly redirectUri?: string | undefined;
  readonly scope?: string | null | undefined;
  /** The entry of the catalogue that tells where the client is registered. */
  readonly preset?: string | undefined;
  /** The provider takes proofs of possession (RFC 9449), and got none. */
  readonly lacksProof?: boolean | undefined;
}

/** What to do about a refusal (RFC 6749 4.1.2.1 and 5.2, and what providers have of their own); undefined where nobody knows. */
export function adviceFor(
  code: string,
  description: string | undefined,
  request: RefusedRequest | undefined,
): string | undefined {
  const [, entra = ''] = /\bAADSTS(\d+)/.exec(description ?? '') ?? [];
  const advice = byEntraCode.get(entra) ?? byCode.get(meantBy(code, description));
  return typeof advice === 'function' ? advice(request) : advice;
}

/** Which redirect URI, exactly. */
export function adviceToRegister(
  request: Pick<RefusedRequest, 'clientId' | 'preset'> & { readonly redirectUri: string },
): string {
  const { clientId, redirectUri } = request;
  const register = `register this redirect URI for the client ${clientId} at the provider${where(request)}: ${redirectUri}`;
  const { protocol, hostname, port, pathname } = new URL(redirectUri);
  if (protocol !== 'http:' || port !== '') return register;
  return `${register} (any port); where it compares ports, http://${hostname}:8910${pathname}, and then: authcli login --port 8910`;
}

type Advice = string | ((request: RefusedRequest | undefined) => string);

/** Many say `invalid_request`, and only in the description what it is about. */
function meantBy(code: string, description = ''): string {
  if (code === 'redirect_uri_mismatch') return 'invalid_redirect_uri';
  if (code === 'use_dpop_nonce') return 'invalid_dpop_proof';
  if (['invalid_request', 'invalid_grant'].includes(code) && /\bdpop\b/i.test(description))
    return 'invalid_dpop_proof';
  if (code !== 'invalid_request') return code;
  if (/redirect[_ ]?ur[il]/i.test(description)) return 'invalid_redirect_uri';
  return /(response|grant)[_ ]type/i.test(description) ? 'unauthorized_client' : code;
}

function where(request: Pick<RefusedRequest, 'preset'> | undefined): string {
  return request?.preset === undefined
    ? ''
    : ` (where: authcli provider presets ${shellWord(request.preset)})`;
}

const registerRedirect: Advice = (request) =>
  request?.redirectUri === undefined
    ? 'register the redirect URI http://127.0.0.1/callback (any port) for this client at the provider'
    : adviceToRegister({ ...request, redirectUri: request.redirectUri });

const publicOrSecret: Advice = (request) => {
  if (request === undefined) return 'check the client ID of this provider: authcli provider show';
  return request.isConfidential
    ? `check the secret, key or certificate of the client ${request.clientId}, and that the provider has it as a confidential client${where(request)}`
    : `check the client ID ${request.clientId}${where(request)}; if the provider has it as a confidential client, say where its secret is: authcli login --client-secret-cmd COMMAND`;
};

const allowGrants: Advice = (request) =>
  `allow the client ${request?.clientId ?? ''} the authorization code grant and refresh tokens at the provider${where(request)}, and check that it is enabled there`;

const askForLess: Advice = (request) =>
  request?.scope
    ? `ask for less than "${request.scope}": authcli login --scope …, or have the scopes added to the client`
    : 'ask for less: authcli login --scope …';

/** Some do not say which part of the grant is wrong. */
const startAgain: Advice = (request) =>
  `start again: authcli login${request?.lacksProof ? '; if the provider wants proofs of possession of this client: authcli login --dpop' : ''}`;

const allowAccess = 'run authcli login again and allow the access';
const signInVisibly = 'run authcli login without --prompt none';
const checkTenant =
  'check the tenant in the issuer, and that the client ID belongs to it: authcli provider show';
const askAdministrator =
  "ask an administrator of the tenant to consent to this application, or to change the tenant's rules";

/** A Map, because the provider chooses the key: an object knows `constructor` too. */
const byCode: ReadonlyMap<string, Advice> = new Map<string, Advice>(
  Object.entries({
    access_denied: allowAccess,
    consent_required: allowAccess,
    invalid_client: publicOrSecret,
    invalid_grant: startAgain,
    invalid_scope: askForLess,
    invalid_token: 'sign in again: authcli login',
    insufficient_scope: 'ask for the scope that is wanted: authcli login --scope …',
    unauthorized_client: allowGrants,
    unsupported_grant_type: allowGrants,
    unsupported_response_type:
      'allow this client the authorization code flow (response type "code") at the provider',
    invalid_redirect_uri: registerRedirect,
    invalid_target:
      'check --resource and --audience: the provider does not know that API, or the client may not use it',
    invalid_dpop_proof:
      'this provider wants proofs of possession: authcli login --dpop (if you did that, set the clock of this machine)',
    login_required: signInVisibly,
    interaction_required: signInVisibly,
    account_selection_required: signInVisibly,
    temporarily_unavailable: 'try again in a moment',
    server_error: 'try again in a moment; if it stays, ask those who run the provider',
  }),
);

/** Of Microsoft Entra ID, in the description: those that people meet. */
const byEntraCode: ReadonlyMap<string, Advice> = new Map<string, Advice>(
  Object.entries({
    16000: signInVisibly,
    50011: (request) =>
      `add the redirect URI ${request?.redirectUri?.replace(/:\d+(?=\/)/, '') ?? 'http://localhost'} to the app registration, under "Mobile and desktop applications" (not Web, not SPA)`,
    50020:
      'this account is of another tenant: sign in with one of this tenant, or have it invited as a guest',
    50034: checkTenant,
    50058: signInVisibly,
    50076: 'sign in again, with the second factor: authcli login',
    50079: 'sign in again, with the second factor: authcli login',
    50194:
      'the application is of one tenant only: use https://login.microsoftonline.com/TENANT/v2.0 as the issuer',
    53000: askAdministrator,
    53003: askAdministrator,
    65001: 'consent to the permissions: authcli login --prompt consent (an administrator may have to)',
    65004: allowAccess,
    70008: 'sign in again: authcli login',
    70011: askForLess,
    90002: checkTenant,
    90094: askAdministrator,
    500011: 'check --resource and the scopes: that API is not known in this tenant',
    650053: askForLess,
    650057: 'add the API permission to the app registration, then run authcli login again',
    700016: checkTenant,
    700082: 'sign in again: authcli login',
    7000215: 'the client secret is wrong: use its value, not its ID',
    7000218:
      'allow public client flows in the app registration (Authentication, Advanced settings), or add the secret of the client',
    7000222: 'the client secret has expired: make a new one in the app registration',
    9002326:
      'move the redirect URI from "Single-page application" to "Mobile and desktop applications" in the app registration',
    9002327:
      'move the redirect URI from "Single-page application" to "Mobile and desktop applications" in the app registration',
  }),
);
