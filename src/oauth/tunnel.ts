import { request as httpRequest } from 'node:http';
import { connect as connectPlainly, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectSecurely, type ConnectionOptions } from 'node:tls';

import { AuthError } from '../errors.js';
import type { Proxy } from './proxy.js';
import { reasonOf } from './unreachable.js';

/** The TLS connection to `url`, through the proxy where there is one; undefined means without. */
export async function tlsOptions(
  url: URL,
  proxy: Proxy | undefined,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const identity = { ...identityOf(url), ...verified };
  if (proxy === undefined) return { ...identity, port: portOf(url), ...bothFamilies };
  return { ...identity, socket: await openTunnel(proxy, `${url.hostname}:${portOf(url)}`, signal) };
}

/** Said here, because each of these has a default that a setting of the whole process changes. */
const verified = { rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] };
const bothFamilies = { autoSelectFamily: true };

function portOf({ protocol, port }: URL): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** RFC 6066 3: no address in place of a name. */
function identityOf({ hostname }: URL): { readonly host: string; readonly servername?: string } {
  const host = hostname.replace(/[[\]]/g, '');
  return isIP(host) === 0 ? { host, servername: host } : { host };
}

/** RFC 9110 9.3.6. What fails here has not reached the provider. */
async function openTunnel(proxy: Proxy, authority: string, signal: AbortSignal): Promise<Duplex> {
  const { address, authorization, variable } = proxy;
  const place = { ...identityOf(address), port: portOf(address), ...bothFamilies };
  const request = httpRequest({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority },
    // Our own, as in own-fetch.ts: no global agent has a say in it.
    createConnection: () =>
      address.protocol === 'https:' ? connectSecurely({ ...place, ...verified }) : connectPlainly(place),
    signal,
  });
  // Not among the options, which Node prints where NODE_DEBUG says so.
  if (authorization !== undefined) request.setHeader('proxy-authorization', authorization);
  const answered = new Promise<{ status: number; socket: Duplex }>((resolve, reject) => {
    request.once('connect', ({ statusCode: status = 0 }, socket) => resolve({ status, socket }));
    request.on('error', reject).end();
  });
  const { status, socket } = await answered.catch((error: unknown) => {
    const reason = reasonOf(signal.aborted ? signal.reason : error);
    throw proxyTrouble(`cannot reach the proxy ${address.host}: ${reason}`, variable);
  });
  if (status === 200) return socket;
  socket.destroy();
  if (status !== 407) {
    throw proxyTrouble(`the proxy ${address.host} does not connect to ${authority} (${status})`, variable);
  }
  throw new AuthError('network', `the proxy ${address.host} wants another user name and password (407)`, {
    hint: `${variable}=USER:PASSWORD@${address.host}`,
  });
}

function proxyTrouble(message: string, variable: string): AuthError {
  return new AuthError('network', message, {
    hint: `check ${variable}; NO_PROXY=HOST names what is reached without a proxy`,
  });
}
