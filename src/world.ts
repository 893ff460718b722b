import { writeSync } from 'node:fs';

import type { OpenBrowser } from './client/browser.js';
import type { ReadSecret } from './client/secret-source.js';
import type { AskRefreshHelper } from './client/refresh-helper.js';
import { AuthError, Interrupted, systemErrorCode, type EndingSignal } from './errors.js';
import type { Folders } from './platform/folders.js';
import { findFolders } from './platform/folders.js';
import type { Keychain } from './store/keychain.js';
import { secretService } from './store/secret-service.js';

export interface Output {
  readonly isTTY: boolean;
  write(text: string): void;
  /** The terminal itself, for what draws on it. */
  readonly stream?: NodeJS.WriteStream | undefined;
}

export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/** The outside world, as narrow as the commands need it. Tests pass their own. */
export interface World {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  /** Of the configuration and of the state. */
  readonly folders: () => Folders;
  readonly workingFolder: () => string;
  readonly platform: NodeJS.Platform;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
  readonly openBrowser: OpenBrowser;
  readonly keychain: () => Promise<Keychain>;
  readonly readSecret: ReadSecret;
  /** A variable that holds a secret: no program that is started from now on inherits it, but the one that is asked for a secret. */
  readonly withhold: (variable: string) => void;
  readonly askRefreshHelper: AskRefreshHelper;
  /** From the first call on SIGINT, SIGTERM and SIGHUP abort this instead of ending the process; a second one ends it. */
  readonly interruption: () => AbortSignal;
  /** What Ctrl-C does, for the places where the terminal hands it over as a key. */
  readonly interrupt: () => void;
}

export function systemWorld(): World {
  const env = { ...process.env };
  const { platform } = process;
  let interruption: AbortSignal | undefined;
  const withheld = new Set<string>();
  const inherited = () => Object.fromEntries(Object.entries(env).filter(([name]) => !withheld.has(name)));
  return {
    get stdin() {
      return process.stdin;
    },
    stdout: output(1, () => process.stdout),
    stderr: output(2, () => process.stderr),
    env,
    now: () => new Date(),
    folders: () => findFolders(env, platform),
    workingFolder,
    platform,
    uid: process.getuid?.(),
    async openBrowser(url, command) {
      const { absoluteSearchPath } = await import('./platform/program-search.js');
      const { systemBrowser } = await import('./platform/browser.js');
      // The system's opener looks browsers up by itself: none may come out of the folder that we happen to stand in.
      const path = absoluteSearchPath(env);
      const before = Object.entries(process.env).filter(([name]) => name === 'PATH' || withheld.has(name));
      try {
        for (const name of withheld) delete process.env[name];
        if (path !== undefined) process.env['PATH'] = path;
        return await systemBrowser({ env: inherited(), cwd: workingFolder(), platform })(url, command);
      } finally {
        Object.assign(process.env, Object.fromEntries(before));
      }
    },
    async readSecret(source, signal, use) {
      if ('env' in source) withheld.add(source.env);
      const { secretReader } = await import('./platform/secret-source.js');
      return secretReader({ env, cwd: workingFolder(), platform })(source, signal, use);
    },
    withhold: (variable) => withheld.add(variable),
    async askRefreshHelper(request, signal) {
      const { askRefreshHelper } = await import('./platform/refresh-helper-process.js');
      return askRefreshHelper(inherited(), process.execPath)(request, signal);
    },
    async keychain() {
      if (platform === 'darwin' || platform === 'win32') {
        const { nativeKeychain } = await import('./store/native-keychain.js');
        return nativeKeychain(process.execPath);
      }
      return secretService(env);
    },
    interruption: () => (interruption ??= abortOnSignals()),
    interrupt: () => process.kill(process.pid, 'SIGINT'),
  };
}

/** It may have been deleted under us. */
function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

/** Written at once: process.exit() cuts what a stream still holds, and the first use of process.stdout costs milliseconds. */
function output(descriptor: 1 | 2, stream: () => NodeJS.WriteStream): Output {
  return {
    get isTTY() {
      return stream().isTTY;
    },
    get stream() {
      return stream();
    },
    write(text) {
      try {
        writeWhole(descriptor, text);
      } catch (error) {
        // Without a reader for what we say there is still the exit code; without one for the answer there is no success.
        if (descriptor === 2) return;
        throw new AuthError(
          'bug',
          `cannot write the answer: ${systemErrorCode(error) ?? 'unknown failure'}`,
          {
            hint: 'check where the output goes',
            cause: error,
          },
        );
      }
    },
  };
}

function writeWhole(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      // A full pipe of a slow reader.
      if (systemErrorCode(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] satisfies EndingSignal[]) {
    process.once(signal, () => controller.abort(new Interrupted(signal)));
  }
  return controller.signal;
}
