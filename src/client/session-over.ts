import { AuthError } from '../errors.js';
import type { SessionSummary } from '../store/session.js';

/** Only a new sign-in helps. */
export function sessionOver(provider: string, why: string): AuthError {
  return new AuthError('login_required', `the session at ${provider} is over: ${why}`, {
    hint: `authcli login -p ${provider}`,
  });
}

export function notRefreshable(session: SessionSummary, isOfWrongClock = false): AuthError {
  const { provider, scope } = session;
  const trouble = isOfWrongClock
    ? `the clock of this machine was changed since the token of ${provider} came`
    : `the token of ${provider} has expired`;
  return new AuthError('login_required', `${trouble}, and there is no refresh token`, {
    remedy: { kind: 'login', provider, scope: withOfflineAccess(scope), prompt: 'consent' },
  });
}

function withOfflineAccess(scope: string | null): string {
  return [...new Set([...(scope ?? 'openid').split(' '), 'offline_access'])].join(' ');
}
