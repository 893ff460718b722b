import { AuthClient } from '../client/auth-client.js';
import { AuthError } from '../errors.js';
import { printableJson } from '../remote-text.js';
import { formatTable } from '../terminal/table.js';
import { changeConfiguration } from './change-configuration.js';
import { clientSurroundings, ownConfiguration, type Command } from './command.js';
import { passphraseSource } from './passphrase.js';
import type { OptionTable } from './options.js';

export const storeStatus: Command = {
  name: 'store status',
  summary: 'where sessions are kept, and whether the keychain can be used',
  options: {},

  async run(_options, context) {
    const { world, terminal, globals } = context;
    const surroundings = clientSurroundings(context);
    const { sessions, damaged } = new AuthClient(surroundings).getSessions();
    const probe = await (await world.keychain()).read('probe', surroundings.patience);
    const count = (store: string) => sessions.filter((session) => session.store === store).length;
    const answer = {
      folder: surroundings.folder,
      chosen: globals.store ?? (await ownConfiguration(context)).store ?? 'keychain',
      keychain: {
        usable: probe.kind !== 'unavailable',
        reason: probe.kind === 'unavailable' ? probe.reason : null,
      },
      sessions: { keychain: count('keychain'), file: count('file'), damaged: damaged.length },
    };
    for (const { message } of damaged) terminal.warn(message);
    if (globals.json) {
      world.stdout.write(`${printableJson(answer)}\n`);
      return;
    }
    const rows = [
      ['chosen store', answer.chosen],
      ['keychain', probe.kind === 'unavailable' ? `cannot be used: ${probe.message}` : 'can be used'],
      ['sessions', `${answer.sessions.keychain} under the keychain, ${answer.sessions.file} in sealed files`],
    ];
    world.stdout.write(formatTable(['folder', answer.folder], rows));
  },
};

const migrateOptions = {
  passphrase: { summary: 'to file: seal with a passphrase, asked for here' },
} as const satisfies OptionTable;

export const storeMigrate: Command<typeof migrateOptions> = {
  name: 'store migrate',
  summary: 'move every session to keychain or file, without a sign-in',
  options: migrateOptions,
  argument: 'STORE',

  async run(options, context, store) {
    if (store !== 'keychain' && store !== 'file') {
      throw new AuthError('usage', 'a store is keychain or file', { hint: 'authcli store migrate file' });
    }
    if (store === 'keychain' && options.passphrase) {
      throw new AuthError(
        'usage',
        '--passphrase goes with the file store: the keychain holds a key of its own',
        {
          hint: 'authcli store migrate keychain (asks by itself for what opens the sessions), or authcli store migrate file --passphrase',
        },
      );
    }
    const passphrase = passphraseSource(options, context);
    const client = new AuthClient(clientSurroundings(context, { passphrase }));
    const { sessions, damaged } = client.getSessions();
    if (sessions.length === 0 && options.passphrase) {
      throw new AuthError('usage', 'there is no session to seal with a passphrase', {
        hint: 'authcli login --store file --passphrase',
      });
    }
    for (const { message } of damaged) context.terminal.warn(`not moved: ${message}`);
    const moved = await client.migrate(store);
    await changeConfiguration(context, ['store'], store);
    const where = store === 'keychain' ? "under the system's keychain" : 'in sealed files';
    if (sessions.length === 0) {
      context.terminal.notice(`there is nothing to move; from now on sessions are kept ${where}`);
      return;
    }
    const all = damaged.length === 0 ? 'all' : 'all that can be read';
    context.terminal.notice(
      `${moved.length} session${moved.length === 1 ? '' : 's'} moved; ${all} are ${where} now.`,
      {
        text: '✓',
        style: 'green',
      },
    );
  },
};
