import { AuthClient } from '../client/auth-client.js';
import { AuthError } from '../errors.js';
import { assertProviderName, issuerFault } from '../providers/provider.js';
import { resolveProvider, unknownProvider } from '../providers/resolve-provider.js';
import { formatTable } from '../terminal/table.js';
import { changeConfiguration } from './change-configuration.js';
import { clientSurroundings, configuration, type Command } from './command.js';
import { clientIdentifier, scopeOf } from './values.js';
import type { OptionTable } from './options.js';

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
    else world.stdout.write(formatTable(['NAME', name], Object.entries(entry)));
  },
};

const addOptions = {
  issuer: { value: 'URL', summary: "the issuer, exactly as in the provider's metadata" },
  clientId: { value: 'ID', parse: clientIdentifier, summary: 'the client ID that you registered there' },
  scope: { value: 'SCOPE', list: true, summary: 'the scopes to ask for' },
  force: { summary: 'replace a provider of this name' },
} as const satisfies OptionTable;

export const providerAdd: Command<typeof addOptions> = {
  name: 'provider add',
  summary: 'add a provider; needs no network',
  options: addOptions,
  argument: 'NAME',

  async run({ issuer, clientId, scope, force }, context, name) {
    assertProviderName(name);
    const usage = `authcli provider add ${name} --issuer URL --client-id ID`;
    if (!issuer || !clientId)
      throw new AuthError('usage', 'a provider needs --issuer and --client-id', { hint: usage });
    const fault = issuerFault(issuer);
    if (fault !== undefined) throw new AuthError('usage', `the issuer ${fault}`, { hint: usage });
    const { providers } = await configuration(context);
    if (Object.hasOwn(providers, name) && !force) {
      throw new AuthError('usage', `there is a provider named "${name}" already`, {
        hint: 'add --force to replace it, or choose another name',
      });
    }
    const client = new AuthClient(clientSurroundings(context));
    const isElsewhere = client
      .getSessions()
      .sessions.some(
        ({ summary }) =>
          summary.provider === name && (summary.issuer !== issuer || summary.clientId !== clientId),
      );
    if (isElsewhere) throw stillSignedIn(name);
    const entry = { issuer, clientId, ...(scope && { scope: scopeOf(scope) }) };
    await changeConfiguration(context, ['providers', name], entry);
    context.terminal.notice(`Added ${name}. Next: authcli login -p ${name}`, { text: '✓', style: 'green' });
  },
};

export const providerRemove: Command = {
  name: 'provider remove',
  summary: 'remove a provider that nobody is signed in to',
  options: {},
  argument: 'NAME',

  async run(_options, context, name) {
    assertProviderName(name);
    const { providers, defaultProvider } = await configuration(context);
    if (!Object.hasOwn(providers, name)) throw unknownProvider(name, Object.keys(providers));
    const client = new AuthClient(clientSurroundings(context));
    if (client.getSessions().sessions.some(({ summary }) => summary.provider === name)) {
      throw stillSignedIn(name);
    }
    if (defaultProvider === name) await changeConfiguration(context, ['defaultProvider'], undefined);
    await changeConfiguration(context, ['providers', name], undefined);
    context.terminal.notice(`Removed ${name}.`, { text: '✓', style: 'green' });
  },
};

function stillSignedIn(name: string): AuthError {
  return new AuthError('usage', `somebody is still signed in to ${name}`, {
    hint: `authcli logout --all -p ${name}`,
  });
}
