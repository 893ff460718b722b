import { AuthError } from '../errors.js';
import type { ClientAuthentication } from '../oauth/configuration.js';
import type { Provider } from '../providers/provider.js';
import { readKeychainSecret } from './keychain-secret.js';
import type { ClientSurroundings } from './surroundings.js';

/** Fetches what the client proves itself with from where the configuration says that it is; a public client has nothing. */
export async function clientAuthentication(
  provider: Provider,
  surroundings: ClientSurroundings,
): Promise<ClientAuthentication> {
  const { name, client = {} } = provider;
  const { readSecret, conceal, signal } = surroundings;
  if (client.key !== undefined) {
    const text = await readSecret(client.key, signal);
    conceal(text);
    const { parseSigningKey } = await import('../oauth/signing-key.js');
    return { method: 'private_key_jwt', key: parseSigningKey(text, client.key.file) };
  }
  if (client.authentication === 'private_key_jwt') {
    throw new AuthError('usage', `${name} authenticates with private_key_jwt, and has no key`, {
      hint: `name a file with the key: authcli provider add ${name} --force … --client-key FILE`,
    });
  }
  if (client.secret === undefined) {
    if (client.authentication === undefined) return { method: 'none' };
    throw new AuthError('usage', `${name} authenticates with ${client.authentication}, and has no secret`, {
      hint: `authcli provider add ${name} --force … --client-secret-cmd COMMAND`,
    });
  }
  const { authentication: method = 'client_secret_basic', formEncoding } = client;
  if (client.secret === 'empty') return { method, secret: '', formEncoding };
  const secret =
    'keychain' in client.secret
      ? await readKeychainSecret(provider, surroundings)
      : await readSecret(client.secret, signal);
  conceal(secret);
  return { method, secret, formEncoding };
}
