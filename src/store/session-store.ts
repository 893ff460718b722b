import { hash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { AuthError, systemErrorCode } from '../errors.js';
import { fetchKey, storeOf, wrongKey, type KeySurroundings, type StoreName } from './key-source.js';
import { readOwnFile, storeTrouble } from './own-file.js';
import { openRecord } from './seal.js';
import { parseRecord, type SealedRecord, type SealingKey } from './session-record.js';
import { findNamed, type AccountName } from './account.js';
import { assertStateFolder, narrowOwnFiles } from './state-folder.js';
import { largestSession } from './session-size.js';
import type { SessionOwner } from '../session-owner.js';
import type { Session, SessionSummary } from './session.js';

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
  readonly fileName: string;
  readonly trouble: AuthError;
  readonly isNewer: boolean;
}

type FoundSession = StoredSession | UnreadableSession;

export interface SessionListing {
  readonly sessions: readonly StoredSession[];
  /** What is wrong with the records that cannot be read; the others are not hidden by them. */
  readonly damaged: readonly AuthError[];
}

export interface FoundSessions extends SessionListing {
  /** Both kinds, each with its file. */
  readonly found: readonly FoundSession[];
}

export interface OpenSession {
  readonly fileName: string;
  readonly session: Session;
  readonly key: SealingKey;
}

/**
 * Sealed sessions in the state folder: one file each, whose first line is its entry in the index. Reading only, and of that
 * what a token from the cache needs: everything else is in SessionWriter.
 */
export class SessionStore {
  readonly surroundings: KeySurroundings;
  readonly folder: string;

  constructor(surroundings: KeySurroundings) {
    this.surroundings = surroundings;
    this.folder = join(surroundings.folder, 'sessions');
  }

  list(owner?: SessionOwner): FoundSessions {
    const found = this.loadAll(owner);
    return {
      found,
      sessions: found.filter((one) => one.kind === 'session'),
      damaged: found.flatMap((one) => (one.kind === 'unreadable' ? [one.trouble] : [])),
    };
  }

  /** The session of the named account, else of the current one, where it is kept in that store. */
  find(owner: SessionOwner, name?: AccountName, store?: StoreName): StoredSession | undefined {
    // Among thousands of sessions, reading the folder would take longer than all else.
    const pointed = name === undefined ? this.#loadCurrent(owner) : undefined;
    const found = pointed === undefined ? this.loadAll(owner) : [pointed];
    const isThere = (one: StoredSession) => store === undefined || one.store === store;
    if (name === undefined) {
      const [current] = found;
      if (current?.kind === 'unreadable') throw current.trouble;
      return current !== undefined && isThere(current) ? current : undefined;
    }
    const sessions = found.filter((one) => one.kind === 'session').filter(isThere);
    const named = findNamed(sessions, name);
    if (named !== undefined) return named;
    // It may be the one that is meant.
    const unreadable = found.find((one) => one.kind === 'unreadable');
    if (unreadable !== undefined) throw unreadable.trouble;
    return undefined;
  }

  /** @param known a key that was fetched before: a keychain that has gone silent since is not asked again */
  async open({ fileName, record, summary }: StoredSession, known?: SealingKey): Promise<OpenSession> {
    const isKnown = known?.reference.fingerprint === record.key.fingerprint;
    const bytes = isKnown ? known.bytes : await fetchKey(record.key, this.surroundings, summary.provider);
    const opened = openRecord(record, bytes, fileName);
    switch (opened.kind) {
      case 'opened':
        return { fileName, session: opened.session, key: { reference: record.key, bytes } };
      case 'wrong_key':
        throw wrongKey(record.key, summary.provider);
      case 'damaged':
        throw damagedRecord(this.path(fileName));
    }
  }

  /** Without an owner all there are, else the owner's, the current one first. */
  loadAll(owner?: SessionOwner): FoundSession[] {
    const found = this.#fileNames(owner).flatMap((fileName) => this.load(fileName) ?? []);
    return owner === undefined ? found : this.#ofOwner(found, owner);
  }

  #ofOwner(found: readonly FoundSession[], owner: SessionOwner): FoundSession[] {
    const ours = found.filter((one) => one.kind === 'unreadable' || belongsTo(one.summary, owner));
    return ours.length < 2 ? ours : ours.toSorted(currentFirst(this.readPointer(owner)));
  }

  /** Undefined where the pointer does not lead to a session of that owner: then the others count. */
  #loadCurrent(owner: SessionOwner): StoredSession | undefined {
    assertStateFolder(this.surroundings);
    const fileName = this.readPointer(owner);
    if (fileName === undefined || !isSessionName(fileName, owner)) return undefined;
    const found = this.load(fileName);
    return found?.kind === 'session' && belongsTo(found.summary, owner) ? found : undefined;
  }

  /** Of what was listed, the file names of those that are the current one of their owner: what `find` returns without a name. */
  currentFileNames({ found: all }: FoundSessions): ReadonlySet<string> {
    const byProvider = new Map<string, FoundSession[]>();
    const owners = new Map<string, SessionOwner>();
    for (const found of all) {
      const [prefix = ''] = found.fileName.split('@', 1);
      const group = byProvider.get(`${prefix}@`) ?? [];
      group.push(found);
      byProvider.set(`${prefix}@`, group);
      if (found.kind === 'session') owners.set(ownerKey(found.summary), found.summary);
    }
    const first = [...owners.values()].map((owner) => {
      const group = byProvider.get(fileNamePrefix(owner.provider)) ?? [];
      return this.#ofOwner(group, owner)[0]?.fileName ?? '';
    });
    return new Set(first);
  }

  /** Ends at the first that is found: among thousands, reading all of them for each one that is removed would take minutes. */
  hasAnother({ fileName, summary }: StoredSession): boolean {
    return readdirSync(this.folder).some((name) => {
      if (name === fileName || !isSessionName(name, summary)) return false;
      const found = this.load(name);
      return found?.kind === 'session' && belongsTo(found.summary, summary);
    });
  }

  load(fileName: string): FoundSession | undefined {
    const path = this.path(fileName);
    try {
      const text = readOwnFile(path, this.surroundings.ownership, largestSession);
      if (text === undefined) return undefined;
      const parsed = parseRecord(text);
      if (parsed.kind === 'damaged') throw damagedRecord(path);
      if (parsed.kind === 'newer_format') {
        return { kind: 'unreadable', fileName, trouble: newerRecord(path), isNewer: true };
      }
      const { record } = parsed;
      return { kind: 'session', fileName, record, summary: record.summary, store: storeOf(record.key) };
    } catch (error) {
      if (error instanceof AuthError) return { kind: 'unreadable', fileName, trouble: error, isNewer: false };
      throw error;
    }
  }

  path(fileName: string): string {
    return join(this.folder, fileName);
  }

  /** Names which of several accounts is the current one. A project has no say in who that is of a provider of the person's own. */
  pointerPath({ provider, project }: SessionOwner): string {
    const whose = project === null ? '' : `${hash('sha256', JSON.stringify(project)).slice(0, 16)}.`;
    return this.path(`${fileNamePrefix(provider)}${whose}current`);
  }

  /** Where the process that has a sign-in under way leaves word. */
  loginPath({ provider }: SessionOwner): string {
    return this.path(`${fileNamePrefix(provider)}login`);
  }

  #fileNames(owner: SessionOwner | undefined): string[] {
    const all = this.#readFolder();
    const wanted = all.filter((name) =>
      owner === undefined ? name.endsWith('.session') : isSessionName(name, owner),
    );
    const read = new Set(wanted);
    // What is read is narrowed by that.
    const others = all.filter((name) => !read.has(name));
    narrowOwnFiles(this.folder, others, this.surroundings.ownership);
    return wanted;
  }

  /** A pointer that cannot be read points to nothing: the next sign-in makes a new one. */
  readPointer(owner: SessionOwner): string | undefined {
    try {
      return readOwnFile(this.pointerPath(owner), this.surroundings.ownership)?.trim();
    } catch {
      return undefined;
    }
  }

  #readFolder(): string[] {
    assertStateFolder(this.surroundings);
    try {
      return readdirSync(this.folder);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw storeTrouble('read', this.folder, error);
    }
  }
}

/** Whether it is the file of a session of that provider. A pointer names nothing else, and no path. */
function isSessionName(name: string, { provider }: SessionOwner): boolean {
  return name.startsWith(fileNamePrefix(provider)) && name.endsWith('.session') && !/[/\\]/.test(name);
}

/** The same for all sessions that belong together. */
export function ownerKey({ provider, issuer, clientId, endpoints, project }: SessionOwner): string {
  return JSON.stringify([provider, issuer, clientId, endpoints, project]);
}

/** No provider's name holds an `@`, a `+` or a `=`. Windows takes no colon, and opens a device for `con.` with whatever follows. */
export function fileNamePrefix(provider: string): string {
  const name = provider.replace(/^(con|prn|aux|nul|com\d|lpt\d)\./, '$1=');
  return `${name.replaceAll(':', '+')}@`;
}

export function damagedRecord(path: string): AuthError {
  return new AuthError('store', `the stored session is damaged: ${path}`, {
    hint: 'sign in again (authcli login): the damaged file is then set aside, not deleted',
  });
}

/**
 * Where the pointer is lost, or names a session that was forgotten, who signed in last is the current one; but nobody is taken
 * for it as long as there is one that cannot be read and may have been it.
 */
function currentFirst(pointer: string | undefined): (a: FoundSession, b: FoundSession) => number {
  const rank = (one: FoundSession): number => {
    if (one.fileName === pointer) return Infinity;
    return one.kind === 'unreadable' ? Number.MAX_VALUE : Date.parse(one.summary.signedInAt) || 0;
  };
  return (a, b) => rank(b) - rank(a);
}

export function belongsTo(summary: SessionOwner, owner: SessionOwner): boolean {
  return (
    summary.provider === owner.provider &&
    summary.issuer === owner.issuer &&
    summary.clientId === owner.clientId &&
    summary.endpoints === owner.endpoints &&
    summary.project?.file === owner.project?.file &&
    summary.project?.digest === owner.project?.digest
  );
}

function newerRecord(path: string): AuthError {
  return new AuthError('store', `the stored session was written by a newer authcli: ${path}`, {
    hint: 'update authcli',
  });
}
