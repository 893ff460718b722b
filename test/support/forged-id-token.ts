import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  sign as signBytes,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';

import { newPrivateKey, type SigningAlg } from './provider-configuration.js';

/** The payload of an ID token, good or bad. */
export type Claims = Readonly<Record<string, unknown>>;

export type JoseHeader = Readonly<Record<string, unknown>>;

/** A key of a provider's, with which a test signs what the provider would never sign. */
export interface SigningKey {
  readonly alg: ForgedAlg;
  readonly privateKey: KeyObject;
  /** As it stands in the provider's key set. */
  readonly jwk: JsonWebKey & { readonly kid: string; readonly alg: string };
}

/** EdDSA is Ed25519 by its older name. */
type ForgedAlg = SigningAlg | 'EdDSA';

export function newSigningKey(alg: ForgedAlg, kid = 'ours', modulusLength = 2048): SigningKey {
  const privateKey = newPrivateKey(alg === 'EdDSA' ? 'Ed25519' : alg, modulusLength);
  return { alg, privateKey, jwk: { ...publicJwk(privateKey), kid, alg, use: 'sig' } };
}

/** By way of PEM, as in `provider-configuration.ts`: the direct export can block for ever. */
function publicJwk(privateKey: KeyObject): JsonWebKey {
  const pem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' });
  return createPublicKey(pem).export({ format: 'jwk' });
}

export function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export function claimsOf(idToken: string): Claims {
  const claims: Claims = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString());
  return claims;
}

/** @param header beside, or in place of, the algorithm and the key's ID */
export function sign(claims: Claims, key: SigningKey, header: JoseHeader = {}): string {
  const whole = { alg: key.alg, kid: key.jwk.kid, ...header };
  return signOctets(Buffer.from(JSON.stringify(whole)), Buffer.from(JSON.stringify(claims)), key);
}

/** RFC 7515 7.1, whatever header and payload are. */
export function signOctets(header: Buffer, payload: Buffer, key: SigningKey): string {
  const signed = `${header.toString('base64url')}.${payload.toString('base64url')}`;
  return `${signed}.${signatureOf(signed, key).toString('base64url')}`;
}

function signatureOf(signed: string, { alg, privateKey: key }: SigningKey): Buffer {
  const data = Buffer.from(signed);
  switch (alg) {
    case 'RS256':
      return signBytes('sha256', data, key);
    case 'PS256':
      return signBytes('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'ES256':
      return signBytes('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
    case 'EdDSA':
    case 'Ed25519':
      return signBytes(null, data, key);
  }
}

/** HS256 with any bytes for a key. */
export function signWithSecret(claims: Claims, secret: string | Buffer, kid: string): string {
  const signed = `${encode({ alg: 'HS256', kid })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** OpenID Connect Core 3.1.3.6. */
export function accessTokenHash(accessToken: string, hash: 'sha256' | 'sha512' = 'sha256'): string {
  const digest = createHash(hash).update(accessToken).digest();
  return digest.subarray(0, digest.length / 2).toString('base64url');
}
