import { AuthError } from '../errors.js';
import type { ClientAuthentication } from '../oauth/configuration.js';
import type { Provider } from '../providers/provider.js';
import { clientCertificate } from './client-certificate.js';
import { readKeychainSecret } from './keychain-secret.js';
import type { ClientSurroundings } from './surroundings.js';

/** Fetches what the client proves itself with from where the configuration says that it is; a public client has nothing. */
export async function clientAuthentication(
  provider: Provider,
  surroundings: ClientSurroundings,
): Promise<ClientAuthentication> {
  const { name, client = {} } = provider;
  const { readSecret, conceal, signal } = surroundings;
  const { authentication = client.certificate && 'tls_client_auth' } = client;
  if (authentication === 'tls_client_auth' || authentication === 'self_signed_tls_client_auth') {
    return { method: authentication, certificate: await clientCertificate(provider, surroundings) };
  }
  if (client.certificate !== undefined) {
    throw new AuthError('usage', `${name} authenticates with ${authentication}, and has a certificate`, {
      hint: `say that it is for authentication: authcli provider add ${name} --force … --client-auth tls_client_auth`,
    });
  }
  if (client.key !== undefined) {
    const text = await readSecret(client.key, signal, {
      name: "client's key",
      option: '--force --client-key PATH',
    });
    conceal(text);
    const { parseSigningKey } = await import('../oauth/signing-key.js');
    return { method: 'private_key_jwt', key: parseSigningKey(text, client.key.file) };
  }
  if (authentication === 'private_key_jwt') {
    throw new AuthError('usage', `${name} authenticates with private_key_jwt, and has no key`, {
      hint: `name a file with the key: authcli provider add ${name} --force … --client-key FILE`,
    });
  }
  if (client.secret === undefined) {
    if (authentication === undefined) return { method: 'none' };
    throw new AuthError('usage', `${name} authenticates with ${authentication}, and has no secret`, {
      hint: `authcli provider add ${name} --force … --client-secret-cmd COMMAND`,
    });
  }
  const method = authentication ?? 'client_secret_basic';
  const { formEncoding } = client;
  if (client.secret === 'empty') return { method, secret: '', formEncoding };
  const secret =
    'keychain' in client.secret
      ? await readKeychainSecret(provider, surroundings)
      : await readSecret(client.secret, signal);
  // Many secrets begin with the name of their client, which hints and addresses must still be able to say.
  conceal(secret, `${provider.clientId} ${provider.issuer}`);
  return { method, secret, formEncoding };
}
