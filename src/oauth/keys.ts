import { setJwksCache, type Configuration, type ExportedJWKSCache } from 'openid-client';

import { AuthError } from '../errors.js';
import { isObject } from '../json-document.js';
import { providerFetch, type Wire } from './wire.js';

type KeySet = ExportedJWKSCache['jwks'];
type Key = KeySet['keys'][number];

/**
 * Fetches the keys that will verify an ID token before the code or the refresh token is spent: keys that cannot be had
 * afterwards would cost it. A key that is not among them, because it was rotated meanwhile, is looked for once more, which
 * openid-client does after a minute.
 */
export async function loadKeys(configuration: Configuration, wire: Wire): Promise<void> {
  const { jwks_uri: address } = configuration.serverMetadata();
  if (address === undefined) return;
  setJwksCache(configuration, {
    jwks: await fetchKeys(address, wire),
    uat: Math.floor(Date.now() / 1000) - 61,
  });
}

/** What is no key that could verify a signature is left out, as if the provider did not publish it. */
export async function fetchKeys(address: string, wire: Wire): Promise<KeySet> {
  const headers = { accept: 'application/json, application/jwk-set+json' };
  const response = await providerFetch(wire)(address, { method: 'GET', headers, redirect: 'manual' });
  const answer: unknown = response.ok ? await response.json().catch(() => undefined) : undefined;
  const keys = isObject(answer) ? answer['keys'] : undefined;
  if (!Array.isArray(keys)) throw new AuthError('protocol', `there are no keys at ${address}`);
  return { keys: keys.filter(isVerificationKey) };
}

function isVerificationKey(key: unknown): key is Key {
  if (!isObject(key)) return false;
  // A secret, or a private half that everybody can read: whoever signed with it is not known to be the provider.
  if ('k' in key || 'd' in key) return false;
  if (key['key_ops'] !== undefined && !Array.isArray(key['key_ops'])) return false;
  return key['kty'] !== 'RSA' || isSafeExponent(key['e']);
}

/** With 1 for an exponent a signature is its own proof: anybody can write one. openid-client sees to the modulus. */
function isSafeExponent(encoded: unknown): boolean {
  if (typeof encoded !== 'string') return false;
  const exponent = BigInt(`0x0${Buffer.from(encoded, 'base64url').toString('hex')}`);
  return exponent > 1n && exponent % 2n === 1n;
}
