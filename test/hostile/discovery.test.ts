import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { browserStubs } from '../support/browser-stub.js';
import { canCertify } from '../support/certificates.js';
import { newcomer, type Newcomer } from '../support/newcomer.js';
import type { Answer, Provider } from '../support/provider.js';
import type { Machine, Outcome } from '../support/run.js';
import { bomb, drip, endless, peakMemory } from './floods.js';
import { changedMetadata, jsonAnswer, wellKnown, wellKnownOauth } from './metadata.js';
import { pendingLogin } from './pending-login.js';
import { publicIssuer } from './public-issuer.js';
import { isFull } from './sizes.js';
import { trap } from './trap.js';

const notFound: Answer = { status: 404 };
const nothingPublished = 'ISSUER publishes no OpenID Connect or OAuth metadata';

interface Attempt {
  readonly acme: Provider;
  readonly outcome: Outcome;
  /** The paths that the login asked for. */
  readonly asked: readonly string[];
}

/** A login that discovery must end: no browser is started, and nothing is kept. */
async function refusedLogin(
  { acme, machine }: Newcomer,
  argv: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Attempt> {
  const stubs = await browserStubs(machine.folder);
  const before = acme.requests.length;
  const outcome = await machine.spawn(['login', '--browser', stubs.write('stub'), ...argv], env);
  expect(stubs.count).toBe(0);
  expect(readdirSync(join(machine.folder, 'state'))).not.toContain('metadata');
  return { acme, outcome, asked: acme.requests.slice(before).map(({ path }) => path) };
}

/** `ISSUER` and `HOST` in the text are those of the provider. */
function filled(text: string, { issuer }: Provider): string {
  return text.replaceAll('ISSUER', issuer).replaceAll('HOST', new URL(issuer).host);
}

function failure(exitCode: number, message: string, acme: Provider): Outcome {
  const escaped = filled(message, acme).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return {
    exitCode,
    stdout: '',
    stderr: expect.stringMatching(new RegExp(`^error: ${escaped}[^\n]*\n(hint: [^\n]*\n)?$`)),
  };
}

describe('DSC-01: metadata of another issuer are refused, and nothing else is asked', () => {
  test.each([
    ['another host', '', 'https://as.test'],
    ['another port', '', 'http://127.0.0.1:1'],
    ['a path more', '', 'ISSUER/t1'],
    ['a path less', '/t1', 'ISSUER'],
    ['another path', '/t1', 'ISSUER/t2'],
    ['a letter more', '/t1', 'ISSUER/t11'],
    ['another case', '/t1', 'ISSUER/T1'],
    ['another scheme', '', 'https://HOST'],
    ['the scheme in capitals', '', 'HTTP://HOST'],
    ['a query', '', 'ISSUER?'],
    ['a fragment', '', 'ISSUER#'],
    ['a space', '', ' ISSUER'],
    ['a user', '', 'http://user@HOST'],
    ['control characters', '', 'https://as.test/\u001B[2J\u202E'],
  ])('%s', async (_title, path, announced) => {
    const { acme, machine } = await newcomer();
    const metadata = await changedMetadata(acme, { issuer: filled(announced, acme) });
    acme.answerNext(path + wellKnown, metadata);
    const issuer = acme.issuer + path;
    const login = ['-p', 'mine', '--issuer', issuer, '--client-id', 'cli'];
    const { outcome, asked } = await refusedLogin({ acme, machine }, login);
    const message = `the metadata at ${issuer} is of another issuer: `;
    expect(outcome).toEqual(failure(5, message, acme));
    // eslint-disable-next-line no-control-regex
    expect(outcome.stderr).not.toMatch(/[\0-\x09\x0B-\x1F\x7F-\x9F\u202E]/);
    expect(asked).toEqual([path + wellKnown]);
  });
});

test.each([
  ['ISSUER/', ''],
  ['ISSUER', '/'],
  ['ISSUER/t1/', '/t1'],
])(
  'DSC-02: %s is not the issuer that differs from it by a slash, and the hint names the one to use',
  async (announced, path) => {
    const { acme, machine } = await newcomer();
    const metadata = await changedMetadata(acme, { issuer: filled(announced, acme) });
    acme.answerNext(path.replace(/\/$/, '') + wellKnown, metadata);
    const issuer = acme.issuer + path;
    const login = ['-p', 'mine', '--issuer', issuer, '--client-id', 'cli'];
    const { outcome } = await refusedLogin({ acme, machine }, login);
    expect(outcome).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: filled(
        `error: the metadata at ${issuer} is of another issuer: ${announced}\n` +
          `hint: if you trust it, use exactly that issuer: --issuer ${announced}\n`,
        acme,
      ),
    });
  },
);

/** On Linux this reaches the trap, and it is none of the loopback hosts. */
const inTheClear = (port: number) => `http://0.0.0.0:${port}/endpoint`;

describe('DSC-04: an endpoint in the clear is never asked', () => {
  test('the token endpoint: the login ends before a browser opens', async () => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    acme.answerNext(wellKnown, await changedMetadata(acme, { token_endpoint: inTheClear(port) }));
    const { outcome } = await refusedLogin({ acme, machine });
    const message = 'the token_endpoint in the metadata of ISSUER is not an https address';
    expect(outcome).toEqual(failure(5, message, acme));
    expect(visits()).toBe(0);
  });

  test('the keys: no ID token can be verified, and nothing is kept', async () => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    acme.answerNext(wellKnown, await changedMetadata(acme, { jwks_uri: inTheClear(port) }));
    const login = await pendingLogin(machine, ['-q']);
    expect(await login.signIn()).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringContaining(
        `error: the provider's endpoint ${inTheClear(port)} is neither https nor on this machine\n`,
      ),
    });
    expect(await machine.spawn(['status'])).toMatchObject({
      stdout: '',
      stderr: 'no sessions: authcli login\n',
    });
    expect(visits()).toBe(0);
  });

  test('the revocation endpoint: the session is forgotten all the same, with a warning', async () => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    acme.answerNext(wellKnown, await changedMetadata(acme, { revocation_endpoint: inTheClear(port) }));
    expect(await (await pendingLogin(machine)).signIn()).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['logout'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: expect.stringContaining(
        `the provider's endpoint ${inTheClear(port)} is neither https nor on this machine`,
      ),
    });
    expect(visits()).toBe(0);
  });

  test('those that nobody needs: the session works', async () => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    const unused = [
      'userinfo_endpoint',
      'end_session_endpoint',
      'device_authorization_endpoint',
      'pushed_authorization_request_endpoint',
      'registration_endpoint',
      'introspection_endpoint',
    ];
    const changes = Object.fromEntries(unused.map((name) => [name, inTheClear(port)]));
    acme.answerNext(wellKnown, await changedMetadata(acme, changes));
    expect(await (await pendingLogin(machine)).signIn()).toMatchObject({ exitCode: 0 });
    expect(await machine.spawn(['token', '--force-refresh'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0 });
    expect(visits()).toBe(0);
  });
});

describe('DSC-05: a redirect of the metadata to another origin is not followed', () => {
  const elsewhere =
    'ISSUER/.well-known/openid-configuration redirects to another origin, which is not followed';
  test.each([
    [301, 'http://127.0.0.1:TRAP/'],
    [302, 'http://127.0.0.1:TRAP/.well-known/openid-configuration'],
    [303, 'http://127.0.0.1:TRAP/'],
    [307, 'http://localhost:TRAP/'],
    [308, '//127.0.0.1:TRAP/'],
    [302, 'https://127.0.0.1:TRAP/'],
    [302, 'file:///etc/passwd'],
    [302, 'https://'],
    [302, undefined],
    [300, 'http://127.0.0.1:TRAP/'],
  ])('%d to %s', async (status, location) => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    const headers = { ...(location !== undefined && { location: location.replace('TRAP', String(port)) }) };
    acme.answerNext(wellKnown, { status, headers });
    const { outcome, asked } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, elsewhere, acme));
    expect(asked).toEqual([wellKnown]);
    expect(visits()).toBe(0);
  });

  test('one that first stays within the origin is not followed out of it', async () => {
    const { acme, machine } = await newcomer();
    const { port, visits } = await trap();
    acme.answerNext(wellKnown, { status: 302, headers: { location: '/elsewhere' } });
    acme.answerNext('/elsewhere', { status: 302, headers: { location: `http://127.0.0.1:${port}/` } });
    const { outcome } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, elsewhere.replace(wellKnown, '/elsewhere'), acme));
    expect(visits()).toBe(0);
  });

  test('one that goes round in circles ends', async () => {
    const { acme, machine } = await newcomer();
    for (let hop = 0; hop < 20; hop++)
      acme.answerNext(wellKnown, { status: 302, headers: { location: wellKnown } });
    const { outcome, asked } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, `ISSUER${wellKnown} redirects without end`, acme));
    expect(asked).toHaveLength(4);
  });

  test('one within the origin is followed', async () => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, notFound);
    acme.answerNext(wellKnownOauth, { status: 301, headers: { location: wellKnown } });
    expect(await (await pendingLogin(machine)).signIn()).toMatchObject({ exitCode: 0, stdout: '' });
  });
});

describe('DSC-06: without metadata there is no login, and the exit code says whether trying again helps', () => {
  const json = { 'content-type': 'application/json' };
  const html: Answer = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' };
  const both = [wellKnown, wellKnownOauth];
  test.each<[title: string, first: Answer, second: Answer | undefined, exitCode: number, message: string]>([
    ['404', notFound, notFound, 5, nothingPublished],
    ['403', { status: 403 }, notFound, 5, nothingPublished],
    ['204', { status: 204 }, notFound, 5, nothingPublished],
    ['205 with a body', { status: 205, headers: json, body: '{}' }, notFound, 5, nothingPublished],
    ['200 without a body', { status: 200, headers: json }, notFound, 5, nothingPublished],
    ['HTML', html, html, 5, nothingPublished],
    ['broken JSON', jsonAnswer('{"issuer"'), notFound, 5, nothingPublished],
    ['half of a document', jsonAnswer('{"issuer":"ISSUER",'), notFound, 5, nothingPublished],
    ['500', { status: 500 }, undefined, 6, `the provider answers 500 at ISSUER${wellKnown}`],
    ['503', { status: 503 }, undefined, 6, `the provider answers 503 at ISSUER${wellKnown}`],
    ['599', { status: 599 }, undefined, 6, `the provider answers 599 at ISSUER${wellKnown}`],
    ['429', { status: 429 }, undefined, 6, `the provider answers 429 at ISSUER${wellKnown}`],
    ['408', { status: 408 }, undefined, 6, `the provider answers 408 at ISSUER${wellKnown}`],
    ['404, then 500', notFound, { status: 500 }, 6, `the provider answers 500 at ISSUER${wellKnownOauth}`],
    ['a connection that is cut', 'reset', undefined, 6, 'cannot reach HOST: '],
  ])('%s', async (_title, first, second, exitCode, message) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, first);
    if (second !== undefined) acme.answerNext(wellKnownOauth, second);
    const { outcome, asked } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(exitCode, message, acme));
    expect(asked).toEqual(second === undefined ? [wellKnown] : both);
  });

  test('a connection that is refused', async () => {
    const { acme, machine } = await newcomer();
    await acme.stop();
    const { outcome } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(6, 'cannot reach HOST: connection refused', acme));
  });
});

/** In the quick form the person's limit ends the wait, at full length that of the request. */
const limit = isFull
  ? { argv: [], exitCode: 6, message: 'cannot reach HOST: ' }
  : { argv: ['--timeout', '2s'], exitCode: 8, message: 'not finished within 2 s' };

describe('DSC-06, DSC-08: metadata that never come, or never end, are not waited for', () => {
  test.each<[string, Answer]>([
    ['no answer', 'hang'],
    ['one byte a second', drip],
  ])('%s', async (_title, answer) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, answer);
    const began = performance.now();
    const { outcome } = await refusedLogin({ acme, machine }, limit.argv);
    expect(outcome).toEqual(failure(limit.exitCode, limit.message, acme));
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe('DSC-08: metadata without measure are cut off, before they fill the memory', () => {
  const tooLarge = 'the provider sends an answer of more than 1 MiB';
  test.each<[title: string, answer: Answer, exitCode: number, message: string]>([
    ['an endless answer', endless(), 5, tooLarge],
    ['50 MB of JSON', jsonAnswer(JSON.stringify({ issuer: 'x'.repeat(50_000_000) })), 5, tooLarge],
    ['a gzip bomb', bomb('gzip'), 5, tooLarge],
    ['a deflate bomb', bomb('deflate'), 5, tooLarge],
    ['a Brotli bomb', bomb('br'), 5, tooLarge],
    ['a gzip bomb within a gzip bomb', bomb('gzip, gzip'), 5, tooLarge],
    ['an error without end', endless(404), 5, tooLarge],
    ['a redirect without end', endless(302), 5, tooLarge],
    ['a head of 1 MB', { status: 200, headers: { 'x-filler': 'x'.repeat(1e6) } }, 6, 'cannot reach HOST: '],
  ])('%s', async (_title, answer, exitCode, message) => {
    const { acme, machine } = await newcomer();
    const memory = peakMemory(machine);
    acme.answerNext(wellKnown, { status: 500 });
    await refusedLogin({ acme, machine }, [], memory.env);
    const usual = memory.mebibytes();
    acme.answerNext(wellKnown, answer);
    const began = performance.now();
    const { outcome } = await refusedLogin({ acme, machine }, [], memory.env);
    expect(outcome).toEqual(failure(exitCode, message, acme));
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(memory.mebibytes() - usual).toBeLessThan(100);
  });
});

const document = (more: string) =>
  `{"issuer":"ISSUER","authorization_endpoint":"ISSUER/auth","token_endpoint":"ISSUER/token"${more}}`;
const deep = (open: string, close: string) => open.repeat(100_000) + close.repeat(100_000);

describe('DSC-09: a document that is no proper document is refused, whatever is wrong with it', () => {
  test.each([
    ['no object', '[]', 'discovery failed a check: '],
    ['null', 'null', 'discovery failed a check: '],
    ['a text', '"ISSUER"', 'discovery failed a check: '],
    ['no issuer', '{}', 'discovery failed a check: '],
    ['a number for the issuer', '{"issuer":5}', 'discovery failed a check: '],
    ['a list for the issuer', '{"issuer":["ISSUER"]}', 'discovery failed a check: '],
    ['an issuer that is no URL', '{"issuer":"acme"}', 'discovery failed a check: '],
    [
      'a prototype',
      document(',"__proto__":{"polluted":true}'),
      'the document at ISSUERPATH has a member named __proto__',
    ],
    [
      'a prototype with everything in it',
      `{"__proto__":${document('')}}`,
      'the document at ISSUERPATH has a member named __proto__',
    ],
    [
      'a prototype further down',
      document(',"mtls_endpoint_aliases":{"__proto__":{}}'),
      'the document at ISSUERPATH has a member named __proto__',
    ],
    ['a name twice', document(',"issuer":"ISSUER"'), 'the document at ISSUERPATH has issuer twice'],
    [
      'a name twice, once in disguise',
      document(',"token_endp\\u006fint":"ISSUER/token"'),
      'the document at ISSUERPATH has token_endpoint twice',
    ],
    [
      '100,000 lists',
      document(`,"x":${deep('[', ']')}`),
      'the document at ISSUERPATH has more than 64 levels',
    ],
    [
      '100,000 objects',
      document(`,"x":${deep('{"a":', '}').replace('}', '0}')}`),
      'the document at ISSUERPATH has more than 64 levels',
    ],
    ['nothing but lists', deep('[', ']'), 'the document at ISSUERPATH has more than 64 levels'],
    ['lists that are not closed', '['.repeat(100_000), nothingPublished],
    [
      'a number for an endpoint',
      '{"issuer":"ISSUER","authorization_endpoint":1}',
      'the authorization_endpoint in the metadata of ISSUER is not an https address',
    ],
    [
      'a list for an endpoint',
      document(',"jwks_uri":["ISSUER/jwks"]'),
      'the jwks_uri in the metadata of ISSUER is malformed',
    ],
    [
      'a number for an endpoint that comes later',
      document(',"revocation_endpoint":7'),
      'the revocation_endpoint in the metadata of ISSUER is malformed',
    ],
    [
      'a null among the scopes',
      document(',"scopes_supported":["openid",null]'),
      'the scopes_supported in the metadata',
    ],
    [
      'a text for the scopes',
      document(',"scopes_supported":"openid"'),
      'the scopes_supported in the metadata',
    ],
    [
      'a number among the algorithms',
      document(',"id_token_signing_alg_values_supported":["RS256",256]'),
      'the id_token_signing_alg_values_supported in the metadata',
    ],
    [
      'a null among the PKCE methods',
      document(',"code_challenge_methods_supported":["S256",null]'),
      'the code_challenge_methods_supported in the metadata',
    ],
  ])('%s', async (_title, body, message) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, jsonAnswer(filled(body, acme)));
    if (message === nothingPublished) acme.answerNext(wellKnownOauth, notFound);
    const { outcome } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, message.replace('PATH', wellKnown), acme));
  });
});

describe('DSC-10: an endpoint that is missing is named', () => {
  test.each(['authorization_endpoint', 'token_endpoint'])('%s', async (name) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, await changedMetadata(acme, { [name]: undefined }));
    const { outcome } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, `the metadata of ISSUER names no ${name}`, acme));
  });

  test.each(['authorization_endpoint', 'token_endpoint'])('%s is null', async (name) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, await changedMetadata(acme, { [name]: null }));
    const { outcome } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(
      failure(5, `the ${name} in the metadata of ISSUER is not an https address`, acme),
    );
  });
});

test.each([[['plain']], [[]], [['s256']], [['S512', 'plain']]])(
  'DSC-12: %j as the only PKCE methods end the login, for plain is never used',
  async (methods) => {
    const { acme, machine } = await newcomer();
    acme.answerNext(wellKnown, await changedMetadata(acme, { code_challenge_methods_supported: methods }));
    const { outcome, asked } = await refusedLogin({ acme, machine });
    expect(outcome).toEqual(failure(5, 'ISSUER does not support PKCE with S256', acme));
    expect(asked).toEqual([wellKnown]);
  },
);

describe('DSC-13: an issuer with a path is asked for OpenID Connect metadata behind it, then for OAuth metadata before it', () => {
  test.each(['/t1', '/t1/', '/a/b'])('%s', async (path) => {
    const { acme, machine } = await newcomer();
    const issuer = acme.issuer + path;
    const bare = path.replace(/\/$/, '');
    const before = acme.requests.length + 1;
    acme.answerNext(wellKnownOauth + bare, await changedMetadata(acme, { issuer }));
    const login = await pendingLogin(machine, ['-p', 'mine', '--issuer', issuer, '--client-id', 'cli']);
    expect(login.authorizationUrl.origin).toBe(acme.issuer);
    expect(acme.requests.slice(before).map(({ path: asked }) => asked)).toEqual([
      bare + wellKnown,
      wellKnownOauth + bare,
    ]);
  });
});

test.each([
  'https://login.microsoftonline.com/{tenantid}/v2.0',
  'ISSUER/{tenantid}',
  '{tenantid}',
  'ISSUER/%7Btenantid%7D',
])('DSC-16: the template %s is no issuer', async (announced) => {
  const { acme, machine } = await newcomer();
  acme.answerNext(wellKnown, await changedMetadata(acme, { issuer: filled(announced, acme) }));
  const { outcome, asked } = await refusedLogin({ acme, machine });
  expect(outcome).toEqual({
    exitCode: 5,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: (the metadata at \S+ is of another issuer|discovery failed a check): /,
    ),
  });
  expect(asked).toEqual([wellKnown]);
});

const inside = [
  'https://169.254.169.254/latest/api/token',
  'https://10.0.0.1/token',
  'https://172.31.255.1/token',
  'https://192.168.1.1/token',
  'https://100.100.100.200/token',
  'https://0xa9fea9fe/token',
  'https://[fd00:ec2::254]/token',
  'https://[::ffff:169.254.169.254]/token',
  'https://[fe80::1]/token',
  'http://127.0.0.1:TRAP/token',
  'http://[::1]:TRAP/token',
  'http://localhost:TRAP/token',
  'https://acme.localhost:TRAP/token',
];

describe.skipIf(!canCertify)(
  'DSC-17: an issuer on the Internet sends nobody to an address of this machine or of its network',
  () => {
    test.each([
      ['token_endpoint', inside],
      ['authorization_endpoint', inside.slice(-1)],
      ['jwks_uri', inside.slice(-1)],
      ['revocation_endpoint', inside.slice(-1)],
      ['userinfo_endpoint', inside.slice(-1)],
      ['end_session_endpoint', inside.slice(-1)],
      ['device_authorization_endpoint', inside.slice(-1)],
    ])('by its %s', async (name, addresses) => {
      const person = await newcomer();
      const { port, visits } = await trap();
      let address = '';
      const { issuer, env } = await publicIssuer(person.machine, () => ({ [name]: address }));
      const argv = ['-p', 'mine', '--issuer', issuer, '--client-id', 'cli'];
      const message = `the ${name} in the metadata of ${issuer} is an address of this machine or of its network`;
      for (address of addresses.map((each) => each.replace('TRAP', String(port)))) {
        const { outcome } = await refusedLogin(person, argv, env);
        expect({ address, ...outcome }).toEqual({ address, ...failure(5, message, person.acme) });
      }
      expect(visits()).toBe(0);
    });

    test('names are for TLS to judge: those of a company often have a private address', async () => {
      const { machine } = await newcomer();
      const { issuer, env, asked } = await publicIssuer(machine, () => ({
        token_endpoint: 'https://token.corp.example/token',
        userinfo_endpoint: 'https://8.8.8.8/userinfo',
      }));
      const login = await pendingLogin(
        machine,
        ['-p', 'mine', '--issuer', issuer, '--client-id', 'cli'],
        env,
      );
      expect(login.authorizationUrl.origin).toBe(issuer);
      expect(asked).toEqual([wellKnown]);
    });
  },
);

const refreshedAt = ({ requests }: Provider) =>
  requests.filter(({ parameters }) => 'refresh_token' in parameters).map(({ url }) => url);

/** The one cached document. */
function cacheFile({ folder }: Machine): string {
  const cache = join(folder, 'state', 'metadata');
  return join(cache, readdirSync(cache)[0] ?? '');
}

/** As if it had been fetched two days ago. */
function age(file: string): void {
  const cached = readFileSync(file, 'utf8');
  const [, fetchedAt = ''] = /"fetchedAt":"([^"]+)"/.exec(cached) ?? [];
  const earlier = new Date(Date.parse(fetchedAt) - 48 * 3600_000).toISOString();
  writeFileSync(file, cached.replace(fetchedAt, earlier));
}

async function signedIn(): Promise<Newcomer> {
  const { acme, machine } = await newcomer();
  expect(await (await pendingLogin(machine)).signIn()).toMatchObject({ exitCode: 0 });
  return { acme, machine };
}

describe('DSC-18: a provider that changes its endpoints is followed only after its metadata were verified again', () => {
  const refresh = ['token', '--force-refresh'];
  const refreshed = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
  test('within a day the verified ones serve, unasked', async () => {
    const { acme, machine } = await signedIn();
    acme.answerNext(wellKnown, await changedMetadata(acme, { token_endpoint: `${acme.issuer}/moved` }));
    const before = acme.requestsTo(wellKnown).length;
    expect(await machine.spawn(refresh)).toEqual(refreshed);
    expect(refreshedAt(acme)).toEqual(['/token']);
    expect(acme.requestsTo(wellKnown)).toHaveLength(before);
  });

  test('after a day the new endpoint is taken from metadata of the same issuer', async () => {
    const { acme, machine } = await signedIn();
    age(cacheFile(machine));
    acme.answerNext(wellKnown, await changedMetadata(acme, { token_endpoint: `${acme.issuer}/token?moved` }));
    expect(await machine.spawn(refresh)).toEqual(refreshed);
    expect(refreshedAt(acme)).toEqual(['/token?moved']);
  });

  test('an endpoint that has moved within the day is found by the call after the one that missed it', async () => {
    const { acme, machine } = await signedIn();
    acme.answerNext('/token', { status: 404 });
    expect(await machine.spawn(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    acme.answerNext(wellKnown, await changedMetadata(acme, { token_endpoint: `${acme.issuer}/token?moved` }));
    expect(await machine.spawn(refresh)).toEqual(refreshed);
    expect(refreshedAt(acme)).toEqual(['/token', '/token?moved']);
  });

  test.each([
    ['another issuer', { issuer: 'https://as.test', token_endpoint: 'ISSUER/evil' }],
    ['an issuer with a slash more', { issuer: 'ISSUER/', token_endpoint: 'ISSUER/evil' }],
    ['an endpoint in the clear', { token_endpoint: 'http://as.test/evil' }],
    ['no authorization endpoint', { authorization_endpoint: undefined, token_endpoint: 'ISSUER/evil' }],
  ])('%s: nothing of it is used or kept, and the session stays', async (_title, changes) => {
    const { acme, machine } = await signedIn();
    const file = cacheFile(machine);
    age(file);
    const cached = readFileSync(file, 'utf8');
    const filledIn = Object.entries(changes).map(([name, value]): [string, unknown] => [
      name,
      value && filled(value, acme),
    ]);
    acme.answerNext(wellKnown, await changedMetadata(acme, Object.fromEntries(filledIn)));
    expect(await machine.spawn(refresh)).toMatchObject({ exitCode: 5, stdout: '' });
    expect(refreshedAt(acme)).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(cached);
    expect(await machine.spawn(refresh)).toEqual(refreshed);
    expect(refreshedAt(acme)).toEqual(['/token']);
  });

  test.each<[string, (cached: string, issuer: string) => string]>([
    ['no JSON', (cached) => cached.slice(0, 100)],
    ['nothing', () => ''],
    ['no metadata', (cached) => cached.replace(/"metadata":.*/, '"metadata":null}')],
    [
      'another issuer',
      (cached, issuer) => cached.replace(`"issuer":"${issuer}"`, '"issuer":"https://as.test"'),
    ],
    [
      'an endpoint in the clear',
      (cached, issuer) => cached.replace(`"${issuer}/token"`, '"http://as.test/evil"'),
    ],
    ['no endpoint', (cached) => cached.replace('"token_endpoint"', '"other_endpoint"')],
    ['a time that is yet to come', (cached) => cached.replace('"fetchedAt":"20', '"fetchedAt":"29')],
    ['a time that is none', (cached) => cached.replace('"fetchedAt":"20', '"fetchedAt":"soon')],
  ])('a cache that holds %s is passed over', async (_title, damage) => {
    const { acme, machine } = await signedIn();
    const file = cacheFile(machine);
    const damaged = damage(readFileSync(file, 'utf8'), acme.issuer);
    writeFileSync(file, damaged);
    const before = acme.requestsTo(wellKnown).length;
    expect(await machine.spawn(refresh)).toEqual(refreshed);
    expect(acme.requestsTo(wellKnown)).toHaveLength(before + 1);
    expect(readFileSync(file, 'utf8')).not.toBe(damaged);
  });
});
