import { describe, expect, test } from 'vitest';

import type { ClientMetadata } from 'oidc-provider';

import { newcomer, newcomerWith, signedIn } from './support/newcomer.js';
import type { Machine, Outcome } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

/** What the person reads at the end, after the address. */
function endOf({ stderr, ...outcome }: Outcome): Outcome {
  return { ...outcome, stderr: stderr.split('\n\n').at(-1) ?? '' };
}

function failure(exitCode: number, refusal: string, hint?: string): Outcome {
  return {
    exitCode,
    stdout: '',
    stderr: `error: the provider refused ${refusal}\n${hint === undefined ? '' : `hint: ${hint}\n`}`,
  };
}

/** The provider sends the browser back with a refusal (RFC 6749 4.1.2.1). */
function refusedAtRedirect(
  machine: Machine,
  issuer: string,
  refusal: Readonly<Record<string, string>>,
  ...argv: string[]
): Promise<Outcome> {
  return machine.run(['login', '-q', ...argv], {
    openBrowser: async (url) => {
      const response = new URL(url.searchParams.get('redirect_uri') ?? '');
      const state = url.searchParams.get('state') ?? '';
      response.search = new URLSearchParams({ ...refusal, state, iss: issuer }).toString();
      // Answered when the login has ended.
      void fetch(response);
      return { kind: 'launched' };
    },
  });
}

const allow = 'run authcli login again and allow the access';
const visibly = 'run authcli login without --prompt none';
const register =
  'register this redirect URI for the client cli at the provider: http://127.0.0.1/callback (any port); ' +
  'where it compares ports, http://127.0.0.1:8910/callback, and then: authcli login --port 8910';
const askForLess =
  'ask for less than "openid profile email offline_access": authcli login --scope …, or have the scopes added to the client';
const grants =
  'allow the client cli the authorization code grant and refresh tokens at the provider, and check that it is enabled there';
const whoAreWe =
  'check the client ID cli; if the provider has it as a confidential client, say where its secret is: authcli login --client-secret-cmd COMMAND';
const tenant = 'check the tenant in the issuer, and that the client ID belongs to it: authcli provider show';
const administrator =
  "ask an administrator of the tenant to consent to this application, or to change the tenant's rules";
const secondFactor = 'sign in again, with the second factor: authcli login';
const again = 'sign in again: authcli login';
const desktop =
  'move the redirect URI from "Single-page application" to "Mobile and desktop applications" in the app registration';

test.each<[error: string, description: string | undefined, hint: string | undefined, exitCode?: number]>([
  ['access_denied', undefined, allow, 3],
  ['consent_required', undefined, allow, 3],
  ['invalid_request', 'the scope is missing', undefined],
  ['invalid_request', 'redirect_uri did not match', register],
  ['redirect_uri_mismatch', undefined, register],
  ['invalid_redirect_uri', undefined, register],
  ['unauthorized_client', undefined, grants],
  [
    'unsupported_response_type',
    undefined,
    'allow this client the authorization code flow (response type "code") at the provider',
  ],
  ['invalid_scope', undefined, askForLess],
  ['server_error', undefined, 'try again in a moment; if it stays, ask those who run the provider'],
  ['temporarily_unavailable', undefined, 'try again in a moment'],
  ['login_required', undefined, visibly],
  ['interaction_required', undefined, visibly],
  ['account_selection_required', undefined, visibly],
  [
    'invalid_target',
    undefined,
    'check --resource and --audience: the provider does not know that API, or the client may not use it',
  ],
  ['__proto__', undefined, undefined],
])('on the redirect: %s (%s)', async (error, description, hint, exitCode = 5) => {
  const { acme, machine } = await newcomer();
  const refusal = { error, ...(description !== undefined && { error_description: description }) };
  expect(endOf(await refusedAtRedirect(machine, acme.issuer, refusal))).toEqual(
    failure(exitCode, `the sign-in: ${error}${description === undefined ? '' : ` (${description})`}`, hint),
  );
});

test.each([
  ['16000', visibly],
  [
    '50011',
    'add the redirect URI http://127.0.0.1/callback to the app registration, under "Mobile and desktop applications" (not Web, not SPA)',
  ],
  [
    '50020',
    'this account is of another tenant: sign in with one of this tenant, or have it invited as a guest',
  ],
  ['50034', tenant],
  ['50058', visibly],
  ['50076', secondFactor],
  ['50079', secondFactor],
  [
    '50194',
    'the application is of one tenant only: use https://login.microsoftonline.com/TENANT/v2.0 as the issuer',
  ],
  ['53000', administrator],
  ['53003', administrator],
  ['65001', 'consent to the permissions: authcli login --prompt consent (an administrator may have to)'],
  ['65004', allow],
  ['70008', again],
  ['70011', askForLess],
  ['90002', tenant],
  ['90094', administrator],
  ['500011', 'check --resource and the scopes: that API is not known in this tenant'],
  ['650053', askForLess],
  ['650057', 'add the API permission to the app registration, then run authcli login again'],
  ['700016', tenant],
  ['700082', again],
  ['7000215', 'the client secret is wrong: use its value, not its ID'],
  [
    '7000218',
    'allow public client flows in the app registration (Authentication, Advanced settings), or add the secret of the client',
  ],
  ['7000222', 'the client secret has expired: make a new one in the app registration'],
  ['9002326', desktop],
  ['9002327', desktop],
])('Entra ID says AADSTS%s, whatever its error', async (code, hint) => {
  const { acme, machine } = await newcomer();
  const description = `AADSTS${code}: Something is wrong. Trace ID: 4711`;
  const refusal = { error: 'invalid_client', error_description: description };
  expect(endOf(await refusedAtRedirect(machine, acme.issuer, refusal))).toEqual(
    failure(5, `the sign-in: invalid_client (${description})`, hint),
  );
});

describe('the embedded provider refuses by itself', () => {
  test.each<[string, Partial<ClientMetadata>, object, string, string]>([
    [
      'a public client that has a secret there',
      { client_secret: 'S'.repeat(32), token_endpoint_auth_method: 'client_secret_basic' },
      { scope: 'openid', preset: 'keycloak' },
      'the code exchange: invalid_client (client authentication failed)',
      'check the client ID app (where: authcli provider presets keycloak); if the provider has it as a confidential client, say where its secret is: authcli login --client-secret-cmd COMMAND',
    ],
    [
      'a wrong secret',
      { client_secret: 'S'.repeat(32), token_endpoint_auth_method: 'client_secret_basic' },
      { client: { authentication: 'client_secret_basic', secret: { env: 'APP_SECRET' } } },
      'the code exchange: invalid_client (client authentication failed)',
      'check the secret, key or certificate of the client app, and that the provider has it as a confidential client',
    ],
    [
      'a scope that is not for this client',
      { scope: 'openid' },
      { scope: 'openid email' },
      'the sign-in: invalid_scope (requested scope is not allowed)',
      'ask for less than "openid email": authcli login --scope …, or have the scopes added to the client',
    ],
    [
      'a grant that is not for this client',
      { response_types: [], grant_types: ['refresh_token'] },
      { scope: 'openid' },
      'the sign-in: invalid_request (requested response_type is not allowed for this client)',
      'allow the client app the authorization code grant and refresh tokens at the provider, and check that it is enabled there',
    ],
  ])('%s', async (_title, client, entry, refusal, hint) => {
    const { machine } = await newcomerWith(client, entry);
    const outcome = await machine.run(['login', '-q', '--timeout', '10s'], browserOf(approves));
    expect(endOf(outcome)).toEqual(failure(5, refusal, hint));
  });
});

describe('the refresh', () => {
  test.each([
    ['invalid_client', whoAreWe],
    ['unauthorized_client', grants],
    ['unsupported_grant_type', grants],
    [
      'invalid_scope',
      'ask for less than "openid": authcli login --scope …, or have the scopes added to the client',
    ],
  ])('is refused with %s', async (error, hint) => {
    const { acme, machine } = await signedIn();
    const headers = { 'content-type': 'application/json' };
    acme.answerNext('/token', { status: 400, headers, body: JSON.stringify({ error }) });
    const outcome = await machine.spawn(['token', '--force-refresh', '--scope', 'openid']);
    expect(outcome).toEqual(failure(5, `the refresh: ${error}`, hint));
  });
});

test('who is refused as a client by the status alone is told the same', async () => {
  const { acme, machine } = await newcomer();
  const headers = { 'www-authenticate': 'Basic realm="acme"' };
  acme.answerNext('/token', { status: 401, headers });
  const outcome = await machine.run(['login', '-q', '--prompt', 'consent'], browserOf(approves));
  expect(endOf(outcome)).toEqual(failure(5, 'the code exchange: HTTP 401', whoAreWe));
});

test('a fixed redirect URI is named as it is, with the place to register it', async () => {
  const { acme, machine } = await newcomer();
  const { issuer } = acme;
  machine.configure({ providers: { acme: { issuer, clientId: 'cli', scope: 'openid', preset: 'okta' } } });
  const uri = 'http://127.0.0.1:58910/back';
  const refusal = { error: 'invalid_redirect_uri' };
  expect(endOf(await refusedAtRedirect(machine, issuer, refusal, '--redirect-uri', uri))).toEqual(
    failure(
      5,
      'the sign-in: invalid_redirect_uri',
      `register this redirect URI for the client cli at the provider (where: authcli provider presets okta): ${uri}`,
    ),
  );
});
