import type { AuthError } from './errors.js';

/** What `signal` ends, ends with `reason` after this time. Nobody is kept from ending earlier. */
export function timeLimit(signal: AbortSignal, timeoutMs: number, reason: AuthError): AbortSignal {
  const limit = new AbortController();
  setTimeout(() => limit.abort(reason), timeoutMs).unref();
  return AbortSignal.any([signal, limit.signal]);
}
