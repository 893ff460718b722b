import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether the authorization response answers our request. Only this is asked of a stranger: no other parameter is
 * looked at before, and the time that it takes says nothing about how much of a guess was right.
 */
export function carriesState(parameters: URLSearchParams, state: string): boolean {
  const [received, ...more] = parameters.getAll('state');
  return received !== undefined && more.length === 0 && timingSafeEqual(sha256(received), sha256(state));
}

/** What is wrong with an authorization response of the right state (RFC 6749 3.1 and 4.1.2), for a person. */
export function findMalformation(parameters: URLSearchParams): string | undefined {
  if (new Set(parameters.keys()).size < parameters.size) return 'it carries a parameter twice';
  // JARM was not asked for, so its content has not passed any of the checks that it needs.
  if (parameters.has('response')) return 'it carries a response object that was not asked for';
  const hasCode = Boolean(parameters.get('code'));
  const hasError = Boolean(parameters.get('error'));
  if (hasCode && hasError) return 'it carries a code and an error together';
  if (!hasCode && !hasError) return 'it carries neither a code nor an error';
  return undefined;
}

/** Digests have one length, which `timingSafeEqual` asks for. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
