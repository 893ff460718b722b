import { BlockList, isIP } from 'node:net';

import { AuthError } from '../errors.js';

export interface Proxy {
  /** Without user name and password. */
  readonly address: URL;
  /** What the proxy is shown in Proxy-Authorization (RFC 9110 11.7.2). */
  readonly authorization: string | undefined;
  readonly password: string;
  /** The variable that names it. */
  readonly variable: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const variables = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];

/**
 * The proxy that the environment names for this address, as curl and git read it. Plain http goes to this machine only, and
 * stays on it: what is sent in the clear must not reach a proxy.
 */
export function findProxy(url: URL, env: Environment): Proxy | undefined {
  const variable = variables.find((name) => env[name]);
  if (url.protocol !== 'https:' || variable === undefined) return undefined;
  if (isExempt(url, env['no_proxy'] || env['NO_PROXY'] || '')) return undefined;
  return readProxy(env[variable] ?? '', variable);
}

/** A host, with everything below it; a network; either with a port; or `*`. */
function isExempt({ hostname, port }: URL, exempt: string): boolean {
  const host = hostname.replace(/[[\]]/g, '');
  return exempt
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      const [, name = entry, ownPort] = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
      if (ownPort !== undefined && ownPort !== (port || '443')) return false;
      const bare = name.replace(/[[\]]/g, '').replace(/^\*?\./, '');
      return bare === '*' || host === bare || host.endsWith(`.${bare}`) || isInNetwork(host, bare);
    });
}

function isInNetwork(host: string, network: string): boolean {
  const [, address = '', prefix = ''] = /^([\da-f.:]+)\/(\d{1,3})$/.exec(network) ?? [];
  const family = isIP(host);
  if (family === 0 || isIP(address) !== family || Number(prefix) > (family === 4 ? 32 : 128)) return false;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, Number(prefix), kind);
  return list.check(host, kind);
}

/** Its text is never shown: it may hold a password. */
function readProxy(text: string, variable: string): Proxy {
  const complete = /^[a-z][\w+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const hint = `${variable}=http://HOST:PORT, or NO_PROXY=HOST for what is reached without one`;
  if (!URL.canParse(complete))
    throw new AuthError('usage', `${variable} is not the address of a proxy`, { hint });
  const address = new URL(complete);
  if (address.protocol !== 'http:' && address.protocol !== 'https:') {
    const kind = address.protocol.slice(0, -1);
    throw new AuthError(
      'usage',
      `${variable} names a ${kind} proxy, and authcli speaks to http proxies only`,
      {
        hint,
      },
    );
  }
  const username = percentDecoded(address.username);
  const password = percentDecoded(address.password);
  const authorization =
    username || password ? `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` : undefined;
  return { address: new URL(address.origin), authorization, password, variable };
}

/** A percent sign that encodes nothing stands for itself. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
