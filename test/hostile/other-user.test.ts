import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { platform } from 'node:process';
import { PassThrough } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { newcomer, signedIn, type Newcomer } from '../support/newcomer.js';
import { callFromOutside, canBeAnotherUser, nobody, stranger } from '../support/other-user.js';
import type { Provider } from '../support/provider.js';
import { requestText, type RawReply } from '../support/raw-http.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { obeyingModes } from '../support/run.js';
import { authorizationResponse } from '../support/user-agents.js';
import { pendingLogin, type PendingLogin } from './pending-login.js';

/** Another user reads the URL in the process list, signs in as himself and brings the answer to our port. */
async function attack(
  { authorizationUrl, redirectUri }: Pick<PendingLogin, 'authorizationUrl' | 'redirectUri'>,
  { uid = nobody, host = '127.0.0.1' }: { uid?: number; host?: string } = {},
): Promise<RawReply> {
  const john = { login: 'john@acme.test', answer: 'allow' };
  const { pathname, search } = await authorizationResponse(authorizationUrl, redirectUri, john);
  const request = requestText(redirectUri.href, `${pathname}${search}`);
  return callFromOutside({ uid, host, port: Number(redirectUri.port), request });
}

function shown({ authorizationUrl }: PendingLogin): string {
  return `Signing in to acme. Visit this address:\n\n  ${authorizationUrl.href}\n\n`;
}

const success = '✓ Signed in to acme as jane@acme.test; the session is kept in a sealed file.\n';

function refusal(user: string, remedy = 'use a browser that runs as this user'): string {
  return (
    `warning: an answer was not taken: it came from another user of this machine (${user}); still waiting. ` +
    `If it was yours, ${remedy}\n`
  );
}

function codesRedeemed(acme: Provider): (string | undefined)[] {
  return acme.requestsTo('/token').map(({ parameters }) => parameters['code']);
}

const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === '::1'),
);

async function pending(
  env: Readonly<Record<string, string>> = {},
  ...argv: string[]
): Promise<Newcomer & { readonly login: PendingLogin }> {
  const person = await newcomer();
  return { ...person, login: await pendingLogin(person.machine, argv, env) };
}

describe.skipIf(platform !== 'linux' || !canBeAnotherUser)('another user of this machine', () => {
  test.each(['127.0.0.1', '::ffff:127.0.0.1'])(
    'cannot sign the person in as himself, by a socket to %s; the person signs in afterwards',
    async (host) => {
      const { acme, machine, login } = await pending();
      const { status, body } = await attack(login, { host });
      expect(status).toBe(403);
      expect(body).toContain(
        '<p>It came from another user of this machine (uid 65534, nobody) than the one whose terminal waits for it. ' +
          'Nothing of it was used.</p>',
      );
      expect(codesRedeemed(acme)).toEqual([]);
      // The second time is no news.
      expect((await attack(login, { host })).status).toBe(403);
      expect(await login.signIn()).toEqual({
        exitCode: 0,
        stdout: '',
        stderr: shown(login) + refusal('uid 65534, nobody') + success,
      });
      expect(codesRedeemed(acme)).toHaveLength(1);
      const sessions = await machine.spawn(['status', '--json']);
      expect(JSON.parse(sessions.stdout)).toMatchObject({
        sessions: [{ account: { email: 'jane@acme.test' } }],
      });
    },
  );

  test.skipIf(!hasIpv6)('cannot answer at either address of localhost', async () => {
    const { acme, login } = await pending({ AUTHCLI_LISTEN: 'localhost' });
    const target = `${login.redirectUri.pathname}?code=STOLEN&state=${login.state}`;
    const request = requestText(login.redirectUri.href, target);
    for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const port = Number(login.redirectUri.port);
      const { status } = await callFromOutside({ uid: nobody, host, port, request });
      expect([host, status]).toEqual([host, 403]);
    }
    login.program.child.kill();
    expect(await login.outcome).toMatchObject({ stderr: shown(login) + refusal('uid 65534, nobody') });
    expect(codesRedeemed(acme)).toEqual([]);
  });

  test('cannot say no in place of the person', async () => {
    const { login } = await pending();
    const error = `${login.redirectUri.pathname}?error=access_denied&state=${login.state}`;
    const request = requestText(login.redirectUri.href, error);
    const port = Number(login.redirectUri.port);
    expect((await callFromOutside({ uid: stranger, port, request })).status).toBe(403);
    expect(await login.signIn()).toMatchObject({
      exitCode: 0,
      stderr: shown(login) + refusal('uid 65533') + success,
    });
  });

  test('is not told from a program that has gone, and neither counts', async () => {
    const { acme, login } = await pending();
    const request = requestText(
      login.redirectUri.href,
      `${login.redirectUri.pathname}?code=STOLEN&state=${login.state}`,
    );
    // The listener sees the connection only after its other end was closed.
    login.program.child.kill('SIGSTOP');
    await callFromOutside({ port: Number(login.redirectUri.port), request, manner: 'closes' });
    login.program.child.kill('SIGCONT');
    await login.program.said(/was not taken/);
    expect(codesRedeemed(acme)).toEqual([]);
    expect(await login.signIn()).toEqual({
      exitCode: 0,
      stdout: '',
      stderr:
        `${shown(login)}warning: an answer was not taken: the system does not say which user it came from; still waiting. ` +
        `If it was yours, use a browser that runs as this user\n${success}`,
    });
  });

  test('who became root with sudo answers with a browser of his own, and no third one does', async () => {
    const { login } = await pending({ SUDO_UID: String(nobody) });
    expect((await attack(login, { uid: stranger })).status).toBe(403);
    const { pathname, search } = await login.response();
    const request = requestText(login.redirectUri.href, `${pathname}${search}`);
    const port = Number(login.redirectUri.port);
    const reply = await callFromOutside({ uid: nobody, port, request });
    expect([reply.status, await login.outcome]).toEqual([
      200,
      { exitCode: 0, stdout: '', stderr: shown(login) + refusal('uid 65533') + success },
    ]);
  });

  test('may be the person’s own browser: what it ends at can be pasted', async () => {
    const { acme, machine } = await newcomer();
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    let page: RawReply | undefined;
    const { exitCode, stderr } = await machine.run(['login', '--prompt', 'consent'], {
      stdin,
      isTerminal: true,
      env: { ...machine.env, NO_COLOR: '1', CI: '' },
      openBrowser: async (url) => {
        const redirectUri = new URL(url.searchParams.get('redirect_uri') ?? '');
        const response = await authorizationResponse(url, redirectUri);
        const request = requestText(redirectUri.href, `${response.pathname}${response.search}`);
        page = await callFromOutside({ uid: nobody, port: Number(redirectUri.port), request });
        expect(codesRedeemed(acme)).toEqual([]);
        stdin.write(`${response.href}\n`);
        return { kind: 'launched' };
      },
    });
    expect(page?.status).toBe(403);
    expect(page?.body).toContain('copy the address of this page and paste it into the terminal that waits');
    // The address stays as it came.
    expect(page?.body).not.toContain('replaceState');
    expect(stderr).toContain(refusal('uid 65534, nobody', 'paste the address that your browser ended at'));
    expect(exitCode).toBe(0);
    expect(codesRedeemed(acme)).toHaveLength(1);
  });

  test('cannot claim that the person was signed out at the provider', async () => {
    const { machine } = await signedIn();
    let page: RawReply | undefined;
    const { exitCode, stderr } = await machine.run(['logout', '--end-session', '--timeout', '5s'], {
      openBrowser: async (url) => {
        const redirectUri = new URL(url.searchParams.get('post_logout_redirect_uri') ?? '');
        const port = Number(redirectUri.port);
        const request = (target: string) => requestText(redirectUri.href, target);
        const back = `${redirectUri.pathname}?state=${url.searchParams.get('state')}`;
        page = await callFromOutside({ uid: nobody, port, request: request(back) });
        void callFromOutside({ port, request: request(back) });
        return { kind: 'launched' };
      },
    });
    expect(page?.status).toBe(403);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining(`${refusal('uid 65534, nobody')}✓ Signed out at acme too.\n`),
    });
  });
});

const canNamespace =
  requirement('unshare', isOnPath('unshare')) && spawnSync('unshare', ['-m', '-U', 'true']).status === 0;

describe.skipIf(platform !== 'linux' || !canBeAnotherUser || !canNamespace)(
  'a system that tells less',
  () => {
    test('a container that has no number for a user: one without a name is not ours, though both read as 65534', async () => {
      const { machine } = await newcomer();
      const login = await pendingLogin({
        ...machine,
        start: (argv, env) => machine.start(argv, env, ['unshare', '--user']),
      });
      expect((await attack(login, { uid: stranger })).status).toBe(403);
      login.program.child.kill();
      expect(await login.outcome).toMatchObject({
        stderr: expect.stringContaining(refusal('uid 65534, nobody')),
      });
    });

    test.each([
      ['without /proc', 'true', []],
      [
        'whose table is not ours to read',
        'mkdir -p self/net && touch self/net/tcp && chmod 0 self/net/tcp',
        obeyingModes,
      ],
      ['whose table is empty', 'mkdir -p self/net && echo "  sl  local_address" >self/net/tcp', []],
    ])('a machine %s asks nobody who they are, and says so with -v', async (_title, fill, starter) => {
      const { machine } = await newcomer();
      const hide = `mount -t tmpfs none /proc && cd /proc && ${fill} && cd / && exec "$0" "$@"`;
      const login = await pendingLogin(
        {
          ...machine,
          start: (argv, env) =>
            machine.start(argv, env, ['unshare', '--mount', 'sh', '-c', hide, ...starter]),
        },
        ['-v'],
      );
      const { exitCode, stderr } = await login.signIn();
      expect(exitCode).toBe(0);
      expect(stderr).toContain(
        'trace: the system does not say which user a connection comes from, so an answer of every user counts\n',
      );
      expect(stderr).toContain(success);
    });
  },
);
