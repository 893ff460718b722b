import { describe, expect, test } from 'vitest';

import {
  emulate,
  notFound,
  refusal,
  TokenDesk,
  type EmulatedProvider,
  type Reply,
} from './support/emulated-provider.js';
import { login } from './support/newcomer.js';
import type { ProviderRequest } from './support/provider.js';
import { newMachine, type Machine } from './support/run.js';

/** A record of the instance, as its administrator enters it. */
interface TrustedApplication {
  readonly applicationUri: string;
  /** Absent: ClientType Public. */
  readonly secret?: string;
  /** Several may be registered. */
  readonly impersonateLoginUrls: readonly string[];
}

const applicationUri = 'my.trusted.app/first';
const scopes = 'openid profile offline_access DomainApi read update';

/** An instance of ERP.net as docs.erp.net describes it. */
function startInstance(application: TrustedApplication, desk: TokenDesk): Promise<EmulatedProvider> {
  return emulate((request, origin) => {
    switch (request.path) {
      case '/id/connect/authorize':
        return authorize(request, application, desk);
      case '/id/connect/token':
        return exchange(request, application, desk, `${origin}/id`);
      case '/id/.well-known/openid-configuration/jwks':
        return desk.keys;
      default:
        return notFound;
    }
  });
}

function authorize({ parameters }: ProviderRequest, application: TrustedApplication, desk: TokenDesk): Reply {
  if (parameters['client_id'] !== application.applicationUri) return { status: 400, body: 'invalid_client' };
  if (!application.impersonateLoginUrls.includes(parameters['redirect_uri'] ?? ''))
    return { status: 400, body: 'invalid_redirect_uri' };
  const isAllowed = parameters['scope']?.split(' ').every((scope) => scopes.split(' ').includes(scope));
  if (!isAllowed) return { status: 400, body: 'invalid_scope' };
  if (application.secret === undefined && parameters['code_challenge_method'] !== 'S256')
    return { status: 400, body: 'invalid_request' };
  return desk.authorize(parameters);
}

function exchange(
  { parameters, headers }: ProviderRequest,
  application: TrustedApplication,
  desk: TokenDesk,
  issuer: string,
): Reply {
  const { client_id: id, client_secret: secret, grant_type: grant = '' } = parameters;
  const isKnown = id === application.applicationUri && secret === application.secret;
  if (!isKnown || headers.authorization !== undefined) return refusal('invalid_client', 'Invalid client');
  if (!['authorization_code', 'refresh_token'].includes(grant))
    return refusal('unsupported_grant_type', 'Grant not allowed');
  const asked = desk.redeem(parameters);
  if (asked === undefined) return refusal('invalid_grant', 'Expired, revoked, or used before');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: id, sub: 'jane-4711', name: 'Jane Doe', nonce: asked['nonce'] };
  const answer = {
    access_token: desk.newAccessToken(),
    expires_in: 3600,
    ...(asked['scope']?.includes('offline_access') && { refresh_token: desk.newRefreshToken(asked) }),
    scope: asked['scope'],
  };
  const body =
    grant === 'refresh_token'
      ? answer
      : {
          ...answer,
          token_type: 'Bearer',
          id_token: desk.idToken({ ...claims, iat: now, exp: now + 300 }),
        };
  return { status: 200, body };
}

interface Application {
  readonly instance: EmulatedProvider;
  readonly machine: Machine;
  readonly desk: TokenDesk;
}

const secret = 's3cret/+=';

/** What the preset says that is to be registered, and its ports: compared to the letter. */
const registered = [8910, 8911, 8912].map((port) => `http://127.0.0.1:${port}/callback`);

/** @param record of the instance @param options what the person says of it */
async function added(
  record: Partial<TrustedApplication> = {},
  options: readonly string[] = [],
): Promise<Application> {
  const desk = new TokenDesk();
  const instance = await startInstance({ applicationUri, impersonateLoginUrls: registered, ...record }, desk);
  const machine = newMachine({ AUTHCLI_STORE: 'file', ERP_SECRET: secret });
  const preset = ['--preset', 'erp-net', '--set', `instance=${instance.origin}`];
  const argv = ['provider', 'add', 'erp', ...preset, '--client-id', applicationUri, ...options];
  expect(await machine.spawn(argv)).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `✓ Added erp. Next: authcli login -p erp\nTo be registered at ERP.net: ${registered.join(', ')}\n`,
  });
  return { instance, machine, desk };
}

const withSecret = ['--client-secret-env', 'ERP_SECRET'];

/** Login, token, forced refresh, whoami, logout. */
async function liveThrough({ instance, machine }: Application): Promise<void> {
  const signedIn = await login(machine, '--json');
  expect(signedIn).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(signedIn.stdout)).toMatchObject({
    provider: 'erp',
    issuer: `${instance.origin}/id`,
    account: { sub: 'jane-4711', name: 'Jane Doe' },
    scope: scopes,
    refreshable: true,
  });
  const seen = new Set<string>();
  seen.add((await machine.spawn(['token'])).stdout);
  for (let times = 0; times < 2; times++) {
    const refreshed = await machine.spawn(['token', '--force-refresh']);
    expect(refreshed).toMatchObject({ exitCode: 0, stderr: '' });
    seen.add(refreshed.stdout);
  }
  expect(seen.size).toBe(3);
  const who = await machine.spawn(['whoami', '--json']);
  expect(JSON.parse(who.stdout)).toMatchObject({ sub: 'jane-4711', name: 'Jane Doe', aud: applicationUri });
  expect(await machine.spawn(['logout'])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      'warning: refresh token and access token not revoked (the provider has no revocation endpoint): good at erp until expiry\n' +
      '✓ Signed out of erp as Jane Doe: session forgotten.\n',
  });
  const paths = new Set(instance.requests.map(({ path }) => path));
  expect([...paths].toSorted()).toEqual([
    '/id/.well-known/openid-configuration/jwks',
    '/id/connect/authorize',
    '/id/connect/token',
  ]);
}

describe('an instance of ERP.net, with the preset', () => {
  test('a public trusted application', async () => {
    const application = await added();
    await liveThrough(application);
    const [code] = application.instance.requestsTo('/id/connect/token');
    expect(code?.parameters).toMatchObject({ client_id: applicationUri });
    expect(code?.parameters).not.toHaveProperty('client_secret');
  });

  test('a confidential one: the secret is in the form, of the refresh too, and nowhere else', async () => {
    const application = await added({ secret }, withSecret);
    await liveThrough(application);
    const requests = application.instance.requestsTo('/id/connect/token');
    expect(requests.map(({ parameters }) => parameters['client_secret'])).toEqual([secret, secret, secret]);
    expect(application.instance.requests.map(({ url }) => url).join()).not.toContain('s3cret');
  });

  test.each<[string, Partial<TrustedApplication>, string[]]>([
    ['a secret that is missing', { secret }, []],
    ['a secret of a public application', {}, withSecret],
  ])('%s: exit 5, and nothing is kept', async (_title, record, options) => {
    const { machine } = await added(record, options);
    expect(await login(machine)).toMatchObject({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringContaining('error: the provider refused the code exchange: invalid_client'),
    });
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4 });
  });

  test('a redirect URI that differs by a letter is shown as it must be registered', async () => {
    const { instance, machine } = await added({ impersonateLoginUrls: registered.map(capitalized) });
    const outcome = await login(machine, '--timeout', '2s');
    const [asked] = instance.requestsTo('/id/connect/authorize');
    expect(registered).toContain(asked?.parameters['redirect_uri']);
    expect(outcome).toEqual({
      exitCode: 8,
      stdout: '',
      stderr: expect.stringMatching(/^\n {2}http:\S+\n\nerror: not finished within 2 s\nhint: [^\n]+\n$/),
    });
    expect(outcome.stderr).toContain(
      "if the provider's page shows an error, register this redirect URI for the client my.trusted.app/first " +
        `at the provider (where: authcli provider presets erp-net): ${asked?.parameters['redirect_uri']}\n`,
    );
  });

  test('each refresh revokes the older refresh token, and an instance that forgets the newer one ends the session', async () => {
    const { instance, machine, desk } = await added();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
    const { parameters } = instance.requestsTo('/id/connect/token').at(-1) ?? { parameters: {} };
    const body = new URLSearchParams(parameters);
    const again = await fetch(`${instance.origin}/id/connect/token`, { method: 'POST', body });
    expect(again.status).toBe(400);
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0 });
    desk.forget();
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 4, stdout: '' });
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
  });
});

function capitalized(uri: string): string {
  return uri.replace('/callback', '/Callback');
}
