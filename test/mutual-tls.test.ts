import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { ClientMetadata } from 'oidc-provider';
import { describe, expect, onTestFinished, test } from 'vitest';

import { publicIssuer } from './hostile/public-issuer.js';
import { startServer } from './hostile/servers.js';
import { isFull } from './hostile/sizes.js';
import { assertNoCanaryIn, noteCanary } from './support/canaries.js';
import { canCertify, newAuthority, type Authority, type CertificateFiles } from './support/certificates.js';
import { login, startAcme } from './support/newcomer.js';
import { newPrivateKey } from './support/provider-configuration.js';
import type { Provider } from './support/provider.js';
import { startProxy } from './support/proxy.js';
import { agent, newMachine, untilShown, type Machine, type Outcome } from './support/run.js';
import { good, quietLogin, wholeSession } from './support/whole-session.js';

type Method = 'tls_client_auth' | 'self_signed_tls_client_auth';

const discovery = '/.well-known/openid-configuration';
const name = 'gateway.acme.test';

interface Known {
  readonly acme: Provider;
  readonly machine: Machine;
  readonly authority: Authority;
  readonly own: CertificateFiles;
}

/** Somebody whose client is known to the provider by its certificate, and has been told nothing of it. */
async function stranger(method: Method, { isAliased = false, env = {} } = {}): Promise<Known> {
  const authority = newAuthority();
  const own =
    method === 'tls_client_auth'
      ? authority.certify({ name: 'gateway', alternatives: [`DNS:${name}`] })
      : newAuthority('gateway');
  noteCanary('key of the client', own.key.split('\n')[1]);
  const client: ClientMetadata = {
    client_id: 'gateway',
    application_type: 'native',
    token_endpoint_auth_method: method,
    tls_client_certificate_bound_access_tokens: true,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1/callback'],
    ...(method === 'tls_client_auth' ? { tls_client_auth_san_dns: name } : { jwks: { keys: [jwkOf(own)] } }),
  };
  const acme = await startAcme({
    host: 'localhost',
    certificate: authority.issue('DNS:localhost'),
    mutualTls: { ca: authority.cert, isAliased },
    pushedRequests: 'required',
    clients: [client],
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file', NODE_EXTRA_CA_CERTS: authority.file, ...env });
  return { acme, machine, authority, own };
}

function jwkOf({ cert }: CertificateFiles) {
  const { kty = '', ...jwk } = createPublicKey(cert).export({ format: 'jwk' });
  return { kty, ...jwk, x5c: [new X509Certificate(cert).raw.toString('base64')] };
}

function add({ acme, machine }: Known, ...options: string[]): Promise<Outcome> {
  const scope = 'openid email offline_access';
  const named = ['--issuer', acme.issuer, '--client-id', 'gateway', '--scope', scope];
  return machine.spawn(['provider', 'add', 'acme', ...named, ...options]);
}

/** Where each of authcli's own requests went, and whose certificate it presented. */
function presented({ issuer, requests }: Provider): string[] {
  const main = Number(new URL(issuer).port);
  const ours = new Set([discovery, '/jwks', '/request', '/token', '/me', '/token/revocation']);
  return requests
    .filter(({ path }) => ours.has(path))
    .map(({ localPort, path, certificate = 'no certificate' }) =>
      [localPort === main ? 'issuer' : 'alias', path, certificate].join(' '),
    );
}

const proving = ['/request', '/token', '/token', '/me', '/token/revocation', '/token/revocation'];

function expectedAt(place: 'issuer' | 'alias'): string[] {
  const bare = [discovery, '/jwks', '/jwks'].map((path) => `issuer ${path} no certificate`);
  return [...bare, ...proving.map((path) => `${place} ${path} gateway`)].toSorted();
}

describe.skipIf(!canCertify)(
  'the client proves itself with a certificate, where that is asked and nowhere else',
  () => {
    test.each<[method: Method, place: 'issuer' | 'alias']>([
      ['tls_client_auth', 'issuer'],
      ['tls_client_auth', 'alias'],
      ['self_signed_tls_client_auth', 'issuer'],
      ['self_signed_tls_client_auth', 'alias'],
    ])('%s, at the endpoints of the %s', async (method, place) => {
      const known = await stranger(method, { isAliased: place === 'alias' });
      const { acme, machine, own } = known;
      const options = ['--client-cert', own.file, '--client-cert-key', own.keyFile, '--client-auth', method];
      expect(await add(known, ...options)).toMatchObject({ exitCode: 0 });
      await wholeSession(machine);
      expect(presented(acme).toSorted()).toEqual(expectedAt(place));
      expect(
        acme.requests.filter(({ path }) => path.startsWith('/interaction/') || path === '/auth'),
      ).toSatisfy(
        (visits: Provider['requests']) =>
          visits.length > 0 && visits.every(({ certificate }) => !certificate),
      );
      assertNoCanaryIn(machine.folder);
    });

    test('a client without one stays at the endpoints of all others', async () => {
      const { acme, machine } = await stranger('tls_client_auth', { isAliased: true });
      const named = ['--issuer', acme.issuer, '--client-id', 'cli', '--scope', 'openid email offline_access'];
      await machine.spawn(['provider', 'add', 'acme', ...named]);
      await wholeSession(machine);
      expect(presented(acme).filter((line) => !/^issuer \S+ no certificate$/.test(line))).toEqual([]);
    });

    test('with nothing configured: where it is is saved, once it has worked', async () => {
      const { acme, machine, authority, own } = await stranger('tls_client_auth');
      const named = ['-p', 'acme', '--issuer', acme.issuer, '--client-id', 'gateway', '--scope', 'openid'];
      const wrong = ['--client-cert', authority.file, '--client-cert-key', authority.keyFile];
      expect(await login(machine, ...named, ...wrong)).toMatchObject({ exitCode: 5, stdout: '' });
      const list = () => machine.spawn(['provider', 'list', '--json']);
      expect(await list()).toMatchObject({ stdout: '{"providers":{}}\n' });
      const right = { AUTHCLI_CLIENT_CERT: relative('', own.file), AUTHCLI_CLIENT_CERT_KEY: own.keyFile };
      const argv = ['login', '-q', '--browser', agent, ...named];
      expect(await machine.spawn(argv, right)).toEqual(quietLogin);
      const certificate = { file: own.file, key: own.keyFile };
      const client = { authentication: 'tls_client_auth', certificate };
      const entry = { issuer: acme.issuer, clientId: 'gateway', scope: 'openid', client };
      expect(await list()).toMatchObject({ stdout: `${JSON.stringify({ providers: { acme: entry } })}\n` });
    });

    test('through a proxy, with the key and the chain in one file and in any order', async () => {
      const { port, tunnels } = await startProxy();
      const known = await stranger('tls_client_auth', {
        isAliased: true,
        env: { HTTPS_PROXY: `127.0.0.1:${port}` },
      });
      const { acme, machine, authority, own } = known;
      const file = join(dirname(own.file), 'all.pem');
      writeFileSync(file, own.key + authority.cert + own.cert, { mode: 0o600 });
      expect(await add(known, '--client-cert', file)).toMatchObject({ exitCode: 0 });
      await wholeSession(machine);
      expect(presented(acme).toSorted()).toEqual(expectedAt('alias'));
      const ours = acme.requests.filter(({ path }) => proving.includes(path));
      expect(ours.every(({ remotePort = 0 }) => tunnels.has(remotePort))).toBe(true);
    });
  },
);

describe.skipIf(!canCertify)(
  'a certificate that no server could accept is exit 2, before anything is asked:',
  () => {
    /** Nothing answers there: whatever is asked of it is exit 6. */
    const issuer = 'https://login.acme.invalid';
    const another = 'name the file of the certificate: authcli provider add … --force --client-cert PATH';
    const anotherKey =
      'name the file of its private key: authcli provider add … --force --client-cert PATH --client-cert-key PATH';
    const renewed =
      'put a new one into that file, or name another: authcli provider add … --force --client-cert PATH';

    interface Parts extends CertificateFiles {
      readonly authority: Authority;
    }

    test.each<[title: string, content: (own: Parts) => string | Buffer, reason: string, hint: string]>([
      [
        'it is not PEM',
        ({ cert }) => new X509Certificate(cert).raw,
        'it is not in PEM form',
        'convert it: openssl pkcs12 -in FILE -nodes -out PATH, or openssl x509 -inform DER -in FILE -out PATH',
      ],
      ['there is only a key', ({ key }) => key, 'it holds no certificate', another],
      [
        'it is damaged',
        ({ cert, key }) => key + cert.replace(/(?<=\n).{40}/, ''),
        'a certificate in it is damaged',
        another,
      ],
      ['there is no key', ({ cert }) => cert, 'it holds a certificate and no private key', anotherKey],
      [
        'its key is protected',
        ({ cert, key }) =>
          cert +
          createPrivateKey(key)
            .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' })
            .toString(),
        'its private key is protected by a passphrase',
        'name a file without one, which nobody else can read: openssl pkey -in FILE -out PATH',
      ],
      [
        'the key is of another certificate',
        ({ cert, authority }) => cert + authority.key,
        'the private key belongs to another certificate',
        anotherKey,
      ],
      [
        'the key is of another kind',
        ({ cert }) => cert + newPrivateKey('RS256').export({ type: 'pkcs8', format: 'pem' }).toString(),
        'the private key belongs to another certificate',
        anotherKey,
      ],
      [
        'it is too weak',
        ({ authority }) => {
          const weak = authority.certify({ name: 'gateway', alternatives: [`DNS:${name}`], kind: 'rsa:512' });
          return weak.cert + weak.key;
        },
        'OpenSSL does not take it: ee key too small',
        another,
      ],
      [
        'it has expired',
        ({ authority }) => whole(authority, '20200101', '20210101'),
        'it expired on 2021-01-01T00:00:00.000Z',
        renewed,
      ],
      [
        'its time is still to come',
        ({ authority }) => whole(authority, '20400101', '20410101'),
        'it is not valid before 2040-01-01T00:00:00.000Z',
        'wait, or check the clock of this machine',
      ],
    ])('%s', async (_title, content, reason, hint) => {
      const authority = newAuthority();
      const own = authority.certify({ name: 'gateway', alternatives: [`DNS:${name}`] });
      writeFileSync(own.file, content({ ...own, authority }));
      expect(await loginAs({ certificate: { file: own.file } })).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `error: the client's certificate in ${own.file} cannot be used: ${reason}\nhint: ${hint.replaceAll('FILE', own.file)}\n`,
      });
    });

    function loginAs(client: object, at = issuer): Promise<Outcome> {
      const machine = newMachine({ AUTHCLI_STORE: 'file' });
      machine.configure({ providers: { acme: { issuer: at, clientId: 'gateway', client } } });
      return machine.spawn(['login']);
    }

    test('the key in a file of its own is none of its own', async () => {
      const authority = newAuthority();
      const { file } = authority.certify({ name: 'gateway', alternatives: [`DNS:${name}`] });
      const reason = `the private key in ${authority.keyFile} belongs to another certificate`;
      expect(await loginAs({ certificate: { file, key: authority.keyFile } })).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `error: the client's certificate in ${file} cannot be used: ${reason}\nhint: ${anotherKey}\n`,
      });
    });

    test.each<[title: string, client: object, at: string, stderr: string]>([
      [
        'its file is not there',
        { certificate: { file: '/nowhere/client.pem' } },
        issuer,
        "error: the client's certificate is not there: cannot read /nowhere/client.pem (ENOENT)\n" +
          'hint: name another place: authcli provider add … --force --client-cert PATH\n',
      ],
      [
        'the file of its key is not there',
        { certificate: { file: fileURLToPath(import.meta.url), key: '/nowhere/client.key' } },
        issuer,
        "error: the key of the client's certificate is not there: cannot read /nowhere/client.key (ENOENT)\n" +
          'hint: name another place: authcli provider add … --force --client-cert PATH --client-cert-key PATH\n',
      ],
      [
        'its file is empty',
        { certificate: { file: '/dev/null' } },
        issuer,
        "error: the client's certificate is empty: /dev/null gives nothing\n",
      ],
      [
        'none is named',
        { authentication: 'tls_client_auth' },
        issuer,
        'error: acme authenticates with a certificate, and has none\n' +
          'hint: name a file with the certificate: authcli provider add acme --force … --client-cert PATH\n',
      ],
      [
        'it is not what the client authenticates with',
        { authentication: 'client_secret_post', certificate: { file: '/nowhere/client.pem' } },
        issuer,
        'error: acme authenticates with client_secret_post, and has a certificate\n' +
          'hint: say that it is for authentication: authcli provider add acme --force … --client-auth tls_client_auth\n',
      ],
      [
        'there is no handshake',
        { certificate: { file: '/nowhere/client.pem' } },
        'http://127.0.0.1:9',
        'error: a certificate cannot be presented to http://127.0.0.1:9: it is plain http\n' +
          'hint: use the https address of the issuer, or another way to authenticate: --client-auth METHOD\n',
      ],
    ])('%s', async (_title, client, at, stderr) => {
      expect(await loginAs(client, at)).toEqual({ exitCode: 2, stdout: '', stderr });
    });

    test('it is not even added where there is no handshake', async () => {
      const named = ['provider', 'add', 'acme', '--issuer', 'http://127.0.0.1:9', '--client-id', 'gateway'];
      expect(await newMachine().spawn([...named, '--client-cert', 'client.pem'])).toMatchObject({
        exitCode: 2,
        stderr: expect.stringMatching(
          /^error: a certificate cannot be presented to http:\/\/127\.0\.0\.1:9: /,
        ),
      });
    });
  },
);

describe.skipIf(!canCertify)('what comes after the certificate was read', () => {
  test('a fresh token needs it no more; a refresh does', async () => {
    const { machine, own } = await added();
    expect(await login(machine)).toEqual(quietLogin);
    rmSync(own.file);
    expect(await machine.spawn(['token'])).toEqual(good);
    expect(await machine.spawn(['token', '--force-refresh'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: the client's certificate is not there: cannot read ${own.file} (ENOENT)\n` +
        'hint: name another place: authcli provider add … --force --client-cert PATH\n',
    });
  });

  test("Node's own debug output does not show the key", async () => {
    const { machine } = await added();
    const outcome = await machine.spawn(['login', '--prompt', 'consent', '--browser', agent], {
      NODE_DEBUG: 'tls,https,http,net',
    });
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(outcome.stderr).toMatch(/^(TLS|NET) \d+: /m);
    expect(outcome.stderr).not.toContain('PRIVATE KEY');
  });

  test('a request that presents it is held to the same limits as every other', async () => {
    const { acme, machine } = await added();
    expect(await login(machine)).toEqual(quietLogin);
    const refresh = ['token', '--force-refresh'];
    const aliased = new URL(acme.issuer).hostname;
    const refused = async (status: number, headers: Record<string, string>, body = '') => {
      acme.answerNext('/token', { status, headers, body });
      const { exitCode, stderr } = await machine.spawn(refresh);
      return [exitCode, stderr.replaceAll(new RegExp(`${aliased}:\\d+`, 'g'), 'ALIAS').split('\n')[0]];
    };
    expect([
      await refused(307, { location: 'https://elsewhere.acme.test/token' }),
      await refused(200, { 'content-type': 'application/json' }, `{"a":"${'a'.repeat(1024 * 1024)}"}`),
      await refused(503, {}),
    ]).toEqual([
      [5, 'error: the provider answers https://ALIAS/token with a redirect (307), which is not followed'],
      [5, 'error: the provider sends an answer of more than 1 MiB'],
      [6, 'error: the provider answers 503 at https://ALIAS/token'],
    ]);
    acme.answerNext('/token', 'reset');
    const before = acme.requestsTo('/token').length;
    expect(await machine.spawn(refresh)).toEqual(good);
    expect(acme.requestsTo('/token')).toHaveLength(before + 2);
  });

  test('that of another client is refused by the provider', async () => {
    const known = await stranger('tls_client_auth');
    const other = known.authority.certify({ name: 'other', alternatives: ['DNS:other.acme.test'] });
    await add(known, '--client-cert', other.file, '--client-cert-key', other.keyFile);
    const outcome = await login(known.machine);
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toMatch(
      /^error: the provider refused the sign-in: invalid_client .*\nhint: check the secret, key or certificate of the client gateway, /,
    );
  });

  test('a server that does not take it says so in the handshake: exit 5, asked once', async () => {
    const { acme, machine, authority } = await added();
    const server = await startStrictServer(
      authority.certify({ name: 'server', alternatives: ['DNS:localhost'] }),
    );
    const endpoint = `https://localhost:${server.port}/request`;
    publish(acme, { pushed_authorization_request_endpoint: endpoint });
    expect(await login(machine)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr:
        `error: localhost:${server.port} refuses the client's certificate: unknown ca\n` +
        'hint: check which certificate the provider has of this client; ours is named in: authcli provider show\n',
    });
    expect(server.refusals()).toBe(1);
    expect(acme.requests.every(({ path }) => path === discovery)).toBe(true);
  });

  test('a server that has trouble of its own has not refused it: exit 6', async () => {
    const { acme, machine } = await added();
    // RFC 8446 6: a fatal internal_error.
    const port = await startServer((socket) => socket.end(Buffer.from('15030300020250', 'hex')));
    publish(acme, { pushed_authorization_request_endpoint: `https://localhost:${port}/request` });
    expect(await login(machine)).toEqual({
      exitCode: 6,
      stdout: '',
      stderr:
        `error: cannot reach localhost:${port}: the other side ends the TLS connection: internal error\n` +
        'hint: check the connection, then run the same command again; nothing that is stored was changed\n',
    });
  });

  test.each<[title: string, aliases: unknown, complaint: string]>([
    [
      'plain http',
      { token_endpoint: 'http://login.acme.test/token' },
      '.token_endpoint METADATA is not an https address',
    ],
    [
      'a fragment',
      { token_endpoint: 'https://login.acme.test/token#a' },
      '.token_endpoint METADATA is not an https address',
    ],
    [
      'somebody before an @',
      { revocation_endpoint: 'https://login@elsewhere.acme.test/revoke' },
      '.revocation_endpoint METADATA is not an https address',
    ],
    ['no text', { userinfo_endpoint: 7 }, '.userinfo_endpoint METADATA is malformed'],
    ['a list', ['https://login.acme.test/token'], ' METADATA is malformed'],
  ])('an alias that is as no endpoint may be is refused: %s', async (_title, aliases, complaint) => {
    const { acme, machine } = await added();
    publish(acme, aliases);
    const text = complaint.replace('METADATA', `in the metadata of ${acme.issuer}`);
    expect(await login(machine)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: the mtls_endpoint_aliases${text}\n`,
    });
    expect(acme.requests.every(({ path }) => path === discovery)).toBe(true);
  });

  test.runIf(isFull)(
    'a server that says nothing is given up like every other, and nothing was sent to it',
    { timeout: 30_000 },
    async () => {
      const { acme, machine } = await added();
      const port = await startServer(() => {});
      publish(acme, { pushed_authorization_request_endpoint: `https://localhost:${port}/request` });
      expect(await login(machine)).toEqual({
        exitCode: 6,
        stdout: '',
        stderr:
          `error: cannot reach localhost:${port}: connection timed out\n` +
          'hint: check the connection, then run the same command again; nothing that is stored was changed\n',
      });
    },
  );

  test('an alias inside of the network is refused where the issuer is outside', async () => {
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const { issuer, env, asked } = await publicIssuer(machine, () => ({
      mtls_endpoint_aliases: { token_endpoint: 'https://127.0.0.1:8443/token' },
    }));
    const argv = ['login', '--issuer', issuer, '--client-id', 'gateway', '--browser', 'none'];
    expect(await machine.spawn(argv, env)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: the mtls_endpoint_aliases.token_endpoint in the metadata of ${issuer} is an address of this machine or of its network\n`,
    });
    expect(asked).toEqual([discovery]);
  });

  test('an alias in the clear, be it on this machine, is not asked', async () => {
    const { acme, machine } = await added();
    const plain = await startAcme({ pushedRequests: 'taken' });
    const endpoint = `${plain.issuer}/request`;
    publish(acme, { pushed_authorization_request_endpoint: endpoint });
    expect(await login(machine)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: the provider's endpoint ${endpoint} is plain http, where no certificate can be presented\n`,
    });
    expect(plain.requests).toEqual([]);
  });
});

/** Both in one. */
function whole(authority: Authority, ...validity: [from: string, to: string]): string {
  const { cert, key } = authority.certify({ name: 'gateway', alternatives: [`DNS:${name}`], validity });
  return cert + key;
}

/** Somebody who has told the machine of the certificate; the provider has addresses of their own for it. */
async function added(): Promise<Known> {
  const known = await stranger('tls_client_auth', { isAliased: true });
  const { file, keyFile } = known.own;
  expect(await add(known, '--client-cert', file, '--client-cert-key', keyFile)).toMatchObject({
    exitCode: 0,
  });
  return known;
}

/** From now on its metadata have these aliases. */
function publish(acme: Provider, aliases: unknown): void {
  const { issuer } = acme;
  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    pushed_authorization_request_endpoint: `${issuer}/request`,
    require_pushed_authorization_requests: true,
    mtls_endpoint_aliases: aliases,
  };
  const headers = { 'content-type': 'application/json' };
  acme.answerAlways(discovery, { status: 200, headers, body: JSON.stringify(metadata) });
}

/** OpenSSL's own server: Node's hangs up where others say why. It knows no CA, so that no certificate is good. */
async function startStrictServer({ file, keyFile }: CertificateFiles) {
  const words = ['s_server', '-accept', '127.0.0.1:0', '-cert', file, '-key', keyFile, '-www'];
  const strict = [
    '-Verify',
    '1',
    '-verify_return_error',
    '-no-CAfile',
    '-no-CApath',
    '-no-CAstore',
    '-state',
  ];
  const child = spawn('openssl', [...words, ...strict], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill();
    await ended;
  });
  let [shown, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [, port] = await untilShown(child.stdout, () => shown, /ACCEPT \S*:(\d+)/, ended);
  return { port, refusals: () => said.split('alert write:fatal').length - 1 };
}
