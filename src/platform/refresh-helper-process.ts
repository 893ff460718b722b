import { spawn, type ChildProcess } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { AskRefreshHelper, RefreshReply } from '../client/refresh-helper.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { watchStart } from './start-watch.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The same distance from `src/platform`, `dist/cli` and `dist/library`. */
const helperProgram = fileURLToPath(new URL('../../bin/refresh-helper.js', import.meta.url));

/**
 * Starts the refresh helper in a process group of its own: a Ctrl-C, a closed terminal or a kill of ours does not reach it.
 * It is told what to do through its standard input once it has said that it runs, and inherits none of our own variables.
 * It stands beside Node itself: the current folder may be a stranger's, and may go away.
 * @param env what it inherits
 */
export function askRefreshHelper(env: Environment, execPath: string): AskRefreshHelper {
  return (request, signal) =>
    new Promise((resolve, reject) => {
      const child = startHelper(env, execPath);
      let output = '';
      let isReady = false;
      const failStart = (reason: string, cause?: Error): void => {
        // It was told nothing yet, so it is at work on nothing: a kill can cost no session.
        child.kill('SIGKILL');
        release(child);
        reject(notStarted(reason, cause));
      };
      const stopWatching = watchStart(child.pid, () => failStart('it hangs while it starts'));
      child.stdout?.setEncoding('utf8').on('data', (text) => {
        output += String(text);
        if (isReady || !output.includes('\n')) return;
        isReady = true;
        stopWatching();
        child.stdin?.end(`${JSON.stringify(request)}\n`);
      });
      const abandon = (): void => {
        stopWatching();
        if (!isReady) child.kill('SIGKILL');
        release(child);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abandon);
      const settled = (): void => {
        stopWatching();
        // A program that runs for long refreshes many times under one signal.
        signal.removeEventListener('abort', abandon);
      };
      child.on('error', (error) => {
        settled();
        reject(notStarted(startFailures[systemErrorCode(error) ?? ''] ?? error.message, error));
      });
      child.on('close', (exitCode, endedBy) => {
        settled();
        if (!isReady) return reject(notStarted(`it ended at once (${endedBy ?? exitCode})`));
        const reply = readReply(output);
        if (reply === undefined) reject(noAnswer());
        else resolve(reply);
      });
      // An early end of the helper is told by its close.
      child.stdin?.on('error', () => {});
    });
}

/** Node reports the most frequent failures as an event, and throws the others. Without free descriptors the child has no streams. */
function startHelper(env: Environment, execPath: string): ChildProcess {
  try {
    return spawn(execPath, [helperProgram], {
      detached: true,
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: dirname(execPath),
      env,
    });
  } catch (error) {
    throw notStarted(startFailures[systemErrorCode(error) ?? ''] ?? String(error), error);
  }
}

/** It may go on by itself; we do not wait for it any more. */
function release(child: ChildProcess): void {
  child.stdout?.destroy();
  child.unref();
}

/** The first line says that it runs, the second is its reply. */
function readReply(output: string): RefreshReply | undefined {
  try {
    // Written by serveRefresh.
    const reply: RefreshReply = JSON.parse(output.slice(output.indexOf('\n')));
    return reply;
  } catch {
    return undefined;
  }
}

const startFailures: Readonly<Record<string, string>> = {
  EAGAIN: 'too many processes are running',
  ENOMEM: 'there is not enough memory',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
};

function notStarted(reason: string, cause?: unknown): AuthError {
  return new AuthError('store', `cannot start the process that refreshes the session: ${reason}`, {
    remedy: {
      kind: 'advice',
      text: 'end some programs or raise the limits of processes and memory (ulimit -a), then run the same command again',
    },
    cause,
  });
}

function noAnswer(): AuthError {
  return new AuthError('bug', 'the refresh helper did not do its work: it ended without an answer', {
    remedy: { kind: 'advice', text: 'run the same command again; nothing that is stored was lost' },
  });
}
