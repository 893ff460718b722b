import { AuthError } from '../errors.js';
import { isObject } from '../json-document.js';
import { isClientId, isProviderName, isScope, issuerFault, type ProviderEntry } from './provider.js';

/** `config.json`. Nothing in it is secret. */
export interface Configuration {
  readonly defaultProvider?: string;
  readonly store?: 'keychain' | 'file';
  readonly providers: Readonly<Record<string, ProviderEntry>>;
}

type Fields = Readonly<Record<string, unknown>>;

/** Says of the first mistake where it is and what was expected there, never what was found: it may be a secret in the wrong place. */
export async function decodeConfiguration(value: unknown, file: string): Promise<Configuration> {
  const at = (path: string, expected: string): never => {
    throw new AuthError('usage', `${file}: ${path || 'the file'} must be ${expected}`, {
      hint: `mend it in ${file}`,
    });
  };
  const fields = objectAt(value, '', ['$schema', 'defaultProvider', 'store', 'providers'], at);
  const { defaultProvider, store, providers } = fields;
  if (defaultProvider !== undefined && !isProviderName(defaultProvider))
    at('defaultProvider', 'the name of a provider');
  if (store !== undefined && store !== 'keychain' && store !== 'file') at('store', '"keychain" or "file"');
  const entries = providers === undefined ? {} : objectAt(providers, 'providers', undefined, at);
  const decoded: Record<string, ProviderEntry> = {};
  for (const [name, entry] of Object.entries(entries)) decoded[name] = await decodeEntry(name, entry, at);
  return {
    ...(typeof defaultProvider === 'string' && { defaultProvider }),
    ...((store === 'keychain' || store === 'file') && { store }),
    providers: decoded,
  };
}

type Complain = (path: string, expected: string) => never;

/** An entry of issuer, client and scope alone is what most have, and every start reads it. */
const plainFields: ReadonlySet<string> = new Set(['issuer', 'clientId', 'scope']);

async function decodeEntry(name: string, value: unknown, at: Complain): Promise<ProviderEntry> {
  const path = `providers.${name}`;
  if (!isProviderName(name)) at(path, 'named with a-z 0-9 . _ : - only');
  const entry = objectAt(value, path, undefined, at);
  if (Object.keys(entry).some((field) => !plainFields.has(field))) {
    const { decodeEntirely } = await import('./entry-schema.js');
    return decodeEntirely(entry, (where, expected) => at(`${path}.${where}`, expected));
  }
  const { issuer, clientId, scope } = entry;
  if (typeof issuer !== 'string') return at(`${path}.issuer`, 'the URL of the issuer');
  const fault = issuerFault(issuer);
  if (fault !== undefined) at(`${path}.issuer`, `the URL of an issuer, but it ${fault}`);
  if (typeof clientId !== 'string' || clientId === '') return at(`${path}.clientId`, 'the client ID, a text');
  if (!isClientId(clientId)) return at(`${path}.clientId`, 'of printable ASCII characters (RFC 6749 A.1)');
  if (scope === undefined) return { issuer, clientId };
  if (typeof scope !== 'string' || !isScope(scope))
    return at(`${path}.scope`, 'scopes separated by single spaces');
  return { issuer, clientId, scope };
}

function objectAt(value: unknown, path: string, known: readonly string[] | undefined, at: Complain): Fields {
  if (!isObject(value)) return at(path, 'an object');
  const stranger = Object.keys(value).find((key) => known !== undefined && !known.includes(key));
  if (stranger !== undefined && known !== undefined) {
    at(path ? `${path}.${stranger}` : stranger, `absent: known here are ${known.join(', ')}`);
  }
  return value;
}
