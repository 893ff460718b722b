import { existsSync } from 'node:fs';
import { parse, posix, win32 } from 'node:path';

import { AuthError } from '../errors.js';

export interface Folders {
  readonly configuration: string;
  readonly state: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The system's configuration and local data folders, or where `AUTHCLI_CONFIG_DIR` and `AUTHCLI_STATE_DIR` point. */
export function findFolders(env: Environment, platform: NodeJS.Platform): Folders {
  const { configuration, state } = parents[kindOf(platform)];
  const path = platform === 'win32' ? win32 : posix;
  return {
    configuration: chosen(env, 'AUTHCLI_CONFIG_DIR', platform) ?? path.join(configuration(env), 'authcli'),
    state: chosen(env, 'AUTHCLI_STATE_DIR', platform) ?? path.join(state(env), 'authcli'),
  };
}

const parents = {
  darwin: {
    configuration: (env: Environment) => posix.join(home(env), 'Library', 'Application Support'),
    state: (env: Environment) => posix.join(home(env), 'Library', 'Application Support'),
  },
  win32: {
    configuration: (env: Environment) =>
      absolute(env, 'APPDATA', 'win32') ?? win32.join(profile(env), 'AppData', 'Roaming'),
    state: (env: Environment) =>
      absolute(env, 'LOCALAPPDATA', 'win32') ?? win32.join(profile(env), 'AppData', 'Local'),
  },
  // XDG Base Directory Specification; a relative path is to be ignored by its own rule.
  xdg: {
    configuration: (env: Environment) =>
      absolute(env, 'XDG_CONFIG_HOME', 'linux') ?? posix.join(home(env), '.config'),
    state: (env: Environment) =>
      absolute(env, 'XDG_DATA_HOME', 'linux') ?? posix.join(home(env), '.local', 'share'),
  },
};

function kindOf(platform: NodeJS.Platform): keyof typeof parents {
  return platform === 'darwin' || platform === 'win32' ? platform : 'xdg';
}

function home(env: Environment): string {
  return personal(env, 'HOME', 'linux');
}

/** Not HOME: the shells that come with Git set it to a path of theirs, which Windows takes for one of the current drive. */
function profile(env: Environment): string {
  return personal(env, 'USERPROFILE', 'win32');
}

function personal(env: Environment, name: string, platform: NodeJS.Platform): string {
  const folder = absolute(env, name, platform);
  if (folder !== undefined) return folder;
  throw new AuthError('usage', env[name] ? `${name} is a relative path` : `${name} is not set`, {
    hint: `set ${name} to an absolute path, or AUTHCLI_CONFIG_DIR and AUTHCLI_STATE_DIR`,
  });
}

function chosen(env: Environment, name: string, platform: NodeJS.Platform): string | undefined {
  if (!env[name]) return undefined;
  const folder = absolute(env, name, platform);
  if (folder !== undefined) return folder;
  throw new AuthError('usage', `${name} is a relative path`, { hint: `set ${name} to an absolute path` });
}

function absolute(env: Environment, name: string, platform: NodeJS.Platform): string | undefined {
  const folder = env[name];
  return folder && isAbsolute(folder, platform) ? folder : undefined;
}

/** On Windows `\\folder` and `/folder` mean one folder on one drive, and another after `D:`. */
function isAbsolute(folder: string, platform: NodeJS.Platform): boolean {
  if (platform !== 'win32') return posix.isAbsolute(folder);
  return win32.isAbsolute(folder) && win32.parse(folder).root.length > 1;
}

/** The folder, or while it is not there the root of its disk: where a program may stand whose folder a stranger must not choose. */
export function existingFolder(folder: string): string {
  return existsSync(folder) ? folder : parse(folder).root;
}
