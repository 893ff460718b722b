import { describe, expect, test } from 'vitest';

import { newcomer, startAcme, type Newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import type { Outcome } from '../support/run.js';
import { formText, sendRaw } from '../support/raw-http.js';
import { authorizationResponse } from '../support/user-agents.js';
import { pendingLogin, type PendingLogin } from './pending-login.js';
import { recordingBrowser } from './recording-browser.js';

interface Answered extends Newcomer {
  readonly login: PendingLogin;
  readonly status: number;
  readonly page: string;
  readonly outcome: Outcome;
}

/** A login whose response is changed on its way home. */
async function answeredWith(
  change: (response: URLSearchParams, acme: Provider) => void,
  ...argv: string[]
): Promise<Answered> {
  const { acme, machine } = await newcomer();
  const login = await pendingLogin(machine, argv);
  const response = await login.response();
  change(response.searchParams, acme);
  const answer = await fetch(response);
  return {
    acme,
    machine,
    login,
    status: answer.status,
    page: await answer.text(),
    outcome: await login.outcome,
  };
}

/** Nothing was redeemed or kept, and page and terminal say the same. */
async function expectRefusal(
  { acme, machine, login, status, page, outcome }: Answered,
  exitCode: number,
  error: string,
  hint?: string,
): Promise<void> {
  const lines = [`error: ${error}`, ...(hint === undefined ? [] : [`hint: ${hint}`])];
  expect(outcome).toEqual({
    exitCode,
    stdout: '',
    stderr: `Signing in to acme. Visit this address:\n\n  ${login.authorizationUrl.href}\n\n${lines.join('\n')}\n`,
  });
  expect(status).toBe(400);
  expect(page).toContain('<h1>Sign-in failed</h1>');
  expect(acme.requestsTo('/token')).toEqual([]);
  expect(await machine.spawn(['status', '--json'])).toEqual({
    exitCode: 0,
    stdout: '{"sessions":[]}\n',
    stderr: '',
  });
}

/** The same response, refused as one that no provider sends; the login waits for the right one. */
async function expectIgnored(
  changes: readonly ((response: URLSearchParams, acme: Provider) => void)[],
): Promise<void> {
  const { acme, machine } = await newcomer();
  const login = await pendingLogin(machine);
  const good = await login.response();
  for (const change of changes) {
    const response = new URL(good);
    change(response.searchParams, acme);
    const { status } = await fetch(response);
    expect([response.search, status]).toEqual([response.search, 400]);
  }
  expect(acme.requestsTo('/token')).toEqual([]);
  expect((await fetch(good)).status).toBe(200);
  expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(1);
}

/** The provider's metadata as it would be without a promise to send `iss`. */
async function announceNoIssuer(acme: Provider): Promise<void> {
  const path = '/.well-known/openid-configuration';
  const metadata = await (await fetch(acme.issuer + path)).text();
  acme.answerNext(path, {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: metadata.replace('"authorization_response_iss_parameter_supported":true', '"x":true'),
  });
}

describe('the issuer of the response', () => {
  const wrongIssuer = 'failed a check: unexpected "iss" (issuer) response parameter value';

  test.each<[string, (issuer: string) => string]>([
    ['of another provider', () => 'https://evil.test'],
    ['with a slash more', (issuer) => `${issuer}/`],
    ['of another scheme', (issuer) => issuer.replace('http:', 'https:')],
    ['of another port', (issuer) => `${issuer}1`],
    ['of another name of the same host', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
  ])('AUR-01: %s is refused', async (_what, change) => {
    const answered = await answeredWith((response, { issuer }) => response.set('iss', change(issuer)));
    await expectRefusal(answered, 5, `the code exchange ${wrongIssuer}`);
  });

  test.each<[string, (issuer: string) => string]>([
    ['in capitals', (issuer) => issuer.toUpperCase()],
    ['encoded twice', (issuer) => encodeURIComponent(issuer)],
    ['in the form that a URL parser makes equal', (issuer) => issuer.replace('127.0.0.1', '127.1')],
    ['with a space around it', (issuer) => ` ${issuer}`],
  ])('AUR-04: %s is not equal, character by character', async (_what, change) => {
    const answered = await answeredWith((response, { issuer }) => response.set('iss', change(issuer)));
    await expectRefusal(answered, 5, `the code exchange ${wrongIssuer}`);
  });

  test.each<[string, (response: URLSearchParams) => void]>([
    ['missing', (response) => response.delete('iss')],
    ['empty', (response) => response.set('iss', '')],
  ])('AUR-02: %s, though the provider announces to send it, is refused', async (_what, change) => {
    const answered = await answeredWith(change);
    await expectRefusal(
      answered,
      5,
      'the code exchange failed a check: response parameter "iss" (issuer) missing',
    );
  });

  test('AUR-02: missing, where the provider announces nothing, is no fault', async () => {
    const { acme, machine } = await newcomer();
    await announceNoIssuer(acme);
    const login = await pendingLogin(machine);
    const response = await login.response();
    response.searchParams.delete('iss');
    expect((await fetch(response)).status).toBe(200);
    expect(await login.outcome).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('AUR-04: twice is no response at all: 400, and the login goes on', async () => {
    await expectIgnored([
      (response, { issuer }) => response.append('iss', issuer),
      (response) => response.append('iss', 'https://evil.test'),
    ]);
  });

  test('an empty error beside the code is none', async () => {
    const { outcome } = await answeredWith((response) => response.set('error', ''));
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('AUR-05: the code of an honest provider never reaches the one that mixed it up', async () => {
    const { acme, machine } = await newcomer();
    const evil = await startAcme();
    await announceNoIssuer(evil);
    await machine.run([
      'provider',
      'add',
      'evil',
      '--issuer',
      evil.issuer,
      '--client-id',
      'cli',
      '--scope',
      'openid',
    ]);
    const login = await pendingLogin(machine, ['-p', 'evil']);
    const honest = new URL('/auth', acme.issuer);
    honest.search = login.authorizationUrl.search;
    evil.answerNext('/auth', { status: 302, headers: { location: honest.href } });
    const response = await login.response();
    expect(response.searchParams.get('state')).toBe(login.state);
    expect((await fetch(response)).status).toBe(400);
    expect(await login.outcome).toMatchObject({
      exitCode: 5,
      stdout: '',
      stderr: expect.stringContaining(`${wrongIssuer}\n`),
    });
    expect([...evil.requestsTo('/token'), ...acme.requestsTo('/token')]).toEqual([]);
  });

  test('AUR-05: nor where the honest one names no issuer, and each has a redirect URI of its own', async () => {
    const { acme, machine } = await newcomer();
    const evil = await startAcme();
    await announceNoIssuer(acme);
    await announceNoIssuer(evil);
    machine.configure({
      providers: {
        acme: { issuer: acme.issuer, clientId: 'cli' },
        evil: { issuer: evil.issuer, clientId: 'cli', redirect: { path: '/callback/evil' } },
      },
    });
    const login = await pendingLogin(machine, ['-p', 'evil']);
    const honest = new URL('/auth', acme.issuer);
    honest.search = login.authorizationUrl.search;
    const refused = await (await fetch(honest)).text();
    expect(refused).toContain('invalid_redirect_uri');

    honest.searchParams.set('redirect_uri', new URL('/callback', login.redirectUri).href);
    const response = await authorizationResponse(honest, new URL('/callback', login.redirectUri));
    expect(response.searchParams.get('code')).toMatch(/./);
    expect(response.searchParams.get('state')).toBe(login.state);
    response.searchParams.delete('iss');
    expect((await fetch(response)).status).toBe(404);

    login.program.child.kill('SIGINT');
    expect(await login.outcome).toMatchObject({ stdout: '' });
    expect([...evil.requestsTo('/token'), ...acme.requestsTo('/token')]).toEqual([]);
  });

  test('AUR-18: an error of another issuer is not told as one of the provider', async () => {
    const answered = await answeredWith((response) => {
      response.delete('code');
      response.set('error', 'access_denied');
      response.set('error_description', 'You are blocked, call +1 900');
      response.set('iss', 'https://evil.test');
    });
    await expectRefusal(answered, 5, `the sign-in ${wrongIssuer}`);
  });
});

describe('an error with the right state', () => {
  test.each([
    ['access_denied', 3, 'run authcli login again and allow the access'],
    ['consent_required', 3, 'run authcli login again and allow the access'],
    ['login_required', 5, 'run authcli login without --prompt none'],
    ['server_error', 5, 'try again in a moment; if it stays, ask those who run the provider'],
    ['ACCESS_DENIED', 5, undefined],
    ['__proto__', 5, undefined],
    ['constructor', 5, undefined],
  ])('AUR-18: %s of the right issuer ends the login with exit %i', async (error, exitCode, hint) => {
    const answered = await answeredWith((response) => {
      response.delete('code');
      response.set('error', error);
    });
    await expectRefusal(answered, exitCode, `the provider refused the sign-in: ${error}`, hint);
  });

  const hostile =
    'Oh\u001b[2J\u001b]52;c;ZXZpbA==\u0007\u001b]8;;https://evil.test\u001b\\here\u009b31m\r\nerror: fake\u0000\u007f\u0085 ' +
    '\u202egnp.exe\u2066\u2028\u200b\ufeff';
  const printable = 'Oh [2J ]52;c;ZXZpbA== ]8;;https://evil.test \\here 31m error: fake  gnp.exe';

  test.each<[string, string, ...argv: string[]]>([
    ['in its description', 'error_description'],
    ['in its code', 'error'],
  ])(
    'AUR-08: nothing %s moves the cursor, sets the clipboard or turns the reading direction',
    async (_where, name) => {
      const answered = await answeredWith((response) => {
        response.delete('code');
        response.set('error', 'server_error');
        response.set(name, hostile);
      });
      expect(answered.outcome.exitCode).toBe(5);
      const said = name === 'error' ? printable : `server_error (${printable})`;
      expect(answered.outcome.stderr.split('\n')[4]).toBe(`error: the provider refused the sign-in: ${said}`);
      expect(answered.outcome.stderr).not.toMatch(/[^\n\P{Cc}]|[\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(answered.page).not.toMatch(/[^\n\P{Cc}]|[\p{Cf}\p{Zl}\p{Zp}]/u);
    },
  );

  test('AUR-08: a description as long as a book is cut to a line, and one that is longer is no response', async () => {
    const { acme, machine } = await newcomer();
    const login = await pendingLogin(machine, ['--response-mode', 'form_post']);
    const form = (length: number) =>
      `error=server_error&error_description=${'x'.repeat(length)}&state=${login.state}&iss=${encodeURIComponent(acme.issuer)}`;
    const { href } = login.redirectUri;
    expect((await sendRaw(href, formText(href, '/callback', form(100 * 1024)))).status).toBe(413);
    expect((await sendRaw(href, formText(href, '/callback', form(60 * 1024)))).status).toBe(400);
    const { exitCode, stderr } = await login.outcome;
    expect(exitCode).toBe(5);
    const [error = ''] = stderr.split('\n').slice(4);
    expect(error).toMatch(/^error: the provider refused the sign-in: server_error \(x+\.\.\.$/);
    expect(error.length).toBeLessThanOrEqual(500 + 'error: '.length);
  });

  test.each(['javascript:alert(1)', 'file:///etc/passwd', 'https://evil.test/help'])(
    'AUR-09: the page of an error (%s) is neither opened nor shown',
    async (errorUri) => {
      const { machine } = await newcomer();
      const browser = recordingBrowser(machine);
      const login = await pendingLogin(machine, ['--browser', browser.path]);
      const response = await authorizationResponse(login.authorizationUrl, login.redirectUri);
      response.searchParams.delete('code');
      response.searchParams.set('error', 'server_error');
      response.searchParams.set('error_uri', errorUri);
      const page = await (await fetch(response)).text();
      const { exitCode, stderr } = await login.outcome;
      expect(exitCode).toBe(5);
      expect(stderr).toContain('\nerror: the provider refused the sign-in: server_error\n');
      expect(stderr).not.toContain(errorUri);
      expect(page).not.toContain(errorUri);
      expect(browser.urls()).toEqual([login.authorizationUrl.href]);
    },
  );
});

describe('what else a response may carry', () => {
  const unsigned = 'eyJhbGciOiJub25lIn0.eyJjb2RlIjoiU1RPTEVOIn0.';

  test('AUR-12: a response object that nobody asked for is refused, and the login goes on', async () => {
    await expectIgnored([
      (response) => response.set('response', unsigned),
      (response) => response.set('response', ''),
      (response) => {
        response.delete('code');
        response.set('response', unsigned);
      },
    ]);
  });

  test.each(['id_token', 'token'])(
    'AUR-12: an answer to another kind of request (%s) is refused',
    async (name) => {
      const answered = await answeredWith((response) => response.set(name, unsigned));
      const error = 'the code exchange failed a check: implicit and hybrid flows are not supported';
      await expectRefusal(answered, 5, error);
    },
  );

  test('AUR-12: an access token in the response is not taken', async () => {
    const { machine, outcome } = await answeredWith((response) => response.set('access_token', unsigned));
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect((await machine.spawn(['token'])).stdout).toMatch(/^[\w-]{43}\n$/);
  });

  test('AUR-13: parameters that nobody knows are ignored', async () => {
    const { outcome, acme, page } = await answeredWith((response) => {
      response.set('session_state', 'f4a2.9c');
      response.set('foo', '<script>alert(1)</script>');
      response.set('__proto__', '{"admin":true}');
      response.set('scope', 'admin');
      response.set('', '');
    });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
    expect(page).not.toContain('alert(1)');
    expect(acme.requestsTo('/token')).toHaveLength(1);
  });

  test('AUR-14: the response of an earlier login is refused by a later one', async () => {
    const { acme, machine } = await newcomer();
    const earlier = await pendingLogin(machine);
    const response = await earlier.response();
    expect((await fetch(response)).status).toBe(200);
    await earlier.outcome;
    const later = await pendingLogin(machine);
    expect((await fetch(new URL(response.search, later.redirectUri))).status).toBe(400);
    expect(acme.requestsTo('/token')).toHaveLength(1);
    expect(await later.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
    const codes = acme.requestsTo('/token').map(({ parameters }) => parameters['code']);
    expect(codes).toEqual([
      response.searchParams.get('code'),
      expect.not.stringContaining(response.searchParams.get('code') ?? ''),
    ]);
  });
});
