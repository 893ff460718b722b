import { expect, test } from 'vitest';

import { login, newcomer, startAcme } from './support/newcomer.js';
import { newMachine } from './support/run.js';
import { approves, browserOf } from './support/user-agents.js';

const json = { 'content-type': 'application/json' };

test('whoami --json: the ID token’s claims, completed by userinfo', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const outcome = await machine.spawn(['whoami', '--json']);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(outcome.stdout)).toMatchObject({
    provider: 'acme',
    issuer: acme.issuer,
    sub: 'jane-4711',
    aud: 'cli',
    preferred_username: 'jane',
    email: 'jane@acme.test',
    email_verified: true,
    name: 'Jane Doe',
  });
  expect(acme.requestsTo('/me')).toHaveLength(1);
  expect(await machine.spawn(['whoami'])).toEqual({
    exitCode: 0,
    stderr: '',
    stdout: `provider            acme
issuer              ${acme.issuer}
sub                 jane-4711
name                Jane Doe
preferred_username  jane
email               jane@acme.test
email_verified      true
`,
  });
});

test.each([
  ['about somebody else', { status: 200, headers: json, body: '{"sub":"john-4711"}' }, 5],
  ['about nobody', { status: 200, headers: json, body: '{}' }, 5],
  ['HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, 5],
  ['503', { status: 503 }, 6],
])('IDT-30: userinfo that is %s is no answer', async (_title, answer, exitCode) => {
  const { acme, machine } = await newcomer();
  await login(machine);
  acme.answerNext('/me', answer);
  const outcome = await machine.spawn(['whoami']);
  expect(outcome).toMatchObject({ exitCode, stdout: '' });
  expect(outcome.stderr).toMatch(/^error: [^\n]+\n(hint: [^\n]+\n)?$/);
  expect(await machine.spawn(['whoami'])).toMatchObject({ exitCode: 0 });
});

test('a token that was revoked is no sign-in, whatever the ID token said once', async () => {
  const { acme, machine } = await newcomer();
  await login(machine);
  const { stdout } = await machine.spawn(['token']);
  const body = new URLSearchParams({ token: stdout.trim(), client_id: 'cli' });
  await fetch(`${acme.issuer}/token/revocation`, { method: 'POST', body });
  expect(await machine.spawn(['whoami'])).toEqual({
    exitCode: 5,
    stdout: '',
    stderr:
      'error: the provider refused the userinfo request: invalid_token (invalid token provided)\n' +
      'hint: sign in again: authcli login\n',
  });
});

test('nobody is signed in: exit 4, and no request', async () => {
  const { acme, machine } = await newcomer();
  expect(await machine.spawn(['whoami'])).toEqual({
    exitCode: 4,
    stdout: '',
    stderr: 'error: not signed in to acme\nhint: authcli login -p acme\n',
  });
  expect(acme.requests).toEqual([]);
});

test('a provider without ID tokens names the account in its own way', async () => {
  const acme = await startAcme();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const profile = { data: [{ id: 4711, login: 'jane', mail: 'jane@acme.test' }] };
  const set = {
    authorization_endpoint: `${acme.issuer}/auth`,
    token_endpoint: `${acme.issuer}/token`,
    userinfo_endpoint: `${acme.issuer}/profile`,
  };
  machine.configure({
    providers: {
      acme: {
        issuer: acme.issuer,
        clientId: 'cli',
        scope: 'offline_access',
        metadata: { from: 'none', set },
        userinfo: { at: 'data.0', sub: 'id', username: 'login', email: 'mail' },
      },
    },
  });
  for (let times = 0; times < 2; times++) {
    acme.answerNext('/profile', { status: 200, headers: json, body: JSON.stringify(profile) });
  }
  const signedIn = await machine.run(['login', '--json', '--prompt', 'consent'], browserOf(approves));
  expect(signedIn).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(signedIn.stdout)).toMatchObject({
    account: { sub: '4711', username: 'jane', email: 'jane@acme.test', name: null },
  });
  const outcome = await machine.spawn(['whoami', '--json', '-a', 'jane']);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  expect(JSON.parse(outcome.stdout)).toMatchObject({ sub: '4711', preferred_username: 'jane' });
  // Nothing else says who it is.
  acme.answerNext('/profile', {
    status: 401,
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });
  expect(await machine.spawn(['whoami'])).toMatchObject({ exitCode: 5, stdout: '' });
});
