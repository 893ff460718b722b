import { text } from 'node:stream/consumers';

import { assertOverTls } from '../client/client-certificate.js';
import type { SecretSource } from '../client/secret-source.js';
import { AuthError } from '../errors.js';
import { wholePath } from '../named-program.js';
import type { ProviderEntry } from '../providers/provider.js';
import type { Context } from './command.js';
import { commandOf, namedCommand, type NamedCommand } from './named-options.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';

const sources = [
  'clientSecretEnv',
  'clientSecretFile',
  'clientSecretCmd',
  'clientSecretKeychain',
  'clientKey',
  'clientCert',
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
    parse: namedCommand,
    unless: sources,
    summary: 'the command that prints the client secret; no shell runs it',
  },
  clientKey: {
    value: 'PATH',
    unless: sources,
    summary: 'the file with the private key that the client signs with (private_key_jwt)',
  },
  clientCert: {
    value: 'PATH',
    unless: sources,
    summary: 'the PEM file with the certificate that the client presents (tls_client_auth, RFC 8705)',
  },
  clientCertKey: {
    value: 'PATH',
    unless: sources,
    summary: "the file with the certificate's private key, where it is another one",
  },
  clientAuth: {
    value: 'METHOD',
    choices: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
    ],
    summary:
      'how the client authenticates: client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth or self_signed_tls_client_auth',
  },
} as const satisfies OptionTable;

export const keychainOption = {
  clientSecretKeychain: {
    summary: "keep the client secret in the system's keychain; asked for, or read from stdin",
  },
} as const satisfies OptionTable;

export type ClientOptions = OptionValues<typeof clientOptions & typeof keychainOption>;

type ClientEntry = NonNullable<ProviderEntry['client']>;
type Method = NonNullable<ClientEntry['authentication']>;
/** What a client proves itself with, one of them at most. */
type Proof = Pick<ClientEntry, 'secret' | 'key' | 'certificate'>;

const proofFor: Readonly<Record<Method, keyof Proof>> = {
  client_secret_basic: 'secret',
  client_secret_post: 'secret',
  private_key_jwt: 'key',
  tls_client_auth: 'certificate',
  self_signed_tls_client_auth: 'certificate',
};

/** A secret has one by itself. */
const usualMethod: Readonly<Record<keyof Proof, Method | undefined>> = {
  secret: undefined,
  key: 'private_key_jwt',
  certificate: 'tls_client_auth',
};

/** The provider with what the options say of its client. */
export function withClient<T extends ProviderEntry>(entry: T, options: ClientOptions, context: Context): T {
  const given = givenProofs(options);
  if (given.length > 1) {
    throw new AuthError(
      'usage',
      `${given.map(flagOf).join(' and ')}: the client proves itself in one way only`,
    );
  }
  const { clientAuth, clientCertKey } = options;
  if (clientCertKey !== undefined && options.clientCert === undefined) {
    throw new AuthError('usage', '--client-cert-key needs --client-cert', {
      hint: 'name the file of the certificate too: --client-cert PATH',
    });
  }
  if (given.length === 0 && clientAuth === undefined) return entry;
  const { secret, key, certificate, authentication: before, ...rest } = entry.client ?? {};
  const known = { secret, key, certificate };
  const proof = given.length === 0 ? known : namedProof(options, context);
  const method = clientAuth ?? before;
  const kind = clientAuth === undefined ? kindOf(proof) : proofFor[clientAuth];
  if (proof[kind] === undefined) throw nothingFor(clientAuth);
  if (kind === 'certificate') assertOverTls(entry.issuer);
  const authentication = method !== undefined && proofFor[method] === kind ? method : usualMethod[kind];
  return {
    ...entry,
    client: { ...(authentication && { authentication }), ...rest, [kind]: proof[kind] },
  };
}

function kindOf({ key, certificate }: Proof): keyof Proof {
  if (key !== undefined) return 'key';
  return certificate === undefined ? 'secret' : 'certificate';
}

function nothingFor(method: Method | undefined): AuthError {
  const { needs, hint } = lacks[method === undefined ? 'secret' : proofFor[method]];
  return new AuthError('usage', `--client-auth ${method} needs ${needs}`, { hint });
}

const lacks: Readonly<Record<keyof Proof, { readonly needs: string; readonly hint: string }>> = {
  secret: { needs: 'a client secret', hint: 'say where it is kept: --client-secret-cmd COMMAND' },
  key: { needs: 'a key', hint: 'name the file that holds it: --client-key PATH' },
  certificate: { needs: 'a certificate', hint: 'name the file that holds it: --client-cert PATH' },
};

/** Whether the options say what the client proves itself with. */
export function namesProof(options: ClientOptions): boolean {
  return givenProofs(options).length > 0;
}

export function namesSecret(options: ClientOptions): boolean {
  return givenProofs(options).some((key) => key !== 'clientKey' && key !== 'clientCert');
}

function givenProofs(options: ClientOptions): (typeof sources)[number][] {
  return sources.filter((key) => options[key]);
}

export function isKeptInKeychain({ client }: ProviderEntry): boolean {
  return typeof client?.secret === 'object' && 'keychain' in client.secret;
}

/** Paths are kept whole: the next command may be run in another folder. */
function namedProof(options: ClientOptions, context: Context): Proof {
  const { clientKey, clientCert, clientCertKey } = options;
  const { world } = context;
  if (clientKey !== undefined) return { key: { file: wholePath(clientKey, world.workingFolder(), world) } };
  if (clientCert !== undefined) {
    const key = clientCertKey && { key: wholePath(clientCertKey, world.workingFolder(), world) };
    return { certificate: { file: wholePath(clientCert, world.workingFolder(), world), ...key } };
  }
  if (options.clientSecretKeychain) return { secret: { keychain: true } };
  const { clientSecretEnv: env, clientSecretFile: file, clientSecretCmd: command } = options;
  return { secret: secretSource({ env, file, command }, 'clientSecret', context) };
}

/** @param prefix of the keys of the three options */
export function secretSource(
  { env, file, command }: SecretOptions,
  prefix: 'clientSecret' | 'registrationToken',
  { world, terminal }: Context,
): SecretSource | undefined {
  if (env !== undefined) return { env };
  if (file !== undefined) return { file: wholePath(file, world.workingFolder(), world) };
  if (command === undefined) return undefined;
  const whole = commandOf(command, `${prefix}Cmd`, world);
  if (whole !== command.text) terminal.notice(`Paths in the command are made whole: ${whole}`);
  return { command: whole };
}

interface SecretOptions {
  readonly env: string | undefined;
  readonly file: string | undefined;
  readonly command: NamedCommand | undefined;
}

const longestSecret = 64 * 1024;

/** Asked for where somebody can answer, else read from standard input. */
export async function enteredSecret(context: Context): Promise<string> {
  const { world, terminal, globals } = context;
  const { signal } = context.clock;
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
export function variableName(name: string): string {
  if (/^[a-z_]\w*$/i.test(name)) return name;
  throw new Error('the name of an environment variable, not the secret itself');
}
