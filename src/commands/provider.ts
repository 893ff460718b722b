import { AuthClient } from '../client/auth-client.js';
import { removeKeychainSecret, writeKeychainSecret } from '../client/keychain-secret.js';
import type { SecretSource } from '../client/secret-source.js';
import type { ClientSurroundings } from '../client/surroundings.js';
import { AuthError } from '../errors.js';
import { assertChangeable } from '../providers/edit-configuration.js';
import { assertProviderName, issuerFault, ownerOf, type ProviderEntry } from '../providers/provider.js';
import { resolveProvider, unknownProvider } from '../providers/resolve-provider.js';
import { shellWord } from '../remote-text.js';
import { formatTable } from '../terminal/table.js';
import { changeConfiguration } from './change-configuration.js';
import {
  clientOptions,
  enteredSecret,
  namesProof,
  namesSecret,
  isKeptInKeychain,
  keychainOption,
  withClient,
} from './client-options.js';
import {
  clientSurroundings,
  configuration,
  configurationFile,
  ownConfiguration,
  type Command,
  type Context,
} from './command.js';
import { passphraseSource } from './passphrase.js';
import { redirectOptions, withRedirect } from './redirect-options.js';
import { registrationOptions, registrationToken } from './registration-options.js';
import { clientIdentifier, nameAndValue, scopeOf } from './values.js';
import { flagOf, type OptionTable, type OptionValues } from './options.js';

export const providerList: Command = {
  name: 'provider list',
  summary: 'list the configured providers',
  options: {},

  async run(_options, context) {
    const { world, terminal, globals } = context;
    const { providers, defaultProvider } = await configuration(context);
    const entries = Object.entries(providers).toSorted(([a], [b]) => a.localeCompare(b));
    if (globals.json) {
      world.stdout.write(`${JSON.stringify({ providers })}\n`);
    } else if (entries.length === 0) {
      terminal.notice('no provider is configured: authcli provider add NAME --issuer URL --client-id ID');
    } else {
      const rows = entries.map(([name, { issuer, clientId, scope }]) => [
        name === defaultProvider || entries.length === 1 ? '*' : '',
        name,
        issuer,
        clientId,
        scope ?? '',
      ]);
      world.stdout.write(formatTable(['', 'NAME', 'ISSUER', 'CLIENT ID', 'SCOPE'], rows));
    }
  },
};

export const providerShow: Command = {
  name: 'provider show',
  summary: 'show one provider (the one that would be used)',
  options: {},
  argument: '[NAME]',

  async run(_options, context, argument) {
    const { world, globals } = context;
    const { name, ...entry } = resolveProvider(await configuration(context), argument || globals.provider);
    if (globals.json) world.stdout.write(`${JSON.stringify(entry)}\n`);
    else
      world.stdout.write(
        formatTable(
          ['NAME', name],
          Object.entries(entry).map(([key, value]) => [
            key,
            typeof value === 'string' ? value : JSON.stringify(value),
          ]),
        ),
      );
  },
};

const addOptions = {
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

export const providerAdd: Command<typeof addOptions> = {
  name: 'provider add',
  summary: 'add a provider; needs no network but for --register',
  options: addOptions,
  argument: 'NAME',

  async run(options, context, name) {
    assertProviderName(name);
    const token = registrationToken(options, context);
    const { entry: described, advice } = await newEntry(name, options, context);
    const { providers } = await ownConfiguration(context);
    if (Object.hasOwn(providers, name) && !options.force) {
      throw new AuthError('usage', `there is a provider named "${name}" already`, {
        hint: 'add --force to replace it, or choose another name',
      });
    }
    const client = new AuthClient(clientSurroundings(context));
    const owner = ownerOf({ name, ...described });
    const isElsewhere = client.getSessions().sessions.some(({ summary }) => {
      const isSame = (['issuer', 'clientId', 'endpoints'] as const).every(
        (key) => summary[key] === owner[key],
      );
      return summary.provider === name && !isSame;
    });
    if (isElsewhere) throw stillSignedIn(name);
    assertChangeable(configurationFile(context));
    const entry = options.register ? await registered(name, described, token, context) : described;
    if (options.clientSecretKeychain) {
      const secret = await enteredSecret(context);
      await writeKeychainSecret({ name, ...entry }, secret, askingSurroundings(context));
    }
    await changeConfiguration(context, ['providers', name], entry);
    await forgetSecret(name, providers[name], context);
    context.terminal.notice(`Added ${name}. Next: authcli login -p ${name}`, { text: '✓', style: 'green' });
    for (const line of advice) context.terminal.notice(line);
  },
};

interface NewEntry {
  readonly entry: ProviderEntry;
  /** What is still to be done at the provider. */
  readonly advice: readonly string[];
}

async function newEntry(
  name: string,
  { preset, set, ...options }: AddOptions,
  context: Context,
): Promise<NewEntry> {
  if (options.register) return { entry: toBeRegistered(name, { preset, ...options }), advice: [] };
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
  { issuer, clientId, preset, scope, ...options }: AddOptions,
): ProviderEntry {
  const usage = `authcli provider add ${name} --issuer URL --register`;
  if (!issuer) throw new AuthError('usage', '--register needs --issuer', { hint: usage });
  const given = {
    '--client-id': clientId,
    '--preset': preset,
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

async function registered(
  name: string,
  entry: ProviderEntry,
  token: SecretSource | undefined,
  context: Context,
): Promise<ProviderEntry> {
  const { registerProvider } = await import('../client/register-provider.js');
  return registerProvider({ name, ...entry }, token, askingSurroundings(context));
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

export const providerRemove: Command = {
  name: 'provider remove',
  summary: 'remove a provider that nobody is signed in to',
  options: {},
  argument: 'NAME',

  async run(_options, context, name) {
    assertProviderName(name);
    const { providers, defaultProvider } = await ownConfiguration(context);
    if (!Object.hasOwn(providers, name)) throw unknownProvider(name, Object.keys(providers));
    const client = new AuthClient(clientSurroundings(context));
    if (client.getSessions().sessions.some(({ summary }) => summary.provider === name)) {
      throw stillSignedIn(name);
    }
    if (defaultProvider === name) await changeConfiguration(context, ['defaultProvider'], undefined);
    await changeConfiguration(context, ['providers', name], undefined);
    await forgetSecret(name, providers[name], context);
    context.terminal.notice(`Removed ${name}.`, { text: '✓', style: 'green' });
  },
};

/** An item of the keychain goes with the last entry that needs it. */
async function forgetSecret(name: string, entry: ProviderEntry | undefined, context: Context): Promise<void> {
  if (entry === undefined || !isKeptInKeychain(entry)) return;
  const { providers } = await ownConfiguration(context);
  const isNeeded = Object.values(providers).some(
    (other) => isKeptInKeychain(other) && other.issuer === entry.issuer && other.clientId === entry.clientId,
  );
  if (isNeeded) return;
  try {
    await removeKeychainSecret({ name, ...entry }, askingSurroundings(context));
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    context.terminal.warn(`the client secret of ${name} stays in the keychain: ${error.message}`);
  }
}

/** The keychain may ask to be unlocked. */
function askingSurroundings(context: Context): ClientSurroundings {
  return clientSurroundings(context, { passphrase: passphraseSource({}, context) });
}

function stillSignedIn(name: string): AuthError {
  return new AuthError('usage', `somebody is still signed in to ${name}`, {
    hint: `authcli logout --all -p ${name}`,
  });
}
