import { registerClient } from '../oauth/registration.js';
import { AuthError } from '../errors.js';
import { redirectUris } from '../providers/expand-preset.js';
import type { Provider, ProviderEntry } from '../providers/provider.js';
import { writeKeychainSecret } from './keychain-secret.js';
import { serverMetadata } from './server-metadata.js';
import type { SecretSource } from './secret-source.js';
import type { ClientSurroundings } from './surroundings.js';

/**
 * A client of one's own at a provider that gives one to whoever asks, or shows `token` (RFC 7591); a secret that comes with it
 * goes into the keychain.
 */
export async function registerProvider(
  provider: Omit<Provider, 'clientId'>,
  token: SecretSource | undefined,
  surroundings: ClientSurroundings,
): Promise<ProviderEntry> {
  const { name, ...entry } = provider;
  const initialAccessToken = token && (await readToken(token, surroundings));
  const metadata = await serverMetadata(provider, surroundings, { isFresh: true });
  const description = { redirectUris: redirectUris(entry), scope: entry.scope, initialAccessToken };
  const { clientId, secret } = await registerClient(metadata, description, surroundings);
  if (secret === null) return { ...entry, clientId };
  try {
    await writeKeychainSecret({ name, issuer: entry.issuer, clientId }, secret.value, surroundings);
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== 'store') throw error;
    throw new AuthError(
      'store',
      `${name} was not added: the provider gave ${clientId} a secret, and ${error.message}`,
      { hint: error.hint, remedy: error.remedy, cause: error },
    );
  }
  const { authentication } = secret;
  return { ...entry, clientId, client: { ...entry.client, authentication, secret: { keychain: true } } };
}

async function readToken(source: SecretSource, surroundings: ClientSurroundings): Promise<string> {
  const use = { name: 'initial access token', option: '--register --registration-token-cmd COMMAND' };
  const token = await surroundings.readSecret(source, surroundings.signal, use);
  surroundings.conceal(token);
  // RFC 6750 2.1.
  if (/^[\w.~+/-]+=*$/.test(token)) return token;
  throw new AuthError('usage', `the ${use.name} holds characters that no token may have (RFC 6750 2.1)`);
}
