import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { timeLimit } from '../time-limit.js';
import type { ClientCertificate } from './mutual-tls.js';
import type { Proxy } from './proxy.js';
import { tlsOptions } from './tunnel.js';
import { NotSent } from './unreachable.js';

/** What is used of Node's fetch. */
export interface FetchOptions {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: URLSearchParams | string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/** What Node's fetch has no option for. */
export interface Connection {
  readonly proxy: Proxy | undefined;
  /** Presented where the server asks for one. */
  readonly certificate: ClientCertificate | undefined;
}

/** As long as Node's fetch gives it. */
const longestHandshakeMs = 10_000;

/** Fetch over a connection that serves this one request. */
export async function httpsFetch(
  address: string,
  { method, headers, body, signal }: FetchOptions,
  { proxy, certificate }: Connection,
): Promise<Response> {
  const url = new URL(address);
  const options = await tlsOptions(url, proxy, signal);
  const own = certificate && { cert: certificate.chain, key: certificate.key };
  const socket = await secured({ ...options, ...own }, signal);
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(url, { method, signal, createConnection: () => socket });
    // Not among the options, which Node prints where NODE_DEBUG says so.
    for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
    request.once('response', resolve).on('error', reject).end(body?.toString());
  });
  return asResponse(incoming);
}

async function secured(options: ConnectionOptions, signal: AbortSignal): Promise<TLSSocket> {
  const socket = connect(options);
  const slow = Object.assign(new Error('no TLS connection'), { code: 'UND_ERR_CONNECT_TIMEOUT' });
  const limit = timeLimit(signal, longestHandshakeMs, slow);
  try {
    await once(socket, 'secureConnect', { signal: limit });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new NotSent('no TLS connection', { cause: limit.aborted ? limit.reason : error });
  }
}

function asResponse(incoming: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = incoming;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  }
  const hasBody = ![204, 205, 304].includes(status);
  return new Response(hasBody ? Readable.toWeb(incoming) : null, { status, headers });
}
