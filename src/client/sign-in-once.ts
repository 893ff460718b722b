import { setTimeout as pause } from 'node:timers/promises';

import { removeIfThere, writeFileAtomically } from '../atomic-file.js';
import { fetchPendingUrl } from '../callback/pending-url.js';
import { AuthError } from '../errors.js';
import { ownerOf, type Provider } from '../providers/provider.js';
import { chooseRedirect, type Redirect } from '../providers/redirect.js';
import { openLock } from '../store/lock.js';
import { readOwnFile } from '../store/own-file.js';
import type { SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import type { Session } from '../store/session.js';
import { findNamed } from '../store/account.js';
import { accountNameAt } from './account-name.js';
import { signIn, type InteractiveRequest, type SignedIn, type SignInConversation } from './interactive.js';
import { requestDigest } from './request-digest.js';
import type { ClientSurroundings } from './surroundings.js';

const betweenTriesMs = 100;

/**
 * Whoever asks for a sign-in that another process has under way is shown where that one went, and gets its session; nobody
 * is asked twice. A sign-in of another kind (other scopes, another account) goes its own way, and its session is never taken
 * for one of this kind.
 */
export async function signInOnce(
  provider: Provider,
  request: InteractiveRequest,
  conversation: SignInConversation,
  store: SessionStore,
  surroundings: ClientSurroundings,
): Promise<SignedIn> {
  const { signal } = surroundings;
  const redirect = chooseRedirect(provider.redirect, request.redirect);
  assertPossible(redirect, request, conversation);
  const { sessions: before } = store.list(ownerOf(provider));
  // Several that are known by that name: only a sub says which of them is wanted.
  if (request.account !== undefined) findNamed(before, accountNameAt(provider, request.account));
  new SessionWriter(store).makeFolders();
  // What the person brings belongs into the terminal that shows the URL for it: another process has nothing to wait for.
  if (redirect.kind === 'elsewhere')
    return signIn(provider, request, redirect, conversation, store, surroundings);
  const note = loginNote(provider, request, store, surroundings);
  const lock = await openLock(note.lockPath, surroundings);
  try {
    let shown: URL | undefined;
    while (!(await lock.tryAcquire())) {
      const open = note.read();
      if (open === 'other')
        return await signIn(provider, request, redirect, conversation, store, surroundings);
      if (open !== undefined && shown === undefined) {
        shown = await fetchPendingUrl(open);
        if (shown !== undefined) conversation.pendingElsewhere(shown);
      }
      await pause(betweenTriesMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    // Of a process that was killed.
    note.remove();
    const signedIn = await signedInSince(before, provider, request, store, signal);
    if (signedIn !== undefined) return signedIn;
    return await signIn(provider, request, redirect, conversation, store, surroundings, note.write).finally(
      note.remove,
    );
  } finally {
    lock.release();
  }
}

/** Where nothing listens, the person has to bring the response, and a form cannot be brought. */
function assertPossible(
  redirect: Redirect,
  { responseMode }: InteractiveRequest,
  { canPaste }: SignInConversation,
): void {
  if (redirect.kind === 'loopback') return;
  if (responseMode === 'form_post') {
    throw new AuthError('usage', `a form cannot be posted to ${redirect.uri} and be brought here`, {
      hint: 'leave out --response-mode form_post',
    });
  }
  if (!canPaste) {
    throw new AuthError('usage', `the answer that ends at ${redirect.uri} has to be pasted into a terminal`, {
      hint: 'run it in a terminal, or with a redirect URI of this machine: --redirect-uri http://127.0.0.1/callback',
    });
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
  const kind = requestDigest(provider, request);
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

/**
 * The session that the same request has made in another process since. By what was there `before`, not by the time: a clock that
 * was set back in between would make an old sign-in look new.
 */
async function signedInSince(
  before: readonly StoredSession[],
  provider: Provider,
  request: InteractiveRequest,
  store: SessionStore,
  signal: AbortSignal,
): Promise<SignedIn | undefined> {
  const known = new Set(before.map(signInOf));
  for (const stored of store.list(ownerOf(provider)).sessions) {
    if (known.has(signInOf(stored)) || stored.summary.ended !== null) continue;
    const session = await openIfPossible(stored, store, signal);
    if (session?.requestDigest !== requestDigest(provider, request)) continue;
    return { stored, session, requestedScope: request.scope ?? provider.scope ?? stored.summary.scope };
  }
  return undefined;
}

/** A refresh keeps it. */
function signInOf({ fileName, summary }: StoredSession): string {
  return `${fileName} ${summary.signedInAt}`;
}

/** One that cannot be opened is not known to be of this kind. */
async function openIfPossible(
  stored: StoredSession,
  store: SessionStore,
  signal: AbortSignal,
): Promise<Session | undefined> {
  try {
    return (await store.open(stored)).session;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AuthError) return undefined;
    throw error;
  }
}
