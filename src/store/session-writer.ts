import { hash } from 'node:crypto';
import { lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { overwriteFile, removeIfThere, reserveFile, writeFileAtomically } from '../atomic-file.js';
import { systemErrorCode } from '../errors.js';
import type { Account } from './account.js';
import type { KeySurroundings, StoreName } from './key-source.js';
import { fetchOrMakeKey } from './key-making.js';
import { withLock } from './lock.js';
import { makeOwnFolder, readOwnFile, setAside, storeTrouble } from './own-file.js';
import { openRecord, sealRecord } from './seal.js';
import { setAsideDamagedDescription } from './store-description.js';
import type { KeyReference, SealingKey } from './session-record.js';
import {
  damagedRecord,
  fileNamePrefix,
  type OpenSession,
  type SessionStore,
  type StoredSession,
} from './session-store.js';
import type { Session, SessionOwner } from './session.js';

/** An Entra ID token set has about 5 kB, and 20 kB happens; base64 and the summary come on top. */
const roomForSession = 64 * 1024;
const orphanedAfterMs = 10 * 60_000;

export interface PendingRefresh {
  /** When a refresh was begun of which nobody knows how it ended; undefined when there is none. */
  readonly interruptedAt: string | undefined;
  /** Durable when this returns. */
  readonly commit: (next: Session) => void;
  /** Ambiguous: the provider may have acted on the request. */
  readonly abandon: (isAmbiguous: boolean) => void;
}

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
    return this.#underLock(`${fileName}.lock`, () => work(this.reload(fileName)));
  }

  /** Of those who want the session refreshed, one at a time asks for it; it is given what lies there now. */
  inTurn<T>(fileName: string, work: (latest: StoredSession | undefined) => Promise<T>): Promise<T> {
    return this.#underLock(`${fileName}.queue`, () => work(this.reload(fileName)));
  }

  /**
   * Proves that a new version of the session can be kept, and notes that one has been asked for: from here to the commit the
   * provider may already have burned the refresh token that lies here.
   */
  beginRefresh({ fileName, key }: OpenSession, now: Date): PendingRefresh {
    this.#sweep(now);
    const journal = this.#store.path(`${fileName}.refreshing`);
    const interruptedAt = readOwnFile(journal, this.#surroundings.ownership)?.trim() || undefined;
    const reserved = this.#writing(this.#store.path(fileName), (path) => reserveFile(path, roomForSession));
    try {
      this.#writing(journal, (path) => writeFileAtomically(path, `${now.toISOString()}\n`));
    } catch (error) {
      reserved.discard();
      throw error;
    }
    return {
      interruptedAt,
      commit: (next) => {
        const sealed = sealRecord(next, key, fileName);
        this.#writing(this.#store.path(fileName), (path) => {
          try {
            reserved.commit(sealed);
          } catch (error) {
            // The folder became read-only since; what lies in the file is worth nothing any more. A disk that reports an
            // error is another matter: what it has must not be touched.
            if (!isAboutTheFolder(error)) throw error;
            overwriteFile(path, sealed);
          }
        });
        removeIfThere(journal);
      },
      abandon: (isAmbiguous) => {
        reserved.discard();
        if (!isAmbiguous) removeIfThere(journal);
      },
    };
  }

  makeFolders(): void {
    makeOwnFolder(this.#surroundings.folder, this.#surroundings.ownership);
    makeOwnFolder(this.#store.folder, this.#surroundings.ownership);
  }

  /** Proves, before anything is asked of the person, that a session can be kept: the key is there and the folder takes a file. */
  async prepareForLogin(
    owner: SessionOwner,
    store: StoreName,
  ): Promise<(session: Session) => Promise<StoredSession>> {
    this.#assertReplaceable(owner);
    this.#assertWritable(roomForSession);
    setAsideDamagedDescription(this.#surroundings);
    const key = await this.#fetchOrMakeKey(store);
    return async (session) => {
      for (const { fileName, record } of this.#store.list().sessions) {
        if (hasLostItsKey(record.key, key.reference)) this.#setAside(fileName);
      }
      return this.#keep(session, key);
    };
  }

  /** A refresh that is under way ends first: its result must not replace the newer sign-in. */
  #keep(session: Session, key: SealingKey): Promise<StoredSession> {
    const fileName = sessionFileName(session);
    return this.#underLock(`${fileName}.lock`, async () => {
      if (!this.#canBeReplaced(fileName, key)) this.#setAside(fileName);
      this.#write(fileName, session, key);
      removeIfThere(this.#store.path(`${fileName}.refreshing`));
      const saved = this.reload(fileName);
      if (saved === undefined) throw damagedRecord(this.#store.path(fileName));
      this.makeCurrent(saved);
      return saved;
    });
  }

  /** What is known of the person by now; the caller holds the session's lock. */
  writeAccount({ fileName, session, key }: OpenSession, account: Account): void {
    this.#write(fileName, { ...session, account }, key);
  }

  makeCurrent({ fileName, summary }: StoredSession): void {
    this.#writing(this.#store.pointerPath(summary), (path) => {
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) setAside(path);
      writeFileAtomically(path, `${fileName}\n`);
    });
  }

  /** Seals every session with the key of `store`. One at a time: whatever stops it, each lies in one store or the other. */
  async migrate(store: StoreName): Promise<readonly StoredSession[]> {
    // Only a login makes a key for sessions that are yet to come.
    if (this.#store.list().sessions.length === 0) return [];
    const key = await this.#fetchOrMakeKey(store);
    const moved: StoredSession[] = [];
    for (const { fileName } of this.#store.list().sessions.filter((stored) => stored.store !== store)) {
      await this.exclusively(fileName, async (latest) => {
        if (latest === undefined) return;
        const { session } = await this.#store.open(latest);
        this.#write(fileName, session, key);
        moved.push(latest);
      });
    }
    return moved;
  }

  #fetchOrMakeKey(store: StoreName): Promise<SealingKey> {
    const inUse = this.#store.list().sessions.map(({ record }) => record.key);
    return fetchOrMakeKey(store, this.#surroundings, inUse);
  }

  /**
   * From here on nobody is given its tokens, so that a kill leaves no session behind whose tokens are worth nothing; the caller
   * holds its lock. Returns what makes it as it was.
   */
  beginSignOut({ fileName, session, key }: OpenSession, now: Date): () => void {
    const ended = { at: now.toISOString(), reason: 'a sign-out was begun' };
    try {
      this.#write(fileName, { ...session, ended }, key);
    } catch {
      // A full disk keeps nobody signed in.
      return () => {};
    }
    return () => this.#write(fileName, session, key);
  }

  /** Before anything is revoked: a session that cannot be removed would stay behind with tokens that are worth nothing. */
  assertRemovable(): void {
    this.#assertWritable(0);
  }

  /** The session last: whoever finds one that a kill has left removes the rest with it. */
  remove({ fileName, summary }: StoredSession): void {
    if (this.#store.list(summary).sessions.length <= 1) removeIfThere(this.#store.pointerPath(summary));
    removeIfThere(this.#store.path(`${fileName}.refreshing`));
    this.#writing(this.#store.path(fileName), (path) => rmSync(path, { force: true }));
  }

  reload(fileName: string): StoredSession | undefined {
    const found = this.#store.load(fileName);
    if (found?.kind === 'unreadable') throw found.trouble;
    return found;
  }

  #underLock<T>(lockName: string, work: () => Promise<T>): Promise<T> {
    return withLock(this.#store.path(lockName), this.#surroundings, work);
  }

  #write(fileName: string, session: Session, key: SealingKey): void {
    this.#writing(this.#store.path(fileName), (path) =>
      writeFileAtomically(path, sealRecord(session, key, fileName)),
    );
  }

  /** What a killed process left half-written. A write takes milliseconds: what is older than some minutes is nobody's. */
  #sweep(now: Date): void {
    for (const name of readdirSync(this.#store.folder)) {
      if (!name.endsWith('.tmp')) continue;
      const path = this.#store.path(name);
      const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (now.getTime() - modified > orphanedAfterMs) removeIfThere(path);
    }
  }

  #setAside(fileName: string): void {
    const aside = setAside(this.#store.path(fileName));
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

  #assertWritable(size: number): void {
    this.#writing(this.#store.folder, (folder) => reserveFile(join(folder, 'probe'), size).discard());
  }

  #writing<T>(path: string, write: (path: string) => T): T {
    try {
      return write(path);
    } catch (error) {
      throw storeTrouble('write', path, error);
    }
  }
}

function isAboutTheFolder(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(systemErrorCode(error) ?? '');
}

function sessionFileName({ provider, issuer, clientId, account, endpoints, project }: Session): string {
  const identity = JSON.stringify([
    issuer,
    clientId,
    account.sub,
    ...(endpoints === null ? [] : [endpoints]),
    ...(project === null ? [] : [project]),
  ]);
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
