import { isUtf8 } from 'node:buffer';

import { AuthError } from '../errors.js';
import { faultOfDocument, isJson } from '../json-document.js';
import { isProtectedAddress } from '../loopback.js';
import { requestMs } from '../time-budgets.js';
import { timeLimit } from '../time-limit.js';
import { assertVerifiedTls } from '../verified-tls.js';
import type { FetchOptions } from './own-fetch.js';
import type { ClientCertificate } from './mutual-tls.js';
import { NotSent } from './not-sent.js';
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
  /** For one request; 12 s when absent. */
  readonly longestRequestMs?: number;
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

const largestAnswer = 1024 * 1024;
/** An answer that is too large is refused, but one that may hold what cannot be fetched again is read first. */
const largestRead = 16 * 1024 * 1024;
const mostRedirects = 3;

/**
 * The fetch behind openid-client: https or loopback only, never a redirect with a credential, bounded in time and size,
 * and 5xx, 429 and 408 told apart from what the body may claim, for they never say anything about the session.
 * @param certificate for an endpoint where the client proves itself with one
 * @param onSuccess is given the body of every answer with a 2xx status, before anything of it is checked; where the answer is
 * cut, as much as has come
 */
export function providerFetch(
  wire: Wire,
  certificate?: ClientCertificate,
  onSuccess?: OnSuccess,
): (url: string, options: CustomFetchOptions) => Promise<Response> {
  return async (url, { body, headers, method }) => {
    const request = { headers, method, ...(isRequestBody(body) && { body }) };
    const response = await exchange(url, request, wire, certificate, onSuccess);
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

export type OnSuccess = (body: Buffer) => void;

type OneRequest = Pick<FetchOptions, 'headers' | 'method' | 'body'>;

async function exchange(
  url: string,
  request: OneRequest,
  wire: Wire,
  certificate?: ClientCertificate,
  onSuccess?: OnSuccess,
): Promise<Response> {
  assertVerifiedTls(wire.env);
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
  wire.signal.throwIfAborted();
  const { longestRequestMs = requestMs } = wire;
  const silence = new Error(`no answer within ${longestRequestMs / 1000} seconds`);
  // In place of openid-client's own signal, whose time goes on while this process is stopped.
  const signal = timeLimit(wire.signal, longestRequestMs, silence);
  const connection = { proxy: findProxy(new URL(url), wire.env), certificate };
  const about = `${request.method} ${withoutQuery(url)}`;
  try {
    const { ownFetch } = await import('./own-fetch.js');
    if (connection.proxy !== undefined) wire.conceal(connection.proxy.password);
    const response = await ownFetch(url, { ...request, redirect: 'manual', signal }, connection);
    wire.trace(`${about}: ${response.status}`);
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      await response.body?.cancel();
      throw new ProviderBusy(response, withoutQuery(url), wire.now());
    }
    const mostBytes = onSuccess === undefined ? largestAnswer : largestRead;
    const received = response.ok ? onSuccess : undefined;
    const body = await readBody(response, mostBytes, received);
    if (body.length > largestAnswer) throw tooLarge();
    // What an error says is for people, and written by far more careless code.
    if (request.method === 'GET' || response.ok) assertDocument(body, url);
    const { status, statusText, headers } = response;
    return new Response(body.length === 0 ? null : body, { status, statusText, headers });
  } catch (error) {
    // An error of our own is either an answer that we refuse, or no way to the provider; what ended the request is neither.
    const isOwn = error instanceof AuthError && error !== signal.reason;
    // A GET changes nothing.
    const isAnswerLost = request.method !== 'GET' && !isOwn && !(error instanceof NotSent);
    if (wire.signal.aborted) throw endedBy(wire.signal.reason, isAnswerLost);
    if (isOwn) throw error;
    const cause: unknown = signal.aborted ? signal.reason : error;
    wire.trace(`${about}: ${reasonOf(cause)}`);
    throw await unreachable(new URL(url), cause, connection, wire, isAnswerLost);
  }
}

/** Whoever ends a request does not know how far it was. */
function endedBy(reason: unknown, isAnswerLost: boolean): unknown {
  if (!isAnswerLost || !(reason instanceof AuthError)) return reason;
  const { code, message, remedy, hint } = reason;
  return new AuthError(code, message, { remedy, hint, cause: reason, isAnswerLost });
}

/** Seconds, or a date; anything else says nothing. */
function parseRetryAfter(header: string | null, now: Date): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function readBody(
  response: Response,
  mostBytes: number,
  onReceived: OnSuccess | undefined,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | never[] = response.body ?? [];
  try {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > mostBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } finally {
    onReceived?.(Buffer.concat(chunks));
  }
  return Buffer.concat(chunks);
}

function tooLarge(): AuthError {
  return new AuthError('protocol', 'the provider sends an answer of more than 1 MiB');
}

/** Metadata, keys and tokens are relied on, and kept. */
function assertDocument(body: Buffer, url: string): void {
  const text = body.toString().replace(/^\uFEFF/, '');
  const fault = faultOfDocument(text) ?? (isJson(text) && !isUtf8(body) ? 'is not in UTF-8' : undefined);
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
