import { accessTokenHash } from '../../support/forged-id-token.js';
import { readJsonObject, type Fields } from './read-json.js';
import { isSignedByUs, jwk } from './signed-jwt.js';
import { invalid, open, type Finding } from './verdict.js';

export interface ExpectedIdToken {
  readonly issuer: string;
  readonly clientId: string;
  readonly nonce: string;
  readonly accessToken: string;
}

export interface JudgedIdToken {
  readonly findings: readonly Finding[];
  readonly claims: Fields;
}

/** OpenID Connect Core 3.1.3.7 for a client that knows one ES256 key of the issuer and trusts no other audience. */
export function judgeIdToken(idToken: string, expected: ExpectedIdToken): JudgedIdToken {
  const parts = idToken.split('.');
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) return { findings: [invalid('RFC 7515 7.1: three parts')], claims: new Map() };
  const decoded = readJsonObject(Buffer.from(payload, 'base64url'));
  const findings = [
    ...(parts.every(isBase64Url) ? [] : [invalid('RFC 7515 2: base64url without padding, and nothing else')]),
    ...(idToken.length > 20_000 ? [open('very long tokens')] : []),
    ...judgeHeader(header),
    ...(isSignedByUs(`${header}.${payload}`, Buffer.from(signature, 'base64url'))
      ? []
      : [invalid('RFC 7515 5.2: the signature')]),
    ...decoded.findings,
    ...(decoded.repeats.atTop || decoded.repeats.inside ? [open('RFC 7519 4: the last of two counts')] : []),
  ];
  const isReadable = findings.every(({ verdict }) => verdict === 'open');
  return {
    findings: [...findings, ...(isReadable ? judgeClaims(decoded.fields, expected) : [])],
    claims: decoded.fields,
  };
}

function isBase64Url(part: string): boolean {
  return /^[\w-]*$/.test(part) && part.length % 4 !== 1;
}

function judgeHeader(header: string): Finding[] {
  const { findings, fields, repeats } = readJsonObject(Buffer.from(header, 'base64url'));
  return [
    ...findings,
    ...(repeats.atTop || repeats.inside ? [open('RFC 7515 4: the last of two counts')] : []),
    ...(fields.get('alg') === 'ES256' ? [] : [invalid('OpenID Connect Core 3.1.3.7-7: alg')]),
    ...(!fields.has('kid') || fields.get('kid') === jwk.kid ? [] : [invalid('RFC 7515 4.1.4: another key')]),
    ...(fields.has('crit') ? [invalid('RFC 7515 4.1.11: extensions that must be understood')] : []),
    ...(fields.has('b64') ? [open('RFC 7797 6: b64 goes with crit')] : []),
  ];
}

function judgeClaims(claims: Fields, { issuer, clientId, nonce, accessToken }: ExpectedIdToken): Finding[] {
  const now = Date.now() / 1000;
  return [
    ...(claims.get('iss') === issuer ? [] : [invalid('3.1.3.7-2: iss')]),
    ...judgeAudience(claims.get('aud'), clientId),
    ...(!claims.has('azp') || claims.get('azp') === clientId ? [] : [invalid('3.1.3.7-5: azp')]),
    ...judgeSubject(claims.get('sub')),
    ...judgeExpiry(claims.get('exp'), now),
    ...judgeTimeOfIssue(claims.get('iat'), now),
    ...(claims.has('nbf') ? judgeNotBefore(claims.get('nbf'), now) : []),
    ...(claims.has('auth_time') ? judgeTimeOfAuthentication(claims.get('auth_time')) : []),
    ...(claims.get('nonce') === nonce ? [] : [invalid('3.1.3.7-11: nonce')]),
    ...(!claims.has('at_hash') || claims.get('at_hash') === accessTokenHash(accessToken)
      ? []
      : [invalid('3.1.3.8: at_hash')]),
  ];
}

function judgeAudience(value: unknown, clientId: string): Finding[] {
  if (value === clientId) return [];
  const isOurs = Array.isArray(value) && value.length > 0 && value.every((audience) => audience === clientId);
  if (!isOurs) return [invalid('3.1.3.7-3: aud names us and nobody else')];
  return value.length === 1 ? [] : [open('aud names us more than once')];
}

function judgeSubject(value: unknown): Finding[] {
  if (typeof value !== 'string' || !/^\p{ASCII}{1,255}$/u.test(value)) {
    return [invalid('2: sub has 1 to 255 ASCII characters')];
  }
  return /\p{Cc}/u.test(value) ? [open('control characters in sub')] : [];
}

function judgeExpiry(value: unknown, now: number): Finding[] {
  if (typeof value !== 'number' || value <= now - 60) return [invalid('3.1.3.7-9: exp')];
  return value < now + 30 || value > 1e11 ? [open('exp within the tolerance, or in thousands of years')] : [];
}

function judgeTimeOfIssue(value: unknown, now: number): Finding[] {
  if (typeof value !== 'number' || Math.abs(value - now) > 320) return [invalid('3.1.3.7-10: iat')];
  return value < now - 280 || value > now + 20 ? [open('iat at the edge of the tolerance')] : [];
}

function judgeNotBefore(value: unknown, now: number): Finding[] {
  if (typeof value !== 'number' || value > now + 60) return [invalid('RFC 7519 4.1.5: nbf')];
  return value > now ? [open('nbf within the tolerance')] : [];
}

function judgeTimeOfAuthentication(value: unknown): Finding[] {
  if (typeof value !== 'number') return [invalid('2: auth_time is a number')];
  return value >= 0 && value < 1e11 ? [] : [open('an auth_time that is no time')];
}
