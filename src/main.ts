import { CommandClock } from './commands/command-clock.js';
import { globalOptions, type Asked, type Invocation } from './commands/command.js';
import { parsePlainly, readOptions } from './commands/options.js';
import { token } from './commands/token.js';
import type { RefreshRequest } from './client/refresh-helper.js';
import { AuthError, Interrupted } from './errors.js';
import { Terminal } from './terminal/terminal.js';
import { commandMs } from './time-budgets.js';
import { assertVerifiedTls } from './verified-tls.js';
import type { World } from './world.js';

export { systemWorld } from './world.js';

/** Runs one command line and returns its exit code. Nothing is thrown: what no part of the program expected is reported as a bug. */
export async function main(argv: readonly string[], world: World): Promise<number> {
  let terminal: Terminal | undefined;
  let asked: Asked = {};
  try {
    assertVerifiedTls(world.env);
    const invocation = parsePlainToken(argv) ?? (await parseAnything(argv, world));
    if (invocation === undefined) return 0;
    const globals = readOptions(globalOptions, invocation.raw, world.env);
    // Without the environment: its values are there for the next command, too.
    asked = readOptions(globalOptions, invocation.raw, {});
    terminal = new Terminal(world, globals);
    const { command, argument } = invocation;
    const options = readOptions(command.options, invocation.raw, world.env);
    const clock = new CommandClock(world, globals.timeout ?? command.longestMs?.(options) ?? commandMs);
    return (await command.run(options, { world, terminal, clock, globals, asked }, argument)) ?? 0;
  } catch (error) {
    if (error instanceof Interrupted) return error.exitCode;
    const failure = error instanceof AuthError ? error : bug(error);
    terminal ??= new Terminal(world, { json: argv.includes('--json') });
    terminal.fail(failure, await hintOf(failure, asked));
    return failure.exitCode;
  } finally {
    await terminal?.settled();
  }
}

/** The work of `bin/refresh-helper.js`: one request as JSON in, one reply as JSON out. */
export async function serveRefreshRequest(input: AsyncIterable<unknown>, world: World): Promise<string> {
  const { serveRefresh } = await import('./client/refresh-helper.js');
  let text = '';
  for await (const chunk of input) text += String(chunk);
  const request: RefreshRequest = JSON.parse(text);
  const { uid, platform, now, env } = world;
  const surroundings = { ownership: { uid, warn: ignore }, locking: { platform, notice: ignore }, now, env };
  return JSON.stringify(await serveRefresh(request, surroundings));
}

/** The process that asked tells the person what there is to tell. */
function ignore(): void {}

/** `authcli token` stands in prompts and loops: its plain forms need no command tree. All else, and all that is wrong, goes there. */
function parsePlainToken(argv: readonly string[]): Invocation | undefined {
  if (!argv.includes('token')) return undefined;
  const raw = parsePlainly(argv, 'token', globalOptions, token.options);
  return raw && { command: token, raw, argument: '' };
}

/** Loaded only where something failed. */
async function hintOf(failure: AuthError, asked: Asked): Promise<string | undefined> {
  const { hintOf: inWords } = await import('./commands/remedy-words.js');
  return inWords(failure, asked);
}

async function parseAnything(argv: readonly string[], world: World): Promise<Invocation | undefined> {
  const { parseCommandLine } = await import('./commands/program.js');
  return parseCommandLine(argv, world);
}

function bug(error: unknown): AuthError {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new AuthError('bug', `unexpected failure (${what})`, {
    hint: 'please report it, with the output of the same command and --verbose',
    cause: error,
  });
}
