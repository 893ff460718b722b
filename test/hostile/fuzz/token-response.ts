import { readJsonObject, type Fields } from './read-json.js';
import { invalid, open, type Finding } from './verdict.js';

export interface TokenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What RFC 6749 5.1, RFC 6750 and the contract say of an answer of the token endpoint. */
export function judgeTokenResponse({ status, headers, body }: TokenAnswer, idToken: IdTokenRule): Finding[] {
  if (status !== 200) return [invalid('RFC 6749 5.1: status 200')];
  const isJson = /^application\/json(;|$)/i.test(headers['content-type'] ?? '');
  const { findings, fields, repeats } = readJsonObject(body);
  if (findings.some(({ verdict }) => verdict === 'invalid')) return [...findings];
  return [
    ...findings,
    ...(isJson ? [] : [open('RFC 6749 5.1: application/json')]),
    ...(repeats.atTop ? [invalid('RFC 6749 3.2: no parameter more than once')] : []),
    ...(repeats.inside ? [open('RFC 8259 4: names should be unique')] : []),
    ...(body.length > 1024 * 1024 ? [open('larger than any answer')] : []),
    ...judgeAccessToken(fields.get('access_token')),
    ...judgeTokenType(fields.get('token_type')),
    ...judgeExpiresIn(fields),
    ...judgeRefreshToken(fields),
    ...judgeScope(fields),
    ...judgeIdToken(fields, idToken),
  ];
}

/** RFC 6749 5.2 and the contract: who said no, and whether it is final. */
export function exitCodesOfRefusal(
  { status, headers, body }: TokenAnswer,
  at: 'sign-in' | 'refresh',
): readonly number[] {
  // A challenge says who refused, whatever status it comes with.
  if (status < 400) return headers['www-authenticate'] === undefined ? [5] : [3, 5];
  if (status >= 500 || status === 429 || status === 408) return [6];
  const { findings, fields, repeats } = readJsonObject(body);
  const isPlain = findings.length === 0 && !repeats.atTop && headers['www-authenticate'] === undefined;
  // What cannot be read for sure may still be understood.
  if (!isPlain || headers['content-type'] !== 'application/json')
    return [3, 5, ...(at === 'refresh' ? [4] : [])];
  const error = fields.get('error');
  if (error === 'access_denied' || error === 'consent_required') return [3];
  return error === 'invalid_grant' && status === 400 && at === 'refresh' ? [4] : [5];
}

export interface IdTokenRule {
  readonly good: string;
  /** At a sign-in with the scope openid. */
  readonly isRequired: boolean;
}

function judgeAccessToken(value: unknown): Finding[] {
  if (typeof value !== 'string' || value === '') return [invalid('RFC 6749 5.1: access_token is a text')];
  if (!/^[\x21-\x7e]+$/.test(value)) return [invalid('RFC 6750 2.1: the characters of a bearer token')];
  const isBearer = /^[\w.~+/-]+=*$/.test(value) && value.length <= 20_000;
  return isBearer ? [] : [open('RFC 6749 A.12 allows what RFC 6750 2.1 does not; very long tokens')];
}

function judgeTokenType(value: unknown): Finding[] {
  const isBearer = typeof value === 'string' && /^bearer$/i.test(value);
  return isBearer ? [] : [invalid('RFC 6749 7.1: only types that the client understands')];
}

function judgeExpiresIn(fields: Fields): Finding[] {
  if (!fields.has('expires_in')) return [];
  const value = fields.get('expires_in');
  const rule = 'RFC 6749 A.14: expires_in is a number of digits, also as text by the contract';
  if (typeof value === 'string') {
    if (/^\d+$/.test(value)) return [];
    return [/^\s*\+?\d+(\.\d*)?(e\d+)?\s*$/i.test(value) ? open(rule) : invalid(rule)];
  }
  if (typeof value !== 'number' || value < 0) return [invalid(rule)];
  return Number.isInteger(value) && !Object.is(value, -0) ? [] : [open(rule)];
}

function judgeRefreshToken(fields: Fields): Finding[] {
  if (!fields.has('refresh_token')) return [];
  const value = fields.get('refresh_token');
  if (typeof value !== 'string' || !/^[\x20-\x7e]+$/.test(value)) {
    return [invalid('RFC 6749 A.17: refresh_token is a text of visible characters')];
  }
  return value.includes(' ') || value.length > 20_000
    ? [open('a refresh token with a space, or very long')]
    : [];
}

function judgeScope(fields: Fields): Finding[] {
  if (!fields.has('scope')) return [];
  const value = fields.get('scope');
  if (typeof value !== 'string') return [invalid('RFC 6749 5.1: scope is a text')];
  if (/[^\x20\x21\x23-\x5b\x5d-\x7e]/.test(value))
    return [invalid('RFC 6749 3.3: the characters of a scope')];
  const isExact = /^\S+( \S+)*$/.test(value) && value.length < 10_000;
  return isExact ? [] : [open('RFC 6749 3.3: single spaces between scopes; very many scopes')];
}

function judgeIdToken(fields: Fields, { good, isRequired }: IdTokenRule): Finding[] {
  if (!fields.has('id_token')) {
    return isRequired ? [invalid('OpenID Connect Core 3.1.3.3: id_token is required')] : [];
  }
  const value = fields.get('id_token');
  if (value === good) return [];
  const hasSameSignature =
    typeof value === 'string' &&
    value.length === good.length &&
    value.slice(0, -1) === good.slice(0, -1) &&
    Buffer.from(value, 'base64url').equals(Buffer.from(good, 'base64url'));
  return hasSameSignature
    ? [open('RFC 4648 3.5: the bits behind the last octet')]
    : [invalid('OpenID Connect Core 3.1.3.7: the ID token is another one')];
}
