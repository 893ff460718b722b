import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';

import { describe, expect, test, vi } from 'vitest';

import { assertNoCanary } from '../support/canaries.js';
import { login, newcomer } from '../support/newcomer.js';
import type { Provider } from '../support/provider.js';
import { isRefused } from '../support/raw-http.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { agent, launcher, newMachine, type Machine, type RunningProgram } from '../support/run.js';
import { authorizationResponse } from '../support/user-agents.js';
import { pendingLogin } from './pending-login.js';
import { listeningSockets, processesOf } from './processes.js';
import { canUseTerminal, inTerminal, type TerminalProgram } from './pty.js';
import { patience } from './sizes.js';

const success = { exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/), stderr: '' };
const refresh = ['token', '--force-refresh'];
const toLogin = ['login', '-q', '--prompt', 'consent', '--browser', agent];
const discovery = '/.well-known/openid-configuration';

/** Settles when a request has reached that place, where it stays without an answer. */
function heldAt(acme: Provider, path: string): Promise<void> {
  return new Promise((resolve) => acme.answerNext(path, () => new Promise(() => resolve())));
}

/** Sends the signal; how the program ended then, and after how long. */
async function signalled(
  { child }: RunningProgram,
  signal: NodeJS.Signals,
  pid: number,
): Promise<{ code: unknown; by: unknown; ms: number }> {
  const closed = once(child, 'close');
  const sentAt = performance.now();
  process.kill(pid, signal);
  const [code, by]: unknown[] = await closed;
  return { code, by, ms: performance.now() - sentAt };
}

async function authorizationUrl(program: TerminalProgram): Promise<{ url: URL; redirectUri: URL }> {
  const [, shown = ''] = await program.shown(/(http:\S+code_challenge=\S+)\s/);
  const url = new URL(shown);
  return { url, redirectUri: new URL(url.searchParams.get('redirect_uri') ?? '') };
}

test('CLI-01: authcli token says the token and a line break, and nothing else anywhere', async () => {
  const { acme, machine } = await newcomer();
  const tokenSet = '{"access_token":"the-very-access-token","token_type":"Bearer","expires_in":3600}';
  await login(machine);
  acme.answerNext('/token', { status: 200, headers: { 'content-type': 'application/json' }, body: tokenSet });
  const exactly = { exitCode: 0, stdout: 'the-very-access-token\n', stderr: '' };
  expect(await machine.spawn(refresh)).toEqual(exactly);
  expect(await machine.spawn(['token'])).toEqual(exactly);
  expect(await machine.spawn(['token', '--verbose'])).toEqual(exactly);
});

test('CLI-02: what cannot be meant is refused at once: no request, no store, no configuration', async () => {
  const { acme } = await newcomer();
  const machine = newMachine({ AUTHCLI_STORE: 'file' });
  const times: number[] = [];
  for (const argv of [
    ['token', '--frob'],
    ['tokn'],
    ['token', '--min-ttl'],
    ['token', '--min-ttl', 'soon'],
    ['login', '--issuer', acme.issuer, '--client-id', 'cli', '--port', '99999'],
    ['login', '--issuer', acme.issuer],
    ['--store', 'cloud', 'login', '--issuer', acme.issuer, '--client-id', 'cli'],
    ['logout', '--all', 'now'],
    ['token', '-undefined'],
  ]) {
    const begun = performance.now();
    const { exitCode, stdout, stderr } = await machine.spawn(argv);
    times.push(performance.now() - begun);
    expect([argv, exitCode, stdout]).toEqual([argv, 2, '']);
    expect(stderr).toMatch(/^error: .+\n(hint: .+\n)?$/);
  }
  expect(Math.min(...times)).toBeLessThan(500);
  expect(acme.requests).toEqual([]);
  expect(readdirSync(machine.folder)).toEqual([]);
});

describe('CLI-04: a secret on the command line', () => {
  test('is asked for by no option of any command', async () => {
    const machine = newMachine();
    const { stdout: overview } = await machine.spawn(['--help']);
    const commands = Array.from(overview.matchAll(/^ {2}([a-z]+)\b/gm), ([, name = '']) => name);
    expect(commands).toContain('token');
    const helps = await Promise.all(
      commands.map(async (name) => (await machine.spawn([name, '--help'])).stdout),
    );
    const options = helps.flatMap((help) => help.match(/--[\w-]+[ =]<?[A-Z|a-z=]+>?/g) ?? []);
    expect(options.length).toBeGreaterThan(10);
    const suspects = options.filter((option) => /secret|password|passphrase|token|code\b|key/i.test(option));
    // These name where a secret is, not what it is.
    expect(
      suspects.filter(
        (option) => !/-(env|file|cmd|param|type)\b|--token-param|--client-(cert-)?key <PATH>/.test(option),
      ),
    ).toEqual([]);
  });

  test.each([
    '--client-secret=hush-hush-hush',
    '--passphrase=hush-hush-hush',
    '--refresh-token=hush-hush-hush',
  ])('%s is refused without being repeated', async (option) => {
    const { exitCode, stdout, stderr } = await newMachine().spawn(['login', option]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).not.toContain('hush');
  });
});

describe.skipIf(!canUseTerminal)('in a terminal', () => {
  test('CLI-05: what is pasted and does not belong to this login is not redeemed; a good paste ends the wait', async () => {
    const { acme, machine } = await newcomer();
    const program = inTerminal(machine, ['login', '--browser', 'none']);
    const { url, redirectUri } = await authorizationUrl(program);
    const state = url.searchParams.get('state') ?? '';
    for (const [paste, complaint] of [
      [`${redirectUri.href}?code=FORGED&state=of-another-login`, 'the URL belongs to another login'],
      [`http://127.0.0.1:1/callback?code=FORGED&state=${state}`, 'that cannot be used'],
      [`${redirectUri.href}?code=FORGED&code=FORGED&state=${state}`, 'that cannot be used'],
      ['https://evil.test/', 'that cannot be used'],
    ] as const) {
      program.type(`${paste}\n`);
      await program.shown(new RegExp(complaint));
    }
    program.type(`${(await authorizationResponse(url, redirectUri)).href}\n`);
    const { exitCode, screen } = await program.ended;
    expect(exitCode).toBe(0);
    expect(screen.match(/that cannot be used/g)).toHaveLength(4);
    expect(acme.requestsTo('/token').map(({ parameters }) => parameters['code'])).toEqual([
      expect.not.stringContaining('FORGED'),
    ]);
  });

  test('CLI-05: a pasted response of another issuer ends the login without a request', async () => {
    const { acme, machine } = await newcomer();
    const program = inTerminal(machine, ['login', '--browser', 'none']);
    const { url, redirectUri } = await authorizationUrl(program);
    const response = await authorizationResponse(url, redirectUri);
    response.searchParams.set('iss', 'https://evil.test');
    program.type(`${response.href}\n`);
    expect(await program.ended).toMatchObject({ exitCode: 5 });
    expect(acme.requestsTo('/token')).toEqual([]);
  });

  test.each<[title: string, env: Record<string, string>, columns: number]>([
    ['a terminal that knows no colours, 20 columns wide', { TERM: 'dumb', NO_COLOR: '1', LC_ALL: 'C' }, 20],
    ['a dumb terminal', { TERM: 'dumb' }, 80],
    ['CI', { CI: 'true' }, 80],
  ])('CLI-16: %s gets no escape codes, and the address in one piece', async (_title, env, columns) => {
    const { machine } = await newcomer();
    const program = inTerminal(machine, ['login', '--browser', 'none'], { env, columns });
    const { url, redirectUri } = await authorizationUrl(program);
    expect(url.searchParams.get('response_type')).toBe('code');
    await fetch(await authorizationResponse(url, redirectUri));
    const { exitCode, screen } = await program.ended;
    expect(exitCode).toBe(0);
    expect(screen).not.toContain('\u001B');
    expect(screen).toMatch(/Signed in to acme as jane@acme\.test/);
  });

  test('CLI-16: NO_COLOR takes the colour from the spinner, too', async () => {
    const { machine } = await newcomer();
    const program = inTerminal(machine, ['login', '--browser', 'none'], { env: { NO_COLOR: '1' } });
    const { url, redirectUri } = await authorizationUrl(program);
    await program.shown(/Waiting for the sign-in/);
    await fetch(await authorizationResponse(url, redirectUri));
    const { exitCode, screen } = await program.ended;
    expect(exitCode).toBe(0);
    // Colours end in an m; what moves the cursor does not.
    expect(screen.split('\u001B[').filter((part) => /^[\d;]*m/.test(part))).toEqual([]);
  });

  test('CLI-17: authcli token prints the token there as anywhere', async () => {
    const { machine } = await newcomer();
    await login(machine);
    const { stdout } = await machine.spawn(['token']);
    expect(await inTerminal(machine, ['token']).ended).toEqual({ exitCode: 0, screen: stdout });
  });
});

describe('CLI-08: a signal ends a command at once, and its listener:', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s while a login waits', async (signal) => {
    const { machine } = await newcomer();
    const pending = await pendingLogin(machine);
    const port = Number(pending.redirectUri.port);
    expect(await isRefused(port)).toBe(false);
    const { code, by, ms } = await signalled(pending.program, signal, pending.pid);
    expect([code, by]).toEqual([null, signal]);
    expect(ms).toBeLessThan(1_000 * patience);
    expect(await isRefused(port)).toBe(true);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s during the discovery is no fault of the provider',
    async (signal) => {
      const { acme, machine } = await newcomer();
      const asked = heldAt(acme, discovery);
      const program = machine.start(['login', '--browser', 'none']);
      await asked;
      const { code, by, ms } = await signalled(program, signal, program.pid);
      expect([code, by]).toEqual([null, signal]);
      expect(ms).toBeLessThan(1_000 * patience);
      expect((await program.outcome).stderr).toBe('');
    },
  );

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s during the exchange keeps nothing, and the page says so',
    async (signal) => {
      const { acme, machine } = await newcomer();
      const asked = heldAt(acme, '/token');
      const pending = await pendingLogin(machine);
      const page = fetch(await pending.response());
      await asked;
      const { code, by, ms } = await signalled(pending.program, signal, pending.pid);
      expect([code, by]).toEqual([null, signal]);
      expect(ms).toBeLessThan(10_000);
      expect(await (await page).text()).toContain('the sign-in was cancelled in the terminal');
      expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
      expect(await isRefused(Number(pending.redirectUri.port))).toBe(true);
    },
  );

  test.skipIf(!requirement('strace', isOnPath('strace')))(
    'SIGINT while the session is being written lets the write end',
    async () => {
      const { machine } = await newcomer();
      await login(machine);
      const before = await machine.spawn(['token']);
      const slowly = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=rename:delay_enter=300000'];
      const program = machine.start(toLogin, {}, slowly);
      await renameBegun(machine);
      const pid =
        processesOf(machine).find((one) => commandLine(one).startsWith(`${execPath} ${launcher}`)) ?? 0;
      const { ms } = await signalled(program, 'SIGINT', pid);
      expect(ms).toBeLessThan(10_000);
      const after = await machine.spawn(['token']);
      expect(after).toEqual(success);
      expect(after.stdout).not.toBe(before.stdout);
      expect(await machine.spawn(refresh)).toEqual(success);
    },
  );

  test('SIGTERM during a logout leaves nothing half signed out', async () => {
    const { acme, machine } = await newcomer();
    await login(machine);
    const asked = heldAt(acme, '/token/revocation');
    const program = machine.start(['logout']);
    await asked;
    const { code, by } = await signalled(program, 'SIGTERM', program.pid);
    expect([code, by]).toEqual([null, 'SIGTERM']);
    // The provider may have revoked a token already: such a session gives none, and a second sign-out ends it.
    expect(await machine.spawn(['token'])).toMatchObject({ exitCode: 4, stdout: '' });
    expect(await machine.spawn(['logout'])).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('SIGINT even where a script’s shell had it ignored', async () => {
    const { machine } = await newcomer();
    const script = `"$0" "$@" 2>&1 & echo "pid=$!" >&2; wait $!; echo "code=$?" >&2`;
    const program = machine.start(['login', '--browser', 'none'], {}, ['sh', '-c', script]);
    const [, pid] = await program.said(/pid=(\d+)/);
    await once(program.child.stdout, 'data');
    process.kill(Number(pid), 'SIGINT');
    expect((await program.outcome).stderr).toContain('code=130\n');
  });
});

/** Until the temporary file of the session is complete, and its rename held up. */
function renameBegun({ folder }: Machine): Promise<void> {
  const sessions = join(folder, 'state', 'sessions');
  return vi.waitFor(
    () => {
      const temporary = readdirSync(sessions).find((name) => /\.session\.[0-9a-f]+\.tmp$/.test(name)) ?? '';
      expect(readFileSync(join(sessions, temporary), 'utf8')).toMatch(/\n$/);
    },
    { timeout: 20_000, interval: 5 },
  );
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}

describe('CLI-09: an answer that nobody takes is a failure in one line', () => {
  const commands = [
    ['token'],
    ['status', '--json'],
    ['provider', 'list'],
    ['login', '-q', '--json', '--browser', agent],
  ];

  test.each(commands)('a full device: authcli %s', async (...argv) => {
    const { machine } = await newcomer();
    await login(machine);
    const full = ['sh', '-c', '"$0" "$@" > /dev/full'];
    const { exitCode, stderr } = await machine.start(argv, {}, full).outcome;
    expect(exitCode).toBe(1);
    expect(stderr.trimEnd().split('\n').slice(-2).join()).toContain('cannot write the answer: ENOSPC');
    expect(await machine.spawn(['token'])).toEqual(success);
  });

  test.each(commands)('a reader that is gone: authcli %s', async (...argv) => {
    const { machine } = await newcomer();
    await login(machine);
    const child = spawn(execPath, [launcher, ...argv], {
      env: machine.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const closed = once(child, 'close');
    const stderr = await text(child.stderr);
    expect(await closed).toEqual([1, null]);
    expect(stderr.trimEnd().split('\n').slice(-2).join()).toContain('cannot write the answer: EPIPE');
    assertNoCanary(stderr, 'stderr');
    expect(await machine.spawn(['token'])).toEqual(success);
  });

  test('stderr that nobody reads keeps no command from its answer', async () => {
    const { machine } = await newcomer();
    await login(machine);
    const deaf = ['sh', '-c', 'exec "$0" "$@" 2> /dev/full'];
    expect(await machine.start([...refresh, '-v'], {}, deaf).outcome).toEqual(success);
  });
});

describe('CLI-12: no variable moves the listener off this machine', () => {
  test.each([
    ['AUTHCLI_CALLBACK_HOST', 'evil.test'],
    ['OAUTH_CALLBACK_HOST', '0.0.0.0'],
    ['HOST', '0.0.0.0'],
    ['HOSTNAME', 'evil.test'],
  ])('%s=%s', async (name, value) => {
    const { machine } = await newcomer();
    const { pid, redirectUri } = await pendingLogin(machine, [], { [name]: value });
    expect(redirectUri.hostname).toBe('127.0.0.1');
    expect(listeningSockets(pid)).toEqual([`127.0.0.1:${redirectUri.port}`]);
  });

  test.each([
    ['AUTHCLI_LISTEN', '0.0.0.0'],
    ['AUTHCLI_LISTEN', 'evil.test'],
    ['AUTHCLI_REDIRECT_URI', 'http://evil.test/callback'],
    ['AUTHCLI_REDIRECT_URI', 'http://0.0.0.0:8080/callback'],
  ])('%s=%s is refused before anything is done', async (name, value) => {
    const { acme, machine } = await newcomer();
    const outcome = await machine.spawn(['login'], { [name]: value });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`^error: [^\\n]*${name}[^\\n]*\\n(hint: [^\\n]+\\n)?$`));
    expect(acme.requests).toEqual([]);
  });

  test.each(['0.0.0.0:8080', 'evil.test', '-1', '65536', '1e3'])('AUTHCLI_PORT=%s', async (port) => {
    const { acme, machine } = await newcomer();
    expect(await machine.spawn(['login'], { AUTHCLI_PORT: port })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'error: AUTHCLI_PORT must be a port, 0 to 65535\n',
    });
    expect(acme.requests).toEqual([]);
  });
});

test('CLI-13: certificates that nobody verifies are refused by every command', async () => {
  const { acme, machine } = await newcomer();
  const requests = acme.requests.length;
  for (const argv of [toLogin, ['token'], ['logout'], ['status'], ['provider', 'list']]) {
    expect(await machine.spawn(argv, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: NODE_TLS_REJECT_UNAUTHORIZED=0 switches the verification of TLS certificates off\n' +
        'hint: unset it; NODE_EXTRA_CA_CERTS=FILE adds a CA of your own\n',
    });
  }
  expect(acme.requests).toHaveLength(requests);
});
