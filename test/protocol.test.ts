import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { knowing, login, nativeClient, type Newcomer } from './support/newcomer.js';
import type { ProviderOptions } from './support/provider-configuration.js';
import type { Answer } from './support/provider.js';
import type { Outcome } from './support/run.js';

const scope = 'openid profile email offline_access';
const good: Outcome = { exitCode: 0, stdout: expect.any(String), stderr: expect.any(String) };

/** What a life of each kind of client is: test/client-kinds.test.ts. */
async function signInAndRefresh({ machine }: Newcomer, ...loginOptions: string[]): Promise<void> {
  expect(await login(machine, ...loginOptions)).toEqual(good);
  expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
}

/** Made as text: see `jwkOf` in the provider's configuration. */
function newKey(kind: 'rsa' | 'ec' | 'ed25519'): string {
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;
  const publicKeyEncoding = { type: 'spki', format: 'pem' } as const;
  switch (kind) {
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding, publicKeyEncoding })
        .privateKey;
    case 'ec':
      return generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding, publicKeyEncoding })
        .privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519', { privateKeyEncoding, publicKeyEncoding }).privateKey;
  }
}

function publicHalf(pem: string): JsonWebKey {
  return createPublicKey(pem).export({ format: 'jwk' });
}

async function keyholder(
  pem: string,
  entry: object = {},
  options: ProviderOptions = {},
  client: object = {},
): Promise<Newcomer> {
  const registered = nativeClient({
    client_id: 'gateway',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...publicHalf(pem), kty: String(publicHalf(pem).kty), use: 'sig' }] },
    ...client,
  });
  const known = await knowing({}, { ...options, clients: [registered] });
  const file = join(known.machine.folder, 'client.pem');
  writeFileSync(file, pem, { mode: 0o600 });
  const acme = { issuer: known.acme.issuer, clientId: 'gateway', scope, client: { key: { file } }, ...entry };
  known.machine.configure({ providers: { acme } });
  return known;
}

describe('private_key_jwt: the client proves itself with a key', () => {
  test.each(['rsa', 'ec', 'ed25519'] as const)('%s', async (kind) => {
    const known = await keyholder(newKey(kind));
    await signInAndRefresh(known);
    for (const { parameters } of known.acme.requestsTo('/token')) {
      expect(parameters['client_assertion_type']).toBe(
        'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      );
      expect(parameters['client_secret']).toBeUndefined();
    }
  });

  const another =
    'name the file of the private key, PEM or JWK: authcli provider add … --force --client-key PATH';
  const kinds = 'use an RSA key of 2048 bits or more, an EC key (P-256, P-384, P-521) or an Ed25519 key';
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  const spki = { type: 'spki', format: 'pem' } as const;
  const pemOf = ({ privateKey }: { privateKey: KeyObject }) => privateKey.export(pkcs8).toString();

  test.each<[title: string, content: (pem: string) => string, reason: string, hint: string]>([
    [
      'a public key',
      (pem) => createPublicKey(pem).export(spki).toString(),
      'it holds a public key only',
      another,
    ],
    [
      'a public key as a JWK',
      (pem) => JSON.stringify(publicHalf(pem)),
      'it holds a public key only',
      another,
    ],
    [
      'a secret as a JWK',
      () => '{"kty":"oct","k":"aHVzaC1odXNoLWh1c2g"}',
      'it is not a private key as a JWK',
      another,
    ],
    [
      'a certificate',
      () => `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      'it holds a certificate and no private key',
      another,
    ],
    ['something else', () => 'hello', 'it holds no private key in PEM form', another],
    ['bytes', () => '0\0\u0082\u0001', 'it holds no private key in PEM form', another],
    [
      'half a key',
      (pem) => pem.replace(/(?<=\n).{40}/, ''),
      'its private key is damaged, or of an unknown kind',
      another,
    ],
    [
      'a key that a passphrase protects',
      (pem) =>
        createPrivateKey(pem)
          .export({ ...pkcs8, cipher: 'aes-256-cbc', passphrase: 'open sesame' })
          .toString(),
      'its private key is protected by a passphrase',
      'name a file without one, which nobody else can read: openssl pkey -in FILE -out PATH',
    ],
    [
      'a key of OpenSSH',
      () => '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\n',
      'its private key has the form of OpenSSH',
      'rewrite a copy of it: ssh-keygen -p -m PKCS8 -f PATH',
    ],
    [
      'a small RSA key',
      () => pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 })),
      'an RSA key of 1024 bits cannot be signed with',
      kinds,
    ],
    [
      'an EC key on another curve',
      () => pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' })),
      'an EC key on the curve secp256k1 cannot be signed with',
      kinds,
    ],
    [
      'a key for encryption',
      () => pemOf(generateKeyPairSync('x25519')),
      'a key of the type x25519 cannot be signed with',
      kinds,
    ],
  ])('%s in its file is exit 2, before a browser opens', async (_title, content, reason, hint) => {
    const pem = newKey('rsa');
    const { acme, machine } = await keyholder(pem);
    const file = join(machine.folder, 'client.pem');
    writeFileSync(file, content(pem));
    expect(await login(machine)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: the client's key in ${file} cannot be used: ${reason}\nhint: ${hint.replace('FILE', file)}\n`,
    });
    expect(acme.requests).toEqual([]);
  });

  test('no file at all is said so, too', async () => {
    const { acme, machine } = await keyholder(newKey('ec'));
    const file = join(machine.folder, 'client.pem');
    rmSync(file);
    expect(await login(machine)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: the client's key is not there: cannot read ${file} (ENOENT)\n` +
        'hint: name another place: authcli provider add … --force --client-key PATH\n',
    });
    expect(acme.requests).toEqual([]);
  });

  test('a JWK that names an algorithm of another kind of key signs all the same', async () => {
    const pem = newKey('ec');
    const { machine } = await keyholder(pem);
    const jwk = createPrivateKey(pem).export({ format: 'jwk' });
    writeFileSync(join(machine.folder, 'client.pem'), JSON.stringify({ ...jwk, alg: 'RS256' }));
    expect(await login(machine)).toEqual(good);
  });
});

describe('pushed authorization requests (RFC 9126)', () => {
  test('are sent where the provider demands them: the URL holds nothing of the request', async () => {
    const known = await knowing({}, { pushedRequests: 'required' });
    expect(await login(known.machine)).toEqual(good);
    const [request] = known.acme.requestsTo('/auth');
    expect(request?.parameters).toEqual({
      client_id: 'cli',
      request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:/),
    });
    expect(known.acme.requestsTo('/request')[0]?.parameters).toMatchObject({
      client_id: 'cli',
      scope,
      prompt: 'consent',
    });
  });

  test.each<[string, object, string[]]>([
    ['where the entry wants them', { authorization: { pushed: true } }, []],
    ['where the person wants them', {}, ['--par']],
  ])('%s', async (_title, entry, options) => {
    const known = await knowing(entry, { pushedRequests: 'taken' });
    expect(await login(known.machine, ...options)).toEqual(good);
    expect(known.acme.requestsTo('/request')).toHaveLength(1);
  });

  test('TOK-24: that are refused end the login before a browser opens', async () => {
    const { acme, machine } = await knowing({}, { pushedRequests: 'required' });
    const refusal = { error: 'invalid_request', error_description: 'no' };
    acme.answerNext('/request', {
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(refusal),
    });
    expect(await login(machine)).toMatchObject({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringMatching(/^error: the provider refused the sign-in: invalid_request \(no\)\n/),
    });
    expect(acme.requestsTo('/auth')).toEqual([]);
  });

  test('a provider without them, and --par: exit 2', async () => {
    const { acme, machine } = await knowing({});
    expect(await login(machine, '--par')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        `error: ${acme.issuer} announces no endpoint for pushed authorization requests\n` +
        'hint: leave out --par, and "pushed" in the configuration of this provider\n',
    });
  });
});

/** What the person reads after the address. */
function endOf({ stderr, ...outcome }: Outcome) {
  return { ...outcome, stderr: stderr.split('\n').slice(3) };
}

function refused(refusal: string, hint: string): ReturnType<typeof endOf> {
  return {
    exitCode: 5,
    stdout: '',
    stderr: [`error: the provider refused the code exchange: ${refusal}`, `hint: ${hint}`, ''],
  };
}

function refusalAnswer(body: object): Answer {
  return { status: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

describe('TOK-20: DPoP (RFC 9449), with nonces', () => {
  test.each<[string, object, string[]]>([
    ['where the entry wants it', { dpop: true }, []],
    ['where the person wants it', {}, ['--dpop']],
  ])('%s', async (_title, entry, options) => {
    const known = await knowing(entry, { proofs: 'taken' });
    await signInAndRefresh(known, ...options);
    const proofs = known.acme.requestsTo('/token').map(({ headers }) => decode(headers['dpop']));
    // Each first without a nonce, which the provider then asks for.
    expect(proofs.map(({ payload }) => payload['nonce'] !== undefined)).toEqual([false, true, false, true]);
    expect(new Set(proofs.map(({ payload }) => payload['jti'])).size).toBe(4);
    expect(new Set(proofs.map(({ header }) => JSON.stringify(header['jwk']))).size).toBe(1);
    expect(JSON.stringify(proofs)).not.toContain('"d":');
  });

  test('the token is told as one, and the key lies nowhere but in the sealed session', async () => {
    const { machine } = await knowing({ dpop: true }, { proofs: 'taken' });
    expect(await login(machine)).toEqual(good);
    const header = await machine.spawn(['token', '--output', 'header']);
    expect(header).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^Authorization: DPoP \S+\n$/),
      stderr: '',
    });
    const sessions = join(machine.folder, 'state', 'sessions');
    for (const name of readdirSync(sessions)) {
      expect(readFileSync(join(sessions, name), 'utf8')).not.toContain('PRIVATE KEY');
    }
  });

  test('a bearer token in place of a bound one is refused', async () => {
    const { acme, machine } = await knowing({ dpop: true });
    const outcome = await login(machine);
    expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
    expect(outcome.stderr).toContain(
      'error: the provider issued a token of another type than dpop: bearer\n',
    );
    expect(acme.requestsTo('/token')).toHaveLength(1);
  });

  describe('a provider that wants proofs, and no --dpop: exit 5 and what to do', () => {
    const dpop =
      'this provider wants proofs of possession: authcli login --dpop (if you did that, set the clock of this machine)';
    test('of this client, and does not say so', async () => {
      const bound = nativeClient({ dpop_bound_access_tokens: true });
      const { acme, machine } = await knowing(
        { clientId: 'app', scope: 'openid' },
        { proofs: 'taken', clients: [bound] },
      );
      expect(endOf(await login(machine))).toEqual(
        refused(
          'invalid_grant (grant request is invalid)',
          'start again: authcli login; if the provider wants proofs of possession of this client: authcli login --dpop',
        ),
      );
      expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
      expect(acme.requestsTo('/token')).toHaveLength(1);
    });

    test.each([
      ['invalid_dpop_proof', undefined, 'invalid_dpop_proof'],
      ['use_dpop_nonce', undefined, 'use_dpop_nonce'],
      ['invalid_request', 'DPoP header is required', 'invalid_request (DPoP header is required)'],
      ['invalid_grant', 'DPoP proof is missing', 'invalid_grant (DPoP proof is missing)'],
    ])('%s (%s)', async (error, description, refusal) => {
      const { acme, machine } = await knowing({});
      acme.answerNext('/token', refusalAnswer({ error, error_description: description }));
      expect(endOf(await login(machine))).toEqual(refused(refusal, dpop));
    });
  });

  test.each<[string, ProviderOptions, string[]]>([
    ['from who gave a proof', { proofs: 'taken' }, ['--dpop']],
    ['where no proofs are taken', {}, []],
  ])('an invalid grant %s: no advice to give a proof', async (_title, provider, options) => {
    const { acme, machine } = await knowing({}, provider);
    acme.answerNext('/token', refusalAnswer({ error: 'invalid_grant' }));
    expect(endOf(await login(machine, ...options))).toEqual(
      refused('invalid_grant', 'start again: authcli login'),
    );
  });
});

test('signed request objects (RFC 9101)', async () => {
  const known = await keyholder(
    newKey('ec'),
    {},
    { signedRequests: 'required' },
    { request_object_signing_alg: 'ES256' },
  );
  known.machine.configure({
    providers: {
      acme: {
        issuer: known.acme.issuer,
        clientId: 'gateway',
        scope,
        client: { key: { file: join(known.machine.folder, 'client.pem') }, signedRequests: true },
      },
    },
  });
  await signInAndRefresh(known);
  const [request] = known.acme.requestsTo('/auth');
  expect(Object.keys(request?.parameters ?? {}).toSorted()).toEqual(['client_id', 'request']);
  expect(decode(request?.parameters['request']).payload).toMatchObject({ scope, response_type: 'code' });
});

type Members = Readonly<Record<string, unknown>>;

function decode(token: string | string[] | undefined): {
  readonly header: Members;
  readonly payload: Members;
} {
  const [header, payload] = String(token).split('.');
  return { header: decodePart(header), payload: decodePart(payload) };
}

function decodePart(part = ''): Members {
  const members: Members = JSON.parse(Buffer.from(part, 'base64url').toString());
  return members;
}
