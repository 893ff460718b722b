import { AuthError } from '../errors.js';
import type { RequestedClaims } from '../client/interactive.js';
import { isObject } from '../json-document.js';
import { isClientId, isScope } from '../providers/provider.js';

/** Scopes as people write them: repeated, or separated by spaces or commas. */
export function scopeOf(texts: readonly string[], option = '--scope'): string {
  const scope = [...new Set(texts.flatMap((text) => text.split(/[ ,]+/)))].filter(Boolean).join(' ');
  if (scope === '') throw new AuthError('usage', `${option} names no scope`);
  if (isScope(scope)) return scope;
  throw new AuthError('usage', `${option} holds characters that no scope may have (RFC 6749 3.3)`);
}

/** `K=V`, where V may be empty and hold further signs. */
export function nameAndValue(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error('of the form K=V');
  return [text.slice(0, at), text.slice(at + 1)];
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

/**
 * A claims request (OpenID Connect Core 5.5): JSON, its base64 form, or the whole WWW-Authenticate header with which an API
 * asks for more.
 */
export function requestedClaims(text: string): RequestedClaims {
  const challenge = /\bclaims="([^"]+)"/.exec(text)?.[1] ?? text;
  const json = challenge.trim().startsWith('{') ? challenge : Buffer.from(challenge, 'base64').toString();
  try {
    const claims: unknown = JSON.parse(json);
    if (isRequestedClaims(claims)) return claims;
  } catch {
    // Said below.
  }
  throw new Error('a JSON object such as {"id_token":{"acr":{"essential":true}}}, or a claims challenge');
}

function isRequestedClaims(value: unknown): value is RequestedClaims {
  if (!isObject(value)) return false;
  return ['id_token', 'userinfo'].every((destination) => {
    const claims = value[destination];
    return (
      claims === undefined ||
      (isObject(claims) && Object.values(claims).every((one) => one === null || isObject(one)))
    );
  });
}
