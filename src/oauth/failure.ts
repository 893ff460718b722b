import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';

import { AuthError, Interrupted, systemErrorCode } from '../errors.js';
import { adviceFor, type RefusedRequest } from './advice.js';
import type { Client } from './configuration.js';

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
export function toAuthError(
  error: unknown,
  action: Action,
  client?: Client,
  asked?: Pick<RefusedRequest, 'redirectUri' | 'scope' | 'lacksProof'>,
): unknown {
  const own = findOwn(error);
  if (own !== undefined) return own;
  const advise = (code: string, description: string | undefined) =>
    action === 'the registration'
      ? 'register a client with the provider, then: authcli provider add NAME --issuer URL --client-id ID'
      : adviceFor(code, description, client && { ...describeClient(client), ...asked });
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError) {
    const { error: code } = error;
    const description = textOf(error.error_description);
    return refusal(action, code, description, error, advise(code, description));
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    const { error: code, error_description } = error.cause[0]?.parameters ?? {};
    const description = textOf(error_description);
    // RFC 6749 5.2: who is refused as a client may be told by the status alone.
    const meant = code ?? (action === 'the userinfo request' ? 'invalid_token' : 'invalid_client');
    return refusal(action, code ?? `HTTP ${error.status}`, description, error, advise(meant, description));
  }
  // Its own TypeErrors carry a code; one without is a mistake of ours.
  if (error instanceof ClientError || (error instanceof TypeError && systemErrorCode(error) !== undefined)) {
    return new AuthError('protocol', `${action} failed a check: ${explain(error)}`, { cause: error });
  }
  return error;
}

/** What a provider says need not be a text. */
function textOf(description: unknown): string | undefined {
  return typeof description === 'string' && description !== '' ? description : undefined;
}

function describeClient({ clientId, authentication, preset }: Client): RefusedRequest {
  const isConfidential =
    authentication.method !== 'none' && !('secret' in authentication && authentication.secret === '');
  return { clientId, isConfidential, preset };
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

function refusal(
  action: Action,
  code: string,
  description: string | undefined,
  cause: unknown,
  hint: string | undefined,
): AuthError {
  const message = `the provider refused ${action}: ${code}${description === undefined ? '' : ` (${description})`}`;
  const isDenied = code === 'access_denied' || code === 'consent_required';
  return new AuthError(isDenied ? 'denied' : 'protocol', message, { hint, cause });
}

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
