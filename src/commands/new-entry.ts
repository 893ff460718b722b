import { AuthError } from '../errors.js';
import { issuerFault, type ProviderEntry } from '../providers/provider.js';
import { shellWord } from '../remote-text.js';
import { clientOptions, keychainOption, namesProof, namesSecret, withClient } from './client-options.js';
import type { Context } from './command.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';
import { redirectOptions, withRedirect } from './redirect-options.js';
import { registrationOptions } from './registration-options.js';
import { clientIdentifier, nameAndValue, scopeOf } from './values.js';

export const addOptions = {
  issuer: { value: 'URL', summary: "the issuer, exactly as in the provider's metadata" },
  clientId: { value: 'ID', parse: clientIdentifier, summary: 'the client ID that you registered there' },
  ...registrationOptions,
  scope: { value: 'SCOPE', list: true, summary: 'the scopes to ask for' },
  preset: { value: 'PRESET', summary: 'one that authcli knows: authcli provider presets' },
  set: {
    value: 'K=V',
    list: true,
    parse: nameAndValue,
    summary: 'a setting of the preset, such as its tenant',
  },
  ...clientOptions,
  ...keychainOption,
  ...redirectOptions,
  force: { summary: 'replace a provider of this name' },
} as const satisfies OptionTable;

type AddOptions = OptionValues<typeof addOptions>;

interface NewEntry {
  readonly entry: ProviderEntry;
  /** What is still to be done at the provider. */
  readonly advice: readonly string[];
}

/** A provider as `provider add` is told of it. */
export async function newEntry(
  name: string,
  { preset, set, ...options }: AddOptions,
  context: Context,
): Promise<NewEntry> {
  if (options.register) return { entry: toBeRegistered(name, { preset, set, ...options }), advice: [] };
  if (preset !== undefined) return fromPreset(name, preset, set ?? [], options, context);
  if (set !== undefined)
    throw new AuthError('usage', '--set needs --preset', { hint: 'authcli provider presets' });
  const usage = `authcli provider add ${name} --issuer URL --client-id ID`;
  const { issuer, clientId, scope } = options;
  if (!issuer || !clientId) {
    throw new AuthError('usage', 'a provider needs --issuer and --client-id, or --preset', { hint: usage });
  }
  assertIssuer(issuer, usage);
  const entry = { issuer, clientId, ...(scope && { scope: scopeOf(scope) }) };
  return { entry: withRedirect(withClient(entry, options, context), options), advice: [] };
}

/** Its client ID is for the provider to give. */
function toBeRegistered(
  name: string,
  { issuer, clientId, preset, set, scope, ...options }: AddOptions,
): ProviderEntry {
  const usage = `authcli provider add ${name} --issuer URL --register`;
  if (!issuer) throw new AuthError('usage', '--register needs --issuer', { hint: usage });
  const given = {
    '--client-id': clientId,
    '--preset': preset,
    '--set': set,
    '--client-auth': options.clientAuth,
    '--client-cert-key': options.clientCertKey,
  };
  const named = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  const stranger = named ?? (namesProof(options) ? 'a secret, a key or a certificate' : undefined);
  if (stranger !== undefined) {
    throw new AuthError('usage', `--register does not go with ${stranger}`, { hint: usage });
  }
  assertIssuer(issuer, usage);
  const described: ProviderEntry = { issuer, clientId: '', ...(scope && { scope: scopeOf(scope) }) };
  const entry = withRedirect(described, options);
  if (options.redirectUri !== undefined) return entry;
  // RFC 9700 4.4.2.2: what another provider sends here is not taken for an answer of this one.
  return { ...entry, redirect: { ...entry.redirect, path: `/callback/${name}` } };
}

async function fromPreset(
  name: string,
  id: string,
  settings: readonly (readonly [string, string])[],
  { issuer, clientId, scope, ...options }: AddOptions,
  context: Context,
): Promise<NewEntry> {
  const { readPreset } = await import('../providers/presets.js');
  const { addCommand, expandPreset, redirectUris } = await import('../providers/expand-preset.js');
  const preset = readPreset(id);
  if (!clientId) {
    throw new AuthError('usage', `the preset ${id} needs --client-id: register a client there first`, {
      hint: `authcli provider presets ${id}`,
    });
  }
  const given = Object.fromEntries(settings);
  const expanded = expandPreset(preset, given, clientId);
  const clientAuth = options.clientAuth ?? (namesSecret(options) ? preset.secret?.authentication : undefined);
  const own = { ...expanded, ...(issuer && { issuer }), ...(scope && { scope: scopeOf(scope) }) };
  assertIssuer(own.issuer, addCommand(preset, name));
  const entry = withRedirect(withClient(own, { ...options, clientAuth }, context), options);
  const advice = [`To be registered at ${preset.name}: ${redirectUris(entry).join(', ')}`];
  const hasProof = namesProof(options) || entry.client?.secret !== undefined;
  if (preset.secret?.need === 'required' && !hasProof) {
    advice.push(`${preset.name} gives its clients a secret. Say where it is kept, such as:`);
    const again = [addCommand(preset, name, clientId, given), ...repeated({ issuer, scope, ...options })];
    advice.push(`${again.join(' ')} --force --client-secret-keychain`);
  }
  return { entry, advice };
}

/** What was said next to the preset, as it is said again. */
function repeated({ issuer, scope, port, redirectUri }: AddOptions): string[] {
  const values = { issuer, scope: scope?.join(' '), port: port?.join(','), redirectUri };
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [flagOf(key), shellWord(value)],
  );
}

function assertIssuer(issuer: string, hint: string): void {
  const fault = issuerFault(issuer);
  if (fault !== undefined) throw new AuthError('usage', `the issuer ${fault}`, { hint });
}
