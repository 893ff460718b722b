/** What the request was about that a provider has refused. */
export interface RefusedRequest {
  readonly clientId: string;
  readonly isConfidential: boolean;
  readonly redirectUri?: string | undefined;
  readonly scope?: string | null | undefined;
}

/** What to do about a refusal (RFC 6749 4.1.2.1 and 5.2, and what providers have of their own); undefined where nobody knows. */
export function adviceFor(
  code: string,
  description: string | undefined,
  request: RefusedRequest | undefined,
): string | undefined {
  const [, entra] = /\bAADSTS(\d+)/.exec(description ?? '') ?? [];
  const advice =
    (entra && byEntraCode[entra]) ??
    byCode[isAboutRedirect(code, description) ? 'invalid_redirect_uri' : code];
  return typeof advice === 'function' ? advice(request) : advice;
}

type Advice = string | ((request: RefusedRequest | undefined) => string);

/** Many say `invalid_request`, and only in the description what it is about. */
function isAboutRedirect(code: string, description: string | undefined): boolean {
  return (
    code === 'redirect_uri_mismatch' ||
    (code === 'invalid_request' && /redirect[_ ]?ur[il]/i.test(description ?? ''))
  );
}

const registerRedirect: Advice = (request) =>
  request?.redirectUri === undefined
    ? 'register the redirect URI http://127.0.0.1/callback (any port) for this client at the provider'
    : `register this redirect URI for the client at the provider: ${request.redirectUri} (or a list of ports: --port 8910,8911)`;

const publicOrSecret: Advice = (request) =>
  request === undefined
    ? 'check the client ID of this provider: authcli provider show'
    : request.isConfidential
      ? `check the secret of ${request.clientId}, and that the provider has it as a confidential client`
      : `check the client ID ${request.clientId}; if the provider has it as a confidential client, add its secret: authcli provider add … --force --client-secret-cmd COMMAND`;

const askForLess: Advice = (request) =>
  request?.scope
    ? `ask for less than "${request.scope}": authcli login --scope …, or have the scopes added to the client`
    : 'ask for less: authcli login --scope …';

const signInVisibly = 'run authcli login without --prompt none';
const checkTenant =
  'check the tenant in the issuer, and that the client ID belongs to it: authcli provider show';
const askAdministrator =
  "ask an administrator of the tenant to consent to this application, or to change the tenant's rules";

const byCode: Readonly<Record<string, Advice>> = {
  invalid_client: publicOrSecret,
  invalid_grant: 'start again: authcli login',
  invalid_scope: askForLess,
  unauthorized_client:
    'allow this client the authorization code grant (and refresh tokens) at the provider, and check that it is enabled there',
  unsupported_grant_type:
    'allow this client the authorization code grant and the refresh token grant at the provider',
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
};

/** Of Microsoft Entra ID, in the description: those that people meet. */
const byEntraCode: Readonly<Record<string, Advice>> = {
  16000: signInVisibly,
  50011: (request) =>
    `add the redirect URI ${request?.redirectUri?.replace(/:\d+/, '') ?? 'http://localhost'} to the app registration, under "Mobile and desktop applications" (not Web, not SPA)`,
  50020: 'this account is of another tenant: sign in with one of this tenant, or have it invited as a guest',
  50034: checkTenant,
  50058: signInVisibly,
  50076: 'sign in again, with the second factor: authcli login',
  50079: 'sign in again, with the second factor: authcli login',
  50194:
    'the application is of one tenant only: use https://login.microsoftonline.com/TENANT/v2.0 as the issuer',
  53000: askAdministrator,
  53003: askAdministrator,
  65001: 'consent to the permissions: authcli login --prompt consent (an administrator may have to)',
  65004: 'run authcli login again and allow the access',
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
};
