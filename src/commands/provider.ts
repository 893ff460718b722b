import { AuthClient } from '../client/auth-client.js';
import { removeKeychainSecret, writeKeychainSecret } from '../client/keychain-secret.js';
import type { SecretSource } from '../client/secret-source.js';
import type { ClientSurroundings } from '../client/surroundings.js';
import { AuthError } from '../errors.js';
import { assertChangeable } from '../providers/edit-configuration.js';
import { assertProviderName, ownerOf, type Provider, type ProviderEntry } from '../providers/provider.js';
import { notOwn, unknownProvider, usableProviders } from '../providers/resolve-provider.js';
import type { SessionSummary } from '../store/session.js';
import { formatTable } from '../terminal/table.js';
import { changeConfiguration } from './change-configuration.js';
import { enteredSecret, isKeptInKeychain } from './client-options.js';
import { printableJson } from '../remote-text.js';
import {
  allProviders,
  chosenProvider,
  clientSurroundings,
  configurationFile,
  ownConfiguration,
  type Command,
  type Context,
} from './command.js';
import { addOptions, newEntry } from './new-entry.js';
import { passphraseSource } from './passphrase.js';
import { registrationToken } from './registration-options.js';

export const providerList: Command = {
  name: 'provider list',
  summary: 'list the configured providers',
  options: {},

  async run(_options, context) {
    const { world, terminal, globals } = context;
    const known = await allProviders(context);
    const { defaultProvider = known.defaultProvider } = known.project ?? {};
    const entries = usableProviders(known).map((provider) => [provider.name, entryOf(provider)] as const);
    if (globals.json) {
      world.stdout.write(`${printableJson({ providers: Object.fromEntries(entries) })}\n`);
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
    const { provider } = await chosenProvider(context, argument || globals.provider);
    const { name } = provider;
    const entry = entryOf(provider);
    if (globals.json) world.stdout.write(`${printableJson(entry)}\n`);
    else
      world.stdout.write(
        formatTable(
          ['NAME', name],
          Object.entries(entry).map(([key, value]) => [
            key,
            typeof value === 'string' ? value : printableJson(value),
          ]),
        ),
      );
  },
};

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
      return summary.provider === name && summary.project === null && !isSame;
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

async function registered(
  name: string,
  entry: ProviderEntry,
  token: SecretSource | undefined,
  context: Context,
): Promise<ProviderEntry> {
  const { registerProvider } = await import('../client/register-provider.js');
  return registerProvider({ name, ...entry }, token, askingSurroundings(context));
}

export const providerRemove: Command = {
  name: 'provider remove',
  summary: 'remove a provider that nobody is signed in to',
  options: {},
  argument: 'NAME',

  async run(_options, context, name) {
    assertProviderName(name);
    const { providers, defaultProvider } = await ownConfiguration(context);
    if (!Object.hasOwn(providers, name)) {
      const { project } = await allProviders(context);
      if (project === undefined || !Object.hasOwn(project.providers, name))
        throw unknownProvider(name, Object.keys(providers));
      throw notOwn(name, project.path, { kind: 'edit_file', path: project.path, change: 'remove it' });
    }
    const client = new AuthClient(clientSurroundings(context));
    if (client.getSessions().sessions.some(({ summary }) => isOfOwn(name, summary))) {
      throw stillSignedIn(name);
    }
    if (defaultProvider === name) await changeConfiguration(context, ['defaultProvider'], undefined);
    await changeConfiguration(context, ['providers', name], undefined);
    await forgetSecret(name, providers[name], context);
    context.terminal.notice(`Removed ${name}.`, { text: '✓', style: 'green' });
  },
};

/** As the configuration has it. */
function entryOf({ name: _name, project: _project, ...entry }: Provider): ProviderEntry {
  return entry;
}

/** A project's provider of the same name is another one. */
function isOfOwn(name: string, { provider, project }: SessionSummary): boolean {
  return provider === name && project === null;
}

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
