import { AuthError, systemErrorCode } from '../errors.js';
import { isProtectedAddress } from '../loopback.js';
import { abortAfter } from '../running-time.js';
import { faultOfDocument } from './json-document.js';

/** What every request to a provider needs from outside. */
export interface Wire {
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** Method, address without its query, status: never a value. */
  readonly trace: (line: string) => void;
  /** A secret that has just come into being: it must not appear in any output from now on. */
  readonly conceal: (secret: string) => void;
  /** The text without what was concealed, and without what looks like a secret. */
  readonly redact: (text: string) => string;
}

/** The provider cannot answer now, whatever the body of its answer says. */
export class ProviderBusy extends AuthError {
  /** RFC 9110 10.2.3; undefined where it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, headers }: Response, endpoint: string, now: Date) {
    const retryAfterMs = parseRetryAfter(headers.get('retry-after'), now);
    const when = retryAfterMs === undefined ? 'in a moment' : `in ${Math.ceil(retryAfterMs / 1000)} s`;
    super('network', `the provider answers ${status} at ${endpoint}`, {
      hint: `try again ${when}; nothing that is stored was changed`,
    });
    this.retryAfterMs = retryAfterMs;
  }
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>;
/** As openid-client declares it, so that what it hands over fits. */
type FetchOptions = {
  body?: unknown;
  headers: Record<string, string>;
  method: string;
  redirect: 'manual';
  signal?: AbortSignal;
};

const requestTimeoutMs = 12_000;
const largestAnswer = 1024 * 1024;
const mostRedirects = 3;

/**
 * The fetch behind openid-client: https or loopback only, never a redirect with a credential, bounded in time and size,
 * and 5xx, 429 and 408 told apart from what the body may claim, for they never say anything about the session.
 */
export function providerFetch(wire: Wire): (url: string, options: FetchOptions) => Promise<Response> {
  return async (url, { body, ...rest }) => {
    const init: RequestInit = { ...rest, ...(isRequestBody(body) && { body }) };
    const response = await exchange(url, init, wire);
    if (isRedirect(response)) {
      throw new AuthError(
        'protocol',
        `the provider answers ${withoutQuery(url)} with a redirect (${response.status}), which is not followed`,
      );
    }
    return response;
  };
}

/** For metadata, which carries no credential: redirects are followed within the origin. */
export function metadataFetch(wire: Wire): (url: string, options: FetchOptions) => Promise<Response> {
  return async (url, { headers, method }) => {
    let address = url;
    for (let hop = 0; hop <= mostRedirects; hop++) {
      const response = await exchange(address, { headers, method }, wire);
      if (!isRedirect(response)) return response;
      const location = response.headers.get('location');
      const target = location && URL.canParse(location, address) ? new URL(location, address) : undefined;
      if (!target || target.origin !== new URL(url).origin) {
        throw new AuthError(
          'protocol',
          `${withoutQuery(address)} redirects to another origin, which is not followed`,
          {
            hint: 'use the issuer of the place where the metadata really is',
          },
        );
      }
      address = target.href;
    }
    throw new AuthError('protocol', `${withoutQuery(url)} redirects without end`);
  };
}

async function exchange(url: string, init: RequestInit, wire: Wire): Promise<Response> {
  if (!isProtectedAddress(new URL(url))) {
    throw new AuthError(
      'protocol',
      `the provider's endpoint ${withoutQuery(url)} is neither https nor on this machine`,
    );
  }
  const timeout = abortAfter(
    requestTimeoutMs,
    new Error(`no answer within ${requestTimeoutMs / 1000} seconds`),
  );
  // In place of openid-client's own signal, whose time goes on while this process is stopped.
  const signal = AbortSignal.any([wire.signal, timeout]);
  const request: Fetch = fetch;
  try {
    const response = await request(url, { ...init, redirect: 'manual', signal });
    wire.trace(`${init.method ?? 'GET'} ${withoutQuery(url)}: ${response.status}`);
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      await response.body?.cancel();
      throw new ProviderBusy(response, withoutQuery(url), wire.now());
    }
    const whole = await readWhole(response);
    if (init.method === 'GET') await assertDocument(whole, url);
    return whole;
  } catch (error) {
    wire.signal.throwIfAborted();
    if (error instanceof AuthError) throw error;
    wire.trace(`${init.method ?? 'GET'} ${withoutQuery(url)}: ${reasonOf(error)}`);
    throw new AuthError('network', `cannot reach ${new URL(url).host}: ${reasonOf(error)}`, {
      hint: 'check the connection, then run the same command again; nothing that is stored was changed',
      cause: error,
    });
  }
}

/** Seconds, or a date; anything else says nothing. */
function parseRetryAfter(header: string | null, now: Date): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function readWhole(response: Response): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | never[] = response.body ?? [];
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > largestAnswer)
      throw new AuthError('protocol', 'the provider sends an answer of more than 1 MiB');
    chunks.push(chunk);
  }
  const { status, statusText, headers } = response;
  return new Response(size === 0 ? null : Buffer.concat(chunks), { status, statusText, headers });
}

/** Metadata and keys are relied on, and kept; everything else is an answer to one request. */
async function assertDocument(response: Response, url: string): Promise<void> {
  const fault = faultOfDocument(await response.clone().text());
  if (fault !== undefined) throw new AuthError('protocol', `the document at ${withoutQuery(url)} ${fault}`);
}

/** Whether the provider may have acted on a request that failed so: no status came, and it is not sure that nothing was sent. */
export function isAmbiguous(error: unknown): boolean {
  if (!(error instanceof AuthError) || error.code !== 'network' || error.cause === undefined) return false;
  const code = systemErrorCode(rootOf(error.cause)) ?? '';
  return !neverSent.has(code) && !code.startsWith('ERR_TLS') && !/CERT|SIGNATURE/.test(code);
}

const neverSent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function isRedirect({ status }: Response): boolean {
  return status >= 300 && status < 400;
}

function isRequestBody(body: unknown): body is URLSearchParams | string {
  return body instanceof URLSearchParams || typeof body === 'string';
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** Node hides the reason of "fetch failed" in the cause, and several reasons (IPv6, IPv4) in an AggregateError. */
function rootOf(error: unknown): unknown {
  const seen = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return seen instanceof AggregateError ? seen.errors[0] : seen;
}

function reasonOf(error: unknown): string {
  const first = rootOf(error);
  const code = systemErrorCode(first);
  return (code && reasons[code]) ?? code ?? (first instanceof Error ? first.message : 'unknown failure');
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be looked up right now',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped half-way',
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "the server's certificate is self-signed (NODE_EXTRA_CA_CERTS names a CA file of your own)",
  SELF_SIGNED_CERT_IN_CHAIN:
    'the certificate chain ends in an unknown CA (NODE_EXTRA_CA_CERTS names a CA file of your own)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the server's certificate cannot be verified (NODE_EXTRA_CA_CERTS names a CA file of your own)",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host",
};
