import { AuthError } from '../errors.js';
import type { TokenSet } from '../oauth/token-set.js';
import type { OpenSession, SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import type { Session } from '../store/session.js';
import { currentToken, isUsable, type AcquiredToken, type SilentRequest } from './acquired-token.js';
import { serverMetadata } from './server-metadata.js';
import type { ClientSurroundings } from './surroundings.js';

const signalGraceMs = 8_000;

/** One refresh for all processes together; the rotated refresh token is durable before anybody sees a token. */
export async function refreshSession(
  stored: StoredSession,
  request: SilentRequest,
  store: SessionStore,
  surroundings: ClientSurroundings,
): Promise<AcquiredToken> {
  const askedAt = surroundings.now();
  const writer = new SessionWriter(store);
  return writer.exclusively(stored.fileName, async (found) => {
    if (found === undefined || found.summary.ended !== null)
      throw ended(stored.summary.provider, 'it was ended meanwhile');
    const open = await store.open(found);
    const known = open.session;
    if (!request.forceRefresh && isUsable(known, request, surroundings.now()))
      return currentToken(known, request);
    // What another process has fetched since is as new as what we would fetch.
    if (Date.parse(known.accessToken.obtainedAt) > askedAt.getTime())
      return newToken(known, request, surroundings);
    try {
      return newToken(await refreshUnderLock(open, writer, surroundings), request, surroundings);
    } catch (error) {
      return stillGoodToken(error, known, request, surroundings);
    }
  });
}

function newToken(
  session: Session,
  request: SilentRequest,
  { now, ownership }: ClientSurroundings,
): AcquiredToken {
  if (!isUsable(session, request, now())) {
    if (request.kind === 'id' && !isUsable(session, { ...request, minTtlMs: 1 }, now()))
      throw noNewIdToken(session.provider);
    ownership.warn('the new token lives shorter than --min-ttl asks for');
  }
  return currentToken(session, request);
}

async function refreshUnderLock(
  open: OpenSession,
  writer: SessionWriter,
  surroundings: ClientSurroundings,
): Promise<Session> {
  const { session } = open;
  if (session.refreshToken === null) {
    throw new AuthError(
      'login_required',
      `the token of ${session.provider} has expired, and there is no refresh token`,
      {
        hint: `authcli login -p ${session.provider} --scope "${session.scope ?? 'openid'} offline_access" --prompt consent`,
      },
    );
  }
  surroundings.conceal(session.refreshToken);
  const metadata = await serverMetadata(session.issuer, surroundings);
  const { refresh } = await import('../oauth/refresh.js');
  // A store that cannot be written must be found out before the provider burns the old refresh token.
  writer.prepareReplacement(open, session).discard();
  const client = { metadata, clientId: session.clientId };
  const wire = { ...surroundings, signal: afterwards(surroundings.signal, signalGraceMs) };
  const answer = await refresh(
    client,
    { refreshToken: session.refreshToken, sub: session.account.sub },
    wire,
  );
  if (answer.kind === 'ended') {
    const at = surroundings.now().toISOString();
    const over: Session = {
      ...session,
      refreshToken: null,
      refreshable: false,
      ended: { at, reason: answer.reason },
    };
    writer.prepareReplacement(open, over).commit();
    throw ended(session.provider, `the provider says ${answer.reason}`);
  }
  const next = refreshed(session, answer.tokenSet, surroundings.now());
  writer.prepareReplacement(open, next).commit();
  surroundings.signal.throwIfAborted();
  return next;
}

/** Between request and commit the only good refresh token may be the one that is on its way: a signal has to wait for it. */
function afterwards(signal: AbortSignal, graceMs: number): AbortSignal {
  const controller = new AbortController();
  signal.addEventListener('abort', () => setTimeout(() => controller.abort(signal.reason), graceMs).unref(), {
    once: true,
  });
  return controller.signal;
}

function refreshed(session: Session, tokenSet: TokenSet, now: Date): Session {
  const { accessToken, tokenType, expiresAt, refreshToken, idToken, scope } = tokenSet;
  return {
    ...session,
    expiresAt,
    scope: scope ?? session.scope,
    accessToken: { value: accessToken, type: tokenType, expiresAt, obtainedAt: now.toISOString() },
    // RFC 6749 6: no new refresh token means that the old one goes on.
    refreshToken: refreshToken ?? session.refreshToken,
    idToken: idToken ?? session.idToken,
  };
}

/** Trouble on the way to the provider takes nothing from a token that is good for a while yet. */
function stillGoodToken(
  error: unknown,
  session: Session,
  request: SilentRequest,
  surroundings: ClientSurroundings,
): AcquiredToken {
  const isNetworkTrouble = error instanceof AuthError && error.code === 'network';
  if (
    !isNetworkTrouble ||
    request.forceRefresh ||
    !isUsable(session, { ...request, minTtlMs: 1 }, surroundings.now())
  ) {
    throw error;
  }
  surroundings.ownership.warn(`${error.message}; this token is still good until ${session.expiresAt}`);
  return currentToken(session, request);
}

function noNewIdToken(provider: string): AuthError {
  return new AuthError(
    'login_required',
    `${provider} gives a new ID token only to somebody who signs in again`,
    {
      hint: `authcli login -p ${provider}`,
    },
  );
}

function ended(provider: string, why: string): AuthError {
  return new AuthError('login_required', `the session at ${provider} is over: ${why}`, {
    hint: `authcli login -p ${provider}`,
  });
}
