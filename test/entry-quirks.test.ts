import { expect, test } from 'vitest';

import { startAcme } from './support/newcomer.js';
import { newMachine } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

const json = { 'content-type': 'application/json' };
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test.for([
  [
    'as RFC 6749 2.3.1 has it, both form-encoded',
    { secret: { env: 'ACME_SECRET' } },
    basic('a%2Db%5Fc:p%2Ba%2Fs%3Ds'),
  ],
  [
    'both as they are, where the provider wants that',
    { secret: { env: 'ACME_SECRET' }, formEncoding: false },
    basic('a-b_c:p+a/s=s'),
  ],
  ['with no secret at all', { authentication: 'client_secret_basic', secret: 'empty' }, basic('a-b_c:')],
] as const)('Basic authentication: %s', async ([, client, authorization]) => {
  const clientId = 'a-b_c';
  const redirect = { redirect_uris: ['http://127.0.0.1/callback'], application_type: 'native' as const };
  const acme = await startAcme({
    clients: [{ client_id: clientId, token_endpoint_auth_method: 'none', ...redirect }],
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file', ACME_SECRET: 'p+a/s=s' });
  machine.configure({ providers: { acme: { issuer: acme.issuer, clientId, scope: 'openid', client } } });
  acme.answerNext('/token', { status: 401, headers: json, body: '{"error":"invalid_client"}' });
  const outcome = await machine.run(['login', '-q'], browserOf(approves));
  expect(outcome).toMatchObject({ exitCode: 5, stdout: '' });
  expect(outcome.stderr).not.toContain('p+a/s=s');
  expect(acme.requestsTo('/token').map(({ headers }) => headers.authorization)).toEqual([authorization]);
});

test('metadata at an address of its own, whatever its name, is fetched from there and nowhere else', async () => {
  const acme = await startAcme();
  const published = await fetch(`${acme.issuer}/.well-known/openid-configuration`);
  acme.answerNext('/auth/v1/openid_configuration', {
    status: 200,
    headers: json,
    body: await published.text(),
  });
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const from = `${acme.issuer}/auth/v1/openid_configuration`;
  machine.configure({
    providers: { acme: { issuer: acme.issuer, clientId: 'cli', scope: 'openid', metadata: { from } } },
  });
  const before = acme.requests.length;
  expect(await machine.run(['login', '-q'], browserOf(approves))).toMatchObject({ exitCode: 0 });
  expect(acme.requests.slice(before).map(({ path }) => path)).toEqual(
    expect.arrayContaining(['/auth/v1/openid_configuration', '/auth', '/token']),
  );
  expect(acme.requests.slice(before).filter(({ path }) => path.includes('.well-known'))).toEqual([]);
});

test('parameters of the entry are sent until the command line says otherwise', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const parameters = { prompt: 'consent', audience: 'https://api.acme.test' };
  machine.configure({
    providers: {
      acme: {
        issuer: acme.issuer,
        clientId: 'cli',
        scope: 'openid offline_access',
        authorization: { parameters },
        token: { parameters: { audience: 'https://token.acme.test' } },
      },
    },
  });
  const sent = () => [
    acme.requestsTo('/auth').at(-1)?.parameters,
    acme.requestsTo('/token').at(-1)?.parameters,
  ];
  expect(await machine.run(['login', '-q'], browserOf(approves))).toMatchObject({ exitCode: 0 });
  expect(sent()).toMatchObject([parameters, { audience: 'https://token.acme.test' }]);
  expect(await machine.run(['token', '--force-refresh', '-q'])).toMatchObject({ exitCode: 0 });
  expect(sent()[1]).toMatchObject({ grant_type: 'refresh_token', audience: 'https://token.acme.test' });
  const own = ['--prompt', 'login', '--audience', 'https://other.acme.test'];
  await machine.run(['login', '-q', ...own], browserOf(approves));
  expect(sent()).toMatchObject([
    { prompt: 'login', audience: 'https://other.acme.test' },
    { audience: 'https://other.acme.test' },
  ]);
});
