import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { AuthError } from '../errors.js';
import { writeFileAtomically } from '../atomic-file.js';
import {
  encodeKey,
  fetchKey,
  keyFilePath,
  readKeychainKey,
  readKeyFile,
  wrongKey,
  type KeySurroundings,
  type StoreName,
} from './key-source.js';
import type { KeychainTrouble } from './keychain.js';
import { withLock } from './lock.js';
import { storeTrouble } from './own-file.js';
import { fingerprint, keyLength, stretch } from './seal.js';
import type { KeyReference, SealingKey } from './session-record.js';
import { describeStore, readDescription } from './store-description.js';

/** OWASP's minimum for scrypt with r = 8, p = 1: about 0.4 s and 128 MB for each guess. */
const scryptCost = 2 ** 17;

/**
 * For a login: the store's key, made on first use and only when the store says that there is none.
 * @param inUse the keys of all sessions; asked for only where the description does not know the key
 */
export function fetchOrMakeKey(
  store: StoreName,
  surroundings: KeySurroundings,
  inUse: () => readonly KeyReference[],
): Promise<SealingKey> {
  return store === 'keychain' ? keychainKey(surroundings, inUse) : fileStoreKey(surroundings, inUse);
}

async function keychainKey(
  surroundings: KeySurroundings,
  inUse: () => readonly KeyReference[],
): Promise<SealingKey> {
  // Where the description was lost, the sessions still know.
  const described = readDescription(surroundings)?.id;
  const lost =
    described === undefined ? inUse().find((reference) => reference.kind === 'keychain')?.account : undefined;
  const account = described ?? lost ?? 'none yet';
  // Where a person has to unlock it, this is what asks: before the lock, so that no other login waits for that.
  const known = await readForLogin(account, surroundings);
  if (known !== undefined) return inKeychain(account, known);
  return underStoreLock(surroundings, async () => {
    const { id } = describeStore(surroundings, { ...(lost && { id: lost }) });
    const raced = await readForLogin(id, surroundings);
    return inKeychain(id, raced ?? (await makeKeychainKey(id, surroundings)));
  });
}

async function makeKeychainKey(account: string, surroundings: KeySurroundings): Promise<Buffer> {
  const made = randomBytes(keyLength);
  const written = await (
    await surroundings.keychain()
  ).write(account, encodeKey(made), surroundings.patience);
  if (written.kind === 'unavailable') throw noKeychain(written);
  const readBack = await readForLogin(account, surroundings);
  if (readBack?.equals(made)) return made;
  throw new AuthError('store', 'the keychain took a key but does not give it back', {
    hint: 'authcli login --store file',
  });
}

async function readForLogin(account: string, surroundings: KeySurroundings): Promise<Buffer | undefined> {
  const found = await readKeychainKey(account, surroundings);
  if (found.kind === 'unavailable') throw noKeychain(found);
  return found.key;
}

/** What a login can do about it depends on whether there is a keychain at all. */
function noKeychain({ reason, message, hint }: KeychainTrouble): AuthError {
  const isNone = ['no_bus', 'no_service', 'no_collection', 'not_installed'].includes(reason);
  return new AuthError('store', message, {
    hint: isNone ? 'authcli login --store file (keeps the sessions in a sealed file instead)' : hint,
  });
}

async function fileStoreKey(
  surroundings: KeySurroundings,
  inUse: () => readonly KeyReference[],
): Promise<SealingKey> {
  const known =
    readDescription(surroundings)?.file ?? inUse().find((reference) => reference.kind !== 'keychain');
  if (known?.kind === 'passphrase') return passphraseKey(known, surroundings);
  if (known !== undefined && surroundings.passphrase.isRequested) {
    throw new AuthError(
      'usage',
      'the sealed sessions have a key file already, which --passphrase does not change',
      {
        hint: 'authcli store migrate keychain, or another AUTHCLI_STATE_DIR',
      },
    );
  }
  const passphrase =
    known === undefined ? await surroundings.passphrase.choose(surroundings.signal) : undefined;
  const chosen = passphrase === undefined ? undefined : await newPassphraseKey(passphrase);
  return underStoreLock(surroundings, async () => {
    const raced = readDescription(surroundings)?.file;
    if (raced?.kind === 'passphrase') return passphraseKey(raced, surroundings);
    const isChosen = raced === undefined && chosen !== undefined;
    const key = isChosen ? chosen : inFile(readKeyFile(surroundings) ?? makeKeyFile(surroundings));
    describeStore(surroundings, { file: key.reference });
    return key;
  });
}

async function newPassphraseKey(passphrase: string): Promise<SealingKey> {
  const salt = randomBytes(16).toString('hex');
  const bytes = await stretch(passphrase, { salt, cost: scryptCost });
  return {
    bytes,
    reference: { kind: 'passphrase', salt, cost: scryptCost, fingerprint: fingerprint(bytes) },
  };
}

/** Unlike any other key, this one can be checked before there is a session to open. */
async function passphraseKey(
  reference: KeyReference & { kind: 'passphrase' },
  surroundings: KeySurroundings,
): Promise<SealingKey> {
  const bytes = await fetchKey(reference, surroundings);
  if (fingerprint(bytes) !== reference.fingerprint) throw wrongKey(reference);
  return { reference, bytes };
}

function makeKeyFile({ folder }: KeySurroundings): Buffer {
  const key = randomBytes(keyLength);
  try {
    writeFileAtomically(keyFilePath(folder), `${encodeKey(key)}\n`);
  } catch (error) {
    throw storeTrouble('write', keyFilePath(folder), error);
  }
  return key;
}

function inKeychain(account: string, bytes: Buffer): SealingKey {
  return { bytes, reference: { kind: 'keychain', account, fingerprint: fingerprint(bytes) } };
}

function inFile(bytes: Buffer): SealingKey {
  return { bytes, reference: { kind: 'file', fingerprint: fingerprint(bytes) } };
}

/** Two first logins at once must not each make a key. */
function underStoreLock<T>(surroundings: KeySurroundings, work: () => Promise<T>): Promise<T> {
  return withLock(join(surroundings.folder, 'store.lock'), surroundings, work);
}
