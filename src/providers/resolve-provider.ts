import { AuthError } from '../errors.js';
import type { Configuration } from './decode-configuration.js';
import { assertProviderName, ownerOf, type Provider } from './provider.js';

/** The named provider, else the configuration's default, else the only one there is. */
export function resolveProvider(configuration: Configuration, named: string | undefined): Provider {
  if (named !== undefined) assertProviderName(named);
  const names = Object.keys(configuration.providers);
  const name = named ?? configuration.defaultProvider ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined) throw nothingChosen(names);
  const entry = Object.hasOwn(configuration.providers, name) ? configuration.providers[name] : undefined;
  if (entry === undefined) throw unknownProvider(name, names);
  return { name, ...entry };
}

/** The entry that a session belongs to; it may have been changed or removed since the sign-in. */
export function findOwner(
  { providers }: Configuration,
  session: ReturnType<typeof ownerOf>,
): Provider | undefined {
  const entry = Object.hasOwn(providers, session.provider) ? providers[session.provider] : undefined;
  if (entry === undefined) return undefined;
  const provider = { name: session.provider, ...entry };
  const { issuer, clientId, endpoints } = ownerOf(provider);
  const isSame =
    issuer === session.issuer && clientId === session.clientId && endpoints === session.endpoints;
  return isSame ? provider : undefined;
}

export function unknownProvider(name: string, known: readonly string[]): AuthError {
  return new AuthError('usage', `no provider is named "${name}" (${listed(known)})`, {
    hint: `authcli provider add ${name} --issuer URL --client-id ID`,
  });
}

function nothingChosen(names: readonly string[]): AuthError {
  return names.length === 0
    ? new AuthError('usage', 'no provider is configured', {
        hint: 'authcli provider add NAME --issuer URL --client-id ID',
      })
    : new AuthError('usage', `which provider? (${listed(names)})`, {
        hint: 'add -p NAME, or set AUTHCLI_PROVIDER',
      });
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none is configured' : `known: ${names.toSorted().join(', ')}`;
}
