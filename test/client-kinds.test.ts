import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ClientMetadata } from 'oidc-provider';
import { expect, test } from 'vitest';

import { login, nativeClient, startAcme } from './support/newcomer.js';
import { freePort } from './support/ports.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import type { Provider, ProviderRequest } from './support/provider.js';
import { newMachine, type Outcome } from './support/run.js';

/** What each step says, and what of it reaches the provider. */
type Steps<T> = Readonly<Record<'add' | 'login' | 'token' | 'refresh' | 'whoami' | 'logout', T>>;

interface Kind {
  /** What the provider demands, and how it knows the client `app`. */
  readonly provider?: ProviderOptions;
  readonly client?: Partial<ClientMetadata>;
  /** What the person tells of it, next to issuer, client ID and scope. */
  readonly add?: readonly string[];
  readonly login?: readonly string[];
  /** Where it is not as with a public client. */
  readonly says?: Partial<Steps<Outcome>>;
  readonly record?: Partial<Steps<readonly string[]>>;
}

const scope = 'openid profile email offline_access';
const secret = 'canary-4711 /+=:%&"\'\\';
const api = 'https://api.acme.test/v1';
const exactUri = `http://127.0.0.1:${await freePort()}/oauth/back`;
const key = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

const token: Outcome = { exitCode: 0, stdout: expect.stringMatching(/^[\w-]+\n$/), stderr: '' };
/** Of this provider, only those for an API are JWTs. */
const apiToken: Outcome = { ...token, stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/) };
const jane: Outcome = {
  exitCode: 0,
  stdout: expect.stringContaining('"email":"jane@acme.test"'),
  stderr: '',
};

const publicClient: { readonly says: Steps<Outcome>; readonly record: Steps<readonly string[]> } = {
  says: {
    add: { exitCode: 0, stdout: '', stderr: '✓ Added acme. Next: authcli login -p acme\n' },
    // With --quiet the address is all that is said.
    login: { exitCode: 0, stdout: '', stderr: expect.stringMatching(/^\n {2}http:\S+\n\n$/) },
    token,
    refresh: token,
    whoami: jane,
    logout: signedOut('refresh token and access token revoked'),
  },
  record: {
    add: [],
    login: [
      'GET /.well-known/openid-configuration',
      'GET /auth, back to http://127.0.0.1:*/callback',
      'GET /jwks',
      'POST /token authorization_code',
    ],
    token: [],
    refresh: ['GET /jwks', 'POST /token refresh_token'],
    whoami: ['GET /me, Bearer'],
    logout: ['POST /token/revocation', 'POST /token/revocation'],
  },
};

const confidential = {
  basic: { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' },
  post: { client_secret: secret, token_endpoint_auth_method: 'client_secret_post' },
  key: {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...createPublicKey(key.publicKey).export({ format: 'jwk' }), kty: 'EC', use: 'sig' }] },
  },
} as const;

const kinds: Readonly<Record<string, Kind>> = {
  public: {},
  'confidential, client_secret_basic': {
    client: confidential.basic,
    add: ['--client-secret-env', 'APP_SECRET'],
    record: authenticated('Basic'),
  },
  'confidential, client_secret_post': {
    client: confidential.post,
    add: ['--client-secret-env', 'APP_SECRET', '--client-auth', 'client_secret_post'],
    record: authenticated('client_secret'),
  },
  'confidential, private_key_jwt': {
    client: confidential.key,
    add: ['--client-key', 'client.pem'],
    record: authenticated('client_assertion'),
  },
  'pushed authorization requests required (RFC 9126)': {
    provider: { pushedRequests: 'required' },
    record: {
      login: [
        'GET /.well-known/openid-configuration',
        'POST /request, back to http://127.0.0.1:*/callback',
        'GET /auth, request_uri',
        'GET /jwks',
        'POST /token authorization_code',
      ],
    },
  },
  'DPoP required, with nonces (RFC 9449)': {
    provider: { proofs: 'taken' },
    client: { dpop_bound_access_tokens: true },
    login: ['--dpop'],
    record: {
      login: [
        'GET /.well-known/openid-configuration',
        'GET /auth, back to http://127.0.0.1:*/callback',
        'GET /jwks',
        'POST /token authorization_code, proof',
        'POST /token authorization_code, proof with nonce',
      ],
      refresh: [
        'GET /jwks',
        'POST /token refresh_token, proof',
        'POST /token refresh_token, proof with nonce',
      ],
      whoami: ['GET /me, DPoP, proof', 'GET /me, DPoP, proof with nonce'],
    },
  },
  'bound to one resource (RFC 8707)': {
    provider: { resourceScope: 'read' },
    login: ['--resource', api, '--scope', `${scope} read`],
    says: {
      token: apiToken,
      refresh: apiToken,
      // That API's token says nothing to the userinfo endpoint.
      whoami: {
        ...jane,
        stderr:
          'warning: as of the sign-in, for the access token is not for userinfo: ' +
          'the provider refused the userinfo request: invalid_token (invalid token provided)\n',
      },
      // It is a JWT, which this provider cannot revoke.
      logout: signedOut('refresh token revoked'),
    },
    record: {
      login: [
        'GET /.well-known/openid-configuration',
        `GET /auth, back to http://127.0.0.1:*/callback, for ${api}`,
        'GET /jwks',
        `POST /token authorization_code, for ${api}`,
      ],
    },
  },
  'localhost only': {
    client: { redirect_uris: ['http://localhost/callback'] },
    add: ['--redirect-uri', 'http://localhost/callback'],
    record: backTo('http://localhost:*/callback'),
  },
  // A web client: oidc-provider compares no port of a native one.
  'redirect URI compared with its port': {
    client: { application_type: 'web', redirect_uris: [exactUri] },
    add: ['--redirect-uri', exactUri],
    record: backTo('http://127.0.0.1:*/oauth/back'),
  },
  'registered dynamically (RFC 7591)': {
    provider: { registration: 'anybody' },
    add: ['--register'],
    record: {
      add: ['GET /.well-known/openid-configuration', 'POST /reg'],
      ...backTo('http://127.0.0.1:*/callback/acme'),
    },
  },
};

/** The person's side of one kind of client, and the provider's. */
async function meet(kind: Kind): Promise<{ acme: Provider; steps: Steps<() => Promise<Outcome>> }> {
  const acme = await startAcme({ ...kind.provider, clients: [nativeClient(kind.client)] });
  const machine = newMachine({ AUTHCLI_STORE: 'file', APP_SECRET: secret });
  writeFileSync(join(machine.folder, 'client.pem'), key.privateKey, { mode: 0o600 });
  const { add = [], login: options = [] } = kind;
  const own = add.map((word) => (word === 'client.pem' ? join(machine.folder, word) : word));
  const client = add.includes('--register') ? [] : ['--client-id', 'app'];
  const named = ['--issuer', acme.issuer, '--scope', scope, ...client, ...own];
  const steps = {
    add: () => machine.spawn(['provider', 'add', 'acme', ...named]),
    login: () => login(machine, ...options),
    token: () => machine.spawn(['token']),
    refresh: () => machine.spawn(['token', '--force-refresh']),
    whoami: () => machine.spawn(['whoami', '--json']),
    logout: () => machine.spawn(['logout']),
  };
  return { acme, steps };
}

const names = ['add', 'login', 'token', 'refresh', 'whoami', 'logout'] as const;

test.each(Object.entries(kinds))('%s: login, token, forced refresh, whoami, logout', async (_title, kind) => {
  const { acme, steps } = await meet(kind);
  const said = new Map<string, Outcome>();
  for (const name of names) {
    const before = acme.requests.length;
    const outcome = await steps[name]();
    said.set(name, outcome);
    expect({ name, ...outcome, record: recordOf(acme.requests.slice(before)) }).toEqual({
      name,
      ...(kind.says?.[name] ?? publicClient.says[name]),
      record: kind.record?.[name] ?? publicClient.record[name],
    });
  }
  expect(said.get('refresh')?.stdout).not.toBe(said.get('token')?.stdout);
});

function signedOut(how: string): Outcome {
  const stderr = `✓ Signed out of acme as jane@acme.test: ${how}, session forgotten.\n`;
  return { exitCode: 0, stdout: '', stderr };
}

/** Each request of the client itself says who it is. */
function authenticated(by: string): Partial<Steps<readonly string[]>> {
  const { login: signIn, refresh, logout } = publicClient.record;
  const mark = (lines: readonly string[]) =>
    lines.map((line) => (line.startsWith('POST') ? `${line}, ${by}` : line));
  return { login: mark(signIn), refresh: mark(refresh), logout: mark(logout) };
}

function backTo(uri: string): Partial<Steps<readonly string[]>> {
  const usual = 'back to http://127.0.0.1:*/callback';
  return { login: publicClient.record.login.map((line) => line.replace(usual, `back to ${uri}`)) };
}

function recordOf(requests: readonly ProviderRequest[]): string[] {
  const pages = /^\/(interaction|auth)\/./;
  return requests.filter(({ path }) => !pages.test(path)).map(lineOf);
}

/** How it reached the provider, without what is new each time. */
function lineOf({ method, path, headers, parameters }: ProviderRequest): string {
  const { grant_type: grant, redirect_uri: back, resource } = parameters;
  const [scheme] = headers.authorization?.split(' ') ?? [];
  const proof = String(headers['dpop'] ?? '').split('.')[1];
  return [
    [method, path, grant].filter(Boolean).join(' '),
    grant === undefined && back && `back to ${back.replace(/(?<=127.0.0.1|localhost):\d+/, ':*')}`,
    resource && `for ${resource}`,
    scheme,
    ...['client_secret', 'client_assertion', 'request_uri'].filter((name) => name in parameters),
    proof && (Buffer.from(proof, 'base64url').includes('"nonce"') ? 'proof with nonce' : 'proof'),
  ]
    .filter(Boolean)
    .join(', ');
}
