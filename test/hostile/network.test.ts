import { describe, expect, test } from 'vitest';

import { canCertify, newAuthority } from '../support/certificates.js';
import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import { startProxy, type Proxy } from '../support/proxy.js';
import type { Provider } from '../support/provider.js';

const toProvider = ['/.well-known/openid-configuration', '/jwks', '/token', '/token/revocation'];

async function behindTls(env: Record<string, string>): Promise<Newcomer> {
  const authority = newAuthority();
  const certificate = authority.issue('DNS:localhost');
  return newcomer(
    { AUTHCLI_STORE: 'file', NODE_EXTRA_CA_CERTS: authority.file, ...env },
    { host: 'localhost', certificate },
  );
}

/** Of the requests that authcli made, which the browser did not: how many came through the proxy, and how many past it. */
function ways(acme: Provider, { tunnels }: Proxy): { proxied: string[]; direct: string[] } {
  const ours = acme.requests.filter(({ path }) => toProvider.includes(path));
  const isProxied = ({ remotePort = 0 }) => tunnels.has(remotePort);
  const paths = (wanted: boolean) =>
    [...new Set(ours.filter((request) => isProxied(request) === wanted).map(({ path }) => path))].toSorted();
  return { proxied: paths(true), direct: paths(false) };
}

async function story({ machine }: Newcomer): Promise<void> {
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await machine.spawn(['logout'])).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('revoked'),
  });
}

describe.skipIf(!canCertify)('NET-01: a proxy of the environment', () => {
  test.each(['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'])(
    '%s carries everything to the provider, from the refresh helper too',
    async (variable) => {
      const proxy = await startProxy();
      const person = await behindTls({ [variable]: `http://127.0.0.1:${proxy.port}` });
      await story(person);
      expect(ways(person.acme, proxy)).toEqual({ proxied: toProvider.toSorted(), direct: [] });
    },
  );
});
