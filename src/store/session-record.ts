import { isObject } from '../json-document.js';
import type { SessionSummary } from './session.js';

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

/**
 * 1, until December 2026: without `project`, `resource` and an unverified refresh token. Either may lack `emailVerified` and the
 * digest of the request.
 */
const formatVersion = 2;

/** The first of a record's two lines; the second holds the secrets. */
export function formatHeader(summary: SessionSummary, key: KeyReference): string {
  return JSON.stringify({ authcli: formatVersion, key, ...summary });
}

export function parseRecord(text: string): ParsedRecord {
  const [header, sealed, end] = text.split('\n', 3);
  if (header === undefined || sealed === undefined || end !== '') return { kind: 'damaged' };
  const fields = parseObject(header);
  if (typeof fields?.['authcli'] === 'number' && fields['authcli'] > formatVersion) {
    return { kind: 'newer_format' };
  }
  if ((fields?.['authcli'] !== 1 && fields?.['authcli'] !== formatVersion) || !isHeader(fields))
    return { kind: 'damaged' };
  const { authcli: _, key, ...written } = fields;
  // Absent in what the first versions wrote.
  const absent = { endpoints: null, project: null, resource: null };
  const account = { ...written.account, emailVerified: written.account.emailVerified ?? null };
  const summary = { ...absent, ...written, account };
  return { kind: 'record', record: { summary, key, header, sealed: Buffer.from(sealed, 'base64') } };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Header = SessionSummary & { readonly authcli: number; readonly key: KeyReference };

function isHeader(fields: object): fields is Header {
  const header: Partial<Record<keyof Header, unknown>> = fields;
  return (
    typeof header.provider === 'string' &&
    typeof header.issuer === 'string' &&
    typeof header.clientId === 'string' &&
    isAccount(header.account) &&
    typeof header.refreshable === 'boolean' &&
    isNullOrText(header.refreshExpiresAt ?? null) &&
    typeof header.signedInAt === 'string' &&
    isNullOrText(header.scope) &&
    isNullOrText(header.endpoints ?? null) &&
    isProject(header.project ?? null) &&
    isNullOrText(header.resource ?? null) &&
    isNullOrText(header.expiresAt) &&
    isNullOrText(header.obtainedAt ?? null) &&
    isEnd(header.ended) &&
    isKeyReference(header.key)
  );
}

function isNullOrText(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function isAccount(value: unknown): boolean {
  return (
    isObject(value) &&
    ['sub', 'username', 'email', 'name'].every((field) => isNullOrText(value[field])) &&
    ['boolean', 'undefined'].includes(typeof (value['emailVerified'] ?? undefined))
  );
}

function isProject(value: unknown): boolean {
  return (
    value === null ||
    (isObject(value) && typeof value['file'] === 'string' && typeof value['digest'] === 'string')
  );
}

function isEnd(value: unknown): boolean {
  return (
    value === null ||
    (isObject(value) && typeof value['at'] === 'string' && typeof value['reason'] === 'string')
  );
}

function isHex(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]+$/.test(value);
}

/** RFC 7914 2: a power of two. More than a second of work was written by nobody of ours. */
function isScryptCost(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(Math.log2(value)) && value > 1 && value <= 2 ** 20;
}

export function isKeyReference(value: unknown): value is KeyReference {
  if (!isObject(value) || typeof value['fingerprint'] !== 'string') return false;
  switch (value['kind']) {
    case 'keychain':
      return typeof value['account'] === 'string';
    case 'file':
      return true;
    case 'passphrase':
      return isHex(value['salt']) && isScryptCost(value['cost']);
    default:
      return false;
  }
}
