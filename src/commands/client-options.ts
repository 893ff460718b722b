import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';

import { AuthError } from '../errors.js';
import type { ProviderEntry } from '../providers/provider.js';
import { clientSurroundings, type Context } from './command.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';

const sources = ['clientSecretEnv', 'clientSecretFile', 'clientSecretCmd', 'clientSecretKeychain'] as const;

/** Where the secret of a confidential client is kept: never the secret itself, which a list of processes would show. */
export const clientOptions = {
  clientSecretEnv: {
    value: 'NAME',
    parse: variableName,
    unless: sources,
    summary: 'the environment variable that holds the client secret',
  },
  clientSecretFile: {
    value: 'PATH',
    unless: sources,
    summary: 'the file that holds the client secret',
  },
  clientSecretCmd: {
    value: 'COMMAND',
    unless: sources,
    summary: 'the command that prints the client secret; no shell runs it',
  },
  clientAuth: {
    value: 'METHOD',
    choices: ['client_secret_basic', 'client_secret_post'],
    summary: 'how the client authenticates: client_secret_basic (the default) or client_secret_post',
  },
} as const satisfies OptionTable;

export const keychainOption = {
  clientSecretKeychain: {
    summary: "keep the client secret in the system's keychain; asked for, or read from stdin",
  },
} as const satisfies OptionTable;

export type ClientOptions = OptionValues<typeof clientOptions & typeof keychainOption>;

type SecretSetting = NonNullable<ProviderEntry['client']>['secret'];

/** The provider with what the options say of its client. */
export function withClient<T extends ProviderEntry>(entry: T, options: ClientOptions, { world }: Context): T {
  const given = givenSources(options);
  if (given.length > 1) {
    throw new AuthError(
      'usage',
      `${given.map(flagOf).join(' and ')}: the client secret is in one place only`,
    );
  }
  const source = secretSource(options, world.workingFolder());
  if (source === undefined && options.clientAuth === undefined) return entry;
  const secret = source ?? entry.client?.secret;
  const authentication = options.clientAuth ?? entry.client?.authentication;
  if (options.clientAuth !== undefined && secret === undefined) {
    throw new AuthError('usage', '--client-auth needs a client secret', {
      hint: 'say where it is kept: --client-secret-cmd COMMAND',
    });
  }
  return {
    ...entry,
    client: { ...entry.client, ...(authentication && { authentication }), ...(secret && { secret }) },
  };
}

export function givesSecret(options: ClientOptions): boolean {
  return givenSources(options).length > 0;
}

function givenSources(options: ClientOptions): (typeof sources)[number][] {
  return sources.filter((key) => options[key]);
}

export function isKeptInKeychain({ client }: ProviderEntry): boolean {
  return typeof client?.secret === 'object' && 'keychain' in client.secret;
}

/** A path is kept whole: the next command may be run in another folder. */
function secretSource(
  { clientSecretEnv, clientSecretFile, clientSecretCmd, clientSecretKeychain }: ClientOptions,
  folder: string,
): SecretSetting {
  if (clientSecretEnv !== undefined) return { env: clientSecretEnv };
  if (clientSecretFile !== undefined) return { file: resolve(folder, clientSecretFile) };
  if (clientSecretCmd !== undefined) return { command: clientSecretCmd };
  return clientSecretKeychain ? { keychain: true } : undefined;
}

const longestSecret = 64 * 1024;

/** Asked for where somebody can answer, else read from standard input. */
export async function enteredSecret(context: Context): Promise<string> {
  const { world, terminal, globals } = context;
  const { signal } = clientSurroundings(context);
  const hint = 'pipe it in: pass show acme | authcli provider add … --client-secret-keychain';
  const isTerminal = world.stdin.isTTY === true;
  if (isTerminal && !terminal.isInteractive) {
    throw new AuthError('usage', 'the client secret cannot be asked for here', { hint });
  }
  const { askSecret } = await import('../terminal/prompt.js');
  const entered = isTerminal
    ? ((await askSecret('Client secret: ', world, signal)) ?? '')
    : (await pipedText(world.stdin, signal)).replace(/\r?\n$/, '');
  if (entered !== '') terminal.conceal(entered);
  if (/^[^\r\n\0]+$/.test(entered) && entered.length <= longestSecret) return entered;
  const fault = entered === '' ? 'is empty' : 'is not one line';
  throw new AuthError('usage', `the client secret ${fault}`, { hint: globals.noInput ? undefined : hint });
}

/** Nobody may ever end it. */
function pipedText(stdin: NodeJS.ReadableStream, signal: AbortSignal): Promise<string> {
  return new Promise((resolved, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    text(stdin).then(resolved, reject);
  });
}

/** What was given instead is not repeated: it may be the secret. */
function variableName(name: string): string {
  if (/^[a-z_]\w*$/i.test(name)) return name;
  throw new Error('the name of an environment variable, not the secret itself');
}
