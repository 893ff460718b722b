import { invalid, open, type Finding } from './verdict.js';

export type ResponseMode = 'query' | 'form_post';

export interface ExpectedResponse {
  readonly mode: ResponseMode;
  readonly state: string;
  readonly issuer: string;
}

/** Whether the sign-in waits on or ends, and how; undefined where both are right. */
export type ResponseEnd =
  | { readonly kind: 'waits' }
  | { readonly kind: 'ends'; readonly exitCodes: readonly number[]; readonly code: string | undefined };

export interface JudgedResponse {
  readonly findings: readonly Finding[];
  readonly end: ResponseEnd | undefined;
}

/** RFC 6749 4.1.2 and RFC 9207, for a provider that announces `iss` that comes as a query or as a form. */
export function judgeResponse(sent: Buffer, { mode, state, issuer }: ExpectedResponse): JudgedResponse {
  const unreadable = mode === 'query' ? findUnreadableQuery(sent) : findUnreadableForm(sent);
  if (unreadable !== undefined) return { findings: [unreadable], end: undefined };
  const parameters = formDecoded(sent.toString());
  const valuesOf = (name: string) => parameters.flatMap(([key, value]) => (key === name ? [value] : []));

  const states = valuesOf('state');
  if (states.length !== 1 || states[0] !== state) return waits('RFC 6749 10.12: the state, once');
  const names = parameters.map(([name]) => name);
  if (new Set(names).size < names.length) return waits('RFC 6749 3.1: no parameter more than once');
  if (names.includes('response')) {
    const what = 'JARM was not asked for';
    return valuesOf('response')[0] === '' ? { findings: [open(what)], end: undefined } : waits(what);
  }
  const [code = ''] = valuesOf('code');
  const [error = ''] = valuesOf('error');
  if ((code === '') === (error === '')) return waits('RFC 6749 4.1.2: either a code or an error');
  if (valuesOf('iss')[0] !== issuer) return ends('RFC 9207 2.4: the issuer', [5]);
  if (error !== '') {
    return ends('RFC 6749 4.1.2.1: an error', [
      error === 'access_denied' || error === 'consent_required' ? 3 : 5,
    ]);
  }
  const isHybrid = names.includes('id_token') || names.includes('token');
  return {
    findings: isHybrid ? [open('a parameter of another flow, which may be ignored')] : [],
    end: { kind: 'ends', exitCodes: isHybrid ? [0, 5] : [0], code },
  };
}

function waits(rule: string): JudgedResponse {
  return { findings: [invalid(rule)], end: { kind: 'waits' } };
}

function ends(rule: string, exitCodes: readonly number[]): JudgedResponse {
  return { findings: [invalid(rule)], end: { kind: 'ends', exitCodes, code: undefined } };
}

/** RFC 9112 3: what is no request line may be refused, or understood in some way. */
function findUnreadableQuery(query: Buffer): Finding | undefined {
  if (/[^\x21-\x7e]|#/.test(query.toString('latin1')))
    return open('RFC 3986 3.4: characters that no query may have');
  return query.length > 15_500 ? open('longer than what a server must take') : undefined;
}

function findUnreadableForm(form: Buffer): Finding | undefined {
  if (/[^\x21-\x7e]/.test(form.toString('latin1'))) return open('characters that no form is sent with');
  return form.length > 64 * 1024 ? open('longer than any form of a provider') : undefined;
}

/** application/x-www-form-urlencoded, after the WHATWG's parser. */
function formDecoded(query: string): readonly (readonly [name: string, value: string])[] {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [percentDecoded(name), percentDecoded(value.join('='))];
    });
}

function percentDecoded(text: string): string {
  const octets = text.replaceAll('+', ' ').match(/%[0-9a-f]{2}|[^]/gi) ?? [];
  return Buffer.from(
    octets.map((octet) => (octet.length === 3 ? Number.parseInt(octet.slice(1), 16) : octet.charCodeAt(0))),
  ).toString();
}
