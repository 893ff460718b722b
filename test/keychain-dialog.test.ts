import { performance } from 'node:perf_hooks';

import { describe, expect, test } from 'vitest';

import { canUseTerminal, inTerminal } from './hostile/pty.js';
import { forThisTest } from './support/keyring.js';
import { newcomer, type Newcomer } from './support/newcomer.js';
import { agent } from './support/run.js';
import { startPeer, startScriptedKeyring, type ScriptedKeyring } from './support/scripted-keyring.js';

const told = 'The keychain has not answered yet. It may show a dialog that waits for you.\n';
const restart = 'if it hangs, restart it (gnome-keyring-daemon --replace) or log in again\n';
const inVain =
  'error: the keyring did not answer within 4 s\n' +
  `hint: if it shows a dialog, run the command in a terminal: there is time to answer it there; ${restart}`;
const noColour = { NO_COLOR: '1' };
const never = 600_000;
const token = /^[\w.-]+\n$/;

interface KeyringUser extends Newcomer {
  readonly keyring: ScriptedKeyring;
}

/** Somebody with a keyring that answers at once, until it is told to show a dialog first. */
async function withKeyring(): Promise<KeyringUser> {
  const keyring = await forThisTest(startScriptedKeyring({ empty: true }));
  return { ...(await newcomer(keyring.env)), keyring };
}

async function signedIn(): Promise<KeyringUser> {
  const user = await withKeyring();
  expect(await user.machine.spawn(['login', '--browser', agent])).toMatchObject({ exitCode: 0 });
  return user;
}

async function timed<Result extends object>(work: Promise<Result>): Promise<Result & { seconds: number }> {
  const begun = performance.now();
  return { ...(await work), seconds: (performance.now() - begun) / 1000 };
}

describe.skipIf(!canUseTerminal)('at a terminal', () => {
  test('a token waits for the person at the dialog of the keychain, and says so', async () => {
    const { machine, keyring } = await signedIn();
    keyring.delays.set('GetSecret', 6_000);
    const { exitCode, screen } = await inTerminal(machine, ['token']).ended;
    expect({ exitCode, screen: screen.slice(0, told.length) }).toEqual({ exitCode: 0, screen: told });
    expect(screen.slice(told.length)).toMatch(token);
  });

  test.each(['Get', 'OpenSession', 'SearchItems'])('a dialog at %s has the same time', async (member) => {
    const { machine, keyring } = await signedIn();
    keyring.delays.set(member, 5_000);
    const { exitCode, screen } = await inTerminal(machine, ['whoami']).ended;
    expect({ exitCode, screen }).toEqual({ exitCode: 0, screen: expect.stringContaining(told) });
  });

  test('a sign-in has that time for each dialog, and tells of each', async () => {
    const { machine, keyring } = await withKeyring();
    keyring.delays.set('CreateItem', 5_000);
    const { exitCode, screen } = await inTerminal(machine, ['login', '--browser', agent]).ended;
    expect({ exitCode, screen }).toEqual({ exitCode: 0, screen: expect.stringContaining(told) });
  });

  test('a dialog that nobody answers is given up just before the time of the command ends', async () => {
    const { machine, keyring } = await signedIn();
    keyring.delays.set('GetSecret', never);
    const { seconds, ...outcome } = await timed(
      inTerminal(machine, ['token', '--timeout', '7s'], { env: noColour }).ended,
    );
    expect(outcome).toEqual({
      exitCode: 7,
      screen: expect.stringMatching(
        /^The keychain .*\nerror: the keyring did not answer within 6\.[4-9] s\nhint: see whether it shows a dialog; if it hangs, restart it .*\n$/,
      ),
    });
    expect(seconds).toBeLessThan(9);
  });

  test('Ctrl-C ends the wait at once', async () => {
    const { machine, keyring } = await signedIn();
    keyring.delays.set('GetSecret', never);
    const terminal = inTerminal(machine, ['token']);
    await terminal.shown(/may show a dialog/);
    terminal.type('\x03');
    const { seconds, ...outcome } = await timed(terminal.ended);
    expect(outcome).toEqual({ exitCode: 130, screen: `${told}^C` });
    expect(seconds).toBeLessThan(2);
  });

  test.each([
    ['--no-input', ['token', '--no-input'], {}],
    ['CI', ['token'], { CI: 'true' }],
  ])('with %s nobody is there to answer it', async (_title, argv, env) => {
    const { machine, keyring } = await signedIn();
    keyring.delays.set('GetSecret', never);
    const { seconds, ...outcome } = await timed(inTerminal(machine, argv, { env }).ended);
    expect(outcome).toEqual({ exitCode: 7, screen: inVain });
    expect(seconds).toBeLessThan(5);
  });

  test('a bus that never says a word shows no dialog, and is given up as ever', async () => {
    const { machine } = await signedIn();
    const mute = await forThisTest(startPeer(() => {}));
    const { seconds, ...outcome } = await timed(
      inTerminal(machine, ['token'], { env: { ...mute.env, ...noColour } }).ended,
    );
    expect(outcome).toEqual({
      exitCode: 7,
      screen: expect.stringMatching(
        /^error: the D-Bus of this session did not answer within 4 s\nhint: log out and in again, .*\n$/,
      ),
    });
    expect(seconds).toBeLessThan(5);
  });
});

test('without a terminal a dialog is given up within 5 s, and the hint says where there is time for it', async () => {
  const { machine, keyring } = await signedIn();
  keyring.delays.set('GetSecret', never);
  const { seconds, ...outcome } = await timed(machine.spawn(['token']));
  expect(outcome).toEqual({ exitCode: 7, stdout: '', stderr: inVain });
  expect(seconds).toBeLessThan(5);
});
