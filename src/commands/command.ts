import { join, resolve } from 'node:path';

import type { ClientSurroundings } from '../client/surroundings.js';
import { AuthError } from '../errors.js';
import { readConfiguration, type Configuration, type ConfigurationFile } from '../providers/configuration.js';
import { findProjectFile } from '../providers/find-project-file.js';
import {
  projectFaults,
  providerNames,
  resolveProvider,
  type ChosenProvider,
  type KnownProviders,
} from '../providers/resolve-provider.js';
import type { PassphraseSource } from '../store/key-source.js';
import { printableJson } from '../remote-text.js';
import type { Terminal } from '../terminal/terminal.js';
import { isWholePath } from '../whole-path.js';
import type { World } from '../world.js';
import type { CommandClock } from './command-clock.js';
import { keychainPatience } from './keychain-patience.js';
import {
  flagOf,
  longerThanZero,
  twinOf,
  type OptionTable,
  type OptionValues,
  type RawOptions,
} from './options.js';

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

/** The options that were typed. A command that is printed repeats them, so that it means the same provider, account and files. */
export type Asked = Pick<GlobalOptions, 'provider' | 'account' | 'config' | 'store'>;

/** What every command is run with. */
export interface Context {
  readonly world: World;
  readonly terminal: Terminal;
  readonly clock: CommandClock;
  readonly globals: GlobalOptions;
  readonly asked: Asked;
}

/** One command: what it takes, what it does. It returns the exit code where success is not simply 0. */
export interface Command<T extends OptionTable = OptionTable> {
  readonly name: string;
  readonly summary: string;
  readonly options: T;
  /** The one positional argument, in capitals. */
  readonly argument?: string;
  /** How long it may take without --timeout; a minute when absent. */
  longestMs?(options: OptionValues<T>): number;
  run(options: OptionValues<T>, context: Context, argument: string): Promise<number | void>;
}

/** What a command line asks for, before its values are checked. */
export interface Invocation {
  readonly command: Command;
  readonly raw: RawOptions;
  readonly argument: string;
}

/**
 * A configuration names programs. What is typed means the folder that the person stands in; a variable was set in any folder, and a
 * relative path in it would take another configuration in each, that of a cloned repository too.
 */
export function configurationFile({ world, globals, asked }: Context): ConfigurationFile {
  const { uid } = world;
  const { config } = globals;
  if (config !== undefined) {
    if (asked.config !== undefined || isWholePath(config, world))
      return { path: config, required: true, uid };
    const variable = twinOf('config');
    throw new AuthError('usage', `${variable} is a relative path: ${printableJson(config)}`, {
      hint: `set ${variable} to a whole path, or type the path on the command line: ${flagOf('config')}`,
    });
  }
  return { path: join(world.folders().configuration, 'config.json'), required: false, uid };
}

/** The person's own: what can be changed. No program that is started inherits a variable that holds a secret. */
export async function ownConfiguration(context: Context): Promise<Configuration> {
  const own = await readConfiguration(configurationFile(context));
  for (const { client } of Object.values(own.providers)) {
    const { secret } = client ?? {};
    if (typeof secret === 'object' && 'env' in secret) context.world.withhold(secret.env);
  }
  return own;
}

/** With what the project adds that we stand in, unless the person names a configuration. */
async function knownProviders(context: Context): Promise<KnownProviders> {
  const { world, terminal, globals } = context;
  const own = await ownConfiguration(context);
  const path = globals.config === undefined ? findProjectFile(world.workingFolder()) : undefined;
  if (path === undefined) return own;
  const { readProjectFile } = await import('../providers/project-file.js');
  const profile = world.env['USERPROFILE'];
  const project = await readProjectFile(path, { uid: world.uid, profile, warn: terminal.warn });
  for (const name of Object.keys(project?.providers ?? {})) {
    if (Object.hasOwn(own.providers, name)) terminal.trace(`${name} is your own, not that of ${path}`);
  }
  return { ...own, project };
}

/** The same for a command about all of them: it goes on without what the project must not say. */
export async function allProviders(context: Context): Promise<KnownProviders> {
  const known = await knownProviders(context);
  warnOfFaults(known, context);
  return known;
}

/** The provider that a command is about. A faulty project keeps only those from going on who use it. */
export async function chosenProvider(
  context: Context,
  named = context.globals.provider,
): Promise<ChosenProvider> {
  const known = await knownProviders(context);
  try {
    const chosen = resolveProvider(known, named);
    warnOfFaults(known, context);
    return chosen;
  } catch (error) {
    const name = named ?? known.project?.defaultProvider ?? known.defaultProvider;
    const isUnknown = name !== undefined && !providerNames(known).includes(name);
    if (!(error instanceof AuthError) || !isUnknown) throw error;
    const { withLeftSessions } = await import('./left-sessions.js');
    throw withLeftSessions(error, name, clientSurroundings(context), context.asked);
  }
}

function warnOfFaults(known: KnownProviders, { terminal }: Context): void {
  const [first, ...others] = projectFaults(known);
  // A project may have thousands of them.
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  if (first !== undefined) terminal.warn(`not used: ${first.message}${more}`);
}

export interface Bounds {
  /** Absent: nobody is asked, neither here nor by the keychain. */
  readonly passphrase?: PassphraseSource;
}

/** The outside world as a client of the library sees it, ended by the command's deadline or by a signal. */
export function clientSurroundings(context: Context, bounds: Bounds = {}): ClientSurroundings {
  const { world, terminal, globals, clock } = context;
  const mayPrompt = bounds.passphrase !== undefined && !globals.noInput;
  return {
    // Made on first use.
    get signal() {
      return clock.signal;
    },
    folder: world.folders().state,
    ownership: { uid: world.uid, warn: terminal.warn },
    locking: { platform: world.platform, notice: terminal.warnOnce },
    keychain: world.keychain,
    patience: keychainPatience(context, mayPrompt),
    passphrase: bounds.passphrase ?? passphraseFromEnvironment(world, terminal),
    openBrowser: world.openBrowser,
    readSecret: world.secretReader(resolve(world.workingFolder(), configurationFile(context).path)),
    askRefreshHelper: world.askRefreshHelper,
    now: world.now,
    env: world.env,
    waiting: (what) => terminal.isInteractive && terminal.notice(what),
    trace: terminal.trace,
    conceal: terminal.conceal,
    shown: terminal.shown,
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
