import { writeSync } from 'node:fs';
import { dirname } from 'node:path';

import type { OpenBrowser } from './client/browser.js';
import type { ReadSecret } from './client/secret-source.js';
import type { AskRefreshHelper } from './client/refresh-helper.js';
import { AuthError, Interrupted, systemErrorCode, type EndingSignal } from './errors.js';
import type { Folders } from './platform/folders.js';
import { existingFolder, findFolders } from './platform/folders.js';
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
  /** For the secrets that this configuration file names, or that a program which uses the library names. */
  readonly secretReader: (configuration?: string) => ReadSecret;
  /** A variable that holds a secret: no program that is started from now on inherits it, but the one that is asked for a secret. */
  readonly withhold: (variable: string) => void;
  readonly askRefreshHelper: AskRefreshHelper;
  /** From the first call on SIGINT, SIGTERM and SIGHUP abort this instead of ending the process; a second one ends it. */
  readonly interruption: () => AbortSignal;
  /** What Ctrl-C does, for the places where the terminal hands it over as a key. */
  readonly interrupt: () => void;
}

/** @param env the environment as it changes, unless a copy is given */
export function systemWorld(env: NodeJS.ProcessEnv = process.env): World {
  const { platform, execPath } = process;
  let interruption: AbortSignal | undefined;
  const withheld = new Set<string>();
  // A program that uses the library may do without the folders that a command needs.
  const ownFolder = (): string => {
    try {
      return findFolders(env, platform).configuration;
    } catch {
      return dirname(execPath);
    }
  };
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
      const { childEnvironment } = await import('./child-environment.js');
      const { systemBrowser } = await import('./platform/browser.js');
      const folder = existingFolder(ownFolder());
      const inherited = childEnvironment({ env, platform }, withheld);
      return systemBrowser({ env: inherited, platform, folder, execPath })(url, command);
    },
    secretReader: (configuration) => async (source, signal, use) => {
      if ('env' in source) withheld.add(source.env);
      const { secretReader } = await import('./platform/secret-source.js');
      const folder = configuration === undefined ? ownFolder() : dirname(configuration);
      return secretReader({ env, platform, configuration, folder })(source, signal, use);
    },
    withhold: (variable) => withheld.add(variable),
    async askRefreshHelper(request, signal) {
      const { askRefreshHelper } = await import('./platform/refresh-helper-process.js');
      const { nodeEnvironment } = await import('./child-environment.js');
      const inherited = nodeEnvironment({ env, platform }, workingFolder(), withheld);
      return askRefreshHelper(inherited, execPath)(request, signal);
    },
    async keychain() {
      if (platform === 'darwin' || platform === 'win32') {
        const { nativeKeychain } = await import('./store/native-keychain.js');
        const { nodeEnvironment } = await import('./child-environment.js');
        return nativeKeychain(execPath, nodeEnvironment({ env, platform }, workingFolder(), withheld));
      }
      return secretService(env);
    },
    interruption: () => (interruption ??= abortOnSignals()),
    interrupt() {
      // There a signal that one sends oneself calls no handler, and ends the process with 1.
      if (platform !== 'win32') process.kill(process.pid, 'SIGINT');
      else if (!process.emit('SIGINT', 'SIGINT')) process.exit(130);
    },
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
    const abort = (): void => {
      controller.abort(new Interrupted(signal));
      // Not `once`: the spinner's own handler ends the process where it finds itself alone, and our clean-up with it.
      setImmediate(() => process.off(signal, abort));
    };
    process.on(signal, abort);
  }
  return controller.signal;
}
