import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import type { Page } from './page.js';
import type { ResponseMethod } from './request-check.js';

export interface Reply {
  readonly status: number;
  readonly page: Page;
  /** The method that a 405 must name (RFC 9110 15.5.6). */
  readonly allow?: ResponseMethod | undefined;
}

const lingerMs = 1000;

/** Sends the page and closes the connection; resolves when it has left, or cannot. */
export async function sendReply(response: ServerResponse, reply: Reply): Promise<void> {
  if (response.writableEnded || response.destroyed) return;
  if (isStillSending(response.req)) {
    response.req.resume();
    return sendRawReply(response.req.socket, reply);
  }
  await new Promise<void>((resolve) => {
    response.once('finish', resolve);
    response.once('close', resolve);
    response.writeHead(reply.status, headersOf(reply));
    response.end(reply.page.html);
  });
}

/** For a program. */
export function sendText(response: ServerResponse, text: string): void {
  const headers = headersOf({
    status: 200,
    page: { html: text, contentSecurityPolicy: "default-src 'none'" },
  });
  response.writeHead(200, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
}

/**
 * The same reply where the HTTP parser gave up, or has not seen all of the request. The client may go on for a while,
 * unheard: a connection that is closed while it still sends is reset, and the reply lost with it.
 */
export function sendRawReply(socket: Duplex, reply: Reply): void {
  const headers = Object.entries(headersOf(reply)).map(([name, value]) => `${name}: ${value}\r\n`);
  const statusLine = `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}\r\n`;
  socket.end(`${statusLine}${headers.join('')}\r\n${reply.page.html}`);
  socket.resume();
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(cut));
}

function isStillSending({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0);
}

function headersOf({ allow, page }: Reply): Record<string, string> {
  return {
    ...(allow && { Allow: allow }),
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(page.html)),
    'Content-Security-Policy': page.contentSecurityPolicy,
    // The address of the page holds the code until its script has run.
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    Connection: 'close',
  };
}
