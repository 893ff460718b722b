import type { AuthError } from '../errors.js';
import type { Remedy } from '../remedy.js';
import { shellWord } from '../remote-text.js';

/** What stood on this command line, so that the command that is printed means the same provider, account and files. */
export interface Asked {
  readonly provider?: string | undefined;
  readonly account?: string | undefined;
  readonly config?: string | undefined;
  readonly store?: 'keychain' | 'file' | undefined;
}

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
    case 'add_provider': {
      const { name, issuer, clientId, scope, ports, redirectUri } = remedy;
      return commandLine(`provider add ${shellWord(name)}`, asked, {
        '--issuer': issuer,
        '--client-id': clientId,
        '--scope': scope,
        '--port': ports?.join(','),
        '--redirect-uri': redirectUri,
      });
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
  }
}

/** One that a person can copy: every value is one word of a shell. */
function commandLine(
  command: string,
  { config }: Asked,
  options: Readonly<Record<string, string | undefined>>,
): string {
  const words = Object.entries({ ...options, '--config': config }).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, shellWord(value)],
  );
  return ['authcli', command, ...words].join(' ');
}
