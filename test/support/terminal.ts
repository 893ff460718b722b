import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { execPath, platform } from 'node:process';

import { onTestFinished } from 'vitest';

import { isOnPath } from './requirements.js';
import { launcher, type Machine } from './run.js';

/** util-linux's `script`: that of other systems takes other options. */
export const scriptInstalled = platform === 'linux' && isOnPath('script');

export interface TerminalSession {
  /** What the terminal shows, as soon as it ends with `text`. */
  shows(text: string): Promise<void>;
  /** As if typed: `\x03` is Ctrl-C. */
  type(keys: string): void;
  /** All that the terminal has shown. */
  readonly screen: Promise<string>;
}

/** The built program at a terminal, from a shell that says at last how it ended and whether what is typed is shown again. */
export function atTerminal(argv: readonly string[], { env }: Pick<Machine, 'env'>): TerminalSession {
  const words = [execPath, launcher, ...argv].map((word) => `'${word}'`).join(' ');
  const afterwards = `echo "exit code $?"; stty -a | tr ' ' '\\n' | grep -x -e echo -e -echo`;
  const shell = spawn('script', ['--quiet', '--flush', '--command', `${words}; ${afterwards}`, '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh', NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void shell.kill());
  let seen = '';
  shell.stdout.setEncoding('utf8').on('data', (text) => {
    seen += String(text).replaceAll('\r\n', '\n');
  });
  const closed = once(shell, 'close');
  return {
    async shows(text) {
      while (!seen.endsWith(text)) {
        await Promise.race([once(shell.stdout, 'data'), closed.then(() => Promise.reject(new Error(seen)))]);
      }
    },
    type: (keys) => shell.stdin.write(keys),
    screen: closed.then(() => seen),
  };
}
