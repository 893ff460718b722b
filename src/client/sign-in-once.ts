import { hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { removeIfThere, writeFileAtomically } from '../atomic-file.js';
import { fetchPendingUrl } from '../callback/pending-url.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import { openLock } from '../store/lock.js';
import { readOwnFile } from '../store/own-file.js';
import type { SessionStore } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { isAccount } from '../store/session.js';
import { signIn, type InteractiveRequest, type SignedIn, type SignInConversation } from './interactive.js';
import type { ClientSurroundings } from './surroundings.js';

const betweenTriesMs = 100;

/**
 * Whoever asks for a sign-in that another process has under way is shown where that one went, and gets its session; nobody
 * is asked twice. A sign-in of another kind (other scopes, another account) goes its own way.
 */
export async function signInOnce(
  provider: Provider,
  request: InteractiveRequest,
  conversation: SignInConversation,
  store: SessionStore,
  surroundings: ClientSurroundings,
): Promise<SignedIn> {
  const { ownership, signal, now } = surroundings;
  const begunAt = now().toISOString();
  new SessionWriter(store).makeFolders();
  const note = loginNote(provider, request, store, surroundings);
  const lock = await openLock(note.lockPath, ownership);
  try {
    let shown: URL | undefined;
    while (!lock.isTaken()) {
      const open = note.read();
      if (open === 'other') return await signIn(provider, request, conversation, store, surroundings);
      if (open !== undefined && shown === undefined) {
        shown = await fetchPendingUrl(open);
        if (shown !== undefined) conversation.pendingElsewhere(shown);
      }
      await pause(betweenTriesMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    // Of a process that was killed.
    note.remove();
    const signedIn = await signedInSince(begunAt, provider, request, store);
    if (signedIn !== undefined) return signedIn;
    return await signIn(provider, request, conversation, store, surroundings, note.write).finally(
      note.remove,
    );
  } finally {
    lock.free();
  }
}

/** What the process that has the lock leaves for those that come after it: nothing of the authorization request itself. */
interface LoginNote {
  readonly lockPath: string;
  readonly write: (address: string) => void;
  /** The address to ask; `other` where the sign-in that is open is not the one that is wanted. */
  readonly read: () => string | undefined;
  readonly remove: () => void;
}

function loginNote(
  provider: Provider,
  request: InteractiveRequest,
  store: SessionStore,
  { ownership }: ClientSurroundings,
): LoginNote {
  const path = store.loginPath(ownerOf(provider));
  const { browser: _browser, port: _port, ...wanted } = request;
  const kind = hash('sha256', JSON.stringify([provider, wanted]));
  return {
    lockPath: `${path}.lock`,
    write: (address) => writeFileAtomically(path, `${kind} ${address}\n`),
    read: () => {
      const [noted, address] = readOwnFile(path, ownership)?.trim().split(' ') ?? [];
      return noted === undefined || noted === kind ? address : 'other';
    },
    remove: () => removeIfThere(path),
  };
}

async function signedInSince(
  begunAt: string,
  provider: Provider,
  { account, scope }: InteractiveRequest,
  store: SessionStore,
): Promise<SignedIn | undefined> {
  const stored = store
    .list(ownerOf(provider))
    .sessions.find(
      ({ summary }) =>
        summary.signedInAt >= begunAt && (account === undefined || isAccount(summary.account, account)),
    );
  if (stored === undefined) return undefined;
  const { session } = await store.open(stored);
  return { stored, session, requestedScope: scope ?? provider.scope ?? stored.summary.scope };
}
