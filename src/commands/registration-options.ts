import type { SecretSource } from '../client/secret-source.js';
import { AuthError } from '../errors.js';
import { secretSource, variableName } from './client-options.js';
import type { Context } from './command.js';
import { namedCommand } from './named-options.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';

const sources = ['registrationTokenEnv', 'registrationTokenFile', 'registrationTokenCmd'] as const;

export const registrationOptions = {
  register: { summary: 'have the provider give a client ID (RFC 7591); needs the network' },
  registrationTokenEnv: {
    value: 'NAME',
    parse: variableName,
    unless: sources,
    summary: 'the environment variable that holds the initial access token for --register',
  },
  registrationTokenFile: {
    value: 'PATH',
    unless: sources,
    summary: 'the file that holds it',
  },
  registrationTokenCmd: {
    value: 'COMMAND',
    parse: namedCommand,
    unless: sources,
    summary: 'the command that prints it; no shell runs it',
  },
} as const satisfies OptionTable;

/** Where the initial access token is (RFC 7591 3): used once, and kept nowhere. */
export function registrationToken(
  options: OptionValues<typeof registrationOptions>,
  context: Context,
): SecretSource | undefined {
  const given = sources.filter((key) => options[key] !== undefined).map(flagOf);
  if (given.length > 1)
    throw new AuthError('usage', `${given.join(' and ')}: the initial access token is in one place only`);
  if (given[0] !== undefined && !options.register)
    throw new AuthError('usage', `${given[0]} needs --register`);
  const { registrationTokenEnv: env, registrationTokenFile: file, registrationTokenCmd: command } = options;
  return secretSource({ env, file, command }, 'registrationToken', context);
}
