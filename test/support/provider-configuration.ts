import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';

import { createPrivateKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import type { AdapterFactory, ClientMetadata, Configuration, JWK, interactionPolicy } from 'oidc-provider';
import type { Certificate } from './certificates.js';
import { errorPage, signOutPage } from './provider-pages.js';

export interface ProviderOptions {
  /** One that the system chooses, when absent. */
  readonly port?: number;
  /** The host of the issuer; 127.0.0.1, when absent. */
  readonly host?: string;
  /** The address that it listens on; 127.0.0.1, when absent. */
  readonly address?: string;
  /** The issuer is https then. */
  readonly certificate?: Certificate;
  /** RFC 8705. The CA of the certificates that it knows people by, and whether it has addresses of their own for them. */
  readonly mutualTls?: { readonly ca: string; readonly isAliased?: boolean };
  /** Clients next to the public one named `cli`. */
  readonly clients?: readonly ClientMetadata[];
  /** Seconds. */
  readonly accessTokenLifetime?: number;
  /** Seconds. */
  readonly idTokenLifetime?: number;
  /** Seconds. */
  readonly refreshTokenLifetime?: number;
  /** Asked at each refresh where it is a function. */
  readonly rotateRefreshToken?: boolean | (() => boolean);
  /** Milliseconds for which a refresh token that was used is forgiven; none, when absent. */
  readonly refreshTokenReuseGrace?: number;
  /** When a code is exchanged for a refresh token too. */
  readonly issueRefreshToken?: 'offline_access' | 'always' | 'never';
  readonly idTokenSigningAlg?: SigningAlg;
  /** RFC 9126. */
  readonly pushedRequests?: 'taken' | 'required';
  /** RFC 9449, with nonces. */
  readonly proofs?: 'taken';
  /** RFC 7591; with a token only for those that bring it. */
  readonly registration?: 'anybody' | { readonly initialAccessToken: string };
  /** RFC 8707: access tokens may be for any resource, which has this scope. */
  readonly resourceScope?: string;
  /** RFC 9101. */
  readonly signedRequests?: 'taken' | 'required';
  /** What it says of a person over what it knows; where that is undefined, nothing. */
  readonly claims?: (account: Account, where: 'id_token' | 'userinfo') => Readonly<Record<string, unknown>>;
}

export type SigningAlg = 'RS256' | 'PS256' | 'ES256' | 'Ed25519';

export interface Account {
  readonly sub: string;
  readonly email: string;
  readonly name: string;
  readonly preferred_username: string;
}

/** The people who have an account from the start; `prompt=create` adds more. */
export function firstAccounts(): Map<string, Account> {
  return new Map(
    [newAccount('jane@acme.test', 'Jane Doe'), newAccount('john@acme.test', 'John Roe')].map(byEmail),
  );
}

export function newAccount(email: string, name = email): Account {
  const username = email.replace(/@.*/, '');
  return { sub: `${username}-4711`, email, name, preferred_username: username };
}

function byEmail(account: Account): [string, Account] {
  return [account.email, account];
}

const cli: ClientMetadata = {
  client_id: 'cli',
  client_name: 'authcli',
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  // Any port: a native client's loopback redirect URI is compared without it (RFC 8252, section 7.3).
  redirect_uris: ['http://127.0.0.1/callback'],
  post_logout_redirect_uris: ['http://127.0.0.1/callback'],
};

/** All that oidc-provider would otherwise make up with a warning on the console is given here. */
export function providerConfiguration(
  options: ProviderOptions,
  accounts: ReadonlyMap<string, Account>,
  policy: interactionPolicy.Prompt[],
  adapter: AdapterFactory,
  aliases: string | undefined,
): Configuration {
  const alg = options.idTokenSigningAlg ?? 'RS256';
  const refreshTokens = options.issueRefreshToken ?? 'offline_access';
  const day = 24 * 60 * 60;
  return {
    adapter,
    clients: [cli, ...(options.clients ?? [])],
    clientDefaults: { id_token_signed_response_alg: alg },
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    jwks: { keys: [signingKey(alg)] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    scopes: ['openid', 'offline_access'],
    pkce: { required: () => true },
    ...(options.rotateRefreshToken === undefined ? {} : { rotateRefreshToken: options.rotateRefreshToken }),
    issueRefreshToken: async (_context, client, code) =>
      client.grantTypeAllowed('refresh_token') &&
      (refreshTokens === 'always' ||
        (refreshTokens === 'offline_access' && code.scopes.has('offline_access'))),
    ttl: {
      AccessToken: options.accessTokenLifetime ?? 3600,
      IdToken: options.idTokenLifetime ?? 3600,
      RefreshToken: options.refreshTokenLifetime ?? day,
      Grant: day,
      Session: day,
      Interaction: 3600,
    },
    interactions: { policy, url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) => {
      const account = [...accounts.values()].find((candidate) => candidate.sub === sub);
      const claims = (where: string) => ({
        ...account,
        email_verified: true,
        ...(account && options.claims?.(account, where === 'userinfo' ? where : 'id_token')),
        sub,
      });
      return account && { accountId: sub, claims };
    },
    clientBasedCORS: () => false,
    renderError: (context, out) => {
      context.type = 'html';
      context.body = errorPage(out.error, out.error_description);
    },
    ...(options.mutualTls && {
      clientAuthMethods: ['none', 'tls_client_auth', 'self_signed_tls_client_auth'],
    }),
    ...(aliases && { discovery: { mtls_endpoint_aliases: aliasesAt(aliases) } }),
    features: {
      devInteractions: { enabled: false },
      ...(options.mutualTls && {
        mTLS: {
          enabled: true,
          certificateBoundAccessTokens: true,
          selfSignedTlsClientAuth: true,
          tlsClientAuth: true,
          getCertificate: ({ req }) => presented(req.socket)?.raw.toString('base64'),
          certificateAuthorized: ({ req }) => req.socket instanceof TLSSocket && req.socket.authorized,
          certificateSubjectMatches: ({ req }, property, expected) =>
            property === 'tls_client_auth_san_dns' &&
            presented(req.socket)?.subjectaltname === `DNS:${expected}`,
        },
      }),
      ...(options.registration && {
        registration: {
          enabled: true,
          initialAccessToken: options.registration !== 'anybody' && options.registration.initialAccessToken,
        },
      }),
      pushedAuthorizationRequests: {
        enabled: options.pushedRequests !== undefined,
        requirePushedAuthorizationRequests: options.pushedRequests === 'required',
      },
      dPoP: {
        enabled: options.proofs !== undefined,
        nonceSecret: randomBytes(32),
        requireNonce: () => true,
      },
      resourceIndicators: {
        enabled: options.resourceScope !== undefined,
        // RFC 8707 2.2: a refresh that names no resource is for the one that was granted.
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: options.resourceScope ?? '',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
      requestObjects: {
        enabled: options.signedRequests !== undefined,
        requireSignedRequestObject: options.signedRequests === 'required',
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_context, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          context.body = signOutPage(form);
        },
        postLogoutSuccessSource: (context) => {
          context.body = errorPage('Signed out');
        },
      },
    },
  };
}

/** The certificate that the other side has shown. */
export function presented(socket: Socket): PeerCertificate | undefined {
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
  return certificate?.raw === undefined ? undefined : certificate;
}

function aliasesAt(origin: string): Record<string, string> {
  return {
    token_endpoint: `${origin}/token`,
    revocation_endpoint: `${origin}/token/revocation`,
    pushed_authorization_request_endpoint: `${origin}/request`,
    userinfo_endpoint: `${origin}/me`,
  };
}

const signingKeys = new Map<SigningAlg, JWK>();

/** One key for all providers of a process: making an RSA key takes up to half a second. */
function signingKey(alg: SigningAlg): JWK {
  const key = signingKeys.get(alg) ?? { ...jwkOf(newPrivateKey(alg)), alg, use: 'sig' };
  signingKeys.set(alg, key);
  return key;
}

/**
 * By way of PEM: Node 20 can block for ever in the JWK export of a key that was generated here. The export holds the
 * key's lock, and a garbage collection during it waits for the same lock, to free the job that made the key.
 */
function jwkOf(key: KeyObject): JWK {
  return createPrivateKey(key.export({ type: 'pkcs8', format: 'pem' })).export({ format: 'jwk' });
}

export function newPrivateKey(alg: SigningAlg, modulusLength = 2048): KeyObject {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'Ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'RS256':
    case 'PS256':
      return generateKeyPairSync('rsa', { modulusLength }).privateKey;
  }
}
