import type { AuthError } from '../errors.js';
import type { Remedy } from '../remedy.js';
import { shellWord } from '../remote-text.js';
import type { Asked } from './command.js';

/** The hint of an error: its remedy as a command line, or the words that it brings along. */
export function hintOf({ remedy, hint }: AuthError, asked: Asked): string | undefined {
  return remedy === undefined ? hint : remedyInWords(remedy, asked);
}

export function remedyInWords(remedy: Remedy, asked: Asked): string {
  switch (remedy.kind) {
    case 'login': {
      const { provider = asked.provider, account = asked.account, store, scope, prompt } = remedy;
      return commandLine('login', asked, {
        '-p': provider,
        '-a': account,
        '--store': store ?? asked.store,
        '--scope': scope,
        '--prompt': prompt,
      });
    }
    case 'logout': {
      const { provider = asked.provider, account, isAll, forgetOnly, otherwise } = remedy;
      const command = `logout${isAll ? ' --all' : ''}${forgetOnly ? ' --no-revoke' : ''}`;
      const line = commandLine(command, asked, {
        '-p': provider,
        '-a': account ?? (forgetOnly ? asked.account : undefined),
        '--store': forgetOnly ? asked.store : undefined,
      });
      return otherwise === undefined ? line : `${otherwise}; or forget without revoking: ${line}`;
    }
    case 'add_provider': {
      const { name, issuer, clientId, scope, ports, redirectUri, preset, settings = {} } = remedy;
      const added = commandLine(`provider add ${shellWord(name)}`, asked, {
        '--preset': preset,
        '--set': Object.entries(settings).map(([key, value]) => `${key}=${value}`),
        '--issuer': issuer,
        '--client-id': clientId,
        '--scope': scope,
        '--port': ports?.join(','),
        '--redirect-uri': redirectUri,
      });
      return remedy.needsSecret ? `${added} --client-secret-keychain` : added;
    }
    case 'choose_account':
      return `name one by its sub: ${remedy.subjects.map((sub) => `-a ${shellWord(sub)}`).join(', ')}`;
    case 'edit_file':
      return `${remedy.change} in ${shellWord(remedy.path)}`;
    case 'advice':
      return remedy.text;
    case 'right_account':
      return remedy.subject === null
        ? 'sign in as the right account, or leave out -a'
        : `sign in as the right account; if this is the one, name it by its sub: -a ${shellWord(remedy.subject)}`;
    case 'move_folder':
      return moveFolder(remedy, asked);
  }
}

function moveFolder(
  { holds, because, example }: Remedy & { kind: 'move_folder' },
  { config }: Asked,
): string {
  const isNamed = holds === 'configuration' && config !== undefined;
  const variable = holds === 'sessions' ? 'AUTHCLI_STATE_DIR' : 'AUTHCLI_CONFIG_DIR';
  const move = (where: string) =>
    isNamed ? `name a file in ${where}: --config FILE` : `set ${variable} to ${where}`;
  switch (because) {
    case 'denied':
      return `check the owner and the mode of that folder, or ${move('a folder of your own')}`;
    case 'unusable':
      return move('a folder that can be written');
    case 'shared':
      return move(
        example === undefined
          ? 'a folder of your own'
          : `a folder of your own, such as ${shellWord(example)}`,
      );
    case 'foreign_to_root':
      return `run it without sudo, or with sudo -H, or ${move('a folder of your own')}`;
    case 'foreign':
      return move('a folder of your own');
    case 'no_modes':
      return move('a folder on a file system where chmod has an effect');
  }
}

/** One that a person can copy: every value is one word of a shell. */
function commandLine(
  command: string,
  { config }: Asked,
  options: Readonly<Record<string, string | readonly string[] | undefined>>,
): string {
  const words = Object.entries({ ...options, '--config': config }).flatMap(([flag, values]) =>
    [values ?? []].flat().flatMap((value) => [flag, shellWord(value)]),
  );
  return ['authcli', command, ...words].join(' ');
}
