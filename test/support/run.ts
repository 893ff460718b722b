import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { env as ownEnvironment, execPath, getuid, platform } from 'node:process';
import { text } from 'node:stream/consumers';
import { PassThrough, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { main } from '../../src/main.js';
import { findFolders } from '../../src/platform/folders.js';
import { secretReader } from '../../src/platform/secret-source.js';
import { askRefreshHelper } from '../../src/platform/refresh-helper-process.js';
import { secretService } from '../../src/store/secret-service.js';
import type { World } from '../../src/world.js';
import { assertNoCanary, assertNoCanaryIn, noteCanary, tokens } from './canaries.js';

/** What a command line leaves behind for whoever called it. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const launcher = fileURLToPath(new URL('../../bin/authcli.js', import.meta.url));
/** A person at a browser, as a program of Node: approves everything as Jane. */
export const agentScript = fileURLToPath(new URL('agent.js', import.meta.url));
/** The same for `--browser`. */
export const agent = asCommand(agentScript);

/** Windows does not know how to run a script by its first line. */
function asCommand(script: string): string {
  return platform === 'win32' ? `"${execPath}" "${script}"` : script;
}

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
  /** The same, while it runs. @param starter a command that changes what it may do, such as `prlimit` */
  start(
    argv: readonly string[],
    env?: Readonly<Record<string, string>>,
    starter?: readonly string[],
  ): RunningProgram;
}

export interface RunningProgram {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly pid: number;
  readonly outcome: Promise<Outcome>;
  /** Waits until stderr has said it, at the latest until the program ends. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
}

export function newMachine(additional: Readonly<Record<string, string>> = {}): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'authcli-test-'));
  onTestFinished(() => {
    try {
      assertNoCanaryIn(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  noteCanary('passphrase', additional['AUTHCLI_STORE_PASSPHRASE']);
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
    spawn: (argv, more) => startProgram(argv, { ...env, ...more }).outcome,
    start: (argv, more, starter) => startProgram(argv, { ...env, ...more }, starter),
  };
}

/** The same machine, its programs started by another one that changes what they may do or see. */
export function behind(machine: Machine, ...starter: readonly string[]): Machine {
  return {
    ...machine,
    spawn: (argv, more) => machine.start(argv, more, starter).outcome,
    start: (argv, more, own = []) => machine.start(argv, more, [...starter, ...own]),
  };
}

/** The same machine, with another build of the program. @param program its launcher */
export function withBuild(machine: Machine, program: string): Machine {
  const start: Machine['start'] = (argv, more, starter) =>
    startProgram(argv, { ...machine.env, ...more }, starter, program);
  return { ...machine, start, spawn: (argv, more) => start(argv, more).outcome };
}

/** Root ignores mode bits; without this capability it does not. */
export const obeyingModes = ['setpriv', '--bounding-set=-dac_override'];

async function runHere(argv: readonly string[], world: World, isTerminal: boolean): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const exitCode = await main(argv, {
    ...world,
    stdout: { isTTY: false, write: (written) => (stdout += written) },
    stderr: { isTTY: isTerminal, write: (written) => (stderr += written) },
  });
  return withoutSecrets({ exitCode, stdout, stderr }, argv);
}

/** Checked at every run of every test: what is known to be secret by now is in no output but that of `authcli token`. */
function withoutSecrets(outcome: Outcome, argv: readonly string[]): Outcome {
  const command = `authcli ${argv.join(' ')}`;
  assertNoCanary(outcome.stderr, `stderr of ${command}`);
  assertNoCanary(outcome.stdout, `stdout of ${command}`, argv.includes('token') ? tokens : undefined);
  return outcome;
}

function quietWorld(env: Readonly<Record<string, string>>): World {
  const silent = { isTTY: false, write: () => {} };
  return {
    stdin: new PassThrough().end(),
    stdout: silent,
    stderr: silent,
    env,
    now: () => new Date(),
    folders: () => findFolders(env, platform === 'win32' ? 'win32' : 'linux'),
    workingFolder: () => '/',
    platform: 'linux',
    uid: getuid?.(),
    openBrowser: async () => ({ kind: 'not_launched', reason: 'this test has no browser' }),
    keychain: async () => secretService(env),
    secretReader: (configuration) =>
      secretReader({ env, platform: 'linux', configuration, folder: dirname(configuration ?? '/') }),
    withhold: () => {},
    askRefreshHelper: askRefreshHelper(env, execPath),
    interruption: () => new AbortController().signal,
    interrupt: () => {},
  };
}

function startProgram(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  starter: readonly string[] = [],
  program = launcher,
): RunningProgram {
  const [command = '', ...args] = [...starter, execPath, program, ...argv];
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const stdout = text(child.stdout);
  return {
    child,
    pid: child.pid ?? 0,
    outcome: closed.then(async (exitCode) =>
      withoutSecrets({ exitCode, stdout: await stdout, stderr }, argv),
    ),
    said: (pattern) => untilShown(child.stderr, () => stderr, pattern, closed),
  };
}

/** Waits until the output has shown it, at the latest until the program is `over`. */
export function untilShown(
  output: Readable,
  seen: () => string,
  pattern: RegExp,
  over: Promise<unknown>,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const found = pattern.exec(seen());
      if (found) resolve(found);
    };
    look();
    output.on('data', look);
    void over.then(() => reject(new Error(`the program ended without ${pattern}:\n${seen()}`)));
  });
}
