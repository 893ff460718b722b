import { onTestFinished } from 'vitest';

import type { Machine, Outcome, RunningProgram } from '../support/run.js';
import { approves, authorizationResponse } from '../support/user-agents.js';

/** The built program, waiting for the person's browser. */
export interface PendingLogin {
  readonly program: RunningProgram;
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
  const program = machine.start(
    ['login', '--prompt', 'consent', ...argv],
    env,
    // By its path: the search path may be the test's own.
    cwd === undefined ? [] : ['/usr/bin/env', '-C', cwd],
  );
  onTestFinished(() => void program.child.kill('SIGKILL'));
  const [, shown = ''] = await program.said(/^ {2}(https?:\S+)\n/m);
  const authorizationUrl = new URL(shown);
  const redirectUri = new URL(authorizationUrl.searchParams.get('redirect_uri') ?? '');
  const { pid, outcome } = program;
  const response = () => authorizationResponse(authorizationUrl, redirectUri);
  return {
    program,
    pid,
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
