import { hash } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { prepareFile, removeIfThere, writeFileAtomically, type PendingFile } from '../atomic-file.js';
import type { KeySurroundings, StoreName } from './key-source.js';
import { fetchOrMakeKey } from './key-making.js';
import { withLock } from './lock.js';
import { makeOwnFolder, storeTrouble } from './own-file.js';
import { openRecord, sealRecord } from './seal.js';
import type { KeyReference, SealingKey } from './session-record.js';
import {
  damagedRecord,
  fileNamePrefix,
  type OpenSession,
  type SessionStore,
  type StoredSession,
} from './session-store.js';
import type { Session, SessionOwner } from './session.js';

/** Changes what a SessionStore reads. */
export class SessionWriter {
  readonly #store: SessionStore;
  readonly #surroundings: KeySurroundings;

  constructor(store: SessionStore) {
    this.#store = store;
    this.#surroundings = store.surroundings;
  }

  /** Nobody else refreshes, replaces or removes this session while `work` runs; it is given what lies there now. */
  exclusively<T>(fileName: string, work: (latest: StoredSession | undefined) => Promise<T>): Promise<T> {
    const { ownership, signal } = this.#surroundings;
    return withLock(`${this.#store.path(fileName)}.lock`, ownership, signal, () =>
      work(this.#reload(fileName)),
    );
  }

  /** Writes `next` under the same key, durably; it takes the session's place when it is committed. */
  prepareReplacement({ fileName, key }: OpenSession, next: Session): PendingFile {
    return this.#prepare(fileName, next, key);
  }

  /** Proves, before anything is asked of the person, that a session can be kept: the key is there and the folder takes a file. */
  async prepareForLogin(owner: SessionOwner, store: StoreName): Promise<(session: Session) => StoredSession> {
    makeOwnFolder(this.#surroundings.folder, this.#surroundings.ownership);
    makeOwnFolder(this.#store.folder, this.#surroundings.ownership);
    this.#assertReplaceable(owner);
    this.#assertWritable();
    const key = await fetchOrMakeKey(store, this.#surroundings);
    for (const { fileName, record } of this.#store.list().sessions) {
      if (hasLostItsKey(record.key, key.reference)) this.#setAside(fileName);
    }
    return (session) => {
      const fileName = sessionFileName(session);
      if (!this.#canBeReplaced(fileName, key)) this.#setAside(fileName);
      this.#prepare(fileName, session, key).commit();
      this.#writing(this.#store.pointerPath(session), (path) => writeFileAtomically(path, `${fileName}\n`));
      const saved = this.#reload(fileName);
      if (saved === undefined) throw damagedRecord(this.#store.path(fileName));
      return saved;
    };
  }

  remove({ fileName, summary }: StoredSession): void {
    this.#writing(this.#store.path(fileName), (path) => rmSync(path, { force: true }));
    if (this.#store.list(summary).sessions.length === 0) removeIfThere(this.#store.pointerPath(summary));
  }

  #reload(fileName: string): StoredSession | undefined {
    const found = this.#store.load(fileName);
    if (found?.kind === 'unreadable') throw found.trouble;
    return found;
  }

  #prepare(fileName: string, session: Session, key: SealingKey): PendingFile {
    return this.#writing(this.#store.path(fileName), (path) => {
      const { commit, discard } = prepareFile(path, sealRecord(session, key, fileName));
      return { commit: () => this.#writing(path, commit), discard };
    });
  }

  /** Never deletes: what cannot be opened today may be opened by a key that comes back. */
  #setAside(fileName: string): void {
    const aside = `${this.#store.path(fileName)}.damaged-${Date.now().toString(36)}`;
    this.#writing(aside, () => renameSync(this.#store.path(fileName), aside));
    this.#surroundings.ownership.warn(`a session that cannot be opened was set aside: ${aside}`);
  }

  #canBeReplaced(fileName: string, key: SealingKey): boolean {
    const existing = this.#store.load(fileName);
    if (existing === undefined) return true;
    if (existing.kind === 'unreadable') return false;
    const isOfAnotherStore = existing.record.key.kind !== key.reference.kind;
    return isOfAnotherStore || openRecord(existing.record, key.bytes, fileName).kind === 'opened';
  }

  /** What a newer authcli wrote is not ours to move. */
  #assertReplaceable(owner: SessionOwner): void {
    for (const found of this.#store.loadAll(owner)) {
      if (found.kind === 'unreadable' && found.isNewer) throw found.trouble;
    }
  }

  #assertWritable(): void {
    this.#writing(this.#store.folder, (folder) =>
      prepareFile(join(folder, 'probe'), ' '.repeat(16_384)).discard(),
    );
  }

  #writing<T>(path: string, write: (path: string) => T): T {
    try {
      return write(path);
    } catch (error) {
      throw storeTrouble('write', path, error);
    }
  }
}

function sessionFileName({ provider, issuer, clientId, account }: Session): string {
  const identity = JSON.stringify([issuer, clientId, account.sub]);
  return `${fileNamePrefix(provider)}${hash('sha256', identity).slice(0, 16)}.session`;
}

/** Sealed with what once lay where `present` lies now. */
function hasLostItsKey(sealedWith: KeyReference, present: KeyReference): boolean {
  const samePlace =
    sealedWith.kind === 'keychain'
      ? present.kind === 'keychain' && present.account === sealedWith.account
      : sealedWith.kind === 'file' && present.kind === 'file';
  return samePlace && sealedWith.fingerprint !== present.fingerprint;
}
