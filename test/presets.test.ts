import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { clientOf } from '../src/client/connect.js';
import { authorizationRequest } from '../src/client/interactive.js';
import { beginAuthorization } from '../src/oauth/authorization-code.js';
import { withSettings, type ServerMetadata } from '../src/oauth/discovery.js';
import { expandPreset, redirectUris, registration, sampleSettings } from '../src/providers/expand-preset.js';
import { presetIds, readPreset, type Preset } from '../src/providers/presets.js';
import type { ProviderEntry } from '../src/providers/provider.js';
import { changedMetadata, wellKnown } from './hostile/metadata.js';
import { login, newcomer, startAcme } from './support/newcomer.js';
import { newMachine } from './support/run.js';

describe('each preset', () => {
  test('asks for what was reviewed', async () => {
    const requests = await Promise.all(presetIds().map(async (id) => loginsOf(readPreset(id))));
    await expect(`${requests.flat().join('\n\n')}\n`).toMatchFileSnapshot('presets.login-requests.txt');
  });

  test.for(presetIds())('%s: every setting can be given, and every choice be made', (id) => {
    const preset = readPreset(id);
    for (const [name, value] of valuesOf(preset)) {
      const entry = expandPreset(preset, { ...sampleSettings(preset), [name]: value }, 'ID');
      expect(JSON.stringify(entry)).not.toContain(`{${name}}`);
      expect(endpointsOf(entry).filter((address) => !isHttps(address))).toEqual([]);
    }
  });

  test.for(presetIds())(
    '%s: says how to register, with the redirect URI, and leaves nothing unfilled',
    (id) => {
      const preset = readPreset(id);
      const lines = registration(preset).join('\n');
      for (const uri of redirectUris(expandPreset(preset, sampleSettings(preset), 'ID')))
        expect(lines).toContain(uri);
      expect(lines).not.toMatch(/\{\w+\}/);
      expect(preset.name + preset.notes.join('') + preset.unverified.join('')).not.toMatch(/\{|\}|\[M\]/);
    },
  );
});

test('a preset becomes a whole entry of the configuration, which the person can see and change', async () => {
  const machine = newMachine();
  const added = await machine.run([
    'provider',
    'add',
    'work',
    '--preset',
    'microsoft',
    '--set',
    'tenant=contoso.onmicrosoft.com',
    '--client-id',
    'cli',
  ]);
  expect(added).toEqual({
    exitCode: 0,
    stdout: '',
    stderr:
      '✓ Added work. Next: authcli login -p work\n' +
      'To be registered at Microsoft Entra ID, Microsoft accounts: http://localhost/callback\n',
  });
  expect(JSON.parse(readFileSync(join(machine.folder, 'config', 'config.json'), 'utf8'))).toEqual({
    providers: {
      work: {
        issuer: 'https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0',
        clientId: 'cli',
        scope: 'openid profile email offline_access',
        preset: 'microsoft',
        redirect: { host: 'localhost' },
        metadata: { issuer: 'tenant' },
      },
    },
  });
});

test('what the command line says replaces what the preset says, and the secret is asked for by the entry', async () => {
  const machine = newMachine();
  const own = ['--issuer', 'https://accounts.google.test', '--scope', 'openid'];
  await machine.run(['provider', 'add', 'g', '--preset', 'google', '--client-id', 'cli', ...own, '-q']);
  expect(await machine.run(['provider', 'show', 'g', '--json'])).toMatchObject({
    stdout: `${JSON.stringify({
      issuer: 'https://accounts.google.test',
      clientId: 'cli',
      scope: 'openid',
      preset: 'google',
      client: { authentication: 'client_secret_post' },
      authorization: { parameters: { access_type: 'offline', prompt: 'consent' } },
    })}\n`,
  });
});

test('from a preset to a token', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const preset = ['--preset', 'openiddict', '--set', `issuer=${acme.issuer}`, '--client-id', 'cli'];
  expect(await machine.spawn(['provider', 'add', 'work', ...preset])).toMatchObject({ exitCode: 0 });
  expect(await login(machine)).toMatchObject({ exitCode: 0 });
  expect(acme.requestsTo('/auth')[0]?.parameters).toMatchObject({
    scope: 'openid profile email offline_access',
  });
  expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 0, stderr: '' });
});

describe('metadata that contradict what the preset says', () => {
  const known = 'if you know that it has it all the same, say so in the configuration of this provider: ';
  const pkce = '"metadata":{"set":{"code_challenge_methods_supported":["S256"]}}';

  test.each<[title: string, change: Record<string, unknown>, error: string, hint: string]>([
    [
      'another issuer',
      { issuer: 'https://other.test' },
      'the metadata at ISSUER is of another issuer: https://other.test',
      'if you trust it, use exactly that issuer: --issuer https://other.test',
    ],
    [
      'no PKCE with S256',
      { code_challenge_methods_supported: ['plain'] },
      'ISSUER does not support PKCE with S256',
      known + pkce,
    ],
    [
      'no token endpoint',
      { token_endpoint: undefined },
      'the metadata of ISSUER names no token_endpoint',
      `${known}"metadata":{"set":{"token_endpoint":"https://…"}}`,
    ],
  ])('%s', async (_title, change, error, hint) => {
    const acme = await startAcme();
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    const preset = ['--preset', 'openiddict', '--set', `issuer=${acme.issuer}`, '--client-id', 'cli'];
    await machine.run(['provider', 'add', 'work', ...preset]);
    acme.answerAlways(wellKnown, await changedMetadata(acme, change));
    expect(await login(machine)).toEqual({
      exitCode: 5,
      stdout: '',
      stderr: `error: ${error.replace('ISSUER', acme.issuer)}\nhint: ${hint}\n`,
    });
    expect(acme.requests.map(({ path }) => path)).not.toContain('/auth');
  });

  test('and a person who knows better', async () => {
    const acme = await startAcme();
    const machine = newMachine({ AUTHCLI_STORE: 'file' });
    acme.answerAlways(
      wellKnown,
      await changedMetadata(acme, { code_challenge_methods_supported: ['plain'] }),
    );
    const setting: object = JSON.parse(`{${pkce}}`);
    machine.configure({ providers: { work: { issuer: acme.issuer, clientId: 'cli', ...setting } } });
    expect(await login(machine)).toMatchObject({ exitCode: 0 });
  });
});

test('other endpoints under the name of a provider that somebody is signed in to are refused', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const again = ['provider', 'add', 'acme', '--client-id', 'cli', '--force'];
  expect(await machine.run([...again, '--preset', 'gitea', '--set', `url=${acme.issuer}`])).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'error: somebody is still signed in to acme\nhint: authcli logout --all -p acme\n',
  });
  expect(await machine.run([...again, '--issuer', acme.issuer, '-q'])).toMatchObject({ exitCode: 0 });
  expect(await machine.run(['token'])).toMatchObject({ exitCode: 0 });
});

describe('a mistake', () => {
  test.for([
    {
      argv: ['--preset', 'google', '--client-id', 'cli', '--issuer', 'acme', '--client-cert', 'client.pem'],
      error: 'the issuer is no URL',
      hint: 'authcli provider add work --preset google --client-id ID',
    },
    {
      argv: ['--preset', 'gitbub', '--client-id', 'cli'],
      error: 'there is no preset named "gitbub"',
      hint: 'did you mean github? authcli provider presets',
    },
    {
      argv: ['--preset', '../../../package', '--client-id', 'cli'],
      error: 'there is no preset named "../../../package"',
      hint: 'authcli provider presets',
    },
    {
      argv: ['--preset', 'microsoft', '--set', 'tenat=contoso.com', '--client-id', 'cli'],
      error: 'the preset microsoft has no setting "tenat" (it has tenant, cloud)',
      hint: 'did you mean --set tenant=…?',
    },
    {
      argv: ['--preset', 'adobe', '--set', 'zone=eu', '--client-id', 'cli'],
      error: 'the preset adobe has no setting "zone" (it has none)',
      hint: 'authcli provider presets adobe',
    },
    {
      argv: ['--preset', 'keycloak', '--set', 'url=https://sso.acme.test', '--client-id', 'cli'],
      error: 'the preset keycloak needs --set realm=…',
      hint: 'authcli provider add NAME --preset keycloak --set url=https://sso.example.com --set realm=acme --client-id ID',
    },
    {
      argv: ['--preset', 'zoho', '--set', 'region=uk', '--client-id', 'cli'],
      error: '--set region must be one of us, au, ca, eu, in, jp, sa',
      hint: 'did you mean --set region=us?',
    },
    ...['../admin', 'a/b', 'a?b', 'a#b', 'a@b', '..', 'a b', 'a%2fb', ''].map((tenant) => ({
      argv: ['--preset', 'microsoft', '--set', `tenant=${tenant}`, '--client-id', 'cli'],
      error: '--set tenant does not fit into issuer: it may hold letters, digits, . _ ~ and - only',
      hint: 'such as --set tenant=contoso.onmicrosoft.com',
    })),
    {
      argv: ['--preset', 'gitea', '--set', 'url=http://git.acme.test', '--client-id', 'cli'],
      error: '--set url does not fit into issuer: it is plain http, which is accepted on this machine only',
      hint: 'such as --set url=https://gitea.example.com',
    },
    {
      argv: ['--preset', 'erp-net', '--set', 'instance=demodb.my.erp.net/?x', '--client-id', 'cli'],
      error: '--set instance does not fit into issuer: it must have neither query nor fragment',
      hint: 'such as --set instance=demodb.my.erp.net',
    },
    {
      argv: ['--preset', 'github', '--set', 'api=https://me@api.github.com', '--client-id', 'cli'],
      error: '--set api does not fit into metadata.set.userinfo_endpoint: it must not carry user information',
      hint: 'such as --set api=https://github.example.com/api/v3',
    },
    {
      argv: ['--preset', 'pingone', '--set', 'issuer=https://auth.pingone.eu/4711', '--client-id', 'cli'],
      error: '--set issuer does not fit into issuer: it is not of the form https://.+/as',
      hint: 'such as --set issuer=https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as',
    },
    {
      argv: ['--preset', 'google', '--set', 'tenant', '--client-id', 'cli'],
      error: '--set must be of the form K=V',
      hint: undefined,
    },
    {
      argv: ['--preset', 'google'],
      error: 'the preset google needs --client-id: register a client there first',
      hint: 'authcli provider presets google',
    },
    {
      argv: ['--preset', 'clever', '--issuer', 'https://clever.com/?', '--client-id', 'cli'],
      error: 'the issuer must have neither query nor fragment',
      hint: 'authcli provider add work --preset clever --client-id ID',
    },
    {
      argv: ['--set', 'tenant=common', '--issuer', 'https://id.acme.test', '--client-id', 'cli'],
      error: '--set needs --preset',
      hint: 'authcli provider presets',
    },
  ])('$argv', async ({ argv, error, hint }) => {
    const machine = newMachine();
    expect(await machine.run(['provider', 'add', 'work', ...argv])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: ${error}\n${hint === undefined ? '' : `hint: ${hint}\n`}`,
    });
    expect(await machine.run(['provider', 'list', '--json'])).toMatchObject({ stdout: '{"providers":{}}\n' });
  });
});

describe('provider presets', () => {
  test('lists them all', async () => {
    const { exitCode, stdout, stderr } = await newMachine().spawn(['provider', 'presets']);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: 'how to register a client there: authcli provider presets NAME\n',
    });
    const [header, ...rows] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^PRESET +PROVIDER +SETTINGS$/);
    expect(rows.map((row) => row.split(' ')[0])).toEqual(presetIds());
    expect(rows).toContainEqual(expect.stringMatching(/^keycloak +Keycloak +url realm$/));
    expect(rows).toContainEqual(expect.stringMatching(/^microsoft .* \[tenant\] \[cloud\]$/));
  });

  test('shows how to register a client and what to run then', async () => {
    expect(await newMachine().run(['provider', 'presets', 'okta'])).toEqual({
      exitCode: 0,
      stdout: `Okta, https://support.okta.com/help/s/article/openid-connect-oidc-redirect-uri

Settings:
  - issuer: the org, or a custom authorization server of it, as its metadata says (such as https://acme.okta.com/oauth2/default)

Register a client:
  - Okta admin console, Applications: create an OIDC app of the type Native application, grant types Authorization Code and Refresh Token.
  - Sign-in redirect URIs: http://127.0.0.1:8910/callback, http://127.0.0.1:8911/callback, http://127.0.0.1:8912/callback (compared exactly, with the port).

Then:
  authcli provider add NAME --preset okta --set issuer=https://acme.okta.com/oauth2/default --client-id ID

Good to know:
  - userinfo is refused unless openid was granted. Tokens of the org server are opaque, those of a custom server are JWTs.

From memory, not verified:
  - That native applications need no secret.
  - The device flow is a grant of the application.
  - Refresh tokens of public clients are rotated by default.
`,
      stderr: '',
    });
  });

  test('as JSON: the catalogue itself', async () => {
    const machine = newMachine();
    const { stdout } = await machine.run(['provider', 'presets', 'github', '--json']);
    expect(JSON.parse(stdout)).toEqual(readPreset('github'));
    const all = await machine.run(['provider', 'presets', '--json']);
    expect(JSON.parse(all.stdout)).toEqual({ presets: presetIds().map(readPreset) });
  });

  test('an unknown one: the nearest is named', async () => {
    expect(await newMachine().run(['provider', 'presets', 'keyclaok'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: there is no preset named "keyclaok"\nhint: did you mean keycloak? authcli provider presets\n',
    });
  });
});

/** Each value that a setting may have, or a sample of them. */
function valuesOf({ settings }: Preset): [name: string, value: string][] {
  return Object.entries(settings).flatMap(([name, { choices, example, default: chosen }]) =>
    (choices ? Object.keys(choices) : [example ?? chosen ?? '']).map((value): [string, string] => [
      name,
      value,
    ]),
  );
}

/** The login with what a person must set, and what is different where a setting has another value than by default. */
async function loginsOf(preset: Preset): Promise<string[]> {
  const required = await loginOf(preset, sampleSettings(preset));
  const others = valuesOf(preset).map(async ([name, value]) => {
    const lines = await loginOf(preset, { ...sampleSettings(preset), [name]: value });
    const changed = lines.filter((line) => !required.includes(line));
    const isOther = preset.settings[name]?.default !== value && !Object.hasOwn(sampleSettings(preset), name);
    return isOther ? [[`# ${preset.id} --set ${name}=${value}`, ...changed].join('\n')] : [];
  });
  const head = `# ${preset.id}: ${expandPreset(preset, sampleSettings(preset), 'ID').issuer}`;
  return [[head, ...required].join('\n'), ...(await Promise.all(others)).flat()];
}

/** The login as the provider would see it; what differs each time is masked. */
async function loginOf(preset: Preset, settings: Readonly<Record<string, string>>): Promise<string[]> {
  const provider = { name: 'work', ...expandPreset(preset, settings, 'ID') };
  const client = clientOf(provider, metadataOf(provider), { method: 'none' });
  const [redirectUri = ''] = redirectUris(provider);
  const request = authorizationRequest(provider, client, { parameters: {} }, redirectUri);
  const { authorizationUrl } = await beginAuthorization(client, request, {
    env: {},
    signal: new AbortController().signal,
    now: () => new Date(),
    trace: () => {},
    conceal: () => {},
  });
  const masked = new Set(['state', 'nonce', 'code_challenge']);
  const parameters = [...authorizationUrl.searchParams].map(
    ([name, value]) => `  ${name}=${masked.has(name) ? '…' : value}`,
  );
  const { metadata } = client;
  const { from } = provider.metadata ?? {};
  return [
    ...(from === undefined || from === 'none' ? [] : [`METADATA ${from}`]),
    `GET ${authorizationUrl.origin}${authorizationUrl.pathname}`,
    ...parameters.toSorted(),
    `POST ${metadata.token_endpoint} ${JSON.stringify({ ...provider.client, ...provider.token })}`,
    ...(metadata.userinfo_endpoint === undefined && provider.userinfo === undefined
      ? []
      : [`WHO ${metadata.userinfo_endpoint ?? ''} ${JSON.stringify(provider.userinfo ?? {})}`]),
  ];
}

/** What a provider with metadata would publish, in a form that shows where its entry did not say otherwise. */
function metadataOf({ issuer, metadata: { from, set, ...rule } = {} }: ProviderEntry): ServerMetadata {
  const base = issuer.replace(/\/$/, '');
  const published =
    from === 'none'
      ? { issuer }
      : {
          issuer,
          authorization_endpoint: `${base}/published/authorize`,
          token_endpoint: `${base}/published/token`,
        };
  return withSettings(published, { ...rule, set }, issuer);
}

function endpointsOf({ issuer, metadata: { from, set = {} } = {} }: ProviderEntry): string[] {
  const published = Object.entries(set).flatMap(([field, value]) =>
    /(_endpoint|_uri)$/.test(field) ? [String(value)] : [],
  );
  return [issuer, ...published, ...(from === undefined || from === 'none' ? [] : [from])];
}

function isHttps(address: string): boolean {
  return URL.canParse(address) && new URL(address).protocol === 'https:' && !/[{}]|[^:]\/\//.test(address);
}
