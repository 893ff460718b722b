import { once } from 'node:events';
import { IncomingMessage, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';
import { noteCanaries } from './canaries.js';
import { listen } from './listen.js';
import { firstAccounts, presented, providerConfiguration } from './provider-configuration.js';
import type { Account, ProviderOptions } from './provider-configuration.js';
import { interact } from './provider-interaction.js';
import { ProviderStorage } from './provider-storage.js';

// At its import oidc-provider says that Node 20 is not supported; it works there.
const { warn } = console;
Object.assign(console, { warn: () => undefined });
const { Provider: OidcProvider, interactionPolicy } = await import('oidc-provider');
Object.assign(console, { warn });

/** A request as it reached the provider. */
export interface ProviderRequest {
  readonly method: string;
  readonly path: string;
  /** With its query. */
  readonly url: string;
  /** Of the query and of the form together. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** Where its connection came from. */
  readonly remotePort: number | undefined;
  /** Where it went to. */
  readonly localPort: number | undefined;
  /** The subject's common name in the certificate that was presented. */
  readonly certificate: string | undefined;
}

/** What one request gets in place of the provider's own answer. */
export type Answer =
  | { readonly status: number; readonly headers?: OutgoingHttpHeaders; readonly body?: string | Buffer }
  /** The connection is cut, the request is not acted on. */
  | 'reset'
  /** The request is acted on, and the connection cut in place of the answer. */
  | 'lost'
  /** Never an answer. */
  | 'hang'
  /** The provider answers when this has settled, unless it has begun an answer itself: a place for a barrier, or for a flood. */
  | ((request: ProviderRequest, response: ServerResponse) => Promise<void>);

/** A real OpenID provider on loopback. */
export interface Provider {
  readonly issuer: string;
  /** All that reached it, in order. */
  readonly requests: readonly ProviderRequest[];
  requestsTo(path: string): ProviderRequest[];
  /** Queued: each call is for one request to that path. */
  answerNext(path: string, answer: Answer): void;
  /** Each request to that path for which nothing is queued; with undefined the provider itself answers again. */
  answerAlways(path: string, answer: Answer | undefined): void;
  /** Ends every session on the provider's side; the tokens that it gave are worth nothing then. */
  endSessions(): void;
  /** Nothing reaches it until the function that this gives is called. */
  unplug(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

export async function startProvider(options: ProviderOptions = {}): Promise<Provider> {
  const accounts = firstAccounts();
  const policy = interactionPolicy.base();
  for (const name of ['select_account', 'create']) {
    policy.add(new interactionPolicy.Prompt({ name, requestable: true }), 0);
  }
  const storages: ProviderStorage[] = [];
  const adapter = () => {
    const storage = new ProviderStorage(options.refreshTokenReuseGrace);
    storages.push(storage);
    return storage;
  };

  const { host = '127.0.0.1', address = '127.0.0.1', port = 0, certificate, mutualTls } = options;
  const asking = mutualTls && { requestCert: true, rejectUnauthorized: false, ca: mutualTls.ca };
  const newServer = () => (certificate ? createTlsServer({ ...certificate, ...asking }) : createServer());
  const server = newServer();
  const bound = await listen(server, address, port);
  const issuer = `${certificate ? 'https' : 'http'}://${host}:${bound}`;
  const aliased = mutualTls?.isAliased ? newServer() : undefined;
  const aliases = aliased && `https://${host}:${await listen(aliased, address)}`;
  const configuration = providerConfiguration(options, accounts, policy, adapter, aliases);
  const provider = new OidcProvider(issuer, configuration);
  provider.on('authorization.success', (_context, response) => noteCanaries(response));
  provider.on('grant.success', ({ body }) => noteCanaries(body));
  const protocol = provider.callback();

  const requests: ProviderRequest[] = [];
  const answers = new Map<string, Answer[]>();
  const lasting = new Map<string, Answer | undefined>();
  const serve = (incoming: IncomingMessage, response: ServerResponse) => {
    const handle = async () => {
      const [request, record] = await received(incoming);
      requests.push(record);
      noteCanaries(record.parameters);
      const answer = answers.get(record.path)?.shift() ?? lasting.get(record.path);
      if (await takesOver(answer, record, response)) return;
      const { path, parameters } = record;
      if (path.startsWith('/interaction/')) await interact(provider, accounts, request, response, parameters);
      else if (path === '/api/hello') await hello(provider, accounts, request, response);
      else await protocol(request, response);
    };
    // A peer that went away is none of our business; all else fails the test that runs.
    handle().catch((error: unknown) => incoming.destroyed || server.emit('error', error));
  };
  const servers = [server, ...(aliased ? [aliased] : [])];
  for (const one of servers) one.on('request', serve);

  return {
    issuer,
    requests,
    requestsTo: (path) => requests.filter((request) => request.path === path),
    answerNext: (path, answer) => answers.set(path, [...(answers.get(path) ?? []), answer]),
    answerAlways: (path, answer) => void lasting.set(path, answer),
    endSessions: () => storages.forEach((storage) => storage.clear()),
    unplug: async () => {
      await close(server);
      return async () => void (await listen(server, address, bound));
    },
    stop: async () => void (await Promise.all(servers.map(close))),
  };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** The whole request is read first, so that the record is complete and the provider can still read it. */
export async function received(incoming: IncomingMessage): Promise<[IncomingMessage, ProviderRequest]> {
  const body = await buffer(incoming);
  const { method = 'GET', url = '/', headers } = incoming;
  const request = Object.assign(new IncomingMessage(incoming.socket), {
    method,
    url,
    headers,
    complete: true,
  });
  request.push(body);
  request.push(null);

  const { pathname, searchParams } = new URL(url, 'http://127.0.0.1');
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
  const form = new URLSearchParams(isForm ? body.toString() : '');
  const parameters = Object.fromEntries([...searchParams, ...form]);
  const { remotePort, localPort } = incoming.socket;
  const certificate = [presented(incoming.socket)?.subject.CN].flat()[0];
  const wire = { remotePort, localPort, certificate };
  return [request, { method, path: pathname, url, parameters, headers, ...wire }];
}

/** Whether `answer` leaves nothing for the provider to do. */
async function takesOver(
  answer: Answer | undefined,
  request: ProviderRequest,
  response: ServerResponse,
): Promise<boolean> {
  switch (answer) {
    case undefined:
      return false;
    case 'reset':
      cut(response);
      return true;
    case 'hang':
      return true;
    case 'lost':
      Object.assign(response, { end: () => cut(response) });
      return false;
    default:
      if (typeof answer === 'function') {
        await answer(request, response);
        return response.headersSent;
      }
      noteCanaries(parsed(answer.body?.toString()));
      response.writeHead(answer.status, answer.headers).end(answer.body);
      return true;
  }
}

/** A TLS connection has no reset of its own. */
function cut({ socket }: ServerResponse): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket?.resetAndDestroy();
}

function parsed(body = ''): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** An API as the provider's customers have it: it greets who the access token is of, as long as the token is alive. */
async function hello(
  provider: InstanceType<typeof OidcProvider>,
  accounts: ReadonlyMap<string, Account>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, value = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
  const token = await provider.AccessToken.find(value);
  const account = [...accounts.values()].find(({ sub }) => sub === token?.accountId);
  const [status, body] = account ? [200, { hello: account.name }] : [401, { error: 'invalid_token' }];
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
