import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, Readable, type Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

import { AuthError, systemErrorCode } from '../errors.js';
import { connectToLoopback } from '../loopback-connection.js';
import { timeLimit } from '../time-limit.js';
import { NotSent } from './not-sent.js';
import type { ClientCertificate } from './mutual-tls.js';
import type { Proxy } from './proxy.js';
import { tlsOptions } from './tunnel.js';

/** The options of Node's fetch that are used here. */
export interface FetchOptions {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: URLSearchParams | string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

export interface Connection {
  readonly proxy: Proxy | undefined;
  /** Presented where the server asks for one. */
  readonly certificate: ClientCertificate | undefined;
}

/** As long as Node's fetch gives it. */
const longestHandshakeMs = 10_000;

/**
 * Fetch over a connection of our own, which serves this one request. Node's fetch goes where settings of the whole process say:
 * `NODE_USE_ENV_PROXY`, a global dispatcher, a global agent. Code and tokens of an issuer on this machine would then be sent to a
 * proxy in the clear. Here only `connection` decides.
 */
export async function ownFetch(
  address: string,
  { method, headers, body, signal }: FetchOptions,
  connection: Connection,
): Promise<Response> {
  const url = new URL(address);
  const socket = await connected(url, connection, signal);
  const received = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({
      method,
      host: url.hostname,
      path: url.pathname + url.search,
      createConnection: () => socket,
      insecureHTTPParser: false,
      signal,
    });
    // Not among the options, which Node prints where NODE_DEBUG says so.
    const all = { host: url.host, 'accept-encoding': 'gzip, deflate', ...headers };
    for (const [name, value] of Object.entries(all)) request.setHeader(name, value);
    let response: IncomingMessage | undefined;
    request.once('response', (incoming) => {
      response = incoming;
      resolve(incoming);
    });
    request.on('error', (error) => {
      // Node reports a broken body here. The body itself would only end, as if it were whole.
      response?.destroy(error);
      reject(asClosed(error));
    });
    // Without a response and without an error: the server has changed the protocol.
    request.once('close', () => reject(closed()));
    request.end(body?.toString());
  });
  return asResponse(received, address);
}

async function connected(url: URL, connection: Connection, signal: AbortSignal): Promise<Socket> {
  const slow = Object.assign(new Error('no connection'), { code: 'UND_ERR_CONNECT_TIMEOUT' });
  const limit = timeLimit(signal, longestHandshakeMs, slow);
  const isSecured = url.protocol === 'https:';
  const socket = isSecured ? await tlsSocket(url, connection, signal) : connectToLoopback(url);
  try {
    await once(socket, isSecured ? 'secureConnect' : 'connect', { signal: limit });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new NotSent('no connection', { cause: limit.aborted ? limit.reason : error });
  }
}

async function tlsSocket(url: URL, { proxy, certificate }: Connection, signal: AbortSignal): Promise<Socket> {
  const options = await tlsOptions(url, proxy, signal);
  return connect({ ...options, ...(certificate && { cert: certificate.chain, key: certificate.key }) });
}

function asResponse(incoming: IncomingMessage, address: string): Response {
  const { statusCode: status = 0, rawHeaders } = incoming;
  if (status < 200 || status > 599) {
    incoming.destroy();
    const { origin, pathname } = new URL(address);
    throw new AuthError('protocol', `the provider answers ${origin}${pathname} with the status ${status}`);
  }
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  }
  if ([204, 205, 304].includes(status)) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  const body = Readable.from(chunksOf(unpacked(incoming, headers)), { objectMode: false });
  return new Response(Readable.toWeb(body), { status, headers });
}

async function* chunksOf(body: Readable): AsyncGenerator {
  try {
    yield* body;
  } catch (error) {
    throw asClosed(error);
  }
}

/** RFC 9110 8.4: the last coding is the outermost. */
function unpacked(incoming: IncomingMessage, headers: Headers): Readable {
  const codings = (headers.get('content-encoding') ?? '').toLowerCase().split(',');
  const decoders: Duplex[] = [];
  for (const coding of codings.map((name) => name.trim()).toReversed()) {
    const decoder = decoderOf(coding);
    if (decoder === undefined) break;
    decoders.push(decoder);
  }
  if (decoders.length === 0) return incoming;
  const last = decoders.at(-1);
  if (last === undefined || decoders.length > mostCodings) return incoming;
  pipeline([incoming, ...decoders], () => {});
  return last;
}

const mostCodings = 5;

/** Some servers leave out the end of what they have packed, and browsers bear it. */
function decoderOf(coding: string): Duplex | undefined {
  const lenient = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
  if (coding === 'gzip' || coding === 'x-gzip') return createGunzip(lenient);
  if (coding === 'deflate') return createInflate(lenient);
  return coding === 'br' ? createBrotliDecompress() : undefined;
}

/** Node calls it a reset, too, where the other side has only closed the connection; a real one names the call that failed. */
function asClosed(error: unknown): unknown {
  const isReset = error instanceof Error && systemErrorCode(error) === 'ECONNRESET';
  return isReset && !('syscall' in error) ? closed() : error;
}

function closed(): Error {
  return Object.assign(new Error('closed without a response'), { code: 'UND_ERR_SOCKET' });
}
