import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { connect } from 'node:tls';

import type { Proxy } from './proxy.js';
import { tlsOptions } from './tunnel.js';

/** What is used of Node's fetch. */
export interface FetchOptions {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: URLSearchParams | string;
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/** Fetch through a tunnel that serves this one request. */
export async function proxiedFetch(
  proxy: Proxy,
  address: string,
  { method, headers, body, signal }: FetchOptions,
): Promise<Response> {
  const url = new URL(address);
  const options = await tlsOptions(url, proxy, signal);
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(url, { method, signal, createConnection: () => connect(options) });
    // Not among the options, which Node prints where NODE_DEBUG says so.
    for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
    request.once('response', resolve).on('error', reject).end(body?.toString());
  });
  return asResponse(incoming);
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
