import { setTimeout as pause } from 'node:timers/promises';

import { AuthError } from '../errors.js';
import type { Client } from '../oauth/configuration.js';
import { refresh, type RefreshAnswer } from '../oauth/refresh.js';
import type { TokenSet } from '../oauth/token-set.js';
import { ProviderBusy } from '../oauth/wire.js';
import type { OpenSession } from '../store/session-store.js';
import type { SessionWriter } from '../store/session-writer.js';
import type { AccessToken, Session } from '../store/session.js';
import { accessTokenFor, storedClaims, targetKey, type TokenTarget } from './acquired-token.js';
import { notRefreshable, sessionOver } from './session-over.js';
import type { ClientSurroundings } from './surroundings.js';

/** Others wait for the lock meanwhile, and the whole refresh has a limit. */
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
  const pending = writer.beginRefresh(open, surroundings.now());
  let answer: Answer;
  try {
    answer = await askWithNewest(session, client, target, surroundings, (brought) =>
      pending.keep(withUnverified(session, brought)),
    );
  } catch (error) {
    pending.abandon(error instanceof AuthError && error.isAnswerLost);
    throw error;
  }
  if (answer.kind === 'refreshed') {
    pending.commit(refreshed(session, answer, target, surroundings.now()));
    return 'refreshed';
  }
  if (writer.isReplaced(open)) {
    pending.abandon(false);
    return 'replaced';
  }
  const at = surroundings.now().toISOString();
  const reason = describeEnd(answer.reason, pending.interruptedAt);
  const noToken = { refreshToken: null, unverifiedRefreshToken: null, refreshable: false };
  pending.commit({ ...session, ...noToken, ended: { at, reason } });
  throw sessionOver(session.provider, reason);
}

/** With the refresh token that was sent. */
type Answer = RefreshAnswer & { readonly refreshToken: string };

/** When it ends is not known: the answer that brought it is not believed. */
function withUnverified(session: Session, unverifiedRefreshToken: string): Session {
  return { ...session, unverifiedRefreshToken, refreshExpiresAt: null };
}

/**
 * A refresh token that came with an answer that failed a check is the newest one. Where the provider refuses it, it was not the
 * provider that gave it, or not to this session: then the one before it may still be good, and nothing is left to lose.
 * @param keep is given a refresh token that is new, before anything of its answer is checked
 */
async function askWithNewest(
  session: Session,
  client: Client,
  target: TokenTarget,
  surroundings: ClientSurroundings,
  keep: (refreshToken: string) => void,
): Promise<Answer> {
  const { refreshToken: verified, unverifiedRefreshToken: unverified } = session;
  const newest = unverified ?? verified;
  if (newest === null) throw notRefreshable(session);
  const ask = async (refreshToken: string): Promise<Answer> => {
    surroundings.conceal(refreshToken);
    const grant = { ...grantOf(session, target), refreshToken };
    let isReplaced = false;
    const brought = (token: string): void => {
      // The one that was sent lies in the store already.
      if (token === refreshToken) return;
      surroundings.conceal(token);
      keep(token);
      isReplaced = true;
    };
    const request = () => refresh(client, grant, target, surroundings, brought);
    return { ...(await retryingOnce(request, () => isReplaced, surroundings.signal)), refreshToken };
  };
  const answer = await ask(newest);
  if (answer.kind === 'refreshed' || verified === null || verified === newest) return answer;
  const second = await ask(verified);
  return second.kind === 'refreshed' ? second : answer;
}

function grantOf(session: Session, target: TokenTarget): Omit<Parameters<typeof refresh>[1], 'refreshToken'> {
  const { account, idToken, refreshNonce, proofKey } = session;
  const claims = idToken === null ? undefined : storedClaims(idToken);
  const signIn =
    refreshNonce === undefined ? claims : claims && { ...claims, nonce: refreshNonce ?? undefined };
  return { sub: account.sub, signIn, proofKey, lastLifetime: lastLifetime(session, target) };
}

/**
 * A request whose answer was lost may have been acted on. Providers with a grace period answer the old refresh token once
 * more, and those that did not act do so anyway; with the others nothing is lost that was not lost already.
 * A provider that is busy is asked again when it says, if that is soon; one that was silent for long is not: it may be at work
 * on the first request yet, and sees in the second a refresh token that is used twice.
 * @param isReplaced an answer that was cut has brought its refresh token nevertheless: the one that was sent is used up
 */
async function retryingOnce(
  request: () => Promise<RefreshAnswer>,
  isReplaced: () => boolean,
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
    const isAnswerLost = error instanceof AuthError && error.isAnswerLost;
    if (!isAnswerLost || isReplaced() || Date.now() - begun > longestPauseMs) throw error;
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

function refreshed(
  session: Session,
  { tokenSet, refreshToken: sent }: { readonly tokenSet: TokenSet; readonly refreshToken: string },
  target: TokenTarget,
  now: Date,
): Session {
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
  const obtainedAt = now.toISOString();
  const lifetime = (tokenSet.lifetime || lastLifetime(session, target)) ?? null;
  const token: AccessToken = { value, type, expiresAt, scope, obtainedAt, lifetime };
  // The expiry that is known is that of the verified refresh token only.
  const lastExpiry = sent === session.refreshToken ? session.refreshExpiresAt : null;
  const isSame = refreshToken === null || refreshToken === sent;
  const next: Session = {
    ...session,
    // RFC 6749 6: no new refresh token means that the old one goes on.
    refreshToken: refreshToken ?? sent,
    unverifiedRefreshToken: null,
    refreshExpiresAt: refreshExpiresAt ?? (isSame ? lastExpiry : null) ?? null,
    idToken: idToken ?? session.idToken,
  };
  if (key === undefined) return { ...next, expiresAt, obtainedAt, scope, accessToken: token };
  // The new one becomes the last of them: where room is short, the first ones go.
  const alive = Object.entries(session.otherAccessTokens).filter(
    ([other, { expiresAt: end }]) => other !== key && isAlive(end, now),
  );
  return { ...next, otherAccessTokens: { ...Object.fromEntries(alive), [key]: token } };
}

/** The first versions did not write it down, and what they assumed in its place was an hour. */
function lastLifetime(session: Session, target: TokenTarget): number | undefined {
  const { accessToken } = session;
  const { lifetime, expiresAt, obtainedAt } = accessTokenFor(session, target) ?? accessToken;
  const seconds = expiresAt === null ? undefined : (Date.parse(expiresAt) - Date.parse(obtainedAt)) / 1000;
  return (lifetime === undefined ? seconds : lifetime) ?? undefined;
}

function isAlive(expiresAt: string | null, now: Date): boolean {
  return expiresAt === null || Date.parse(expiresAt) > now.getTime();
}
