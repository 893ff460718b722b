import { carriesState, findMalformation } from './response-parameters.js';

export type PastedResponse =
  | { readonly kind: 'response'; readonly url: URL }
  /** Comes without a state: put behind the redirect URI with ours, where PKCE keeps a stranger's code out (RFC 9700 2.1.1). */
  | { readonly kind: 'code'; readonly code: string }
  /** `reason` completes "that cannot be used: …" and repeats nothing of what was pasted. */
  | { readonly kind: 'rejected'; readonly reason: string };

/** Reads what a person pasted into the terminal: the URL that the browser ended at, its query, or the bare code. */
export function readPastedResponse(line: string, redirectUri: string, state: string): PastedResponse {
  const text = withoutQuotes(line.trim());
  if (text === '') return rejected('nothing was pasted');

  const address = completeAddress(text, new URL(redirectUri));
  if (address === undefined) return readBareCode(text);
  if (!URL.canParse(address)) return rejected('it is not a complete URL');

  const url = new URL(address);
  // Some providers append one (`#_=_`); no part of an authorization response of ours is in there.
  url.hash = '';
  if (withoutQuery(url) !== withoutQuery(new URL(redirectUri))) {
    return rejected(`the URL does not begin with ${redirectUri}`);
  }
  if (!url.searchParams.has('state')) return rejected('the URL carries no state: paste all of it');
  if (!carriesState(url.searchParams, state)) return rejected('the URL belongs to another login');
  const malformation = findMalformation(url.searchParams);
  return malformation === undefined ? { kind: 'response', url } : rejected(malformation);
}

/** The pasted text as a URL; undefined where it does not look like any part of one. */
function completeAddress(text: string, redirectUri: URL): string | undefined {
  const withoutScheme = `${redirectUri.host}${redirectUri.pathname}`;
  if (/^[a-z][a-z0-9+.-]*:\//iu.test(text)) return text;
  // Some browsers leave `http://` out of what they copy.
  if (redirectUri.host !== '' && text.startsWith(withoutScheme)) return `${redirectUri.protocol}//${text}`;
  if (text.startsWith(`${redirectUri.pathname}?`))
    return atEndpoint(redirectUri, text.slice(redirectUri.pathname.length));
  if (/^\??(?:[\w.-]+=[^&]*&)*(?:code|state|error)=/u.test(text)) return atEndpoint(redirectUri, text);
  return undefined;
}

function atEndpoint(redirectUri: URL, query: string): string {
  const url = new URL(redirectUri);
  url.search = query;
  return url.href;
}

function withoutQuery(url: URL): string {
  const endpoint = new URL(url);
  endpoint.search = '';
  return endpoint.href;
}

/** RFC 6749 A.11: a code is of visible characters. One copied out of an address bar is still percent-encoded. */
function readBareCode(text: string): PastedResponse {
  const code = percentDecoded(text);
  return /^[\u0021-\u007e]+$/u.test(code)
    ? { kind: 'code', code }
    : rejected('it is neither the URL that the browser ended at nor a code');
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function withoutQuotes(text: string): string {
  return text.replace(/^"(.*)"$|^'(.*)'$|^<(.*)>$/u, '$1$2$3');
}

function rejected(reason: string): PastedResponse {
  return { kind: 'rejected', reason };
}
