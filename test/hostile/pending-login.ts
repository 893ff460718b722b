import { spawn } from 'node:child_process';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';

import { onTestFinished } from 'vitest';

import { launcher, type Machine, type Outcome } from '../support/run.js';
import { approves, authorizationResponse } from '../support/user-agents.js';

/** The built program, waiting for the person's browser. */
export interface PendingLogin {
  readonly pid: number;
  readonly authorizationUrl: URL;
  readonly redirectUri: URL;
  readonly state: string;
  readonly outcome: Promise<Outcome>;
  /** What a person's browser would bring back from the provider; nothing is sent to the listener. */
  response(): Promise<URL>;
  /** The person signs in: the response reaches the listener, and the program ends. */
  signIn(): Promise<Outcome>;
}

/** Starts `authcli login --browser none` and returns once its authorization URL is shown. */
export async function pendingLogin(
  machine: Machine,
  argv: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<PendingLogin> {
  return pendingLoginWithBrowser(machine, ['--browser', 'none', ...argv], env);
}

/** Starts `authcli login`, whatever the browser, and returns once its authorization URL is shown. */
export async function pendingLoginWithBrowser(
  machine: Machine,
  argv: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<PendingLogin> {
  const child = spawn(execPath, [launcher, 'login', '--prompt', 'consent', ...argv], {
    env: { ...machine.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stderr = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const shown = new Promise<URL>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      const url = /^ {2}(https?:\S+)\n/m.exec(stderr)?.[1];
      if (url !== undefined) resolve(new URL(url));
    });
    void ended.then(() => reject(new Error(`the login ended before it showed a URL:\n${stderr}`)));
  });
  const stdout = text(child.stdout);
  const authorizationUrl = await shown;
  const redirectUri = new URL(authorizationUrl.searchParams.get('redirect_uri') ?? '');
  const outcome = ended.then(async (exitCode) => ({ exitCode, stdout: await stdout, stderr }));
  const response = () => authorizationResponse(authorizationUrl, redirectUri);
  return {
    pid: child.pid ?? 0,
    authorizationUrl,
    redirectUri,
    state: authorizationUrl.searchParams.get('state') ?? '',
    outcome,
    response,
    signIn: async () => {
      await approves(authorizationUrl);
      return outcome;
    },
  };
}
