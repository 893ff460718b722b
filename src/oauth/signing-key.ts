import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  webcrypto,
  type KeyObject,
} from 'node:crypto';

import { AuthError } from '../errors.js';
import { isObject } from '../json-document.js';
import { readPrivateKey, type Fault } from './private-key.js';

/** A private key as text, so that it can be sealed, or handed to the refresh helper. */
export interface SigningKey {
  /** PKCS #8, PEM. */
  readonly pem: string;
  /** RFC 7517 4.5. */
  readonly keyId?: string | undefined;
  /** RFC 7518 3.1. */
  readonly algorithm: SigningAlgorithm;
}

export type SigningAlgorithm = keyof typeof importParameters;

const importParameters = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  ES512: { name: 'ECDSA', namedCurve: 'P-521' },
  Ed25519: { name: 'Ed25519' },
} as const;

/** PEM or JWK, as people are given them. @throws {AuthError} `usage` when it is no key that can sign */
export function parseSigningKey(text: string, place: string): SigningKey {
  const jwk = parseJwk(text);
  const key =
    jwk === undefined
      ? readPrivateKey(text, place, (fault) => missingKey(place, fault))
      : readJwk(jwk, place);
  const algorithm = algorithmOf(key, jwk);
  if (algorithm === undefined) throw wrongKey(place, { reason: `${describe(key)} cannot be signed with` });
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { pem, algorithm, keyId: typeof jwk?.['kid'] === 'string' ? jwk['kid'] : undefined };
}

/** For proofs of possession (RFC 9449). Made as PEM: Node 20 can block for ever when it exports a key that it has just made. */
export function newProofKey(): string {
  const encoding = { type: 'pkcs8', format: 'pem' } as const;
  const options = { namedCurve: 'P-256', privateKeyEncoding: encoding } as const;
  return generateKeyPairSync('ec', { ...options, publicKeyEncoding: { type: 'spki', format: 'pem' } })
    .privateKey;
}

/** The private half cannot be exported again. */
export async function importSigningKey({ pem, algorithm }: SigningKey): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, importParameters[algorithm], false, ['sign']);
}

export async function importProofKeyPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const spki = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await importSigningKey({ pem, algorithm: 'ES256' }),
    publicKey: await webcrypto.subtle.importKey('spki', spki, importParameters.ES256, true, ['verify']),
  };
}

/** An RSA key signs in two ways, of which a provider may take only the newer one. */
export function acceptableTo(supported: readonly string[] | undefined, key: SigningKey): SigningKey {
  const isRefused = supported !== undefined && !supported.includes(key.algorithm);
  return isRefused && key.algorithm === 'RS256' && supported.includes('PS256')
    ? { ...key, algorithm: 'PS256' }
    : key;
}

type Jwk = Readonly<Record<string, unknown>>;

function parseJwk(text: string): Jwk | undefined {
  try {
    const jwk: unknown = JSON.parse(text);
    return isObject(jwk) ? jwk : undefined;
  } catch {
    return undefined;
  }
}

function readJwk(jwk: Jwk, place: string): KeyObject {
  try {
    return createPrivateKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    const isPublic = typeof jwk['kty'] === 'string' && jwk['kty'] !== 'oct' && jwk['d'] === undefined;
    throw missingKey(place, {
      reason: isPublic ? 'it holds a public key only' : 'it is not a private key as a JWK',
    });
  }
}

/** Its own word counts where it is one of two. */
function algorithmOf(key: KeyObject, jwk: Jwk | undefined): SigningAlgorithm | undefined {
  const algorithm = usualAlgorithmOf(key);
  return algorithm === 'RS256' && jwk?.['alg'] === 'PS256' ? 'PS256' : algorithm;
}

function usualAlgorithmOf({
  asymmetricKeyType,
  asymmetricKeyDetails: details,
}: KeyObject): SigningAlgorithm | undefined {
  if (asymmetricKeyType === 'rsa') return (details?.modulusLength ?? 0) >= 2048 ? 'RS256' : undefined;
  if (asymmetricKeyType === 'ec') return curves[details?.namedCurve ?? ''];
  return asymmetricKeyType === 'ed25519' ? 'Ed25519' : undefined;
}

const curves: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

function describe({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  if (type === 'ec') return `an EC key on the curve ${details?.namedCurve ?? '?'}`;
  return type === 'rsa'
    ? `an RSA key of ${details?.modulusLength ?? 0} bits`
    : `a key of the type ${type ?? '?'}`;
}

function missingKey(place: string, { reason, hint }: Fault): AuthError {
  const usual =
    'name the file of the private key, PEM or JWK: authcli provider add … --force --client-key PATH';
  return wrongKey(place, { reason, hint: hint ?? usual });
}

function wrongKey(place: string, { reason, hint }: Fault): AuthError {
  return new AuthError('usage', `the client's key in ${place} cannot be used: ${reason}`, {
    hint: hint ?? 'use an RSA key of 2048 bits or more, an EC key (P-256, P-384, P-521) or an Ed25519 key',
  });
}
