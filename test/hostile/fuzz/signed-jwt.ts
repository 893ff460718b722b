import { createPublicKey, verify } from 'node:crypto';

import { newSigningKey, sign, signOctets, type Claims } from '../../support/forged-id-token.js';

const key = newSigningKey('ES256');
const publicKey = createPublicKey({ key: key.jwk, format: 'jwk' });

/** As it stands in the provider's key set. */
export const { jwk } = key;
export const goodHeader = { alg: jwk.alg, kid: jwk.kid, typ: 'JWT' };

/** RFC 7515 7.1, signed whatever header and payload say. */
export function signedJwt(header: Buffer, payload: Buffer): string {
  return signOctets(header, payload, key);
}

export function isSignedByUs(signed: string, signature: Buffer): boolean {
  return verify('sha256', Buffer.from(signed), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

/** OpenID Connect Core 2, all that is required and nothing else. */
export function goodClaims(issuer: string, nonce?: string): Claims {
  const now = Math.floor(Date.now() / 1000);
  return { iss: issuer, sub: 'jane-4711', aud: 'cli', exp: now + 3600, iat: now, ...(nonce && { nonce }) };
}

export function goodIdToken(issuer: string, nonce?: string): string {
  return sign(goodClaims(issuer, nonce), key);
}
