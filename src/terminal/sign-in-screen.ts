import { createInterface } from 'node:readline';

import type { SignInConversation } from '../client/interactive.js';
import type { World } from '../world.js';
import { refusedCallerWarning, showVisit, warnNotLaunched } from './browser-visit.js';
import { startSpinner, type Spinner } from './spinner.js';
import type { Terminal } from './terminal.js';

export interface SignInScreen extends SignInConversation {
  close(): Promise<void>;
}

/** What a person sees of a sign-in: the URL, what is being waited for, and how long yet. */
export function showSignIn(
  provider: string,
  deadline: Date,
  hintOf: SignInConversation['hintOf'],
  world: World,
  terminal: Terminal,
): SignInScreen {
  const canPaste = terminal.isInteractive && world.stdin.isTTY === true;
  let spinner: Promise<Spinner> | undefined;
  let noticedIgnored = false;
  const warnOfCaller = refusedCallerWarning(terminal);
  const wait = () => {
    const before = spinner;
    spinner = (async () => {
      (await before)?.stop();
      return startSpinner('Waiting for the sign-in', deadline, world, terminal);
    })();
  };
  return {
    canPaste,
    pendingElsewhere(url) {
      terminal.notice(
        `A sign-in to ${provider} is open already. Go on in its browser window, or visit this address:`,
      );
      terminal.say(`\n  ${url.href}\n`);
      wait();
    },
    authorizationUrl(url, isManual) {
      showVisit(`Signing in to ${provider}`, url, isManual, terminal);
      wait();
    },
    browserNotLaunched(reason) {
      warnNotLaunched(reason, terminal);
    },
    ignoredRequests(count) {
      if (noticedIgnored) return;
      noticedIgnored = true;
      terminal.warn(
        `ignored ${count} request${count === 1 ? '' : 's'} with a wrong state; still waiting for the right one`,
      );
    },
    refusedCaller(caller, canBePasted) {
      warnOfCaller(
        caller,
        canBePasted ? 'paste the address that your browser ended at' : 'use a browser that runs as this user',
      );
    },
    async *pastedLines(signal) {
      if (!canPaste) return;
      terminal.notice('The browser runs elsewhere? Paste the address that it ends at here.');
      const lines = createInterface({ input: world.stdin, signal });
      try {
        for await (const line of lines) if (line.trim() !== '') yield line;
      } finally {
        lines.close();
        world.stdin.pause();
      }
    },
    pasteRejected(reason) {
      terminal.warn(`that cannot be used: ${reason}; still waiting`);
    },
    hintOf,
    async close() {
      (await spinner)?.stop();
    },
  };
}
