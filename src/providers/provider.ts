import { hash } from 'node:crypto';

import { AuthError } from '../errors.js';
import { isProtectedAddress } from '../loopback.js';
import type { ProjectEntry, SessionOwner } from '../session-owner.js';
import type { ProviderEntry } from './entry-schema.js';

export type { ProviderEntry };

export interface Provider extends ProviderEntry {
  readonly name: string;
  /** Absent where the entry is the person's own. */
  readonly project?: ProjectEntry | undefined;
}

/**
 * What its sessions are bound to: a name alone, and even an issuer, can be given other endpoints by whoever edits a file. A program
 * that uses the library may have the name from anywhere, and files are named by it.
 */
export function ownerOf({ name, issuer, clientId, metadata, token, project }: Provider): SessionOwner {
  assertProviderName(name);
  const refreshEndpoint = token?.refreshEndpoint;
  const isAsPublished = metadata === undefined && refreshEndpoint === undefined;
  const endpoints = isAsPublished ? null : hash('sha256', JSON.stringify({ ...metadata, refreshEndpoint }));
  return { provider: name, issuer, clientId, endpoints, project: project ?? null };
}

const longestName = 64;

export function isProviderName(name: unknown): boolean {
  return (
    typeof name === 'string' &&
    /^[a-z0-9][a-z0-9._:-]*$/.test(name) &&
    name.length <= longestName &&
    !name.includes('..')
  );
}

export function assertProviderName(name: string): void {
  if (!isProviderName(name)) {
    throw new AuthError('usage', `"${name}" cannot be a provider's name`, {
      hint: `use up to ${longestName} of a-z 0-9 . _ : - and begin with a letter or a digit`,
    });
  }
}

/** What is wrong with an issuer, in words that fit behind its name; undefined when nothing is. */
export function issuerFault(issuer: string): string | undefined {
  // The usual form, known to be right without a parser: every start reads the configuration.
  if (/^https:\/\/[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+(\/[\w-]+)*$/.test(issuer)) return undefined;
  if (!URL.canParse(issuer)) return 'is no URL';
  const url = new URL(issuer);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'is not an https URL';
  if (url.username || url.password) return 'must not carry user information';
  // RFC 8414 2: neither query nor fragment.
  if (issuer.includes('?') || issuer.includes('#')) return 'must have neither query nor fragment';
  if (url.href !== issuer && url.href !== `${issuer}/`) return `is not in its canonical form, ${url.href}`;
  if (url.hostname.endsWith('.')) return 'has a host name that ends in a dot';
  if (url.port === '0') return 'names port 0';
  if (!isProtectedAddress(url)) return 'is plain http, which is accepted on this machine only';
  return undefined;
}

/** RFC 6749 A.1. */
export function isClientId(clientId: string): boolean {
  return /^[\x20-\x7e]+$/.test(clientId);
}

/** RFC 6749 3.3. */
export function isScope(scope: string): boolean {
  return scope.length < 10_000 && /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope);
}

/** The name that `login --issuer` gives when it is told none: the issuer's host, and its port unless it is the default one. */
export function nameOfIssuer(issuer: string): string {
  return new URL(issuer).host.toLowerCase().replace(/[[\]]/g, '');
}
