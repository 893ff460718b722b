import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

import type { Session, SessionSummary } from './session.js';

/** Where the key of a record is to be had; it stands in the record, so that each can be opened by itself. */
export type KeyReference =
  | { readonly kind: 'keychain'; readonly account: string; readonly fingerprint: string }
  | { readonly kind: 'file'; readonly fingerprint: string }
  | {
      readonly kind: 'passphrase';
      readonly salt: string;
      readonly cost: number;
      readonly fingerprint: string;
    };

export interface SealingKey {
  readonly reference: KeyReference;
  readonly bytes: Buffer;
}

/** A record as it lies on the disk: the summary can be read by its owner at any time, the secrets need the key. */
export interface SealedRecord {
  readonly summary: SessionSummary;
  readonly key: KeyReference;
  readonly header: string;
  readonly sealed: Buffer;
}

export type ParsedRecord =
  | { readonly kind: 'record'; readonly record: SealedRecord }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'newer_format' };

type Secrets = Pick<Session, 'accessToken' | 'refreshToken' | 'idToken'>;

const formatVersion = 1;
const nonceLength = 12;
const tagLength = 16;

/** Tells "another key" from "damaged" without opening anything. */
export function fingerprint(key: Buffer): string {
  return createHash('sha256').update('authcli sealing key\n').update(key).digest('hex').slice(0, 16);
}

/** Two lines: the summary in the clear, and the secrets under AES-256-GCM, bound to the summary and the file's name. */
export function sealRecord(session: Session, key: SealingKey, fileName: string): string {
  const { accessToken, refreshToken, idToken, ...summary } = session;
  const header = JSON.stringify({ authcli: formatVersion, key: key.reference, ...summary });
  const secrets: Secrets = { accessToken, refreshToken, idToken };
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(boundData(header, fileName));
  const sealed = Buffer.concat([
    nonce,
    cipher.update(JSON.stringify(secrets), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return `${header}\n${sealed.toString('base64')}\n`;
}

export function parseRecord(text: string): ParsedRecord {
  const [header, sealed, end] = text.split('\n', 3);
  if (header === undefined || sealed === undefined || end !== '') return { kind: 'damaged' };
  const fields = parseObject(header);
  if (typeof fields?.['authcli'] === 'number' && fields['authcli'] > formatVersion)
    return { kind: 'newer_format' };
  if (fields?.['authcli'] !== formatVersion || !isHeader(fields)) return { kind: 'damaged' };
  const { authcli: _, key, ...summary } = fields;
  return { kind: 'record', record: { summary, key, header, sealed: Buffer.from(sealed, 'base64') } };
}

/** Undefined when it does not open: changed, cut, moved under another name, or sealed with another key. */
export function openRecord(record: SealedRecord, key: Buffer, fileName: string): Session | undefined {
  const { sealed } = record;
  if (sealed.length < nonceLength + tagLength) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength))
    .setAAD(boundData(record.header, fileName))
    .setAuthTag(sealed.subarray(-tagLength));
  try {
    const opened =
      decipher.update(sealed.subarray(nonceLength, -tagLength), undefined, 'utf8') + decipher.final('utf8');
    // What the tag vouches for was written by sealRecord.
    const secrets: Secrets = JSON.parse(opened);
    return { ...record.summary, ...secrets };
  } catch {
    return undefined;
  }
}

function boundData(header: string, fileName: string): Buffer {
  return Buffer.from(`${fileName}\n${header}`);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Header = SessionSummary & { readonly authcli: number; readonly key: KeyReference };

function isHeader(fields: object): fields is Header {
  const header: Partial<Record<keyof Header, unknown>> = fields;
  return (
    typeof header.provider === 'string' &&
    typeof header.issuer === 'string' &&
    typeof header.clientId === 'string' &&
    isObject(header.account) &&
    typeof header.refreshable === 'boolean' &&
    typeof header.signedInAt === 'string' &&
    isNullOr('string', header.scope) &&
    isNullOr('string', header.expiresAt) &&
    isNullOr('object', header.ended) &&
    isKeyReference(header.key)
  );
}

function isNullOr(type: 'string' | 'object', value: unknown): boolean {
  return value === null || typeof value === type;
}

function isKeyReference(value: unknown): value is KeyReference {
  if (!isObject(value) || typeof value['fingerprint'] !== 'string') return false;
  switch (value['kind']) {
    case 'keychain':
      return typeof value['account'] === 'string';
    case 'file':
      return true;
    case 'passphrase':
      return typeof value['salt'] === 'string' && typeof value['cost'] === 'number';
    default:
      return false;
  }
}
