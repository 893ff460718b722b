import { isUtf8 } from 'node:buffer';

import { AuthError } from '../errors.js';
import { faultOfDocument, isJson } from '../json-document.js';
import { isProtectedAddress } from '../loopback.js';
import { timeLimit } from '../time-limit.js';
import type { Connection, FetchOptions } from './https-fetch.js';
import type { ClientCertificate } from './mutual-tls.js';
import { findProxy, type Environment } from './proxy.js';
import { reasonOf, unreachable } from './unreachable.js';

/** What every request to a provider needs from outside. */
export interface Wire {
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** Names the proxies. */
  readonly env: Environment;
  /** Method, address without its query, status: never a value. */
  readonly trace: (line: string) => void;
  /**
   * A secret that has just come into being: it must not appear in any output from now on.
   * @param publicText what everybody knows and the secret may have a part of
   */
  readonly conceal: (secret: string, publicText?: string) => void;
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

/** As openid-client declares it, so that what it hands over fits. */
type CustomFetchOptions = {
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
 * @param certificate for an endpoint where the client proves itself with one
 */
export function providerFetch(
  wire: Wire,
  certificate?: ClientCertificate,
): (url: string, options: CustomFetchOptions) => Promise<Response> {
  return async (url, { body, headers, method }) => {
    const request = { headers, method, ...(isRequestBody(body) && { body }) };
    const response = await exchange(url, request, wire, certificate);
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
export function metadataFetch(wire: Wire): (url: string, options: CustomFetchOptions) => Promise<Response> {
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

type OneRequest = Pick<FetchOptions, 'headers' | 'method' | 'body'>;

async function exchange(
  url: string,
  request: OneRequest,
  wire: Wire,
  certificate?: ClientCertificate,
): Promise<Response> {
  if (!isProtectedAddress(new URL(url))) {
    throw new AuthError(
      'protocol',
      `the provider's endpoint ${withoutQuery(url)} is neither https nor on this machine`,
    );
  }
  if (certificate !== undefined && new URL(url).protocol !== 'https:') {
    throw new AuthError(
      'protocol',
      `the provider's endpoint ${withoutQuery(url)} is plain http, where no certificate can be presented`,
    );
  }
  const silence = new Error(`no answer within ${requestTimeoutMs / 1000} seconds`);
  // In place of openid-client's own signal, whose time goes on while this process is stopped.
  const signal = timeLimit(wire.signal, requestTimeoutMs, silence);
  const connection = { proxy: findProxy(new URL(url), wire.env), certificate };
  const about = `${request.method} ${withoutQuery(url)}`;
  try {
    const response = await fetchThere(url, { ...request, redirect: 'manual', signal }, connection, wire);
    wire.trace(`${about}: ${response.status}`);
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      await response.body?.cancel();
      throw new ProviderBusy(response, withoutQuery(url), wire.now());
    }
    const whole = await readWhole(response);
    // What an error says is for people, and written by far more careless code.
    if (request.method === 'GET' || whole.ok) await assertDocument(whole, url);
    return whole;
  } catch (error) {
    wire.signal.throwIfAborted();
    if (error instanceof AuthError) throw error;
    const cause: unknown = signal.aborted ? signal.reason : error;
    wire.trace(`${about}: ${reasonOf(cause)}`);
    throw await unreachable(new URL(url), cause, connection, wire);
  }
}

/** Node's own fetch knows neither proxies nor certificates of a client. */
async function fetchThere(
  url: string,
  options: FetchOptions,
  connection: Connection,
  wire: Wire,
): Promise<Response> {
  const { proxy, certificate } = connection;
  if (proxy === undefined && certificate === undefined) return fetch(url, options);
  if (proxy !== undefined) wire.conceal(proxy.password);
  const { httpsFetch } = await import('./https-fetch.js');
  return httpsFetch(url, options, connection);
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

/** Metadata, keys and tokens are relied on, and kept. */
async function assertDocument(response: Response, url: string): Promise<void> {
  const bytes = Buffer.from(await response.clone().arrayBuffer());
  const text = bytes.toString().replace(/^\uFEFF/, '');
  const fault = faultOfDocument(text) ?? (isJson(text) && !isUtf8(bytes) ? 'is not in UTF-8' : undefined);
  if (fault !== undefined) throw new AuthError('protocol', `the document at ${withoutQuery(url)} ${fault}`);
}

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
