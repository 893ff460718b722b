import { createCipheriv, createDecipheriv, hash, randomBytes, scrypt, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';

import { formatHeader, type SealedRecord, type SealingKey } from './session-record.js';
import { withoutOldest } from './session-size.js';
import type { Session } from './session.js';

type Secrets = Pick<
  Session,
  | 'accessToken'
  | 'otherAccessTokens'
  | 'refreshToken'
  | 'unverifiedRefreshToken'
  | 'refreshNonce'
  | 'idToken'
  | 'proofKey'
  | 'requestDigest'
>;

export type OpenedRecord =
  | { readonly kind: 'opened'; readonly session: Session }
  | { readonly kind: 'wrong_key' }
  /** Changed, cut, or moved under another name. */
  | { readonly kind: 'damaged' };

export const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;

/** Tells "another key" from "damaged" without opening anything. */
export function fingerprint(key: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('authcli sealing key\n'), key])).slice(0, 16);
}

/**
 * The summary in the clear, and the secrets under AES-256-GCM, bound to the summary and to the file's name. Access tokens for
 * other targets that find no room are left out.
 * @throws {AuthError} `protocol` where the rest by itself is more than can be read again
 */
export function sealRecord(session: Session, key: SealingKey, fileName: string): string {
  const {
    accessToken,
    otherAccessTokens,
    refreshToken,
    unverifiedRefreshToken,
    refreshNonce,
    idToken,
    proofKey,
    requestDigest,
    ...summary
  } = session;
  const secrets: Secrets = {
    accessToken,
    otherAccessTokens,
    refreshToken,
    unverifiedRefreshToken,
    ...(refreshNonce !== undefined && { refreshNonce }),
    idToken,
    proofKey,
    requestDigest,
  };
  const header = formatHeader(summary, key.reference);
  const kept = withoutOldest(secrets, summary.provider, Buffer.byteLength(header) + nonceLength + tagLength);
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(boundData(header, fileName));
  const text = cipher.update(JSON.stringify(kept), 'utf8');
  const sealed = Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]);
  return `${header}\n${sealed.toString('base64')}\n`;
}

export function openRecord(record: SealedRecord, key: Buffer, fileName: string): OpenedRecord {
  const { sealed } = record;
  if (sealed.length < nonceLength + tagLength) return { kind: 'damaged' };
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength))
    .setAAD(boundData(record.header, fileName))
    .setAuthTag(sealed.subarray(-tagLength));
  try {
    const text = decipher.update(sealed.subarray(nonceLength, -tagLength), undefined, 'utf8');
    // What the tag vouches for was written by sealRecord.
    const secrets: Secrets = JSON.parse(text + decipher.final('utf8'));
    // Absent in what the first versions wrote.
    const absent = { proofKey: null, unverifiedRefreshToken: null, requestDigest: null };
    return { kind: 'opened', session: { ...record.summary, ...absent, ...secrets } };
  } catch {
    return { kind: fingerprint(key) === record.key.fingerprint ? 'damaged' : 'wrong_key' };
  }
}

export function stretch(passphrase: string, { salt, cost }: { salt: string; cost: number }): Promise<Buffer> {
  // One passphrase typed on two systems may arrive in two Unicode forms.
  return promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)(
    passphrase.normalize('NFKC'),
    Buffer.from(salt, 'hex'),
    keyLength,
    {
      N: cost,
      r: 8,
      p: 1,
      maxmem: 2048 * cost,
    },
  );
}

function boundData(header: string, fileName: string): Buffer {
  return Buffer.from(`${fileName}\n${header}`);
}
