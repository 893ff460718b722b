import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';

import { AuthError } from '../errors.js';
import type { ProviderEntry } from '../providers/provider.js';
import { clientSurroundings, type Context } from './command.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';

const sources = [
  'clientSecretEnv',
  'clientSecretFile',
  'clientSecretCmd',
  'clientSecretKeychain',
  'clientKey',
] as const;

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
  clientKey: {
    value: 'PATH',
    unless: sources,
    summary: 'the file with the private key that the client signs with (private_key_jwt)',
  },
  clientAuth: {
    value: 'METHOD',
    choices: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    summary: 'how the client authenticates: client_secret_basic, client_secret_post or private_key_jwt',
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
      `${given.map(flagOf).join(' and ')}: the client proves itself in one way only`,
    );
  }
  const { clientAuth } = options;
  if (given.length === 0 && clientAuth === undefined) return entry;
  const folder = world.workingFolder();
  if (options.clientKey !== undefined || (given.length === 0 && clientAuth === 'private_key_jwt')) {
    return withKey(entry, options, folder);
  }
  const { key: _key, authentication: before, ...client } = entry.client ?? {};
  const secret = secretSource(options, folder) ?? client.secret;
  if (secret === undefined || clientAuth === 'private_key_jwt') throw nothingFor(clientAuth);
  const authentication = clientAuth ?? (before === 'private_key_jwt' ? undefined : before);
  return { ...entry, client: { ...(authentication && { authentication }), ...client, secret } };
}

function withKey<T extends ProviderEntry>(
  entry: T,
  { clientKey, clientAuth = 'private_key_jwt' }: ClientOptions,
  folder: string,
): T {
  const { secret: _secret, ...client } = entry.client ?? {};
  const key = clientKey === undefined ? client.key : { file: resolve(folder, clientKey) };
  if (key === undefined || clientAuth !== 'private_key_jwt') throw nothingFor(clientAuth);
  return { ...entry, client: { ...client, authentication: clientAuth, key } };
}

function nothingFor(method: string | undefined): AuthError {
  return method === 'private_key_jwt'
    ? new AuthError('usage', '--client-auth private_key_jwt needs a key', {
        hint: 'name the file that holds it: --client-key PATH',
      })
    : new AuthError('usage', `--client-auth ${method} needs a client secret`, {
        hint: 'say where it is kept: --client-secret-cmd COMMAND',
      });
}

export function namesSecret(options: ClientOptions): boolean {
  return givenSources(options).some((key) => key !== 'clientKey');
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
