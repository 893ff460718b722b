import { createHash } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { AuthError, systemErrorCode } from '../errors.js';
import { prepareFile, removeIfThere, writeFileAtomically, type PendingFile } from '../atomic-file.js';
import { fetchKey, fetchOrMakeKey, storeOf, type KeySurroundings, type StoreName } from './key-source.js';
import { withLock } from './lock.js';
import { assertOwnFolder, makeOwnFolder, readOwnFile, storeTrouble } from './own-file.js';
import {
  openRecord,
  parseRecord,
  sealRecord,
  type KeyReference,
  type SealedRecord,
  type SealingKey,
} from './sealed-record.js';
import { isAccount, type Session, type SessionOwner, type SessionSummary } from './session.js';

/** A session as it is found, before its key is asked for. */
export interface StoredSession {
  readonly kind: 'session';
  readonly fileName: string;
  readonly store: StoreName;
  readonly summary: SessionSummary;
  readonly record: SealedRecord;
}

interface UnreadableSession {
  readonly kind: 'unreadable';
  readonly trouble: AuthError;
  readonly isNewer: boolean;
}

export interface SessionListing {
  readonly sessions: readonly StoredSession[];
  /** What is wrong with the records that cannot be read; the others are not hidden by them. */
  readonly damaged: readonly AuthError[];
}

export interface OpenSession {
  readonly session: Session;
  /** Writes `next` under the same key, durably; it takes the session's place when it is committed. */
  readonly prepareReplacement: (next: Session) => PendingFile;
}

/** Sealed sessions in the state folder: one file each, whose first line is its entry in the index. */
export class SessionStore {
  readonly #surroundings: KeySurroundings;
  readonly #folder: string;

  constructor(surroundings: KeySurroundings) {
    this.#surroundings = surroundings;
    this.#folder = join(surroundings.folder, 'sessions');
  }

  list(owner?: SessionOwner): SessionListing {
    const sessions: StoredSession[] = [];
    const damaged: AuthError[] = [];
    for (const fileName of this.#fileNames(owner)) {
      const found = this.#load(fileName);
      if (found?.kind === 'unreadable') damaged.push(found.trouble);
      else if (found !== undefined) sessions.push(found);
    }
    return { sessions, damaged };
  }

  /** The session of the named account, else of the current one. */
  find(owner: SessionOwner, who?: string): StoredSession | undefined {
    if (who !== undefined) {
      const { sessions, damaged } = this.list(owner);
      const named = sessions.find(({ summary }) => isAccount(summary.account, who));
      if (named === undefined && damaged[0] !== undefined) throw damaged[0];
      return named;
    }
    const fileName = this.currentFileName(owner);
    return fileName === undefined ? undefined : this.reload(fileName);
  }

  /** The only one, else the one last chosen. */
  currentFileName(owner: SessionOwner): string | undefined {
    const fileNames = this.#fileNames(owner);
    if (fileNames.length < 2) return fileNames[0];
    const chosen = readOwnFile(this.#pointerPath(owner), this.#surroundings.ownership)?.trim();
    return fileNames.find((name) => name === chosen) ?? fileNames[0];
  }

  async open(stored: StoredSession): Promise<OpenSession> {
    const key = await fetchKey(stored.record.key, this.#surroundings);
    const session = openRecord(stored.record, key.bytes, stored.fileName);
    if (session === undefined) throw damagedRecord(this.#path(stored.fileName));
    return {
      session,
      prepareReplacement: (next) => this.#prepare(stored.fileName, next, key),
    };
  }

  /** Proves, before anything is asked of the person, that a session can be kept: the key is there and the folder takes a file. */
  async prepareForLogin(owner: SessionOwner, store: StoreName): Promise<(session: Session) => StoredSession> {
    makeOwnFolder(this.#surroundings.folder, this.#surroundings.ownership);
    makeOwnFolder(this.#folder, this.#surroundings.ownership);
    this.#assertReplaceable(owner);
    this.#assertWritable();
    const key = await fetchOrMakeKey(store, this.#surroundings);
    for (const { fileName, record } of this.list().sessions) {
      if (hasLostItsKey(record.key, key.reference)) this.#setAside(fileName);
    }
    return (session) => {
      const fileName = sessionFileName(session);
      if (!this.#canBeReplaced(fileName, key)) this.#setAside(fileName);
      this.#prepare(fileName, session, key).commit();
      this.makeCurrent(session, fileName);
      const saved = this.reload(fileName);
      if (saved === undefined) throw damagedRecord(this.#path(fileName));
      return saved;
    };
  }

  makeCurrent(owner: SessionOwner, fileName: string): void {
    this.#writing(this.#pointerPath(owner), (path) => writeFileAtomically(path, `${fileName}\n`));
  }

  /** Nobody else refreshes, replaces or removes this session while `work` runs. */
  exclusively<T>(fileName: string, work: () => Promise<T>): Promise<T> {
    const { ownership, signal } = this.#surroundings;
    return withLock(`${this.#path(fileName)}.lock`, ownership, signal, work);
  }

  reload(fileName: string): StoredSession | undefined {
    const found = this.#load(fileName);
    if (found?.kind === 'unreadable') throw found.trouble;
    return found;
  }

  remove({ fileName, summary }: StoredSession): void {
    this.#writing(this.#path(fileName), (path) => rmSync(path, { force: true }));
    if (this.#fileNames(summary).length === 0) removeIfThere(this.#pointerPath(summary));
  }

  #prepare(fileName: string, session: Session, key: SealingKey): PendingFile {
    return this.#writing(this.#path(fileName), (path) => {
      const { commit, discard } = prepareFile(path, sealRecord(session, key, fileName));
      return { commit: () => this.#writing(path, commit), discard };
    });
  }

  #load(fileName: string): StoredSession | UnreadableSession | undefined {
    const path = this.#path(fileName);
    try {
      const text = readOwnFile(path, this.#surroundings.ownership);
      if (text === undefined) return undefined;
      const parsed = parseRecord(text);
      if (parsed.kind === 'damaged') throw damagedRecord(path);
      if (parsed.kind === 'newer_format')
        return { kind: 'unreadable', trouble: newerRecord(path), isNewer: true };
      const { record } = parsed;
      return { kind: 'session', fileName, record, summary: record.summary, store: storeOf(record.key) };
    } catch (error) {
      if (error instanceof AuthError) return { kind: 'unreadable', trouble: error, isNewer: false };
      throw error;
    }
  }

  /** Never deletes: what cannot be opened today may be opened by a key that comes back. */
  #setAside(fileName: string): void {
    const aside = `${this.#path(fileName)}.damaged-${Date.now().toString(36)}`;
    this.#writing(aside, () => renameSync(this.#path(fileName), aside));
    this.#surroundings.ownership.warn(`a session that cannot be opened was set aside: ${aside}`);
  }

  #canBeReplaced(fileName: string, key: SealingKey): boolean {
    const existing = this.#load(fileName);
    if (existing === undefined) return true;
    if (existing.kind === 'unreadable') return false;
    return (
      existing.record.key.kind !== key.reference.kind ||
      openRecord(existing.record, key.bytes, fileName) !== undefined
    );
  }

  /** What a newer authcli wrote is not ours to move. */
  #assertReplaceable(owner: SessionOwner): void {
    for (const fileName of this.#fileNames(owner)) {
      const found = this.#load(fileName);
      if (found?.kind === 'unreadable' && found.isNewer) throw found.trouble;
    }
  }

  #assertWritable(): void {
    this.#writing(this.#folder, () => prepareFile(join(this.#folder, 'probe'), ' '.repeat(16_384)).discard());
  }

  #fileNames(owner: SessionOwner | undefined): string[] {
    const { folder, ownership } = this.#surroundings;
    assertOwnFolder(folder, ownership);
    assertOwnFolder(this.#folder, ownership);
    const prefix = owner === undefined ? '' : `${ownerHash(owner)}-`;
    try {
      return readdirSync(this.#folder).filter((name) => name.startsWith(prefix) && name.endsWith('.session'));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw storeTrouble('read', this.#folder, error);
    }
  }

  #writing<T>(path: string, write: (path: string) => T): T {
    try {
      return write(path);
    } catch (error) {
      throw storeTrouble('write', path, error);
    }
  }

  #path(fileName: string): string {
    return join(this.#folder, fileName);
  }

  #pointerPath(owner: SessionOwner): string {
    return join(this.#folder, `${ownerHash(owner)}.current`);
  }
}

/** Hashed, because names hold characters that some file systems refuse, and because a session belongs to more than a name. */
function ownerHash({ provider, issuer, clientId }: SessionOwner): string {
  return shortHash(JSON.stringify([provider, issuer, clientId]));
}

function sessionFileName(session: Session): string {
  return `${ownerHash(session)}-${shortHash(JSON.stringify(session.account.sub))}.session`;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Sealed with what once lay where `present` lies now. */
function hasLostItsKey(sealedWith: KeyReference, present: KeyReference): boolean {
  const samePlace =
    sealedWith.kind === 'keychain'
      ? present.kind === 'keychain' && present.account === sealedWith.account
      : sealedWith.kind === 'file' && present.kind === 'file';
  return samePlace && sealedWith.fingerprint !== present.fingerprint;
}

function damagedRecord(path: string): AuthError {
  return new AuthError('store', `the stored session is damaged: ${path}`, {
    hint: 'sign in again (authcli login): the damaged file is then set aside, not deleted',
  });
}

function newerRecord(path: string): AuthError {
  return new AuthError('store', `the stored session was written by a newer authcli: ${path}`, {
    hint: 'update authcli',
  });
}
