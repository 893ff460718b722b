import { spawn } from 'node:child_process';
import { execPath } from 'node:process';

import { onTestFinished } from 'vitest';

import { assertNoCanary, tokens } from '../support/canaries.js';
import { isOnPath, requirement } from '../support/requirements.js';
import { launcher, untilShown, type Machine } from '../support/run.js';

export const canUseTerminal = requirement('script', isOnPath('script'));

export interface TerminalProgram {
  /** The person types this. */
  type(text: string): void;
  /** Waits until the screen has shown it. */
  shown(pattern: RegExp): Promise<RegExpExecArray>;
  /** What was on the screen in the end: stdout, stderr, and what the person typed. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly screen: string }>;
}

/** The built program in a terminal (util-linux `script`), where stdin, stdout and stderr are all one. */
export function inTerminal(
  machine: Machine,
  argv: readonly string[],
  { columns = 80, env = {} }: { columns?: number; env?: Readonly<Record<string, string>> } = {},
): TerminalProgram {
  const words = [execPath, launcher, ...argv].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qefc', `stty cols ${columns} rows 24; exec ${words}`, '/dev/null'], {
    env: { TERM: 'xterm-256color', SHELL: '/bin/sh', ...machine.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.on('error', () => {});
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (screen += chunk));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    type: (text) => void child.stdin.write(text),
    shown: (pattern) => untilShown(child.stdout, () => screen, pattern, closed),
    ended: closed.then((exitCode) => {
      const text = screen.replaceAll('\r\n', '\n');
      // A terminal shows what the person pastes.
      const allowed = new Set(['code', ...(argv.includes('token') ? tokens : [])]);
      assertNoCanary(text, `the screen of authcli ${argv.join(' ')}`, allowed);
      return { exitCode, screen: text };
    }),
  };
}
