import { setTimeout as pause } from 'node:timers/promises';

import type { Client } from '../oauth/configuration.js';
import { refresh, type RefreshAnswer } from '../oauth/refresh.js';
import type { TokenSet } from '../oauth/token-set.js';
import { isAmbiguous } from '../oauth/unreachable.js';
import { ProviderBusy } from '../oauth/wire.js';
import type { OpenSession } from '../store/session-store.js';
import type { SessionWriter } from '../store/session-writer.js';
import type { AccessToken, Session } from '../store/session.js';
import { storedClaims, targetKey, type TokenTarget } from './acquired-token.js';
import { notRefreshable, sessionOver } from './session-over.js';
import type { ClientSurroundings } from './surroundings.js';

/** Others wait for the lock meanwhile, 30 s at most. */
const longestPauseMs = 10_000;

/**
 * Asks the provider and makes its answer durable; the caller holds the session's lock.
 * @returns `replaced` if the refresh token was refused, and the session on the disk holds another one by now
 */
export async function refreshUnderLock(
  open: OpenSession,
  client: Client,
  target: TokenTarget,
  writer: SessionWriter,
  surroundings: ClientSurroundings,
): Promise<'refreshed' | 'replaced'> {
  const { session } = open;
  const { refreshToken, account, idToken, proofKey } = session;
  if (refreshToken === null) throw notRefreshable(session);
  surroundings.conceal(refreshToken);
  const signIn = idToken === null ? undefined : storedClaims(idToken);
  const grant = { refreshToken, sub: account.sub, signIn, proofKey };
  const pending = writer.beginRefresh(open, surroundings.now());
  let answer: RefreshAnswer;
  try {
    answer = await retryingOnce(() => refresh(client, grant, target, surroundings), surroundings.signal);
  } catch (error) {
    pending.abandon(isAmbiguous(error));
    throw error;
  }
  if (answer.kind === 'refreshed') {
    pending.commit(refreshed(session, answer.tokenSet, target, surroundings.now()));
    return 'refreshed';
  }
  if (writer.isReplaced(open)) {
    pending.abandon(false);
    return 'replaced';
  }
  const at = surroundings.now().toISOString();
  const reason = describeEnd(answer.reason, pending.interruptedAt);
  pending.commit({ ...session, refreshToken: null, refreshable: false, ended: { at, reason } });
  throw sessionOver(session.provider, reason);
}

/**
 * A request whose answer was lost may have been acted on. Providers with a grace period answer the old refresh token once
 * more, and those that did not act do so anyway; with the others nothing is lost that was not lost already.
 * A provider that is busy is asked again when it says, if that is soon; one that was silent for long is not: it may be at work
 * on the first request yet, and sees in the second a refresh token that is used twice.
 */
async function retryingOnce(
  request: () => Promise<RefreshAnswer>,
  signal: AbortSignal,
): Promise<RefreshAnswer> {
  const begun = Date.now();
  try {
    return await request();
  } catch (error) {
    const pauseMs = error instanceof ProviderBusy ? error.retryAfterMs : undefined;
    if (pauseMs !== undefined && pauseMs <= longestPauseMs) {
      await pause(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      return request();
    }
    if (!isAmbiguous(error) || Date.now() - begun > longestPauseMs) throw error;
    const answer = await request();
    if (answer.kind === 'refreshed') return answer;
    const reason = `the answer to a refresh was lost on the way, and now ${answer.reason}`;
    return { kind: 'ended', reason };
  }
}

function describeEnd(reason: string, interruptedAt: string | undefined): string {
  if (interruptedAt === undefined) return reason;
  return `a refresh at ${interruptedAt} was interrupted before its answer could be stored, and now ${reason}`;
}

function refreshed(session: Session, tokenSet: TokenSet, target: TokenTarget, now: Date): Session {
  const {
    accessToken: value,
    tokenType: type,
    expiresAt,
    refreshToken,
    refreshExpiresAt,
    idToken,
  } = tokenSet;
  const key = targetKey(target);
  const scope = tokenSet.scope ?? target.scope ?? session.scope;
  const token: AccessToken = { value, type, expiresAt, scope, obtainedAt: now.toISOString() };
  const next: Session = {
    ...session,
    // RFC 6749 6: no new refresh token means that the old one goes on.
    refreshToken: refreshToken ?? session.refreshToken,
    refreshExpiresAt: refreshExpiresAt ?? (refreshToken === null ? session.refreshExpiresAt : null) ?? null,
    idToken: idToken ?? session.idToken,
  };
  if (key === undefined) return { ...next, expiresAt, scope, accessToken: token };
  const alive = Object.entries(session.otherAccessTokens).filter(([, other]) => isAlive(other, now));
  return { ...next, otherAccessTokens: { ...Object.fromEntries(alive), [key]: token } };
}

function isAlive({ expiresAt }: AccessToken, now: Date): boolean {
  return expiresAt === null || Date.parse(expiresAt) > now.getTime();
}
