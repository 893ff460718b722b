import { join } from 'node:path';

import type { ClientSurroundings } from '../client/surroundings.js';
import { AuthError } from '../errors.js';
import { readConfiguration, type Configuration, type ConfigurationFile } from '../providers/configuration.js';
import { findProjectFile } from '../providers/find-project-file.js';
import type { PassphraseSource } from '../store/key-source.js';
import type { Terminal } from '../terminal/terminal.js';
import { timeLimit } from '../time-limit.js';
import type { World } from '../world.js';
import { longerThanZero, type OptionTable, type OptionValues, type RawOptions } from './options.js';

export const globalOptions = {
  provider: { short: 'p', value: 'NAME', summary: 'the provider to use' },
  account: { short: 'a', value: 'WHO', summary: 'the account: a sub, an e-mail address or a username' },
  config: { value: 'FILE', summary: 'another configuration file, which must exist' },
  store: { value: 'KIND', choices: ['keychain', 'file'], summary: 'where sessions are kept' },
  timeout: { value: 'DUR', parse: longerThanZero, summary: 'end after this time, such as 90s or 5m' },
  quiet: { short: 'q', twin: true, summary: 'no notices' },
  verbose: { short: 'v', twin: true, summary: 'show the requests to the provider, without their contents' },
  noInput: { twin: true, summary: 'never ask anything' },
  json: { summary: 'answer, and report errors, as JSON' },
} as const satisfies OptionTable;

export type GlobalOptions = OptionValues<typeof globalOptions>;

/** What every command is run with. */
export interface Context {
  readonly world: World;
  readonly terminal: Terminal;
  readonly globals: GlobalOptions;
}

/** One command: what it takes, what it does. It returns the exit code where success is not simply 0. */
export interface Command<T extends OptionTable = OptionTable> {
  readonly name: string;
  readonly summary: string;
  readonly options: T;
  /** The one positional argument, in capitals. */
  readonly argument?: string;
  run(options: OptionValues<T>, context: Context, argument: string): Promise<number | void>;
}

/** What a command line asks for, before its values are checked. */
export interface Invocation {
  readonly command: Command;
  readonly raw: RawOptions;
  readonly argument: string;
}

export function configurationFile({ world, globals }: Context): ConfigurationFile {
  const { uid } = world;
  if (globals.config !== undefined) return { path: globals.config, required: true, uid };
  return { path: join(world.folders().configuration, 'config.json'), required: false, uid };
}

/** The person's own: what can be changed. */
export function ownConfiguration(context: Context): Promise<Configuration> {
  return readConfiguration(configurationFile(context));
}

/** With what the project adds that we stand in, unless the person names a configuration. */
export async function configuration(context: Context): Promise<Configuration> {
  const { world, terminal, globals } = context;
  const own = await ownConfiguration(context);
  for (const { client } of Object.values(own.providers)) {
    const { secret } = client ?? {};
    if (typeof secret === 'object' && 'env' in secret) world.withhold(secret.env);
  }
  const path = globals.config === undefined ? findProjectFile(world.workingFolder()) : undefined;
  if (path === undefined) return own;
  const { readProjectFile, withProject } = await import('../providers/project-file.js');
  const project = await readProjectFile(path, { uid: world.uid, warn: terminal.warn });
  for (const name of Object.keys(project?.providers ?? {})) {
    if (Object.hasOwn(own.providers, name)) terminal.trace(`${name} is your own, not that of ${path}`);
  }
  return withProject(own, project);
}

export interface Bounds {
  /** Without --timeout; a minute when absent. */
  readonly timeoutMs?: number;
  /** Absent: nobody is asked, neither here nor by the keychain. */
  readonly passphrase?: PassphraseSource;
}

const oneMinute = 60_000;
/** A call may take 5 s, from the start of the process to its end. */
const keychainCallMs = 4_000;

/** The outside world as a client of the library sees it, ended by the deadline or by a signal. */
export function clientSurroundings(
  context: Context,
  bounds: Bounds = {},
): ClientSurroundings & { readonly deadline: Date } {
  const { world, terminal, globals } = context;
  const timeoutMs = globals.timeout ?? bounds.timeoutMs ?? oneMinute;
  const mayPrompt = bounds.passphrase !== undefined && !globals.noInput;
  let signal: AbortSignal | undefined;
  return {
    deadline: new Date(world.now().getTime() + timeoutMs),
    // Made on first use: a token from the cache needs neither timer nor signal handlers.
    get signal() {
      return (signal ??= timeLimit(world.interruption(), timeoutMs, notFinished(timeoutMs)));
    },
    folder: world.folders().state,
    ownership: { uid: world.uid, warn: terminal.warn },
    keychain: world.keychain,
    patience: { timeoutMs: mayPrompt ? timeoutMs : Math.min(timeoutMs, keychainCallMs), mayPrompt },
    passphrase: bounds.passphrase ?? passphraseFromEnvironment(world, terminal),
    openBrowser: world.openBrowser,
    readSecret: world.readSecret,
    askRefreshHelper: world.askRefreshHelper,
    now: world.now,
    env: world.env,
    waiting: (what) => terminal.isInteractive && terminal.notice(what),
    trace: terminal.trace,
    conceal: terminal.conceal,
    redact: terminal.redact,
  };
}

export function passphraseFromEnvironment({ env }: World, terminal: Terminal): PassphraseSource {
  const read = async () => {
    const passphrase = env['AUTHCLI_STORE_PASSPHRASE'] || undefined;
    if (passphrase !== undefined) terminal.concealPassphrase(passphrase);
    return passphrase;
  };
  return { isRequested: false, open: read, choose: read };
}

function notFinished(timeoutMs: number): AuthError {
  return new AuthError('timeout', `not finished within ${timeoutMs / 1000} s`, {
    hint: 'allow more time: --timeout 10m',
  });
}
