import { AuthError } from '../errors.js';
import { isClientId, isScope } from '../providers/provider.js';

/** Scopes as people write them: repeated, or separated by spaces or commas. */
export function scopeOf(texts: readonly string[]): string {
  const scope = [...new Set(texts.flatMap((text) => text.split(/[ ,]+/)))].filter(Boolean).join(' ');
  if (scope === '') throw new AuthError('usage', '--scope names no scope');
  if (isScope(scope)) return scope;
  throw new AuthError('usage', '--scope holds characters that no scope may have (RFC 6749 3.3)');
}

/** What a configuration would not take must not be found out after the sign-in. */
export function clientIdentifier(text: string): string {
  if (isClientId(text)) return text;
  throw new Error('of printable ASCII characters (RFC 6749 A.1)');
}

/** RFC 8707 2: absolute, and without a fragment. */
export function resourceIndicator(text: string): string {
  if (URL.canParse(text) && !text.includes('#')) return text;
  throw new Error('an absolute URI without a fragment');
}
