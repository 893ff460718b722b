import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';

import { describe, expect, test } from 'vitest';

import { canCertify, newAuthority } from '../support/certificates.js';
import { login, newcomer, type Newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import { startProxy, type Proxy, type ProxyOptions } from '../support/proxy.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { newMachine, type Outcome } from '../support/run.js';
import { pendingLogin } from './pending-login.js';
import { drip, startBlackHole, startServer } from './servers.js';
import { isFull, patience } from './sizes.js';

const file = { AUTHCLI_STORE: 'file' };
const refresh = ['token', '--force-refresh'];
const success = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const discovery = '/.well-known/openid-configuration';
const toProvider = [discovery, '/jwks', '/token', '/token/revocation'];
const checkConnection =
  'hint: check the connection, then run the same command again; nothing that is stored was changed\n';

/** A provider behind a certificate that only this machine trusts. */
async function behindTls(env: Readonly<Record<string, string>> = {}): Promise<Newcomer> {
  const authority = newAuthority('Acme Inspection CA');
  const certificate = authority.issue('DNS:localhost');
  return newcomer(
    { ...file, NODE_EXTRA_CA_CERTS: authority.file, ...env },
    { host: 'localhost', certificate },
  );
}

function loginAt(issuer: string, ...more: string[]): string[] {
  return ['login', '--issuer', issuer, '--client-id', 'cli', '--browser', 'none', ...more];
}

function hostOf({ issuer }: Provider): string {
  return new URL(issuer).host;
}

/** Of the requests that authcli made (the browser's are others): which came through the proxy, and which past it. */
function ways(acme: Provider, { tunnels }: Proxy): { proxied: string[]; direct: string[] } {
  const ours = acme.requests.filter(({ path }) => toProvider.includes(path));
  const paths = (isProxied: boolean) =>
    ours.filter(({ remotePort = 0 }) => tunnels.has(remotePort) === isProxied).map(({ path }) => path);
  return {
    proxied: [...new Set(paths(true))].toSorted(),
    direct: [...new Set(paths(false))].toSorted(),
  };
}

/** A token endpoint at another port, and the bodies of the requests that it got. */
async function moveTokenEndpoint(acme: Provider, answer: string): Promise<string[]> {
  const bodies: string[] = [];
  const port = await startServer((socket) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const body = text.split('\r\n\r\n')[1] ?? '';
      if (body.length < Number(/^content-length: (\d+)/im.exec(text)?.[1])) return;
      bodies.push(body);
      socket.end(answer);
    });
  });
  const metadata: unknown = await (await fetch(`${acme.issuer}${discovery}`)).json();
  const moved = { ...Object(metadata), token_endpoint: `http://127.0.0.1:${port}/token` };
  const headers = { 'content-type': 'application/json' };
  acme.answerNext(discovery, { status: 200, headers, body: JSON.stringify(moved) });
  return bodies;
}

async function timed(outcome: Promise<Outcome>): Promise<Outcome & { readonly seconds: number }> {
  const begun = performance.now();
  return { ...(await outcome), seconds: (performance.now() - begun) / 1000 };
}

describe.skipIf(!canCertify)('NET-01: a proxy of the environment', () => {
  test.each(['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'])(
    '%s carries everything to the provider, from the refresh helper too',
    async (variable) => {
      const proxy = await startProxy();
      const { acme, machine } = await behindTls({ [variable]: `http://127.0.0.1:${proxy.port}` });
      expect(await login(machine)).toMatchObject({ exitCode: 0 });
      expect(await machine.spawn(refresh)).toEqual(success);
      expect(await machine.spawn(['logout'])).toMatchObject({
        exitCode: 0,
        stderr: expect.stringContaining('refresh token and access token revoked'),
      });
      expect(ways(acme, proxy)).toEqual({ proxied: toProvider.toSorted(), direct: [] });
    },
  );

  test('is passed by for what NO_PROXY names', async () => {
    const proxy = await startProxy();
    const address = `http://127.0.0.1:${proxy.port}`;
    const { machine } = await behindTls({ HTTPS_PROXY: address, NO_PROXY: 'acme.test,localhost' });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(refresh)).toEqual(success);
    expect(proxy.authorities).toEqual([]);
  });

  test('finds a host that nobody else can find', async () => {
    const authority = newAuthority();
    const certificate = authority.issue('DNS:login.acme.invalid');
    const { acme } = await newcomer(file, { host: 'login.acme.invalid', certificate });
    const proxy = await startProxy();
    const machine = newMachine({
      ...file,
      HTTPS_PROXY: `127.0.0.1:${proxy.port}`,
      NODE_EXTRA_CA_CERTS: authority.file,
    });
    const { authorizationUrl } = await pendingLogin(machine, ['--issuer', acme.issuer, '--client-id', 'cli']);
    expect(authorizationUrl.origin).toBe(acme.issuer);
    expect(proxy.authorities).toEqual([hostOf(acme)]);
  });

  test('sees nothing of a provider in the clear on this machine, nor of the listener', async () => {
    const proxy = await startProxy();
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY'];
    const proxies = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
    const { machine } = await newcomer({ ...file, ...proxies });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(refresh)).toEqual(success);
    expect(proxy.authorities).toEqual([]);
  });

  test('is not even looked at for a token from the store', async () => {
    const { machine } = await behindTls();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token'], { HTTPS_PROXY: 'socks5://127.0.0.1:9' })).toEqual(success);
  });
});

describe.skipIf(!canCertify)('NET-02: a proxy that is of no use is told, and the session stays:', () => {
  const credentials = 'jane:open sesame!';
  const check = 'hint: check HTTPS_PROXY; NO_PROXY=HOST names what is reached without a proxy\n';
  const wantsAnother =
    'error: the proxy PROXY wants another user name and password (407)\n' +
    'hint: HTTPS_PROXY=USER:PASSWORD@PROXY\n';

  test.each<[title: string, ProxyOptions, user: string, message: string]>([
    ['it wants a password', { credentials }, '', wantsAnother],
    ['the password is wrong', { credentials }, 'jane:hush-hush-hush@', wantsAnother],
    [
      'it refuses',
      { answer: 403 },
      'jane:hush-hush-hush@',
      `error: the proxy PROXY does not connect to HOST (403)\n${check}`,
    ],
    ['it fails', { answer: 502 }, '', `error: the proxy PROXY does not connect to HOST (502)\n${check}`],
  ])('%s', async (_title, options, user, message) => {
    const { acme, machine } = await behindTls();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const proxy = `127.0.0.1:${(await startProxy(options)).port}`;
    const before = acme.requests.length;
    expect(await machine.spawn([...refresh, '-v'], { HTTPS_PROXY: `http://${user}${proxy}` })).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: message.replaceAll(/\bPROXY(?= |\n)/g, proxy).replace(/\bHOST(?= \()/, hostOf(acme)),
    });
    expect(acme.requests).toHaveLength(before);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test.each<[title: string, conduct: (socket: Socket) => void, reason: string]>([
    ['it hangs up', (socket) => socket.end(), 'connection reset'],
    ['it resets the connection', (socket) => socket.resetAndDestroy(), 'connection reset'],
    ['it is no proxy', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'the answer is not HTTP'],
  ])('%s, and is asked once', async (_title, conduct, reason) => {
    let connections = 0;
    const port = await startServer((socket) => {
      connections++;
      conduct(socket);
    });
    const machine = newMachine({ ...file, HTTPS_PROXY: `jane:hush-hush-hush@127.0.0.1:${port}` });
    expect(await machine.spawn(loginAt('https://login.acme.invalid'))).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: `error: cannot reach the proxy 127.0.0.1:${port}: ${reason}\n${check}`,
    });
    expect(connections).toBe(1);
  });

  test('nobody listens there', async () => {
    const machine = newMachine({ ...file, HTTPS_PROXY: 'jane:hush-hush-hush@127.0.0.1:9' });
    expect(await machine.spawn(loginAt('https://login.acme.invalid'))).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: `error: cannot reach the proxy 127.0.0.1:9: connection refused\n${check}`,
    });
  });

  test.each([
    [
      'socks5://jane:hush-hush-hush@127.0.0.1:9',
      'names a socks5 proxy, and authcli speaks to http proxies only',
    ],
    ['http://jane:hush-hush-hush@:x', 'is not the address of a proxy'],
  ])('%s is refused without being shown', async (address, fault) => {
    const machine = newMachine({ ...file, ALL_PROXY: address });
    expect(await machine.spawn(loginAt('https://login.acme.invalid', '-v'))).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: ALL_PROXY ${fault}\n` +
        'hint: ALL_PROXY=http://HOST:PORT, or NO_PROXY=HOST for what is reached without one\n',
    });
  });

  test('the right password opens it', async () => {
    const { machine, acme } = await behindTls();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const { port } = await startProxy({ credentials });
    const proxy = { HTTPS_PROXY: `http://jane:open%20sesame!@127.0.0.1:${port}` };
    expect(await machine.spawn([...refresh, '-v'], proxy)).toEqual({
      ...success,
      stderr: `trace: GET ${acme.issuer}/jwks: 200\ntrace: POST ${acme.issuer}/token: 200\n`,
    });
  });
});

test(
  'NET-02, NET-04: a host that cannot be found, drops every packet or says nothing, and a proxy that says nothing, are given up within 15 s',
  { timeout: 60_000 },
  async () => {
    const silent = await startServer(() => {});
    const dripping = await startServer(drip);
    const hole = await startBlackHole();
    const proxy = await startProxy({ answer: 'hang' });
    const cases: [issuer: string, env: Record<string, string>, reason: string][] = [
      ['https://login.acme.invalid', {}, 'login.acme.invalid: no such host'],
      [`http://127.0.0.1:${hole}`, {}, `127.0.0.1:${hole}: connection timed out`],
      [`http://127.0.0.1:${silent}`, {}, `127.0.0.1:${silent}: no answer within 12 seconds`],
      [`https://127.0.0.1:${silent}`, {}, `127.0.0.1:${silent}: connection timed out`],
      [`http://127.0.0.1:${dripping}`, {}, `127.0.0.1:${dripping}: no answer within 12 seconds`],
      [
        'https://login.acme.invalid',
        { HTTPS_PROXY: `127.0.0.1:${proxy.port}` },
        `the proxy 127.0.0.1:${proxy.port}: no answer within 12 seconds`,
      ],
      [
        'https://login.acme.invalid',
        { HTTPS_PROXY: `127.0.0.1:${hole}` },
        `the proxy 127.0.0.1:${hole}: no answer within 12 seconds`,
      ],
    ];
    const outcomes = await Promise.all(
      cases.map(([issuer, env]) => timed(newMachine({ ...file, ...env }).spawn(loginAt(issuer)))),
    );
    for (const [at, [, , reason]] of cases.entries()) {
      expect(outcomes[at]).toMatchObject({ exitCode: 6, stdout: '' });
      expect(outcomes[at]?.stderr).toContain(`error: cannot reach ${reason}\nhint: check `);
    }
    expect(Math.max(...outcomes.map(({ seconds }) => seconds))).toBeLessThan(15 * patience);
  },
);

test('NET-10: a provider that never finishes an answer holds no command beyond its time', async () => {
  const dripping = await startServer(drip);
  const { acme, machine } = await newcomer();
  await login(machine);
  acme.answerNext('/token', 'hang');
  const outcomes = await Promise.all([
    timed(newMachine(file).spawn(loginAt(`http://127.0.0.1:${dripping}`, '--timeout', '3s'))),
    timed(machine.spawn([...refresh, '--timeout', '3s'])),
  ]);
  expect(outcomes).toEqual(
    Array.from({ length: 2 }, () => ({
      exitCode: 8,
      stdout: '',
      stderr: 'error: not finished within 3 s\nhint: allow more time: --timeout 10m\n',
      seconds: expect.closeTo(3, -1),
    })),
  );
});

test('NET-10: a provider that never answers a revocation holds a logout 10 s at most', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  acme.answerNext('/token/revocation', 'hang');
  acme.answerNext('/token/revocation', 'hang');
  const left = await timed(machine.spawn(['logout']));
  expect(left).toMatchObject({ exitCode: 0, stdout: '' });
  expect(left.stderr).toContain('not revoked (the provider does not answer)');
  expect(left.seconds).toBeLessThan(10);
});

test.runIf(isFull)(
  'NET-10: a refresh ends within 30 s, however slow the provider is at each step',
  async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    acme.answerNext('/jwks', () => pause(10_000));
    acme.answerNext('/token', 'hang');
    const refreshed = await timed(machine.spawn(refresh));
    expect(refreshed).toMatchObject({
      exitCode: 6,
      stdout: '',
      stderr: `error: cannot reach ${hostOf(acme)}: no answer within 12 seconds\n${checkConnection}`,
    });
    expect(refreshed.seconds).toBeLessThan(30);
    expect(await machine.spawn(refresh)).toEqual(success);
  },
);

describe('NET-05: IPv6', () => {
  const hasIpv6 = existsSync('/proc/net/if_inet6');
  /** Only the hosts file can give a name two addresses here, and not every container may mount over it. */
  const canMount =
    requirement('unshare', isOnPath('unshare')) && spawnSync('unshare', ['-m', 'true']).status === 0;

  test.skipIf(!hasIpv6 || !canMount)(
    'does not keep a machine from IPv4 when its packets get lost',
    async () => {
      const { acme, machine } = await newcomer(file, { host: 'localhost' });
      await startBlackHole({ host: '::1', port: Number(new URL(acme.issuer).port) });
      const hosts = join(machine.folder, 'hosts');
      writeFileSync(hosts, '::1 localhost\n127.0.0.1 localhost\n');
      const behind = ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`];
      const begun = performance.now();
      const started = machine.start(['login', '--browser', 'none'], {}, behind);
      await started.said(/code_challenge=/);
      expect((performance.now() - begun) / 1000).toBeLessThan(5);
      expect(acme.requestsTo(discovery)).toHaveLength(1);
      started.child.kill();
      await started.outcome;
    },
  );

  test.skipIf(!hasIpv6)('alone is enough', async () => {
    const { machine } = await newcomer(file, { host: '[::1]', address: '::1' });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(refresh)).toEqual(success);
  });
});

test('NET-06: a provider that is gone for a while ends a sign-in that needs it, and costs no session', async () => {
  const { acme, machine } = await newcomer();
  const first = await pendingLogin(machine);
  const response = await first.response();
  const back = await acme.unplug();
  await fetch(response);
  const gone = `error: cannot reach ${hostOf(acme)}: connection refused\n${checkConnection}`;
  const ended = await first.outcome;
  expect(ended).toMatchObject({ exitCode: 6, stdout: '' });
  expect(ended.stderr).toContain(gone);
  await back();
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  const backAgain = await acme.unplug();
  expect(await machine.spawn(refresh)).toEqual({ exitCode: 6, stdout: '', stderr: gone });
  await backAgain();
  expect(await machine.spawn(refresh)).toEqual(success);
});

describe('NET-08: an answer that breaks off', () => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
  const breaks: readonly [title: string, answer: string, reason: string][] = [
    ['before it began', '', 'connection closed'],
    ['within its body', `${head}content-length: 100\r\n\r\n{"access`, 'connection closed'],
    ['within a chunk', `${head}transfer-encoding: chunked\r\n\r\n9\r\n{"acc`, 'connection closed'],
    ['in a chunk that is none', `${head}transfer-encoding: chunked\r\n\r\nZZ\r\n`, 'the answer is not HTTP'],
    ['and is no HTTP at all', '220 smtp.acme.test ESMTP\r\n', 'the answer is not HTTP'],
  ];

  test.each(breaks)('%s: the authorization code is sent once', async (_title, answer, reason) => {
    const { acme, machine } = await newcomer();
    const bodies = await moveTokenEndpoint(acme, answer);
    const outcome = await login(machine);
    expect(outcome).toMatchObject({ exitCode: 6, stdout: '' });
    expect(outcome.stderr).toContain(`: ${reason}\n${checkConnection}`);
    expect(bodies.map((body) => new URLSearchParams(body).get('grant_type'))).toEqual(['authorization_code']);
    expect(await machine.spawn(['status', '--json'])).toMatchObject({ stdout: '{"sessions":[]}\n' });
  });

  test('during a refresh: it is asked for once more, at once, and not a third time', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    acme.answerNext('/token', 'reset');
    expect(await machine.spawn(refresh)).toEqual(success);
    acme.answerNext('/token', 'reset');
    acme.answerNext('/token', 'reset');
    const before = acme.requestsTo('/token').length;
    expect(await machine.spawn(refresh)).toMatchObject({ exitCode: 6, stdout: '' });
    expect(acme.requestsTo('/token')).toHaveLength(before + 2);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test('only after it was complete, as in HTTP/1.0, is an answer', async () => {
    const { acme, machine } = await newcomer();
    await login(machine, '--scope', 'openid,offline_access');
    const tokenSet = '{"access_token":"an-access-token-of-old","token_type":"bearer","expires_in":60}';
    const bodies = await moveTokenEndpoint(
      acme,
      `HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n${tokenSet}`,
    );
    expect(await login(machine, '--scope', 'email')).toMatchObject({ exitCode: 0 });
    expect(bodies).toHaveLength(1);
    expect(await machine.spawn(['token', '--min-ttl', '1s'])).toMatchObject({
      stdout: 'an-access-token-of-old\n',
    });
  });
});

describe.skipIf(!canCertify)('a server that is not who it should be gets nothing:', () => {
  test('NET-09: its CA is unknown, and is named', async () => {
    const { acme, machine } = await behindTls();
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
    const before = acme.requests.length;
    const untrusted = {
      exitCode: 6,
      stdout: '',
      stderr:
        `error: cannot reach ${hostOf(acme)}: its certificate was issued by "Acme Inspection CA, Acme Inc", whom this machine does not trust\n` +
        'hint: if that is a CA of your own, NODE_EXTRA_CA_CERTS=FILE adds it; if not, somebody may be reading along\n',
    };
    expect(await machine.spawn(refresh, { NODE_EXTRA_CA_CERTS: '' })).toEqual(untrusted);
    expect(await machine.spawn(['login'], { NODE_EXTRA_CA_CERTS: '' })).toEqual(untrusted);
    const { port } = await startProxy();
    const proxied = { NODE_EXTRA_CA_CERTS: '', HTTPS_PROXY: `127.0.0.1:${port}` };
    expect(await machine.spawn(refresh, proxied)).toEqual({
      ...untrusted,
      stderr: untrusted.stderr.replace(': its', ` through the proxy 127.0.0.1:${port}: its`),
    });
    expect(acme.requests).toHaveLength(before);
    expect(await machine.spawn(refresh)).toEqual(success);
  });

  test('its certificate has expired, and since when', async () => {
    const authority = newAuthority();
    const certificate = authority.certify({
      name: 'server',
      alternatives: ['DNS:localhost'],
      validity: ['20200101', '20210101'],
    });
    let received = 0;
    const server = createTlsServer(certificate);
    const port = await startServer((socket) => socket.on('data', ({ length }) => (received += length)), {
      server,
    });
    const machine = newMachine({ ...file, NODE_EXTRA_CA_CERTS: authority.file });
    const proxy = `127.0.0.1:${(await startProxy()).port}`;
    for (const [env, way] of [
      [{}, ''],
      [{ HTTPS_PROXY: proxy }, ` through the proxy ${proxy}`],
    ] as const) {
      expect(await machine.spawn(loginAt(`https://localhost:${port}`), env)).toEqual({
        exitCode: 6,
        stdout: '',
        stderr: expect.stringMatching(
          new RegExp(
            `^error: cannot reach localhost:${port}${way}: the server's certificate expired on 2021-01-01T00:00:00\\.000Z\n` +
              'hint: those who run localhost have to renew it, unless the clock of this machine is wrong: 20\\d\\d-\\S+Z\n$',
          ),
        ),
      });
    }
    expect(received).toBe(0);
  });

  test.each([
    ['is for another host', 'DNS:other.acme.test'],
    ['names the address instead of the host', 'IP:127.0.0.1'],
  ])('NET-09, NET-12: its certificate %s', async (_title, name) => {
    const authority = newAuthority();
    let received = 0;
    const server = createTlsServer(authority.issue(name));
    const port = await startServer((socket) => socket.on('data', ({ length }) => (received += length)), {
      server,
    });
    const machine = newMachine({ ...file, NODE_EXTRA_CA_CERTS: authority.file });
    expect(await machine.spawn(loginAt(`https://localhost:${port}`))).toEqual({
      exitCode: 6,
      stdout: '',
      stderr: `error: cannot reach localhost:${port}: the server's certificate is for another host\n${checkConnection}`,
    });
    expect(received).toBe(0);
  });
});
