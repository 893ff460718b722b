import { isDeepStrictEqual } from 'node:util';

import { readJsonObject, type Fields } from './read-json.js';
import { invalid, open, type Finding } from './verdict.js';

export interface JudgedConfiguration {
  readonly findings: readonly Finding[];
  /** Of each provider by itself; they are among the `findings` of a person's file. */
  readonly entries: ReadonlyMap<string, readonly Finding[]>;
  readonly providers: Fields;
  readonly defaultProvider: unknown;
}

/**
 * The contract's page on `config.json`, and what RFC 6749 and RFC 8414 say of its values.
 * @param place a project names providers and nothing else; one that says more stops only those who use it
 */
export function judgeConfiguration(file: Buffer, place: 'own' | 'project'): JudgedConfiguration {
  const nothing = { findings: [], entries: new Map(), providers: new Map(), defaultProvider: undefined };
  const jsonc = file.toString().replace(/^\uFEFF/, '');
  if (/^\s*$/.test(jsonc)) return nothing;
  const { findings, fields, repeats } = readJsonObject(Buffer.from(withoutComments(jsonc)));
  const judged = [
    ...findings,
    ...(file.equals(Buffer.from(file.toString())) ? [] : [invalid('RFC 8259 8.1: JSON is encoded in UTF-8')]),
    ...(file.length > (place === 'own' ? 1024 : 256) * 1024 ? [open('a very long configuration')] : []),
    ...(repeats.atTop || repeats.inside ? [invalid('a member twice')] : []),
    ...strangers(fields, ['$schema', 'defaultProvider', 'store', 'providers']),
    ...(typeof (fields.get('$schema') ?? '') === 'string' ? [] : [open('$schema is a text')]),
    ...(fields.has('defaultProvider') ? judgeName(fields.get('defaultProvider')) : []),
    ...(!fields.has('store') || fields.get('store') === 'keychain' || fields.get('store') === 'file'
      ? []
      : [invalid('store')]),
    ...(place === 'project' && fields.has('store') ? [invalid('store is not for a project')] : []),
  ];
  const providers = fieldsOf(fields.get('providers') ?? {});
  if (providers === undefined || fields.get('providers') === null) {
    return { ...nothing, findings: [...judged, invalid('providers is an object')] };
  }
  const names = [...providers.keys()].flatMap(judgeName);
  const entries = new Map(
    Array.from(providers, ([name, entry]): [string, Finding[]] => [
      name,
      place === 'own' ? judgeEntry(entry) : judgeProjectEntry(entry),
    ]),
  );
  return {
    findings: [...judged, ...names, ...(place === 'own' ? [...entries.values()].flat() : [])],
    entries,
    providers,
    defaultProvider: fields.get('defaultProvider'),
  };
}

const text = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;
const comments = new RegExp(String.raw`(${text})|//[^\n\r]*|/\*[^]*?\*/`, 'g');
const lastCommas = new RegExp(String.raw`(${text})|,(?<=["\]}\w]\s*,)(?=\s*[}\]])`, 'g');

function withoutComments(file: string): string {
  return file.replace(comments, textOnly).replace(lastCommas, textOnly);
}

function textOnly(_match: string, found: string | undefined): string {
  return found ?? ' ';
}

function fieldsOf(value: unknown): Fields | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? new Map(Object.entries(value)) : undefined;
}

function strangers(fields: Fields, known: readonly string[]): Finding[] {
  return [...fields.keys()].some((name) => !known.includes(name))
    ? [invalid('a member that nobody knows')]
    : [];
}

function judgeName(name: unknown): Finding[] {
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9._:-]{0,63}$/.test(name))
    return [invalid('the name of a provider')];
  return name.includes('..') ? [open('a name that is a little like a path')] : [];
}

function judgeEntry(value: unknown): Finding[] {
  const fields = fieldsOf(value);
  if (fields === undefined) return [invalid('a provider is an object')];
  const clientId = fields.get('clientId');
  return [
    ...strangers(fields, ['issuer', 'clientId', 'scope', ...Object.keys(goodSettings)]),
    ...judgeSettings(fields),
    ...judgeIssuer(fields.get('issuer')),
    ...(typeof clientId === 'string' && /^[\x20-\x7e]+$/.test(clientId)
      ? []
      : [invalid('RFC 6749 A.1: client_id')]),
    ...(fields.has('scope') ? judgeScope(fields.get('scope')) : []),
  ];
}

/** Issuer, client and scope; path and ports of the redirect URI. A preset is another test's matter. */
function judgeProjectEntry(value: unknown): Finding[] {
  const fields = fieldsOf(value);
  const { ports, path } = goodSettings.redirect;
  const redirect = fields?.get('redirect');
  return [
    ...judgeEntry(value).filter(({ rule }) => !(rule in goodSettings)),
    ...(fields === undefined ? [] : strangers(fields, ['issuer', 'clientId', 'scope', 'redirect'])),
    ...(redirect === undefined || isDeepStrictEqual(redirect, { ports, path }) ? [] : [open('redirect')]),
  ];
}

/** How a provider differs from the standards: one example of each, which is good. */
export const goodSettings = {
  preset: 'github',
  client: { authentication: 'client_secret_post', secret: { env: 'ACME_SECRET' } },
  redirect: { host: 'localhost', ports: [8400, 8401], path: '/back' },
  metadata: { from: 'https://acme.test/metadata', set: { userinfo_endpoint: 'https://acme.test/me' } },
  authorization: { parameters: { access_type: 'offline' }, scopeSeparator: ',', deniedErrors: ['no'] },
  token: { lifetime: 60, at: 'data.token', idToken: 'optional' },
  userinfo: { from: 'token', sub: 'id' },
  revocation: { tokenParameter: 'refresh' },
  dpop: true,
};

/** No rules but the schema say what else would be good, so that a change may end either way. */
function judgeSettings(fields: Fields): Finding[] {
  return Object.entries(goodSettings).flatMap(([name, good]) =>
    !fields.has(name) || isDeepStrictEqual(fields.get(name), good) ? [] : [open(name)],
  );
}

function judgeIssuer(value: unknown): Finding[] {
  if (typeof value !== 'string') return [invalid('an issuer is a text')];
  const usual =
    /^(?:https:\/\/(?:[a-z][a-z0-9-]*\.)*[a-z][a-z0-9-]*|http:\/\/(?:127\.0\.0\.1|localhost))(?:\/[\w~-]+)*\/?$/;
  if (usual.test(value)) return [];
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isLoopback = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url?.hostname ?? '');
  const isProtected = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback);
  if (!isProtected || /[?#\s\p{C}]/u.test(value) || url.username + url.password !== '' || url.port === '0') {
    return [invalid('RFC 8414 2: an issuer is an https URL without query, fragment and user information')];
  }
  return [open('an issuer that URL parsers would write in another way')];
}

function judgeScope(value: unknown): Finding[] {
  if (typeof value !== 'string' || !/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(value)) {
    return [invalid('RFC 6749 3.3: scopes separated by single spaces')];
  }
  return value.length < 10_000 ? [] : [open('very many scopes')];
}
