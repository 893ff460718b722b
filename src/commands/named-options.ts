import { AuthError } from '../errors.js';
import { printableJson } from '../remote-text.js';
import { namedProgram, wholeCommand } from '../named-program.js';
import type { World } from '../world.js';
import { flagOf, twinOf, type Origin } from './options.js';

/** A program with its words, as an option names it. */
export interface NamedCommand {
  readonly text: string;
  readonly origin: Origin;
}

export function namedCommand(text: string, origin: Origin): NamedCommand {
  if (text.trim() === '') throw new Error('a program, with words for it if need be');
  return { text, origin };
}

/**
 * The command as it can be kept, with whole paths. A typed path means a file of the folder that the person stands in; a variable
 * may have been set in any other folder, or by this one, and must not choose what runs.
 * @param key of the option
 */
export function commandOf({ text, origin }: NamedCommand, key: string, world: World): string {
  if (origin === 'typed') return wholeCommand(text, world.workingFolder(), world);
  const named = namedProgram(text, world);
  if (named.kind !== 'relative') return text;
  const variable = twinOf(key);
  throw new AuthError(
    'usage',
    `${variable} names a program by a relative path: ${printableJson(named.program)}`,
    { hint: `set ${variable} to a whole path, or type the path on the command line: ${flagOf(key)}` },
  );
}
