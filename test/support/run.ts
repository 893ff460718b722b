import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env as ownEnvironment, execPath, getuid } from 'node:process';
import { text } from 'node:stream/consumers';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { main } from '../../src/main.js';
import { findFolders } from '../../src/platform/folders.js';
import { secretReader } from '../../src/platform/secret-source.js';
import { askRefreshHelper } from '../../src/platform/refresh-helper-process.js';
import { secretService } from '../../src/store/secret-service.js';
import type { World } from '../../src/world.js';

/** What a command line leaves behind for whoever called it. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const launcher = fileURLToPath(new URL('../../bin/authcli.js', import.meta.url));
/** For `--browser`: approves everything as Jane. */
export const agent = fileURLToPath(new URL('agent.js', import.meta.url));

/** A new user's machine: empty folders of its own and nothing in the environment. */
export interface Machine {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** `main(argv, world)` in this process, on real files and real sockets. */
  run(argv: readonly string[], world?: Partial<World> & { readonly isTerminal?: boolean }): Promise<Outcome>;
  /** Writes `config.json`. */
  configure(configuration: object): void;
  /** The built program as a process of its own. */
  spawn(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<Outcome>;
}

export function newMachine(additional: Readonly<Record<string, string>> = {}): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const env = {
    PATH: ownEnvironment['PATH'] ?? '',
    HOME: folder,
    AUTHCLI_CONFIG_DIR: join(folder, 'config'),
    AUTHCLI_STATE_DIR: join(folder, 'state'),
    ...additional,
  };
  return {
    folder,
    env,
    configure(configuration) {
      mkdirSync(env.AUTHCLI_CONFIG_DIR, { recursive: true, mode: 0o700 });
      writeFileSync(join(env.AUTHCLI_CONFIG_DIR, 'config.json'), JSON.stringify(configuration), {
        mode: 0o600,
      });
    },
    run: (argv, { isTerminal = false, ...world } = {}) =>
      runHere(argv, { ...quietWorld(env), ...world }, isTerminal),
    spawn: (argv, more) => runProgram([execPath, launcher, ...argv], { ...env, ...more }),
  };
}

/** The same machine, its programs started by another one that changes what they may do or see. */
export function behind(machine: Machine, ...starter: readonly string[]): Machine {
  return {
    ...machine,
    spawn: (argv, more) => runProgram([...starter, execPath, launcher, ...argv], { ...machine.env, ...more }),
  };
}

/** Root ignores mode bits, so what is about them runs as nobody. */
export const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

export function giveToNobody(folder: string): void {
  chownSync(folder, 65534, 65534);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), 65534, 65534);
  }
}

async function runHere(argv: readonly string[], world: World, isTerminal: boolean): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const exitCode = await main(argv, {
    ...world,
    stdout: { isTTY: false, write: (written) => (stdout += written) },
    stderr: { isTTY: isTerminal, write: (written) => (stderr += written) },
  });
  return { exitCode, stdout, stderr };
}

function quietWorld(env: Readonly<Record<string, string>>): World {
  const silent = { isTTY: false, write: () => {} };
  return {
    stdin: new PassThrough().end(),
    stdout: silent,
    stderr: silent,
    env,
    now: () => new Date(),
    folders: () => findFolders(env, 'linux'),
    workingFolder: () => '/',
    uid: getuid?.(),
    openBrowser: async () => ({ kind: 'not_launched', reason: 'this test has no browser' }),
    keychain: async () => secretService(env),
    readSecret: secretReader({ env, cwd: '/', platform: 'linux' }),
    askRefreshHelper: askRefreshHelper(env, execPath),
    interruption: () => new AbortController().signal,
    interrupt: () => {},
  };
}

async function runProgram(
  [command = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { exitCode, stdout, stderr };
}
