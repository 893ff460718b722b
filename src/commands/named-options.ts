import { AuthError } from '../errors.js';
import { isWholePath, namedProgram, wholeCommand, wholePath } from '../named-program.js';
import type { World } from '../world.js';
import { flagOf, twinOf, type Origin } from './options.js';

/** A file, or a program with its words, as an option names it. */
export interface NamedByOption {
  readonly text: string;
  readonly origin: Origin;
}

export function namedFile(text: string, origin: Origin): NamedByOption {
  if (text === '') throw new Error('the path of a file');
  return { text, origin };
}

export function namedCommand(text: string, origin: Origin): NamedByOption {
  if (text.trim() === '') throw new Error('a program, with words for it if need be');
  return { text, origin };
}

/**
 * The whole path. The person means a file of the folder that we stand in; a variable may have been set in any other folder, or
 * by the folder itself.
 * @param key of the option
 */
export function fileOf({ text, origin }: NamedByOption, key: string, world: World): string {
  if (origin === 'typed') return wholePath(text, world.workingFolder(), world);
  if (isWholePath(text, world)) return text;
  throw relativeInEnvironment(key, text, 'file');
}

/** The command as it can be kept: what is relative in it is made whole, as for a file. */
export function commandOf({ text, origin }: NamedByOption, key: string, world: World): string {
  if (origin === 'typed') return wholeCommand(text, world.workingFolder(), world);
  const named = namedProgram(text, world);
  if (named.kind !== 'relative') return text;
  throw relativeInEnvironment(key, named.program, 'program');
}

function relativeInEnvironment(key: string, path: string, kind: string): AuthError {
  const variable = twinOf(key);
  return new AuthError('usage', `${variable} names a ${kind} by a relative path: ${JSON.stringify(path)}`, {
    hint: `set ${variable} to a whole path, or type the path on the command line: ${flagOf(key)}`,
  });
}
