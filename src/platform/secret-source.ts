import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import type { ReadSecret, SecretUse } from '../client/secret-source.js';
import { AuthError, systemErrorCode } from '../errors.js';
import { splitWords } from './command-words.js';
import { findProgram, type SearchContext } from './program-search.js';

const longestCommandMs = 30_000;
const largestSecret = 64 * 1024;

const clientSecret: SecretUse = { name: 'client secret', option: '--force --client-secret-cmd COMMAND' };

/** Secrets are kept by others: in a variable, in a file, behind a command. */
export function secretReader(context: SearchContext): ReadSecret {
  return async (source, signal, use = clientSecret) => {
    if ('env' in source) return fromEnvironment(source.env, use, context);
    const text =
      'file' in source
        ? await fromFile(source.file, use)
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

async function fromFile(path: string, { name, option }: SecretUse): Promise<string> {
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
  context: SearchContext,
  signal: AbortSignal,
): Promise<string> {
  const [program = '', ...words] = splitWords(command, context.platform !== 'win32') ?? [];
  const path = findProgram(program, context);
  if (path === undefined) {
    throw new AuthError('usage', `the ${name} is not there: its command is not an installed program`);
  }
  try {
    const running = promisify(execFile)(path, words, {
      timeout: longestCommandMs,
      killSignal: 'SIGKILL',
      maxBuffer: largestSecret,
      env: ourOwnLeftOut(context),
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
      hint: 'run the command by itself to see why',
    });
  }
}

function ourOwnLeftOut({ env }: SearchContext): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('AUTHCLI_')));
}
