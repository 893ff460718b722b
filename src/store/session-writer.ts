import { hash } from 'node:crypto';
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { removeIfThere, reserveFile, writeFileAtomically } from '../atomic-file.js';
import { patiently } from '../patiently.js';
import type { Account } from './account.js';
import type { KeySurroundings, StoreName } from './key-source.js';
import { fetchOrMakeKey } from './key-making.js';
import { withLock } from './lock.js';
import { setAside } from './set-aside.js';
import { beginRefresh, roomForSession, writing, type PendingRefresh } from './pending-refresh.js';
import { openRecord, sealRecord } from './seal.js';
import { makeStateFolder } from './make-state-folder.js';
import { setAsideDamagedDescription } from './store-description.js';
import type { SealingKey } from './session-record.js';
import {
  damagedRecord,
  fileNamePrefix,
  type OpenSession,
  type SessionStore,
  type StoredSession,
} from './session-store.js';
import type { SessionOwner } from '../session-owner.js';
import type { Session } from './session.js';

/**
 * Keeps the session of a sign-in. One that brought no refresh token may take something over from the session in whose place it
 * comes: it is given that session, and returns the new one as it is to be kept.
 */
type Keep = (session: Session, takeOver: TakeOver) => Promise<StoredSession>;

type TakeOver = (replaced: Session) => Session;

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

  /**
   * One at a time of those who want the session refreshed asks for it; `work` is given what lies there now.
   * @param settled answers as soon as what lies there is what was wanted: then nothing is left to wait for
   */
  inTurn<T>(
    fileName: string,
    work: (latest: StoredSession | undefined) => Promise<T>,
    settled: (latest: StoredSession | undefined) => Promise<T | undefined>,
  ): Promise<T> {
    return this.#underLock(
      `${fileName}.queue`,
      () => work(this.reload(fileName)),
      () => settled(this.reload(fileName)),
    );
  }

  /**
   * True if the session on the disk holds another refresh token than `known`. Then somebody changed it who does not share our locks,
   * such as a container with a network of its own.
   */
  isReplaced({ fileName, session, key }: OpenSession): boolean {
    const latest = this.#store.load(fileName);
    if (latest?.kind !== 'session') return true;
    const opened = openRecord(latest.record, key.bytes, fileName);
    if (opened.kind !== 'opened') return true;
    const { refreshToken, unverifiedRefreshToken } = opened.session;
    return refreshToken !== session.refreshToken || unverifiedRefreshToken !== session.unverifiedRefreshToken;
  }

  /**
   * Proves that a new version of the session can be kept, and notes that one has been asked for: from here to the commit the
   * provider may already have burned the refresh token that lies here.
   */
  beginRefresh({ fileName, key }: OpenSession, now: Date): PendingRefresh {
    const seal = (session: Session) => sealRecord(session, key, fileName);
    return beginRefresh(this.#store.path(fileName), seal, now, this.#surroundings.ownership);
  }

  makeFolders(): void {
    makeStateFolder(this.#surroundings, 'sessions');
  }

  /** Proves, before anything is asked of the person, that a session can be kept: the key is there and the folder takes a file. */
  async prepareForLogin(owner: SessionOwner, store: StoreName): Promise<Keep> {
    this.#assertReplaceable(owner);
    this.#assertWritable(roomForSession);
    setAsideDamagedDescription(this.#surroundings);
    const key = await this.#fetchOrMakeKey(store);
    return (session, takeOver) => this.#keep(session, key, takeOver);
  }

  /** A refresh that is under way ends first: its result must not replace the newer sign-in. */
  #keep(session: Session, key: SealingKey, takeOver: TakeOver): Promise<StoredSession> {
    const fileName = sessionFileName(session);
    return this.#underLock(`${fileName}.lock`, async () => {
      const replaced = session.refreshToken === null ? await this.#openReplaced(fileName, key) : undefined;
      if (!this.#canBeReplaced(fileName, key)) this.#setAside(fileName);
      this.#write(fileName, replaced === undefined ? session : takeOver(replaced), key);
      removeIfThere(this.#store.path(`${fileName}.refreshing`));
      const saved = this.reload(fileName);
      if (saved === undefined) throw damagedRecord(this.#store.path(fileName));
      this.makeCurrent(saved);
      return saved;
    });
  }

  /** A session that cannot be opened has nothing that could go on. */
  async #openReplaced(fileName: string, key: SealingKey): Promise<Session | undefined> {
    const existing = this.#store.load(fileName);
    if (existing?.kind !== 'session') return undefined;
    try {
      return (await this.#store.open(existing, key)).session;
    } catch {
      return undefined;
    }
  }

  /** Replaces the account by what is known of it now; the caller holds the session's lock. */
  writeAccount({ fileName, session, key }: OpenSession, account: Account): void {
    this.#write(fileName, { ...session, account }, key);
  }

  makeCurrent({ fileName, summary }: StoredSession): void {
    writing(this.#store.pointerPath(summary), (path) => {
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
    // A person may have been asked for a passphrase meanwhile.
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
    const inUse = () => this.#store.list().sessions.map(({ record }) => record.key);
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
  remove(stored: StoredSession): void {
    const { fileName, summary } = stored;
    const isCurrent = this.#pointsToNothingBut(stored);
    // While there are others, a kill must not make one of them the current one in place of this one.
    const isLast = isCurrent && !this.#store.hasAnother(stored);
    const forgetPointer = () => removeIfThere(this.#store.pointerPath(summary));
    if (isLast) forgetPointer();
    removeIfThere(this.#store.path(`${fileName}.refreshing`));
    writing(this.#store.path(fileName), (path) => patiently(() => rmSync(path, { force: true })));
    if (isCurrent && !isLast) forgetPointer();
  }

  /** A pointer that cannot be read, or names what is gone, is of no use to another session. */
  #pointsToNothingBut({ fileName, summary }: StoredSession): boolean {
    const path = this.#store.pointerPath(summary);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return false;
    const pointed = this.#store.readPointer(summary);
    return pointed === undefined || pointed === fileName || !existsSync(this.#store.path(pointed));
  }

  reload(fileName: string): StoredSession | undefined {
    const found = this.#store.load(fileName);
    if (found?.kind === 'unreadable') throw found.trouble;
    return found;
  }

  #underLock<T>(
    lockName: string,
    work: () => Promise<T>,
    settled?: () => Promise<T | undefined>,
  ): Promise<T> {
    return withLock(this.#store.path(lockName), this.#surroundings, work, settled);
  }

  #write(fileName: string, session: Session, key: SealingKey): void {
    writing(this.#store.path(fileName), (path) =>
      writeFileAtomically(path, sealRecord(session, key, fileName)),
    );
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
    writing(this.#store.folder, (folder) => reserveFile(join(folder, 'probe'), size).discard());
  }
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
