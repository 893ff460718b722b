import { AuthClient } from '../client/auth-client.js';
import { AuthError } from '../errors.js';
import { notOwn } from '../providers/resolve-provider.js';
import { changeConfiguration } from './change-configuration.js';
import { chosenProvider, clientSurroundings, type Command } from './command.js';

export const switchCommand: Command = {
  name: 'switch',
  summary: 'choose the default provider (-p), or the current account of a provider (-a)',
  options: {},

  async run(_options, context) {
    const { terminal, globals } = context;
    const { provider: named, account, store } = globals;
    if (named === undefined && account === undefined) {
      throw new AuthError('usage', 'switch to what?', {
        hint: 'authcli switch -p NAME, or authcli switch -p NAME -a WHO',
      });
    }
    const { provider, makeOwn } = await chosenProvider(context);
    if (account === undefined) {
      if (provider.project !== undefined) throw notOwn(provider.name, provider.project.file, makeOwn);
      await changeConfiguration(context, ['defaultProvider'], provider.name);
      terminal.notice(`${provider.name} is the default provider now.`, { text: '✓', style: 'green' });
      return;
    }
    const client = new AuthClient(clientSurroundings(context));
    const found = client.findSession(provider, { account, store });
    if (found === undefined) throw client.notSignedIn(provider, account);
    await client.makeCurrent(found);
    terminal.notice(`${client.labelOf(found.summary)} is the current account of ${provider.name} now.`, {
      text: '✓',
      style: 'green',
    });
  },
};
