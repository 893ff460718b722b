import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { systemErrorCode } from '../errors.js';
import { bindFirstFree } from './bind.js';
import { callerCheck, type CallerCheck, type RefusedCaller } from './caller.js';
import { limitConnections } from './connections.js';
import { buildNotice, buildPage, buildRefusalOfCaller, type LoginOutcome } from './page.js';
import { readForm } from './form.js';
import { pendingUrlAddress } from './pending-url.js';
import { sendRawReply, sendReply, sendText, type Reply } from './reply.js';
import { authorizationResponseUrl, findRefusal, type ResponseMethod } from './request-check.js';
import { carriesState, findMalformation } from './response-parameters.js';

/** The loopback redirect of RFC 8252 7.3. */
export interface AuthorizationResponseListener {
  /** `http://<host>:<port><path>`, bound before it is told to anybody. */
  readonly redirectUri: string;
  /** How many requests came to the redirect URI and did not count: without the right state, or from another user. */
  readonly ignored: number;
  /**
   * The first request that carries `state`, comes from a trusted user and is well formed; everything else is answered 4xx and
   * the wait goes on.
   * Never settles once the listener is closed.
   * @param origins of the provider's pages, from which a form may come
   */
  receive(state: string, origins?: readonly string[]): Promise<ReceivedResponse>;
  /** Tells the URL to a trusted user who asks at the address that is returned, for as long as the listener is open. */
  offer(authorizationUrl: URL): string;
  /** Cuts every connection and frees the port. */
  close(): Promise<void>;
}

export interface ReceivedResponse {
  /** The redirect URI with the parameters of the response (RFC 6749 4.1.2). */
  readonly url: URL;
  /** Shows how the login ended; resolves when the page has left, or cannot. */
  readonly respond: (outcome: LoginOutcome) => Promise<void>;
}

export interface ListenerOptions {
  /** A literal loopback address, or `localhost`, which is two of them. */
  readonly host: string;
  /** The first free one is taken; one that the system chooses when absent. */
  readonly ports?: readonly number[] | undefined;
  /** A random segment takes the place of `*` in a `/*` at its end. */
  readonly path: string;
  /** GET when absent. */
  readonly method?: ResponseMethod | undefined;
  /** `any_return`: the browser comes back, with or without our state, and carries nothing else; the caller compares. */
  readonly expects?: 'any_return' | undefined;
  /** Only their connections count, where the system tells whose a connection is (Linux); everybody's when absent. */
  readonly trustedUsers?: readonly number[] | undefined;
  /** Told after each request without the right state, with the number of them so far. */
  readonly onIgnored?: ((count: number) => void) | undefined;
  /** Told after each response that came from somebody else. */
  readonly onRefusedCaller?: ((caller: RefusedCaller) => void) | undefined;
  /** Told once where there are trusted users, and the system does not tell whose a connection is. */
  readonly onUnknownCallers?: (() => void) | undefined;
}

interface Waiting {
  readonly state: string;
  readonly origins: readonly string[];
  readonly deliver: (response: ReceivedResponse) => void;
}

const limits = {
  maxHeaderSize: 16 * 1024,
  // For the headers, too.
  requestTimeout: 3000,
  // How often Node looks for late connections: every 30 s unless told.
  connectionsCheckingInterval: 500,
  // Left to `findRefusal`, whose reply carries our headers.
  requireHostHeader: false,
};

/** A browser opens six at most; the rest of a small `ulimit -n` belongs to the exchange and the store. */
const mostConnections = 16;

export async function listenForAuthorizationResponse(
  options: ListenerOptions,
): Promise<AuthorizationResponseListener> {
  const server = createServer(limits);
  // The reply to a first request closes the connection: nobody would see the reply to a second one.
  server.maxRequestsPerSocket = 1;
  const connections = limitConnections(server, mostConnections);
  const bound = await bindFirstFree(server, options.host, options.ports ?? [0]);
  const path = options.path.replace(/(?<=\/)\*$/, () => randomBytes(16).toString('base64url'));
  const redirectUri = new URL(`http://${options.host}:${bound.port}${path}`);
  const method = options.method ?? 'GET';
  const findStranger = strangerFinder(server, options);

  let waiting: Waiting | undefined;
  let offered: { readonly address: URL; readonly text: string } | undefined;
  let isAnswered = false;
  let ignored = 0;
  let refusedCallers = 0;

  function receiveRequest(request: IncomingMessage, response: ServerResponse): void {
    if (offered !== undefined && findRefusal(request, offered.address) === undefined) {
      if (findStranger(request.socket) === undefined) return sendText(response, offered.text);
    }
    const refusal = findRefusal(request, redirectUri, method, waiting?.origins);
    if (refusal !== undefined) return refuse(response, refusal.status, refusal.message, method);
    if (method === 'GET') return receiveResponse(authorizationResponseUrl(request, redirectUri), response);

    void readForm(request).then((form) => {
      if (!(form instanceof URLSearchParams)) return refuse(response, form.status, form.message);
      const url = new URL(redirectUri);
      url.search = form.toString();
      return receiveResponse(url, response);
    });
  }

  function receiveResponse(url: URL, response: ServerResponse): void {
    const isAnyReturn = options.expects === 'any_return';
    if (waiting === undefined || !(isAnyReturn || carriesState(url.searchParams, waiting.state))) {
      refuse(
        response,
        400,
        'This page belongs to another sign-in, not to the one that your terminal waits for.',
      );
      ignored += 1;
      options.onIgnored?.(ignored);
      return;
    }
    // A restored tab sends its request again (RFC 9700 4.2.4: a state is good for one time).
    if (isAnswered) {
      return refuse(response, 409, 'This sign-in has already been answered. The terminal has the result.');
    }

    // After the checks that cost nothing: the tables of a busy machine are long.
    const stranger = findStranger(response.req.socket);
    if (stranger !== undefined) {
      const page = buildRefusalOfCaller(stranger, method === 'GET' && !isAnyReturn);
      void sendReply(response, { status: 403, page });
      refusedCallers += 1;
      options.onRefusedCaller?.(stranger);
      return;
    }

    const malformation = isAnyReturn ? undefined : findMalformation(url.searchParams);
    if (malformation !== undefined) {
      return refuse(response, 400, `The provider’s answer cannot be used: ${malformation}.`);
    }
    isAnswered = true;
    connections.keep(response.req.socket);
    waiting.deliver({ url, respond: (outcome) => sendReply(response, outcomeReply(outcome)) });
  }

  server.on('request', receiveRequest);
  // Without these two Node answers by itself, without our headers.
  server.on('checkContinue', receiveRequest);
  server.on('checkExpectation', receiveRequest);
  server.on('connect', (_request, socket) =>
    sendRawReply(socket, noticeReply(405, 'This is not a proxy.', method)),
  );
  server.on('clientError', refuseUnreadable);
  // An accept that fails for want of resources costs one connection, not the login.
  server.on('error', () => {});

  return {
    redirectUri: redirectUri.href,
    get ignored() {
      return ignored + refusedCallers;
    },
    receive: (state, origins = []) =>
      new Promise((deliver) => {
        // A page that keeps its address to itself, or came over TLS, sends the origin `null` (Fetch 3.2).
        waiting = { state, origins: method === 'POST' ? ['null', ...origins] : [], deliver };
      }),
    offer: (authorizationUrl) => {
      const address = pendingUrlAddress(authorizationUrl, redirectUri);
      offered = { address, text: authorizationUrl.href };
      return address.href;
    },
    close: async () => {
      // Closing twice is an error to Node, and nothing to us.
      const closed = Promise.all([
        bound.close(),
        new Promise<void>((resolve) => server.close(() => resolve())),
      ]);
      connections.closeAll();
      await closed;
    },
  };
}

/** Finds nobody where there is nobody to keep out, or the system does not tell. */
function strangerFinder(server: Server, options: ListenerOptions): CallerCheck {
  const bound = server.address();
  const check =
    options.trustedUsers !== undefined && typeof bound === 'object' && bound !== null
      ? callerCheck(bound, options.trustedUsers)
      : undefined;
  if (options.trustedUsers !== undefined && check === undefined) options.onUnknownCallers?.();
  return check ?? (() => undefined);
}

/** What the HTTP parser does not accept, and what does not arrive in time. */
function refuseUnreadable(error: Error, socket: Duplex): void {
  // Browsers open connections ahead of time, and would show the reply to a request that was never sent.
  const isSilent = socket instanceof Socket && socket.bytesRead === 0;
  if (isSilent) socket.destroy();
  // Answered already, or gone.
  if (!socket.writable) return;
  const code = systemErrorCode(error);
  if (code === 'HPE_HEADER_OVERFLOW') sendRawReply(socket, noticeReply(431, 'This request is too long.'));
  else if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    sendRawReply(socket, noticeReply(408, 'This request took too long.'));
  else sendRawReply(socket, noticeReply(400, 'This request cannot be read.'));
}

function refuse(response: ServerResponse, status: number, message: string, method?: ResponseMethod): void {
  void sendReply(response, noticeReply(status, message, method));
}

function noticeReply(status: number, message: string, method?: ResponseMethod): Reply {
  return { status, page: buildNotice(message), ...(status === 405 && { allow: method }) };
}

/** A status of its own for failures, so that a program in the browser's place can tell. */
function outcomeReply(outcome: LoginOutcome): Reply {
  return { status: outcome.kind === 'failed' ? 400 : 200, page: buildPage(outcome) };
}
