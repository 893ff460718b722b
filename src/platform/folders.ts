import { existsSync } from 'node:fs';
import { isAbsolute, join, parse } from 'node:path';

import { AuthError } from '../errors.js';

export interface Folders {
  readonly configuration: string;
  readonly state: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The system's configuration and local data folders, or where `AUTHCLI_CONFIG_DIR` and `AUTHCLI_STATE_DIR` point. */
export function findFolders(env: Environment, platform: NodeJS.Platform): Folders {
  return {
    configuration:
      chosen(env, 'AUTHCLI_CONFIG_DIR') ?? join(parents[kindOf(platform)].configuration(env), 'authcli'),
    state: chosen(env, 'AUTHCLI_STATE_DIR') ?? join(parents[kindOf(platform)].state(env), 'authcli'),
  };
}

const parents = {
  darwin: {
    configuration: (env: Environment) => join(home(env), 'Library', 'Application Support'),
    state: (env: Environment) => join(home(env), 'Library', 'Application Support'),
  },
  win32: {
    configuration: (env: Environment) => absolute(env, 'APPDATA') ?? join(home(env), 'AppData', 'Roaming'),
    state: (env: Environment) => absolute(env, 'LOCALAPPDATA') ?? join(home(env), 'AppData', 'Local'),
  },
  // XDG Base Directory Specification; a relative path is to be ignored by its own rule.
  xdg: {
    configuration: (env: Environment) => absolute(env, 'XDG_CONFIG_HOME') ?? join(home(env), '.config'),
    state: (env: Environment) => absolute(env, 'XDG_DATA_HOME') ?? join(home(env), '.local', 'share'),
  },
};

function kindOf(platform: NodeJS.Platform): keyof typeof parents {
  return platform === 'darwin' || platform === 'win32' ? platform : 'xdg';
}

function home(env: Environment): string {
  const folder = env['HOME'] || env['USERPROFILE'];
  if (folder !== undefined && isAbsolute(folder)) return folder;
  throw new AuthError('usage', folder ? 'HOME is a relative path' : 'HOME is not set', {
    hint: 'set HOME to an absolute path, or AUTHCLI_CONFIG_DIR and AUTHCLI_STATE_DIR',
  });
}

function chosen(env: Environment, name: string): string | undefined {
  const folder = env[name];
  if (!folder) return undefined;
  if (isAbsolute(folder)) return folder;
  throw new AuthError('usage', `${name} is a relative path`, { hint: `set ${name} to an absolute path` });
}

function absolute(env: Environment, name: string): string | undefined {
  const folder = env[name];
  return folder && isAbsolute(folder) ? folder : undefined;
}

/** The folder, or while it is not there the root of its disk: where a program may stand whose folder a stranger must not choose. */
export function existingFolder(folder: string): string {
  return existsSync(folder) ? folder : parse(folder).root;
}
