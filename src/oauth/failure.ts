import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';

import { AuthError, Interrupted, systemErrorCode } from '../errors.js';

/** What was under way, as it reads after "the provider refused". */
export type Action =
  | 'the sign-in'
  | 'the code exchange'
  | 'the refresh'
  | 'the revocation'
  | 'the userinfo request'
  | 'the registration'
  | 'discovery';

/** Everything that openid-client throws, as something that a person can act on; what cannot be recognised stays a bug. */
export function toAuthError(error: unknown, action: Action): unknown {
  const own = findOwn(error);
  if (own !== undefined) return own;
  if (error instanceof AuthorizationResponseError) {
    return refusal(action, error.error, error.error_description, error);
  }
  if (error instanceof ResponseBodyError) {
    return refusal(action, error.error, error.error_description, error);
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    const { error: code, error_description: description } = error.cause[0]?.parameters ?? {};
    return refusal(action, code ?? `HTTP ${error.status}`, description, error);
  }
  // Its own TypeErrors carry a code; one without is a mistake of ours.
  if (error instanceof ClientError || (error instanceof TypeError && systemErrorCode(error) !== undefined)) {
    return new AuthError('protocol', `${action} failed a check: ${explain(error)}`, { cause: error });
  }
  return error;
}

/** RFC 6749 5.2: only this ends a session. */
export function isInvalidGrant(error: unknown): boolean {
  return error instanceof ResponseBodyError && error.status === 400 && error.error === 'invalid_grant';
}

/** Which document the failure is about: a wrong issuer is no reason to look elsewhere. */
export function isAboutTheDocument(error: unknown): boolean {
  return (
    error instanceof ClientError && (error.code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' || isNoJson(error.code))
  );
}

/** @param description what the provider says, which need not be a text */
function refusal(action: Action, code: string, description: unknown, cause: unknown): AuthError {
  const details = typeof description === 'string' && description !== '' ? ` (${description})` : '';
  const message = `the provider refused ${action}: ${code}${details}`;
  if (code === 'access_denied' || code === 'consent_required') {
    return new AuthError('denied', message, { hint: 'run authcli login again and allow the access', cause });
  }
  return new AuthError('protocol', message, { hint: hints.get(code), cause });
}

/** A Map, because the provider chooses the key: an object knows `constructor` too. */
const hints: ReadonlyMap<string, string> = new Map([
  [
    'invalid_dpop_proof',
    'this provider wants proofs of possession: authcli login --dpop (if you did that, set the clock of this machine)',
  ],
  ['invalid_client', 'check the client ID of this provider: authcli provider show'],
  ['invalid_grant', 'start again: authcli login'],
  ['invalid_scope', 'ask for less: authcli login --scope …'],
  ['unauthorized_client', 'allow this client the authorization code grant at the provider'],
  [
    'invalid_redirect_uri',
    'register the redirect URI http://127.0.0.1/callback (any port) for this client at the provider',
  ],
  ['login_required', 'run authcli login without --prompt none'],
  ['interaction_required', 'run authcli login without --prompt none'],
  ['account_selection_required', 'run authcli login without --prompt none'],
]);

function explain(error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  const status = error.cause instanceof Response ? error.cause.status : 200;
  if (isNoJson(code)) return `${status === 200 ? '' : `HTTP status ${status}, and `}the answer is not JSON`;
  if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM') return `unexpected HTTP status ${status}`;
  const inner = error.cause instanceof Error ? error.cause.message : error.message;
  return inner || error.message;
}

function isNoJson(code: unknown): boolean {
  return code === 'OAUTH_RESPONSE_IS_NOT_JSON' || code === 'OAUTH_PARSE_ERROR';
}

/** What our own fetch threw, or a signal, under what openid-client put around it. */
function findOwn(error: unknown): AuthError | Interrupted | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof AuthError || at instanceof Interrupted) return at;
  }
  return undefined;
}
