import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import type { ReadSecret, SecretUse } from '../client/secret-source.js';
import { childEnvironment } from '../child-environment.js';
import { quoteWord } from '../command-words.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { namedProgram, wholePath, type SearchContext } from '../named-program.js';
import { isWholePath } from '../whole-path.js';
import { shellWord } from '../remote-text.js';
import type { Remedy } from '../remedy.js';
import { asBatchFile } from './batch-file.js';
import { existingFolder } from './folders.js';

const longestCommandMs = 30_000;
const largestSecret = 64 * 1024;

const clientSecret: SecretUse = { name: 'client secret', option: '--force --client-secret-cmd COMMAND' };

export interface SecretContext extends SearchContext {
  /** The file that names the secrets; absent where a program does that uses the library. */
  readonly configuration: string | undefined;
  /** Where a command runs, and what a relative path was meant to be relative to: the folder of the configuration. */
  readonly folder: string;
}

/** Secrets are kept by others: in a variable, in a file, behind a command. */
export function secretReader(context: SecretContext): ReadSecret {
  return async (source, signal, use = clientSecret) => {
    if ('env' in source) return fromEnvironment(source.env, use, context);
    const text =
      'file' in source
        ? await fromFile(source.file, use, context)
        : await fromCommand(source.command, use, context, signal);
    const secret = text.replace(/\r?\n$/, '');
    if (secret !== '') return secret;
    const place = 'file' in source ? source.file : 'the command for it';
    throw new AuthError('usage', `the ${use.name} is empty: ${place} gives nothing`);
  };
}

function fromEnvironment(variable: string, { name, option }: SecretUse, { env }: SearchContext): string {
  const value = env[variable];
  if (value) return value;
  throw new AuthError('usage', `the ${name} is not there: ${variable} is not set`, {
    hint: `set ${variable}, or name another place: authcli provider add … ${option}`,
  });
}

async function fromFile(path: string, { name, option }: SecretUse, context: SecretContext): Promise<string> {
  if (!isWholePath(path, context)) {
    throw new AuthError('usage', `the ${name} is in a file by a relative path: ${JSON.stringify(path)}`, {
      remedy: edit(path, wholePath(path, context.folder, context), context),
    });
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new AuthError(
      'usage',
      `the ${name} is not there: cannot read ${path} (${systemErrorCode(error) ?? 'unknown failure'})`,
      { hint: `name another place: authcli provider add … ${option}`, cause: error },
    );
  }
}

async function fromCommand(
  command: string,
  { name }: SecretUse,
  context: SecretContext,
  signal: AbortSignal,
): Promise<string> {
  const named = namedProgram(command, context, true);
  if (named.kind === 'relative') throw relativeProgram(named.program, name, context);
  if (named.kind !== 'found') {
    // The command may be a secret that was put in the wrong place: it is not repeated.
    throw new AuthError('usage', `the ${name} is not there: its command is not an installed program`, {
      remedy: { kind: 'advice', text: 'install that program, or name another one by its whole path' },
    });
  }
  const { program, words, ...verbatim } = asBatchFile(named, context) ?? {
    program: named.path,
    words: named.words,
  };
  const folder = existingFolder(context.folder);
  try {
    const running = promisify(execFile)(program, words, {
      ...verbatim,
      cwd: folder,
      timeout: longestCommandMs,
      killSignal: 'SIGKILL',
      maxBuffer: largestSecret,
      env: childEnvironment(context),
      signal,
    });
    // The milder one that Node sends here is one that a program may ignore.
    signal.addEventListener('abort', () => running.child.kill('SIGKILL'), { once: true });
    // One that reads has nobody to wait for.
    running.child.stdin?.end();
    return (await running).stdout;
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const reason =
      typeof code === 'number' ? `exit code ${code}` : 'no answer in 30 seconds, or too long a one';
    // What the command said may hold the secret.
    throw new AuthError('usage', `the ${name} is not there: its command failed (${reason})`, {
      remedy: {
        kind: 'advice',
        text: `run the command by itself to see why; it is started in ${shellWord(folder)}`,
      },
    });
  }
}

function relativeProgram(program: string, name: string, context: SecretContext): AuthError {
  const whole = wholePath(program, context.folder, context);
  return new AuthError(
    'usage',
    `the command for the ${name} is a program by a relative path: ${JSON.stringify(program)}`,
    { remedy: edit(program, quoteWord(whole), context) },
  );
}

/** A relative path means another file in each folder, and a cloned repository could bring that file along. */
function edit(given: string, whole: string, { configuration }: SecretContext): Remedy {
  const change = `write ${JSON.stringify(whole)} instead of ${JSON.stringify(given)}`;
  if (configuration === undefined) return { kind: 'advice', text: 'name it by its whole path' };
  return { kind: 'edit_file', path: configuration, change };
}
