import { join } from 'node:path';

import { AuthError } from '../errors.js';
import type { Locking } from './lock.js';
import type { Keychain, KeychainTrouble, Patience } from './keychain.js';
import { readOwnFile } from './own-file.js';
import { keyLength, stretch } from './seal.js';
import type { KeyReference } from './session-record.js';
import type { StoreFolder } from './store-description.js';

/** Where a session's key rests; all else about the two stores is the same. */
export type StoreName = 'keychain' | 'file';

export interface KeySurroundings extends StoreFolder {
  readonly keychain: () => Promise<Keychain>;
  readonly patience: Patience;
  readonly passphrase: PassphraseSource;
  readonly locking: Locking;
  readonly signal: AbortSignal;
  /** Told to a person who is kept waiting. */
  readonly waiting: (what: string) => void;
}

export interface PassphraseSource {
  /** The person asked for one: then nothing else will do. */
  readonly isRequested: boolean;
  /** The passphrase of an existing store; undefined when nobody can be asked. */
  open(signal: AbortSignal): Promise<string | undefined>;
  /** A passphrase for a new store; undefined when the person wants a key file. */
  choose(signal: AbortSignal): Promise<string | undefined>;
}

export function storeOf(reference: KeyReference): StoreName {
  return reference.kind === 'keychain' ? 'keychain' : 'file';
}

/** What lies where a record says that its key is. Never makes one: a new key in place of one that is only locked away would lose every session. */
export async function fetchKey(
  reference: KeyReference,
  surroundings: KeySurroundings,
  provider?: string,
): Promise<Buffer> {
  const found = await lookUp(reference, surroundings);
  if (found !== undefined) return found;
  const message = `the key of the ${storeOf(reference)} store is gone: its sessions open again only with it`;
  throw new AuthError('login_required', message, { remedy: { kind: 'login', provider } });
}

export type KeychainKey = { readonly kind: 'answered'; readonly key: Buffer | undefined } | KeychainTrouble;

export async function readKeychainKey(
  account: string,
  { keychain, patience }: KeySurroundings,
): Promise<KeychainKey> {
  const answer = await (await keychain()).read(account, patience);
  if (answer.kind === 'unavailable') return answer;
  const key = answer.kind === 'found' ? decodeKey(answer.secret) : undefined;
  if (answer.kind === 'missing' || key !== undefined) return { kind: 'answered', key };
  throw new AuthError('store', `the keychain item of authcli (account ${account}) holds no key of authcli`, {
    hint: 'restore the item from a backup, or delete it and sign in again',
  });
}

export function keyFilePath(folder: string): string {
  return join(folder, 'store.key');
}

export function readKeyFile({ folder, ownership }: KeySurroundings): Buffer | undefined {
  const text = readOwnFile(keyFilePath(folder), ownership);
  if (text === undefined) return undefined;
  const key = decodeKey(text);
  if (key !== undefined) return key;
  throw new AuthError('store', `${keyFilePath(folder)} holds no key of authcli`, {
    hint: 'restore it from a backup, or move it away and sign in again',
  });
}

export function encodeKey(key: Buffer): string {
  return key.toString('base64');
}

export function wrongKey(reference: KeyReference, provider?: string): AuthError {
  if (reference.kind === 'passphrase') {
    return new AuthError('store', 'wrong passphrase for the sealed sessions', {
      hint: 'check AUTHCLI_STORE_PASSPHRASE',
    });
  }
  const message = `this session is sealed with another key than the one in the ${storeOf(reference)} store, and opens again with it`;
  return new AuthError('store', message, { remedy: { kind: 'login', provider } });
}

async function lookUp(reference: KeyReference, surroundings: KeySurroundings): Promise<Buffer | undefined> {
  switch (reference.kind) {
    case 'keychain': {
      const found = await readKeychainKey(reference.account, surroundings);
      if (found.kind === 'unavailable') throw new AuthError('store', found.message, { hint: found.hint });
      return found.key;
    }
    case 'file':
      return readKeyFile(surroundings);
    case 'passphrase': {
      const passphrase = await surroundings.passphrase.open(surroundings.signal);
      if (passphrase === undefined) {
        throw new AuthError('store', 'the sessions are sealed with a passphrase, and none was given', {
          hint: 'set AUTHCLI_STORE_PASSPHRASE',
        });
      }
      return stretch(passphrase, reference);
    }
  }
}

function decodeKey(text: string): Buffer | undefined {
  const line = text.trim();
  const key = Buffer.from(line, 'base64');
  return key.length === keyLength && encodeKey(key) === line ? key : undefined;
}
