import { readJsonObject, type Fields } from './read-json.js';
import { invalid, open, type Finding } from './verdict.js';

/**
 * What RFC 8414, OpenID Connect Discovery 1.0 and the contract say of an issuer's metadata, as far as a sign-in needs it.
 * @param announced the issuer's real metadata
 */
export function judgeMetadata(body: Buffer, announced: Fields): Finding[] {
  const { findings, fields, repeats } = readJsonObject(body);
  if (findings.some(({ verdict }) => verdict === 'invalid')) return [...findings];
  return [
    ...findings,
    ...(repeats.atTop ? [invalid('a member twice')] : []),
    ...(repeats.inside ? [open('RFC 8259 4: names should be unique')] : []),
    ...(body.length > 1024 * 1024 ? [open('larger than any answer')] : []),
    ...(fields.get('issuer') === announced.get('issuer')
      ? []
      : [invalid('RFC 8414 3.3: the issuer, identical')]),
    ...Array.from(announced.keys()).flatMap((name) => judgeMember(name, fields, announced)),
  ];
}

function judgeMember(name: string, fields: Fields, announced: Fields): Finding[] {
  const value = fields.get(name);
  switch (name) {
    case 'authorization_endpoint':
    case 'token_endpoint':
    case 'jwks_uri':
      return value === announced.get(name) ? [] : judgeEndpoint(name, value);
    case 'code_challenge_methods_supported':
      return fields.has(name) ? judgeList(name, value, 'S256') : [];
    case 'id_token_signing_alg_values_supported':
      return fields.has(name) ? judgeList(name, value, 'ES256') : [open(`${name} is required`)];
    default:
      // Nothing that a sign-in needs, but no metadata either.
      return !fields.has(name) || isOfSameType(value, announced.get(name))
        ? []
        : [open(`the type of ${name}`)];
  }
}

function judgeEndpoint(name: string, value: unknown): Finding[] {
  if (typeof value !== 'string' || !URL.canParse(value)) return [invalid(`RFC 8414 2: ${name} is a URL`)];
  const url = new URL(value);
  const isLoopback = /^http:\/\/(127\.\d+\.\d+\.\d+|\[::1\]|localhost)[:/]/.test(url.href);
  if (url.protocol !== 'https:' && !isLoopback) return [invalid(`RFC 8414 2: ${name} is an https URL`)];
  const fault = /#/.test(value)
    ? 'a fragment'
    : url.username + url.password === ''
      ? undefined
      : 'user information';
  if (fault !== undefined) return [name === 'jwks_uri' ? open(fault) : invalid(`${name} has ${fault}`)];
  // Nobody is there. The authorization endpoint is for the browser.
  const isOdd = value !== url.href || value.length > 10_000;
  return name === 'authorization_endpoint' && !isOdd ? [] : [open(`${name} is somewhere else`)];
}

function judgeList(name: string, list: unknown, needed: string): Finding[] {
  if (!Array.isArray(list) || !list.includes(needed)) return [invalid(`${name} is a list with ${needed}`)];
  return list.every((item) => typeof item === 'string') ? [] : [open(`${name} is a list of texts`)];
}

function isOfSameType(value: unknown, other: unknown): boolean {
  if (!Array.isArray(other)) return typeof value === typeof other;
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
