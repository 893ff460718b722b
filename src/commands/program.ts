import { Command as Program, CommanderError, Option } from 'commander';

import packageDescription from '../../package.json' with { type: 'json' };
import { AuthError } from '../errors.js';
import type { World } from '../world.js';
import { globalOptions, type Command, type Invocation } from './command.js';
import { login } from './login.js';
import { logout } from './logout.js';
import { flagOf, type OptionTable, type RawOptions } from './options.js';
import { providerPresets } from './provider-presets.js';
import { providerAdd, providerList, providerRemove, providerShow } from './provider.js';
import { status } from './status.js';
import { storeMigrate, storeStatus } from './store.js';
import { switchCommand } from './switch.js';
import { token } from './token.js';
import { whoami } from './whoami.js';

const commands: readonly Command[] = [
  login,
  token,
  logout,
  status,
  whoami,
  switchCommand,
  providerList,
  providerPresets,
  providerShow,
  providerAdd,
  providerRemove,
  storeStatus,
  storeMigrate,
];

/** The command tree; undefined when help or the version was asked for and has been printed. */
export async function parseCommandLine(
  argv: readonly string[],
  world: World,
): Promise<Invocation | undefined> {
  let invocation: Invocation | undefined;
  let output = '';
  const program = new Program('authcli')
    .description(
      'Sign in to any OAuth 2.0 / OpenID Connect provider, and use its tokens from the command line.',
    )
    .version(packageDescription.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => (output += text), writeErr: () => {} })
    .exitOverride();
  addOptions(program, globalOptions);
  for (const command of commands) {
    register(program, command, (found) => (invocation = found));
  }
  try {
    if (argv.length === 0) output = program.helpInformation();
    else await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, argv, program);
  }
  world.stdout.write(output);
  return invocation;
}

function register(program: Program, command: Command, found: (invocation: Invocation) => void): void {
  const path = command.name.split(' ');
  const parent = path.slice(0, -1).reduce(child, program);
  const registered = parent.command(path.at(-1) ?? '').description(command.summary);
  if (command.argument !== undefined) {
    const isOptional = command.argument.startsWith('[');
    registered.argument(isOptional ? command.argument : `<${command.argument}>`);
  }
  addOptions(registered, command.options);
  const table = { ...globalOptions, ...command.options };
  registered.action(() => {
    found({
      command,
      raw: rawOptions(table, registered.optsWithGlobals()),
      argument: registered.args[0] ?? '',
    });
  });
}

const groups: Readonly<Record<string, string>> = {
  provider: 'the configured providers: list, presets, show, add, remove',
  store: 'where sessions are kept: status, migrate',
};

function child(parent: Program, name: string): Program {
  return (
    parent.commands.find((command) => command.name() === name) ??
    parent.command(name).description(groups[name] ?? '')
  );
}

function addOptions(program: Program, table: OptionTable): void {
  for (const [key, { short, value, list, summary }] of Object.entries(table)) {
    const flags = `${short ? `-${short}, ` : ''}${flagOf(key)}${value ? ` <${value}>` : ''}`;
    const option = new Option(flags, summary);
    if (list) option.argParser<string[]>((text, before) => [...(before ?? []), text]);
    program.addOption(option);
  }
}

/** Commander keeps `--no-input` as `input: false`. */
function rawOptions(table: OptionTable, values: Record<string, unknown>): RawOptions {
  return Object.fromEntries(
    Object.keys(table).map((key): [string, RawOptions[string]] => {
      const negated = /^no([A-Z])(.*)$/.exec(key);
      if (negated) return [key, values[`${negated[1]?.toLowerCase()}${negated[2]}`] === false];
      return [key, rawValue(values[key])];
    }),
  );
}

function rawValue(value: unknown): RawOptions[string] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' || value === true ? value : undefined;
}

function usageError(error: CommanderError, argv: readonly string[], program: Program): AuthError {
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const named = program.commands.find((command) => argv.includes(command.name()));
  const help = `authcli ${named ? `${named.name()} ` : ''}--help`;
  if (error.code === 'commander.help')
    return new AuthError('usage', `which ${named ? `${named.name()} ` : ''}command?`, { hint: help });
  // What stands behind the sign may be a secret that was meant for an option of that name.
  const fault = error.code === 'commander.unknownOption' ? first.replace(/=.*'/, "'") : first;
  return new AuthError('usage', fault, {
    hint: suggestion ? `${suggestion.replace(/[()]/g, '')} See ${help}` : help,
  });
}
