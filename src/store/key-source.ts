import { randomBytes, scrypt, type ScryptOptions } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { AuthError } from '../errors.js';
import { writeFileAtomically } from '../atomic-file.js';
import type { Keychain, KeychainTrouble, Patience } from './keychain.js';
import { withLock } from './lock.js';
import { readOwnFile, storeTrouble } from './own-file.js';
import { fingerprint, type KeyReference, type SealingKey } from './sealed-record.js';
import { describeStore, readDescription, type StoreFolder } from './store-description.js';

/** Where a session's key rests; all else about the two stores is the same. */
export type StoreName = 'keychain' | 'file';

export interface KeySurroundings extends StoreFolder {
  readonly keychain: () => Promise<Keychain>;
  readonly patience: Patience;
  readonly passphrase: PassphraseSource;
  readonly signal: AbortSignal;
}

export interface PassphraseSource {
  /** The passphrase of an existing store; undefined when nobody can be asked. */
  open(): Promise<string | undefined>;
  /** A passphrase for a new store; undefined when the person wants a key file. */
  choose(): Promise<string | undefined>;
}

const keyLength = 32;
/** OWASP's minimum for scrypt with r = 8, p = 1: about 0.4 s and 128 MB for each guess. */
const scryptCost = 2 ** 17;

export function storeOf(reference: KeyReference): StoreName {
  return reference.kind === 'keychain' ? 'keychain' : 'file';
}

/** The key that a record names. Never makes one: a new key in place of one that is only locked away would lose every session. */
export async function fetchKey(reference: KeyReference, surroundings: KeySurroundings): Promise<SealingKey> {
  const found = await lookUp(reference, surroundings);
  if (found === undefined) {
    throw new AuthError(
      'login_required',
      `the key of the ${storeOf(reference)} store is gone: its sessions cannot be opened any more`,
      {
        hint: 'authcli login (sets the unreadable sessions aside and starts anew)',
      },
    );
  }
  if (fingerprint(found) !== reference.fingerprint) throw wrongKey(reference);
  return { reference, bytes: found };
}

/** For a login: the store's key, made on first use and only when the store says that there is none. */
export async function fetchOrMakeKey(store: StoreName, surroundings: KeySurroundings): Promise<SealingKey> {
  return store === 'keychain' ? fetchOrMakeKeychainKey(surroundings) : fetchOrMakeFileKey(surroundings);
}

async function lookUp(reference: KeyReference, surroundings: KeySurroundings): Promise<Buffer | undefined> {
  switch (reference.kind) {
    case 'keychain':
      return readKeychainKey(reference.account, surroundings);
    case 'file':
      return readKeyFile(surroundings);
    case 'passphrase': {
      const passphrase = await surroundings.passphrase.open();
      if (passphrase === undefined) {
        throw new AuthError('store', 'the sessions are sealed with a passphrase, and none was given', {
          hint: 'set AUTHCLI_STORE_PASSPHRASE',
        });
      }
      return stretch(passphrase, reference);
    }
  }
}

async function readKeychainKey(account: string, surroundings: KeySurroundings): Promise<Buffer | undefined> {
  const found = await readKeychain(account, surroundings);
  if (found.kind === 'unavailable') throw new AuthError('store', found.message, { hint: found.hint });
  return found.key;
}

type KeychainKey = { readonly kind: 'answered'; readonly key: Buffer | undefined } | KeychainTrouble;

async function readKeychain(account: string, { keychain, patience }: KeySurroundings): Promise<KeychainKey> {
  const answer = await (await keychain()).read(account, patience);
  if (answer.kind === 'unavailable') return answer;
  const key = answer.kind === 'found' ? decodeKey(answer.secret) : undefined;
  if (answer.kind === 'missing' || key !== undefined) return { kind: 'answered', key };
  throw new AuthError('store', `the keychain item of authcli (account ${account}) holds no key of authcli`, {
    hint: 'restore the item from a backup, or delete it and sign in again',
  });
}

async function fetchOrMakeKeychainKey(surroundings: KeySurroundings): Promise<SealingKey> {
  const account = readDescription(surroundings)?.id ?? 'none yet';
  // Where a person has to unlock it, this is what asks: before the lock, so that no other login waits for that.
  const known = await readKeychain(account, surroundings);
  if (known.kind === 'unavailable') throw noKeychain(known);
  if (known.key !== undefined) return keychainKey(account, known.key);
  return underStoreLock(surroundings, async () => {
    const { id } = describeStore(surroundings, {});
    const raced = await readKeychainKey(id, surroundings);
    return keychainKey(id, raced ?? (await makeKeychainKey(id, surroundings)));
  });
}

/** What a login can do about it depends on whether there is a keychain at all. */
function noKeychain({ reason, message, hint }: KeychainTrouble): AuthError {
  const isNone = ['no_bus', 'no_service', 'no_collection', 'not_installed'].includes(reason);
  return new AuthError('store', message, {
    hint: isNone ? 'authcli login --store file (keeps the sessions in a sealed file instead)' : hint,
  });
}

async function makeKeychainKey(account: string, surroundings: KeySurroundings): Promise<Buffer> {
  const made = randomBytes(keyLength);
  const written = await (
    await surroundings.keychain()
  ).write(account, encodeKey(made), surroundings.patience);
  if (written.kind === 'unavailable') throw new AuthError('store', written.message, { hint: written.hint });
  const readBack = await readKeychainKey(account, surroundings);
  if (readBack?.equals(made)) return made;
  throw new AuthError('store', 'the keychain took a key but does not give it back', {
    hint: 'authcli login --store file',
  });
}

function keychainKey(account: string, bytes: Buffer): SealingKey {
  return { bytes, reference: { kind: 'keychain', account, fingerprint: fingerprint(bytes) } };
}

async function fetchOrMakeFileKey(surroundings: KeySurroundings): Promise<SealingKey> {
  const known = readDescription(surroundings)?.file;
  if (known?.kind === 'passphrase') return fetchKey(known, surroundings);
  const passphrase = known === undefined ? await surroundings.passphrase.choose() : undefined;
  const chosen = passphrase === undefined ? undefined : await newPassphraseKey(passphrase);
  return underStoreLock(surroundings, async () => {
    const raced = readDescription(surroundings)?.file;
    if (raced?.kind === 'passphrase') return fetchKey(raced, surroundings);
    const key = chosen ?? fileKey(readKeyFile(surroundings) ?? makeKeyFile(surroundings));
    describeStore(surroundings, { file: key.reference });
    return key;
  });
}

function fileKey(bytes: Buffer): SealingKey {
  return { bytes, reference: { kind: 'file', fingerprint: fingerprint(bytes) } };
}

function keyFilePath(folder: string): string {
  return join(folder, 'store.key');
}

function readKeyFile({ folder, ownership }: KeySurroundings): Buffer | undefined {
  const text = readOwnFile(keyFilePath(folder), ownership);
  if (text === undefined) return undefined;
  const key = decodeKey(text);
  if (key !== undefined) return key;
  throw new AuthError('store', `${keyFilePath(folder)} holds no key of authcli`, {
    hint: 'restore it from a backup, or move it away and sign in again',
  });
}

function makeKeyFile({ folder }: KeySurroundings): Buffer {
  const key = randomBytes(keyLength);
  try {
    writeFileAtomically(keyFilePath(folder), encodeKey(key) + '\n');
  } catch (error) {
    throw storeTrouble('write', keyFilePath(folder), error);
  }
  return key;
}

async function newPassphraseKey(passphrase: string): Promise<SealingKey> {
  const salt = randomBytes(16).toString('hex');
  const bytes = await stretch(passphrase, { salt, cost: scryptCost });
  return {
    bytes,
    reference: { kind: 'passphrase', salt, cost: scryptCost, fingerprint: fingerprint(bytes) },
  };
}

const scryptAsync = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

function stretch(passphrase: string, { salt, cost }: { salt: string; cost: number }): Promise<Buffer> {
  // One passphrase typed on two systems may arrive in two Unicode forms.
  return scryptAsync(passphrase.normalize('NFKC'), Buffer.from(salt, 'hex'), keyLength, {
    N: cost,
    r: 8,
    p: 1,
    maxmem: 2048 * cost,
  });
}

function wrongKey(reference: KeyReference): AuthError {
  if (reference.kind === 'passphrase') {
    return new AuthError('store', 'wrong passphrase for the sealed sessions', {
      hint: 'check AUTHCLI_STORE_PASSPHRASE',
    });
  }
  return new AuthError(
    'store',
    `the key in the ${storeOf(reference)} store is not the one that sealed this session`,
    {
      hint: 'restore the earlier key, or sign in again: authcli login',
    },
  );
}

function encodeKey(key: Buffer): string {
  return key.toString('base64');
}

function decodeKey(text: string): Buffer | undefined {
  const line = text.trim();
  const key = Buffer.from(line, 'base64');
  return key.length === keyLength && encodeKey(key) === line ? key : undefined;
}

/** Two first logins at once must not each make a key. */
function underStoreLock<T>(
  { folder, ownership, signal }: KeySurroundings,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(join(folder, 'store.lock'), ownership, signal, work);
}
