import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { PassThrough } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { newcomerWith, type Newcomer } from './support/newcomer.js';
import { freePort, takenPort } from './support/ports.js';
import type { Provider } from './support/provider.js';
import { requirement } from './support/requirements.js';
import { behind, newMachine, type Machine } from './support/run.js';
import { approves, authorizationResponse, browserOf, oneBrowser } from './support/user-agents.js';

const hasIpv6 = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .some(({ address }) => address === '::1');

/** A person whose provider knows the client by these redirect URIs, and whose entry says `redirect`. */
function registered(uris: string[], redirect: object = {}): Promise<Newcomer> {
  // oidc-provider compares no port of a native client.
  const type = uris.some((uri) => /^https:|:\d+\//.test(uri)) ? 'web' : 'native';
  return newcomerWith({ redirect_uris: uris, application_type: type }, { redirect });
}

function login(machine: Machine, ...argv: string[]) {
  return machine.run(['login', '-q', '--prompt', 'consent', ...argv], browserOf(approves));
}

/** The redirect URIs that the provider was told: with the authorization request, and with the code. */
function redirectUrisOf(acme: Provider): (string | undefined)[] {
  return ['/auth', '/token'].map((path) => acme.requestsTo(path).at(-1)?.parameters['redirect_uri']);
}

/** Only the address is shown with --quiet. */
const signedIn = { exitCode: 0, stdout: '', stderr: expect.stringMatching(/^\n {2}http\S+\n\n$/) };

describe('the redirect URI that a provider compares', () => {
  test('with its port: the first free one of the list, by the entry or by --port', async () => {
    const [taken, free] = [await takenPort(), await freePort()];
    const uris = [taken, free].map((port) => `http://127.0.0.1:${port}/cb`);
    const { acme, machine } = await registered(uris, { ports: [taken, free], path: '/cb' });
    expect(await login(machine)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uris[1], uris[1]]);
  });

  test('by a provider that refuses it on a page of its own: the person is told what to register', async () => {
    const uri = `http://127.0.0.1:${await freePort()}/elsewhere`;
    const { machine } = await registered(['http://127.0.0.1/callback']);
    const { openBrowser, pages } = browserOf(approves);
    const argv = ['login', '-q', '--redirect-uri', uri, '--timeout', '1s'];
    expect(await machine.run(argv, { openBrowser })).toEqual({
      exitCode: 8,
      stdout: '',
      stderr: expect.stringContaining(
        'error: not finished within 1 s\n' +
          "hint: allow more time: --timeout 10m; or, if the provider's page shows an error, " +
          `register this redirect URI for the client app at the provider: ${uri}\n`,
      ),
    });
    expect(await pages[0]).toMatchObject({ status: 400, body: expect.stringContaining('redirect_uri') });
  });

  test('all of its ports taken: named, before a browser opens', async () => {
    const [one, two] = [await takenPort(), await takenPort()];
    const { acme, machine } = await registered(['http://127.0.0.1/callback']);
    const startedAt = performance.now();
    expect(await login(machine, '--port', `${one},${two}`)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: port ${one} is in use, port ${two} is in use\nhint: give another port that the provider accepts: --port N\n`,
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(acme.requests).toEqual([]);
  });

  test.each([
    ['--redirect-uri', (uri: string) => [{}, ['--redirect-uri', uri]] as const],
    ['redirect.uri of the entry', (uri: string) => [{ uri }, []] as const],
  ])('all of it, by %s', async (_title, say) => {
    const uri = `http://127.0.0.1:${await freePort()}/oauth/back`;
    const [redirect, argv] = say(uri);
    const { acme, machine } = await registered([uri], redirect);
    expect(await login(machine, ...argv)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uri, uri]);
  });

  test('a redirect URI without a port gets the port of the list, and a free one where there is no list', async () => {
    const { acme, machine } = await registered(['http://127.0.0.1/oauth/back']);
    const port = await freePort();
    const argv = ['--redirect-uri', 'http://127.0.0.1/oauth/back'];
    expect(await login(machine, ...argv, '--port', String(port))).toEqual(signedIn);
    expect(redirectUrisOf(acme)[1]).toBe(`http://127.0.0.1:${port}/oauth/back`);
    expect(await login(machine, ...argv)).toEqual(signedIn);
    expect(redirectUrisOf(acme)[1]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/oauth\/back$/);
  });

  test.skipIf(!hasIpv6)('on [::1], where --listen says so', async () => {
    const { acme, machine } = await registered(['http://[::1]/callback']);
    expect(await login(machine, '--listen', '::1')).toEqual(signedIn);
    expect(redirectUrisOf(acme)[1]).toMatch(/^http:\/\/\[::1\]:\d+\/callback$/);
  });

  test('any path: a new random one each time', async () => {
    const { acme, machine } = await registered(['http://127.0.0.1/callback'], { path: '/cli/*' });
    const paths: string[] = [];
    const statuses: number[] = [];
    for (let logins = 0; logins < 2; logins++) {
      const outcome = await machine.run(['login', '-q'], {
        openBrowser: async (url) => {
          const redirectUri = new URL(url.searchParams.get('redirect_uri') ?? '');
          paths.push(redirectUri.pathname);
          const state = url.searchParams.get('state') ?? '';
          const denial = `?${new URLSearchParams({ error: 'access_denied', state, iss: acme.issuer }).toString()}`;
          const [literal, right] = [new URL(`/cli/*${denial}`, redirectUri), new URL(denial, redirectUri)];
          statuses.push((await fetch(literal)).status);
          void fetch(right);
          return { kind: 'launched' };
        },
      });
      expect(outcome).toMatchObject({ exitCode: 3 });
    }
    expect(statuses).toEqual([404, 404]);
    expect(paths).toEqual([
      expect.stringMatching(/^\/cli\/[\w-]{22}$/),
      expect.stringMatching(/^\/cli\/[\w-]{22}$/),
    ]);
    expect(paths[0]).not.toBe(paths[1]);
  });
});

/** At a provider that knows these redirect URIs alone; what the entry says of them then. */
async function added(uris: string[], ...options: string[]) {
  const { acme, machine } = await registered(uris);
  const named = ['--issuer', acme.issuer, '--client-id', 'app', '--scope', 'openid offline_access'];
  const outcome = await machine.spawn(['provider', 'add', 'acme', '--force', ...named, ...options]);
  expect(outcome).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '✓ Added acme. Next: authcli login -p acme\n',
  });
  const shown = await machine.run(['provider', 'show', '--json']);
  const { redirect }: { redirect: object } = JSON.parse(shown.stdout);
  return { acme, machine, redirect };
}

describe('provider add keeps what is registered there, for every login', () => {
  test('the ports, of which the first free one is taken', async () => {
    const [taken, free] = [await takenPort(), await freePort()];
    const uris = [taken, free].map((port) => `http://127.0.0.1:${port}/callback`);
    const { acme, machine, redirect } = await added(uris, '--port', `${taken},${free}`);
    expect(redirect).toEqual({ ports: [taken, free] });
    expect(await login(machine)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uris[1], uris[1]]);
  });

  test('the URI, from its host to its path', async () => {
    const uri = `http://localhost:${await freePort()}/oauth/back`;
    const { acme, machine, redirect } = await added([uri], '--redirect-uri', uri);
    expect(redirect).toEqual({ uri });
    expect(await login(machine)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uri, uri]);
  });

  test('a URI without a port, and ports', async () => {
    const [taken, free] = [await takenPort(), await freePort()];
    const uris = [taken, free].map((port) => `http://127.0.0.1:${port}/cb`);
    const options = ['--redirect-uri', 'http://127.0.0.1/cb', '--port', `${taken}`, '--port', `${free}`];
    const { acme, machine, redirect } = await added(uris, ...options);
    expect(redirect).toEqual({ uri: 'http://127.0.0.1/cb', ports: [taken, free] });
    expect(await login(machine)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uris[1], uris[1]]);
  });

  test.each([
    ['--port', '8920,8921', 'http://127.0.0.1:8920/callback, http://127.0.0.1:8921/callback'],
    ['--redirect-uri', 'http://localhost:8920/back', 'http://localhost:8920/back'],
  ])('%s in place of what a preset says, which tells what to register', async (option, value, uris) => {
    const machine = newMachine();
    const preset = ['--preset', 'erp-net', '--set', 'instance=demodb.my.erp.net', '--client-id', 'app'];
    expect(await machine.run(['provider', 'add', 'erp', ...preset, option, value])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `✓ Added erp. Next: authcli login -p erp\nTo be registered at ERP.net: ${uris}\n`,
    });
  });

  test.each([
    [
      ['--port', '0'],
      'error: --port 0 is no port that could be registered\n' +
        'hint: leave out --port: the system chooses one at each sign-in\n',
    ],
    [['--port', '8910,x'], 'error: --port must be a port, 0 to 65535\n'],
    [
      ['--redirect-uri', 'http://acme.test/callback'],
      'error: --redirect-uri must be a redirect URI such as http://127.0.0.1:8910/callback, ' +
        'but it is plain http, which is accepted on this machine only\n',
    ],
    [
      ['--redirect-uri', 'http://127.0.0.1:8911/callback', '--port', '8910'],
      'error: --redirect-uri names the host and the port already\nhint: leave out --port\n',
    ],
    [
      ['--redirect-uri', 'https://acme.test/back', '--port', '8910'],
      'error: nobody can listen at the redirect URI https://acme.test/back\n' +
        'hint: leave out --port: the response is pasted into the terminal\n',
    ],
  ])('%j is refused', async (options, stderr) => {
    const machine = newMachine();
    const named = ['provider', 'add', 'acme', '--issuer', 'https://acme.test', '--client-id', 'x'];
    expect(await machine.run([...named, ...options])).toEqual({ exitCode: 2, stdout: '', stderr });
    expect(await machine.run(['provider', 'list', '--json'])).toMatchObject({ stdout: '{"providers":{}}\n' });
  });
});

test('a browser that signs out at the provider too comes back to that URI', async () => {
  const uri = `http://127.0.0.1:${await freePort()}/oauth/back`;
  const client = { redirect_uris: [uri], post_logout_redirect_uris: [uri] };
  const { acme, machine } = await newcomerWith(client, { redirect: { uri } });
  const browser = browserOf(oneBrowser());
  expect(await machine.run(['login', '-q', '--prompt', 'consent'], browser)).toEqual(signedIn);
  expect(await machine.run(['logout', '--end-session'], browser)).toMatchObject({
    exitCode: 0,
    stderr: expect.stringMatching(/✓ Signed out at acme too\.\n$/),
  });
  expect(acme.requestsTo('/session/end')[0]?.parameters['post_logout_redirect_uri']).toBe(uri);
});

describe('where a provider insists on localhost', () => {
  test.skipIf(!hasIpv6).each(['127.0.0.1', '::1'])('the response may come in on %s', async (host) => {
    const { acme, machine } = await registered(['http://localhost/callback'], { host: 'localhost' });
    const statuses: (number | undefined)[] = [];
    const outcome = await machine.run(['login', '-q', '--prompt', 'consent'], {
      openBrowser: async (url) => {
        const redirectUri = new URL(url.searchParams.get('redirect_uri') ?? '');
        const { pathname, search } = await authorizationResponse(url, redirectUri);
        const { port } = redirectUri;
        const bring = (under: string) =>
          new Promise<void>((resolve, reject) => {
            const asked = { host, port, path: pathname + search, headers: { host: under } };
            request(asked, (reply) => {
              statuses.push(reply.statusCode);
              reply.resume();
              resolve();
            })
              .on('error', reject)
              .end();
          });
        // The right addresses, under a name that the redirect URI does not have.
        await bring(`127.0.0.1:${port}`);
        await bring(`[::1]:${port}`);
        await bring('localhost');
        // Answered when the login has ended.
        void bring(redirectUri.host);
        return { kind: 'launched' };
      },
    });
    expect(outcome).toEqual(signedIn);
    await expect.poll(() => statuses).toEqual([421, 421, 421, 200]);
    expect(redirectUrisOf(acme)[1]).toMatch(/^http:\/\/localhost:\d+\/callback$/);
  });

  test.skipIf(!hasIpv6)('a port whose [::1] somebody holds is passed over', async () => {
    const [taken, free] = [await takenPort('::1'), await freePort()];
    const uris = [taken, free].map((port) => `http://localhost:${port}/callback`);
    const { acme, machine } = await registered(uris, { host: 'localhost', ports: [taken, free] });
    expect(await login(machine)).toEqual(signedIn);
    expect(redirectUrisOf(acme)).toEqual([uris[1], uris[1]]);
  });

  const hasNamespaces = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status === 0;
  test.skipIf(!requirement('network namespaces', hasNamespaces))(
    'on a machine without IPv6, 127.0.0.1 is all there is',
    async () => {
      const machine = newMachine({ AUTHCLI_STORE: 'file' });
      const metadata = {
        from: 'none',
        set: {
          authorization_endpoint: 'https://acme.test/authorize',
          token_endpoint: 'https://acme.test/token',
        },
      };
      const entry = {
        issuer: 'https://acme.test',
        clientId: 'app',
        redirect: { host: 'localhost' },
        metadata,
      };
      machine.configure({ providers: { acme: entry } });
      const alone =
        'ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6; "$@" & ' +
        'while kill -0 $! 2>/dev/null; do ss -Hltn; sleep 0.1; done | sort -u >&2; wait $!';
      const argv = ['login', '--browser', 'none', '--timeout', '2s'];
      const { exitCode, stderr } = await behind(machine, 'unshare', '--net', 'sh', '-c', alone, 'sh').spawn(
        argv,
      );
      const [, port = ''] = /redirect_uri=http%3A%2F%2Flocalhost%3A(\d+)%2Fcallback/.exec(stderr) ?? [];
      expect([exitCode, port]).toEqual([8, expect.stringMatching(/^\d+$/)]);
      expect(stderr.match(/^LISTEN.*$/gm)).toEqual([expect.stringContaining(` 127.0.0.1:${port} `)]);
    },
  );
});

describe('a redirect URI where nothing of ours listens', () => {
  const uri = 'https://acme.test/oauth/back';
  test.each([
    ['an https address', 'https://acme.test/oauth/back'],
    ['a private scheme', 'test.acme.cli:/back'],
  ])('%s: the person pastes the address that the browser ended at', async (_title, elsewhere) => {
    const { acme, machine } = await registered([elsewhere]);
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const outcome = await machine.run(['login', '-q', '--prompt', 'consent', '--redirect-uri', elsewhere], {
      stdin,
      isTerminal: true,
      openBrowser: async (url) => {
        const response = await authorizationResponse(url, new URL(elsewhere));
        stdin.write('http://127.0.0.1/callback?code=FORGED&state=WRONG\n');
        stdin.write(`${response.href}\n`);
        return { kind: 'launched' };
      },
    });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(outcome.stderr).toContain(`that cannot be used: the URL does not begin with ${elsewhere}`);
    expect(redirectUrisOf(acme)).toEqual([elsewhere, elsewhere]);
  });

  test.each<[string, string[], boolean, string]>([
    [
      'no terminal',
      [],
      false,
      `error: the answer that ends at ${uri} has to be pasted into a terminal\n` +
        'hint: run it in a terminal, or with a redirect URI of this machine: --redirect-uri http://127.0.0.1/callback\n',
    ],
    [
      'a form',
      ['--response-mode', 'form_post'],
      true,
      `error: a form cannot be posted to ${uri} and be brought here\nhint: leave out --response-mode form_post\n`,
    ],
    [
      'a port',
      ['--port', '8910'],
      true,
      `error: nobody can listen at the redirect URI ${uri}\nhint: leave out --port: the response is pasted into the terminal\n`,
    ],
  ])('cannot go with %s', async (_title, argv, isTerminal, stderr) => {
    const { acme, machine } = await registered([uri], { uri });
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const browser = browserOf(approves);
    const outcome = await machine.run(['login', '-q', ...argv], { ...browser, stdin, isTerminal });
    expect(outcome).toEqual({ exitCode: 2, stdout: '', stderr });
    expect([acme.requests, browser.pages]).toEqual([[], []]);
  });
});

test.each([
  ['--redirect-uri', 'callback', 'it is no URI'],
  ['--redirect-uri', 'http://acme.test/callback', 'it is plain http, which is accepted on this machine only'],
  [
    '--redirect-uri',
    'http://0.0.0.0:8910/callback',
    'it is plain http, which is accepted on this machine only',
  ],
  [
    '--redirect-uri',
    'http://127.0.0.1.acme.test/',
    'it is plain http, which is accepted on this machine only',
  ],
  ['--redirect-uri', 'http://127.0.0.1/callback?a=b', 'it must have neither query nor fragment'],
  ['--redirect-uri', 'https://acme.test/#', 'it must have neither query nor fragment'],
  ['--redirect-uri', 'https://jane@acme.test/', 'it must not carry user information'],
  ['--redirect-uri', 'https://acme.test', 'it is not in its canonical form, https://acme.test/'],
  [
    '--redirect-uri',
    'javascript:alert(1)',
    'it is neither http on this machine, nor https, nor of a private scheme',
  ],
  [
    '--redirect-uri',
    'file:///callback',
    'it is neither http on this machine, nor https, nor of a private scheme',
  ],
])('%s %s is refused', async (option, value, fault) => {
  expect(await newMachine().run(['login', option, value])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: `error: ${option} must be a redirect URI such as http://127.0.0.1:8910/callback, but ${fault}\n`,
  });
});

test.each([
  ['host', { host: '0.0.0.0' }],
  ['path', { path: '/a/../b' }],
  ['ports', { ports: [] }],
  ['uri', { uri: 'http://acme.test/callback' }],
])('the configuration names the mistake in redirect.%s', async (field, redirect) => {
  const machine = newMachine();
  machine.configure({ providers: { acme: { issuer: 'https://acme.test', clientId: 'app', redirect } } });
  const { exitCode, stderr } = await machine.run(['login']);
  expect([exitCode, stderr]).toEqual([
    2,
    expect.stringContaining(`providers.acme.redirect.${field} must be `),
  ]);
});

test('--redirect-uri that names the host and the port cannot go with others', async () => {
  const { machine } = await registered(['http://127.0.0.1/callback']);
  for (const argv of [
    ['--port', '8910'],
    ['--listen', 'localhost'],
    ['--port', '8910', '--listen', 'localhost'],
  ]) {
    const given = argv.filter((word) => word.startsWith('--')).join(' and ');
    expect(await machine.run(['login', '--redirect-uri', 'http://127.0.0.1:8911/callback', ...argv])).toEqual(
      {
        exitCode: 2,
        stdout: '',
        stderr: `error: --redirect-uri names the host and the port already\nhint: leave out ${given}\n`,
      },
    );
  }
});

test('CLI-12: no option and no environment makes the listener reachable from elsewhere', async () => {
  const { acme, machine } = await registered(['http://127.0.0.1/callback']);
  const onlyHere = 'must be an address of this machine only: 127.0.0.1, ::1 or localhost\n';
  for (const address of [
    '0.0.0.0',
    '::',
    '192.168.0.1',
    'evil.test',
    '127.0.0.1:80',
    'a@127.0.0.1',
    '::ffff:127.0.0.1',
  ]) {
    const browser = browserOf(approves);
    expect(await machine.run(['login', '--listen', address], browser)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: --listen ${onlyHere}`,
    });
    expect(browser.pages).toEqual([]);
  }
  const outcome = await machine.spawn(['login'], { AUTHCLI_LISTEN: '0.0.0.0' });
  expect(outcome).toEqual({ exitCode: 2, stdout: '', stderr: `error: AUTHCLI_LISTEN ${onlyHere}` });
  const elsewhere = await machine.spawn(['login'], { AUTHCLI_REDIRECT_URI: 'http://evil.test/callback' });
  expect(elsewhere).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('AUTHCLI_REDIRECT_URI must be '),
  });
  expect(acme.requests).toEqual([]);
});
