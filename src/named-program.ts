import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { posix, win32, type PlatformPath } from 'node:path';

import { quoteWord, splitWords } from './command-words.js';
import { isWholePath } from './whole-path.js';

/**
 * The one place that decides which file a named program or file is. Only words that a person types on a command line may mean
 * something of the folder that the person stands in, and they are made whole at once (`wholePath`, `wholeCommand`). Everywhere
 * else (a configuration, the environment) a relative path would mean another file in every folder, and a cloned repository could
 * bring that file along: there it is refused.
 */
export interface SearchContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/** The program that a command names, with the words for it. */
export type NamedProgram =
  | { readonly kind: 'found'; readonly path: string; readonly words: readonly string[] }
  | { readonly kind: 'not_found'; readonly program: string; readonly words: readonly string[] }
  /** Its path is relative to a folder that the command does not name. */
  | { readonly kind: 'relative'; readonly program: string }
  /** A quote is not closed. */
  | { readonly kind: 'unclosed' };

/** @param command a program, which may have spaces in its path, or words as a shell would split them */
export function namedProgram(command: string, context: SearchContext, batchFiles = false): NamedProgram {
  const whole = findProgram(command, context, batchFiles);
  if (whole !== undefined) return { kind: 'found', path: whole, words: [] };
  const split = splitWords(command, context.platform !== 'win32');
  if (split === undefined) return { kind: 'unclosed' };
  const [program = '', ...words] = split;
  if (isRelativePath(program, context)) return { kind: 'relative', program };
  const path = findProgram(program, context, batchFiles);
  return path === undefined ? { kind: 'not_found', program, words } : { kind: 'found', path, words };
}

/** The file that a person means by `path` who stands in `folder`. */
export function wholePath(path: string, folder: string, { env, platform }: SearchContext): string {
  const paths = pathsOf(platform);
  // Shells expand it as the first thing of a word only, not in `--client-secret-file=~/secret`, and never in a file.
  const home = env['HOME'] ?? env['USERPROFILE'];
  return /^~[\\/]/.test(path) && home ? paths.resolve(home, path.slice(2)) : paths.resolve(folder, path);
}

/**
 * The command that a person means who stands in `folder`: the program's path is made whole, and so are the words that name a
 * file there. Names of programs on the PATH stay names.
 */
export function wholeCommand(command: string, folder: string, context: SearchContext): string {
  const { platform } = context;
  const asPath = wholePath(command, folder, context);
  if (isRelativePath(command, context) && isFile(asPath)) return quoteWord(asPath);
  if (findProgram(command, context) !== undefined) return command;
  const split = splitWords(command, platform !== 'win32');
  if (split === undefined) return command;
  const whole = split.map((word, at) => {
    if (at > 0) return wholeWord(word, folder, context);
    return isRelativePath(word, context) ? wholePath(word, folder, context) : word;
  });
  return whole.every((word, at) => word === split[at]) ? command : whole.map(quoteWord).join(' ');
}

/** `sh x.sh`, `node tools/x.js`, `sh -c './x arg'`, `sops --config=./c.yaml`. */
function wholeWord(word: string, folder: string, context: SearchContext): string {
  const paths = pathsOf(context.platform);
  const [, option, value] = /^([^=\s]+=)(.+)$/su.exec(word) ?? [];
  if (option !== undefined && value !== undefined && !/[\\/]/.test(option)) {
    return option + wholeWord(value, folder, context);
  }
  const path = paths.resolve(folder, word);
  if (word.startsWith('-') || isWholePath(word, context)) return word;
  const isDotted = context.platform === 'win32' ? /^\.\.?[\\/]/ : /^\.\.?\//;
  if (!isDotted.test(word)) {
    const isMeant = hasSeparator(word, context) ? existsSync(path) : isFile(path);
    return isMeant && findProgram(word, context) === undefined ? path : word;
  }
  // A small script in one word: only its first word is the path.
  const [, first = word, rest = ''] = existsSync(path) ? [] : (/^(\S+)(\s.*)$/su.exec(word) ?? []);
  return rest === '' ? path : quoteWord(paths.resolve(folder, first)) + rest;
}

/** The executable file that `program` means: a whole path when it has a separator, else a name on the PATH. */
export function findProgram(program: string, context: SearchContext, batchFiles = false): string | undefined {
  if (program === '' || isRelativePath(program, context)) return undefined;
  const system = pathsOf(context.platform);
  const paths = hasSeparator(program, context)
    ? [program]
    : (absoluteSearchPath(context) ?? '')
        .split(system.delimiter)
        .filter(Boolean)
        .map((folder) => system.join(folder, program));
  return paths.flatMap((path) => fileNames(path, context, batchFiles)).find(isExecutableFile);
}

/**
 * The PATH without its empty and relative entries: those run whatever a stranger left in the current folder.
 * Undefined where there is no PATH.
 */
export function absoluteSearchPath(context: SearchContext): string | undefined {
  const { env, platform } = context;
  const { delimiter } = pathsOf(platform);
  // Windows spells it `Path`, and a copy of its environment has lost the blindness to case.
  const name = Object.keys(env).find((key) => key.toUpperCase() === 'PATH');
  return name === undefined
    ? undefined
    : env[name]
        ?.split(delimiter)
        .filter((folder) => isWholePath(folder, context))
        .join(delimiter);
}

/** Whether the folder that we stand in decides what `path` means; a bare name of a program is not a path. */
function isRelativePath(path: string, context: Pick<SearchContext, 'platform'>): boolean {
  return hasSeparator(path, context) && !isWholePath(path, context);
}

function hasSeparator(path: string, { platform }: Pick<SearchContext, 'platform'>): boolean {
  return platform === 'win32' ? /[\\/]|^[a-z]:/i.test(path) : path.includes('/');
}

function pathsOf(platform: NodeJS.Platform): PlatformPath {
  return platform === 'win32' ? win32 : posix;
}

function fileNames(path: string, { platform }: SearchContext, batchFiles: boolean): readonly string[] {
  if (platform !== 'win32') return [path];
  // Node starts no batch file without a shell (CVE-2024-27980).
  const endings = batchFiles ? ['.exe', '.com', '.cmd', '.bat'] : ['.exe', '.com'];
  const isNamed = endings.includes(win32.extname(path).toLowerCase());
  return isNamed ? [path] : endings.map((ending) => path + ending);
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
