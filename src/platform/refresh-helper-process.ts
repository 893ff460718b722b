import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { AskRefreshHelper, RefreshReply } from '../client/refresh-helper.js';
import { AuthError } from '../errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The same distance from `src/platform`, `dist/cli` and `dist/library`. */
const helperProgram = fileURLToPath(new URL('../../bin/refresh-helper.js', import.meta.url));

/**
 * Starts the refresh helper in a process group of its own: a Ctrl-C, a closed terminal or a kill of ours does not reach it.
 * What it needs to know goes through its standard input. It stands beside Node itself: the current folder may be a stranger's, and
 * may go away.
 * @param env what it inherits
 */
export function askRefreshHelper(env: Environment, execPath: string): AskRefreshHelper {
  return (request, signal) =>
    new Promise((resolve, reject) => {
      const child = spawn(execPath, [helperProgram], {
        detached: true,
        windowsHide: true,
        stdio: ['pipe', 'pipe', 'ignore'],
        cwd: dirname(execPath),
        env,
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += String(text);
      });
      child.on('error', (error) => reject(notStarted(error)));
      const abandon = (): void => {
        child.stdout.destroy();
        child.unref();
        reject(signal.reason);
      };
      signal.addEventListener('abort', abandon);
      child.on('close', () => {
        // A program that runs for long refreshes many times under one signal.
        signal.removeEventListener('abort', abandon);
        const reply = readReply(output);
        if (reply === undefined) reject(notStarted(new Error('it ended without an answer')));
        else resolve(reply);
      });
      // An early end of the helper is told by its close.
      child.stdin.on('error', () => {});
      child.stdin.end(`${JSON.stringify(request)}\n`);
    });
}

function readReply(output: string): RefreshReply | undefined {
  try {
    // Written by serveRefresh.
    const reply: RefreshReply = JSON.parse(output);
    return reply;
  } catch {
    return undefined;
  }
}

function notStarted(cause: Error): AuthError {
  return new AuthError('bug', `the refresh helper did not do its work: ${cause.message}`, {
    hint: 'run the same command again; nothing that is stored was lost',
    cause,
  });
}
