import { describe, expect, test } from 'vitest';

import {
  emulate,
  notFound,
  refusal,
  TokenDesk,
  type EmulatedProvider,
  type Reply,
} from './support/emulated-provider.js';
import { accessTokenHash, newSigningKey, type Claims, type SigningKey } from './support/forged-id-token.js';
import { login } from './support/newcomer.js';
import type { ProviderRequest } from './support/provider.js';
import { newMachine, type Machine, type Outcome } from './support/run.js';

const contoso = '11111111-2222-4333-8444-555555555555';
const fabrikam = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
const personal = '9188040d-6c67-4c5b-b112-36a304b66dad';

/** The tenant that the metadata at an address name: an alias holds a place for it, a domain stands for one. */
const tenants: Readonly<Record<string, string>> = {
  common: '{tenantid}',
  organizations: '{tenantid}',
  consumers: personal,
  'contoso.example': contoso,
  [contoso]: contoso,
};

interface Directory {
  /** Of the person who signs in. */
  readonly home?: string;
  /** What one grant says instead. */
  readonly forge?: (good: Claims, grant: string) => Claims;
  /** What signs instead of the published key. */
  readonly key?: SigningKey;
  /** What the metadata say instead. */
  readonly announced?: string;
}

/** Microsoft Entra ID as learn.microsoft.com describes its v2.0 endpoints. */
function startEntra({
  home = contoso,
  forge = (good) => good,
  announced,
  key,
}: Directory): Promise<EmulatedProvider> {
  const desk = new TokenDesk();
  return emulate((request, origin) => {
    const [, alias = '', ...rest] = request.path.split('/');
    const tenant = tenants[alias];
    if (request.path === '/oidc/userinfo')
      return { status: 200, body: { sub: 'jane-sub', name: 'Jane Doe' } };
    if (tenant === undefined) return refusal('invalid_tenant', 'AADSTS90002: Tenant not found.');
    switch (rest.join('/')) {
      case 'v2.0/.well-known/openid-configuration':
        return metadata(origin, alias, announced ?? tenant);
      case 'discovery/v2.0/keys':
        return desk.keys;
      case 'oauth2/v2.0/authorize':
        return authorize(request, desk);
      case 'oauth2/v2.0/token':
        return exchange(request, desk, (claims, grant) => {
          const good = { ...claims, iss: `${origin}/${home}/v2.0`, tid: home };
          return desk.idToken(forge(good, grant), key);
        });
      default:
        return notFound;
    }
  });
}

function metadata(origin: string, alias: string, tenant: string): Reply {
  const at = (path: string) => `${origin}/${alias}${path}`;
  const body = {
    issuer: `${origin}/${tenant}/v2.0`,
    authorization_endpoint: at('/oauth2/v2.0/authorize'),
    token_endpoint: at('/oauth2/v2.0/token'),
    jwks_uri: at('/discovery/v2.0/keys'),
    userinfo_endpoint: `${origin}/oidc/userinfo`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    request_uri_parameter_supported: false,
    tenant_region_scope: null,
  };
  return { status: 200, body };
}

/** As the portal takes it, which refuses 127.0.0.1; the port of localhost is not compared. */
const registered = 'http://localhost/callback';

function authorize({ parameters }: ProviderRequest, desk: TokenDesk): Reply {
  const redirectUri = parameters['redirect_uri'] ?? '';
  return redirectUri.replace(/(?<=^http:\/\/localhost):\d+(?=\/)/, '') === registered
    ? desk.authorize(parameters)
    : { status: 400, body: 'AADSTS50011: The redirect URI does not match' };
}

function exchange(
  { parameters }: ProviderRequest,
  desk: TokenDesk,
  idToken: (claims: Claims, grant: string) => string,
): Reply {
  if (parameters['client_secret'] !== undefined)
    return refusal('invalid_client', 'AADSTS700025: Client is public', 401);
  const asked = desk.redeem(parameters);
  if (asked === undefined) return refusal('invalid_grant', 'AADSTS70008: The code or refresh token expired');
  const now = Math.floor(Date.now() / 1000);
  const grant = parameters['grant_type'] ?? '';
  const claims = {
    aud: parameters['client_id'],
    sub: 'jane-sub',
    oid: 'jane-oid',
    name: 'Jane Doe',
    preferred_username: 'jane@contoso.example',
    ver: '2.0',
    // Dated back, as AppAuth-iOS found out in its issue 264.
    iat: now - 300,
    nbf: now - 300,
    exp: now + 3600,
    ...(grant === 'authorization_code' && { nonce: asked['nonce'] }),
  };
  const accessToken = desk.newAccessToken();
  const body = {
    token_type: 'Bearer',
    scope: 'openid profile email',
    expires_in: 4321,
    ext_expires_in: 4321,
    access_token: accessToken,
    refresh_token: desk.newRefreshToken(asked),
    id_token: idToken({ ...claims, at_hash: accessTokenHash(accessToken) }, grant),
  };
  return { status: 200, body };
}

interface Person {
  readonly entra: EmulatedProvider;
  readonly machine: Machine;
}

async function added(tenant: string, directory: Directory = {}): Promise<Person> {
  const entra = await startEntra(directory);
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const settings = ['--set', `tenant=${tenant}`, '--set', `cloud=${entra.origin}`];
  const argv = ['provider', 'add', 'work', '--preset', 'microsoft', ...settings, '--client-id', 'cli'];
  expect(await machine.spawn(argv)).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      '✓ Added work. Next: authcli login -p work\n' +
      `To be registered at Microsoft Entra ID, Microsoft accounts: ${registered}\n`,
  });
  return { entra, machine };
}

function refused(reason: string): object {
  return { exitCode: 5, stdout: '', stderr: expect.stringContaining(reason) };
}

describe('Microsoft Entra ID, with the preset', () => {
  test.each([
    ['common', contoso],
    ['common', personal],
    ['organizations', fabrikam],
    ['consumers', personal],
    ['contoso.example', contoso],
    [contoso, contoso],
  ])('the tenant %s, somebody of %s', async (tenant, home) => {
    const { entra, machine } = await added(tenant, { home });
    const signedIn = await login(machine, '--json');
    expect(signedIn).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining('error') });
    expect(JSON.parse(signedIn.stdout)).toMatchObject({
      issuer: `${entra.origin}/${tenant}/v2.0`,
      account: { sub: 'jane-sub', username: 'jane@contoso.example', name: 'Jane Doe' },
      refreshable: true,
    });
    const first = await machine.spawn(['token']);
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    const refreshed = await machine.spawn(['token', '--force-refresh']);
    expect(refreshed).toMatchObject({ exitCode: 0, stderr: '' });
    expect(refreshed.stdout).not.toBe(first.stdout);
    const who = await machine.spawn(['whoami', '--json']);
    expect(JSON.parse(who.stdout)).toMatchObject({ sub: 'jane-sub', tid: home, oid: 'jane-oid' });
    expect(await machine.spawn(['logout'])).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('session forgotten'),
    });
    expect(
      entra.requestsTo(`/${tenant}/oauth2/v2.0/token`).map(({ parameters }) => parameters['grant_type']),
    ).toEqual(['authorization_code', 'refresh_token']);
  });

  test('a user principal name is who is expected, although there is no e-mail address', async () => {
    const { entra, machine } = await added(contoso);
    expect(await login(machine, '-a', 'John@contoso.example')).toMatchObject({ exitCode: 3, stdout: '' });
    expect(await login(machine, '-a', 'Jane@Contoso.Example')).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await machine.spawn(['token', '-a', 'jane@contoso.example'])).toMatchObject({ exitCode: 0 });
    const asked = entra.requestsTo(`/${contoso}/oauth2/v2.0/authorize`);
    expect(asked.map(({ parameters }) => parameters['login_hint'])).toEqual([
      'John@contoso.example',
      'Jane@Contoso.Example',
    ]);
  });

  const placeForTenant = (good: Claims) => String(good['iss']).replace(contoso, '{tenantid}');
  const wrongIssuer = 'unexpected JWT "iss"';
  const noTenant = 'the ID token is refused: it names no tenant (tid)';

  test.each<[string, string, Directory, string]>([
    ['the tenant of an organization, for personal accounts', 'consumers', { home: contoso }, wrongIssuer],
    ['another tenant than the domain’s', 'contoso.example', { home: fabrikam }, wrongIssuer],
    ['another tenant than the one that was asked for', contoso, { home: fabrikam }, wrongIssuer],
    [
      'another tenant in iss than in tid',
      'common',
      { forge: (good) => ({ ...good, tid: fabrikam }) },
      wrongIssuer,
    ],
    ['no tenant', 'common', { forge: (good) => ({ ...good, tid: undefined }) }, noTenant],
    [
      'no tenant, and a place for one in iss',
      'common',
      { forge: (good) => ({ ...good, iss: placeForTenant(good), tid: undefined }) },
      noTenant,
    ],
    [
      'the place for a tenant as its tenant',
      'common',
      { forge: (good) => ({ ...good, iss: placeForTenant(good), tid: '{tenantid}' }) },
      noTenant,
    ],
    [
      'a path for a tenant',
      'common',
      { forge: (good) => ({ ...good, iss: `${String(good['iss'])}/x`, tid: `${contoso}/v2.0/x` }) },
      noTenant,
    ],
  ])('an ID token of %s is refused', async (_title, tenant, directory, reason) => {
    const { entra, machine } = await added(tenant, directory);
    expect(await login(machine)).toMatchObject(refused(reason));
    expect(entra.requestsTo(`/${tenant}/oauth2/v2.0/token`)).toHaveLength(1);
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4 });
  });

  test('an ID token that anybody may have signed is refused, whatever its tenant', async () => {
    const { entra, machine } = await added('common', { key: newSigningKey('RS256') });
    expect(await login(machine)).toMatchObject(refused('failed a check'));
    expect(entra.requestsTo('/common/oauth2/v2.0/token')).toHaveLength(1);
  });

  test('a refresh that brings an ID token of another tenant is refused', async () => {
    const { entra, machine } = await added('common', {
      forge: (good, grant) =>
        grant === 'refresh_token'
          ? { ...good, iss: String(good['iss']).replace(contoso, fabrikam), tid: fabrikam }
          : good,
    });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject(
      refused('it is of another issuer than that of the sign-in'),
    );
    expect(entra.requestsTo('/common/oauth2/v2.0/token')).toHaveLength(2);
  });

  test.each([
    ['common', 'contoso.example'],
    ['common', `${contoso}/more`],
    [contoso, fabrikam],
    [contoso, '{tenantid}'],
  ])('metadata at %s that are of %s are of another issuer', async (tenant, announced) => {
    const { entra, machine } = await added(tenant, { announced });
    const outcome: Outcome = await login(machine);
    expect(outcome).toMatchObject(refused('is of another issuer'));
    expect(entra.requests.map(({ path }) => path)).toEqual([
      `/${tenant}/v2.0/.well-known/openid-configuration`,
    ]);
  });
});

test('a provider whose entry says nothing of tenants has one issuer', async () => {
  const entra = await startEntra({});
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const issuer = `${entra.origin}/common/v2.0`;
  machine.configure({ providers: { work: { issuer, clientId: 'cli', scope: 'openid' } } });
  expect(await login(machine)).toMatchObject(refused('is of another issuer'));
});
