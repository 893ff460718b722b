import { AuthError } from '../errors.js';
import type { Provider } from '../providers/provider.js';
import type { OpenSession, SessionStore, StoredSession } from '../store/session-store.js';
import { SessionWriter } from '../store/session-writer.js';
import { canRefresh, isOfWrongClock, type Session } from '../store/session.js';
import {
  currentToken,
  isNewerThan,
  isUsable,
  type AcquiredToken,
  type SilentRequest,
} from './acquired-token.js';
import { clientAuthentication } from './client-authentication.js';
import { notRefreshable, sessionOver } from './session-over.js';
import type { ClientSurroundings } from './surroundings.js';

type KnownSession = StoredSession & Pick<OpenSession, 'key'>;

/** One refresh for all processes together; the rotated refresh token is durable before anybody sees a token. */
export async function refreshSession(
  stored: KnownSession,
  provider: Provider,
  request: SilentRequest,
  store: SessionStore,
  surroundings: ClientSurroundings,
): Promise<AcquiredToken> {
  const askedAt = surroundings.now().toISOString();
  const writer = new SessionWriter(store);
  const usable = (session: Session): AcquiredToken | undefined => {
    if (!request.forceRefresh && isUsable(session, request, surroundings.now()))
      return currentToken(session, request);
    // A token that another process has fetched since is as new as one that we would fetch.
    if (isNewerThan(askedAt, session, request, surroundings.now()))
      return newToken(session, request, surroundings);
    return undefined;
  };
  const refresh = async (found: StoredSession | undefined): Promise<AcquiredToken> => {
    const open = await openAlive(found, stored, store);
    const known = open.session;
    const acquired = usable(known);
    if (acquired !== undefined) return acquired;
    try {
      assertWorthAsking(known, request, surroundings);
      await askHelper(open, provider, request, askedAt, surroundings);
    } catch (error) {
      return stillGoodToken(error, known, request, surroundings);
    }
    const latest = await openAlive(writer.reload(stored.fileName), stored, store);
    return newToken(latest.session, request, surroundings);
  };
  // Those who wait take the new token as soon as it lies there, not one after the other.
  return writer.inTurn(stored.fileName, refresh, async (found) =>
    usable((await openAlive(found, stored, store)).session),
  );
}

async function openAlive(
  found: StoredSession | undefined,
  asked: KnownSession,
  store: SessionStore,
): Promise<OpenSession> {
  if (found === undefined || found.summary.ended !== null) {
    throw sessionOver(asked.summary.provider, found?.summary.ended?.reason ?? 'somebody has signed out');
  }
  return store.open(found, asked.key);
}

/** While the old token is good nobody asks with a refresh token that has ended; after that only the provider knows, for a clock may have jumped. */
function assertWorthAsking(session: Session, request: SilentRequest, { now }: ClientSurroundings): void {
  if (request.forceRefresh || !session.refreshable || canRefresh(session, now())) return;
  if (isUsable(session, { ...request, minTtlMs: 1 }, now())) {
    throw sessionOver(session.provider, `its refresh token expired at ${session.refreshExpiresAt}`);
  }
}

async function askHelper(
  { fileName, key, session }: OpenSession,
  provider: Provider,
  { kind, minTtlMs, forceRefresh, scope, resource, audience }: SilentRequest,
  askedAt: string,
  surroundings: ClientSurroundings,
): Promise<void> {
  const { folder, signal, trace, now } = surroundings;
  if (session.refreshToken === null) {
    throw notRefreshable(session, isOfWrongClock(session.obtainedAt, now()));
  }
  // Some providers repeat in their error what they were sent.
  surroundings.conceal(session.refreshToken);
  if (session.unverifiedRefreshToken !== null) surroundings.conceal(session.unverifiedRefreshToken);
  const request = {
    provider,
    authentication: await clientAuthentication(provider, surroundings),
    folder,
    fileName,
    key: key.bytes.toString('base64'),
    scope,
    resource,
    audience,
    kind,
    minTtlMs,
    forceRefresh,
    askedAt,
  };
  const reply = await surroundings.askRefreshHelper(request, signal);
  for (const line of reply.traces) trace(line);
  if (reply.kind === 'failed')
    throw new AuthError(reply.code, reply.message, {
      hint: reply.hint ?? undefined,
      remedy: reply.remedy ?? undefined,
    });
}

function newToken(
  session: Session,
  request: SilentRequest,
  { now, ownership }: ClientSurroundings,
): AcquiredToken {
  if (!isUsable(session, request, now())) {
    if (request.kind === 'id' && !isUsable(session, { ...request, minTtlMs: 1 }, now())) {
      throw noNewIdToken(session.provider);
    }
    ownership.warn('the new token lives shorter than --min-ttl asks for');
  }
  return currentToken(session, request);
}

/** Neither trouble on the way to the provider nor the lack of a refresh token takes anything from a token that is good for a while yet. */
function stillGoodToken(
  error: unknown,
  session: Session,
  request: SilentRequest,
  surroundings: ClientSurroundings,
): AcquiredToken {
  const isNoReason =
    error instanceof AuthError && (error.code === 'network' || !canRefresh(session, surroundings.now()));
  const isGood = isUsable(session, { ...request, minTtlMs: 1 }, surroundings.now());
  if (!isNoReason || request.forceRefresh || !isGood) throw error;
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
