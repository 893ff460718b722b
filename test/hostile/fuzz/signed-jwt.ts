import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';

// By way of PEM: Node 20 can block for ever in the JWK export of a key that was generated here.
const { privateKey, publicKey: publicPem } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const publicKey = createPublicKey(publicPem);
const dsaEncoding = 'ieee-p1363';

export const keyId = 'ours';
export const goodHeader = { alg: 'ES256', kid: keyId, typ: 'JWT' };

/** As it stands in the provider's key set. */
export const jwk = { ...publicKey.export({ format: 'jwk' }), kid: keyId, alg: 'ES256', use: 'sig' };

/** RFC 7515 7.1, signed whatever header and payload say. */
export function signedJwt(header: Buffer, payload: Buffer): string {
  const signed = `${header.toString('base64url')}.${payload.toString('base64url')}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding }).toString('base64url')}`;
}

export function isSignedByUs(signed: string, signature: Buffer): boolean {
  return verify('sha256', Buffer.from(signed), { key: publicKey, dsaEncoding }, signature);
}

/** OpenID Connect Core 2, all that is required and nothing else. */
export function goodClaims(issuer: string, nonce?: string): Readonly<Record<string, unknown>> {
  const now = Math.floor(Date.now() / 1000);
  return { iss: issuer, sub: 'jane-4711', aud: 'cli', exp: now + 3600, iat: now, ...(nonce && { nonce }) };
}

export function goodIdToken(issuer: string, nonce?: string): string {
  const claims = JSON.stringify(goodClaims(issuer, nonce));
  return signedJwt(Buffer.from(JSON.stringify(goodHeader)), Buffer.from(claims));
}
