import { AuthError, type ErrorCode } from '../errors.js';
import type { ClientAuthentication } from '../oauth/configuration.js';
import type { Provider } from '../providers/provider.js';
import { Redactor } from '../redactor.js';
import type { Remedy } from '../remedy.js';
import { openRecord } from '../store/seal.js';
import { SessionStore, type OpenSession, type StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { sweep } from '../store/sweep.js';
import { refreshMs } from '../time-budgets.js';
import { timeLimit } from '../time-limit.js';
import { isNewerThan, isUsable, type TokenNeed } from './acquired-token.js';
import { refreshUnderLock } from './refresh-under-lock.js';
import { sessionOver } from './session-over.js';
import type { ClientSurroundings } from './surroundings.js';
import { reconnect } from './connect.js';
import { forgetServerMetadata } from './server-metadata.js';

/** What the helper is told, through its standard input only. The key opens this one session's store. */
export interface RefreshRequest extends TokenNeed {
  readonly folder: string;
  readonly fileName: string;
  readonly key: string;
  readonly provider: Provider;
  readonly authentication: ClientAuthentication;
  readonly forceRefresh: boolean;
  /** ISO 8601: a token that is newer than this needs no request. */
  readonly askedAt: string;
}

/** What the helper says: never a token, which is read from the store by whoever has the key. */
export type RefreshReply =
  | { readonly kind: 'done'; readonly traces: readonly string[] }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | null;
      readonly remedy: Remedy | null;
      readonly traces: readonly string[];
    };

/** A session that somebody else changes again and again is left to them. */
const mostTries = 3;

/** Hands a request to a detached process and brings its reply; rejects when it ends without one. */
export type AskRefreshHelper = (request: RefreshRequest, signal: AbortSignal) => Promise<RefreshReply>;

/**
 * The detached process's work: it owns the lock, the request and the durable write, so that nothing that happens to whoever
 * asked for it can come between the provider's rotation and ours.
 */
export async function serveRefresh(
  request: RefreshRequest,
  world: Pick<ClientSurroundings, 'ownership' | 'locking' | 'now' | 'env'>,
): Promise<RefreshReply> {
  const traces: string[] = [];
  const { conceal, redact } = new Redactor();
  try {
    await refreshOnce(request, {
      ...unavailable,
      ...world,
      folder: request.folder,
      trace: (line) => traces.push(redact(line)),
      conceal,
    });
    return { kind: 'done', traces };
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const { code, message, hint = null, remedy = null } = error;
    return { kind: 'failed', code, message: redact(message), hint: hint && redact(hint), remedy, traces };
  }
}

async function refreshOnce(request: RefreshRequest, surroundings: ClientSurroundings): Promise<void> {
  const store = new SessionStore(surroundings);
  const writer = new SessionWriter(store);
  await writer.exclusively(request.fileName, async (latest) => {
    // A refresh must not fail because what others left behind cannot be removed.
    await sweep(store.folder, request.fileName, surroundings.now(), surroundings).catch(() => {});
    // All tries together. The wait for the lock before them has a limit of its own.
    const signal = timeLimit(surroundings.signal, refreshMs, noAnswer());
    const limited = { ...surroundings, signal };
    let found = latest;
    for (let tries = 0; tries < mostTries; tries += 1) {
      if ((await refreshFound(found, request, writer, limited)) !== 'replaced') return;
      found = writer.reload(request.fileName);
    }
    throw new AuthError('network', 'another authcli, which this one cannot see, changes the same session', {
      remedy: { kind: 'advice', text: 'try again in a moment' },
    });
  });
}

/** Somebody without our locks may have refreshed the session while the provider refused us: then that newer session counts. */
async function refreshFound(
  found: StoredSession | undefined,
  request: RefreshRequest,
  writer: SessionWriter,
  surroundings: ClientSurroundings,
): Promise<'refreshed' | 'replaced'> {
  if (found === undefined || found.summary.ended !== null)
    throw sessionOver(found?.summary.provider ?? 'the provider', 'it was ended meanwhile');
  const bytes = Buffer.from(request.key, 'base64');
  const opened = openRecord(found.record, bytes, request.fileName);
  if (opened.kind !== 'opened')
    throw new AuthError('store', 'the session changed while its refresh was being started');
  const { session } = opened;
  const isNew = isNewerThan(request.askedAt, session, request, surroundings.now());
  if (isNew || (!request.forceRefresh && isUsable(session, request, surroundings.now()))) return 'refreshed';
  const open: OpenSession = {
    fileName: request.fileName,
    session,
    key: { reference: found.record.key, bytes },
  };
  const client = await reconnect(request.provider, request.authentication, surroundings);
  try {
    return await refreshUnderLock(open, client, request, writer, surroundings);
  } catch (error) {
    if (error instanceof AuthError && error.code === 'protocol') {
      forgetServerMetadata(request.provider, surroundings);
    }
    throw error;
  }
}

function noAnswer(): AuthError {
  return new AuthError('network', 'the provider did not answer in time', {
    hint: 'try again in a moment; nothing that is stored was changed',
  });
}

/** The helper has no keychain, no browser, nobody to ask and nobody who interrupts it. */
const unavailable: Pick<
  ClientSurroundings,
  | 'signal'
  | 'keychain'
  | 'waiting'
  | 'patience'
  | 'passphrase'
  | 'openBrowser'
  | 'readSecret'
  | 'askRefreshHelper'
  | 'shown'
> = {
  signal: new AbortController().signal,
  keychain: () => Promise.reject(new Error('the refresh helper uses no keychain')),
  patience: { timeoutMs: 0, mayPrompt: false },
  passphrase: { isRequested: false, open: async () => undefined, choose: async () => undefined },
  readSecret: () => Promise.reject(new Error('the refresh helper was told every secret')),
  openBrowser: async () => ({ kind: 'not_launched', reason: 'the refresh helper opens no browser' }),
  askRefreshHelper: () => Promise.reject(new Error('the refresh helper needs no helper')),
  waiting: () => {},
  shown: () => Promise.reject(new Error('the refresh helper shows nothing')),
};
