import { join } from 'node:path';
import { platform } from 'node:process';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface DemoEnvironment extends Environment {
  readonly AUTHCLI_CONFIG_DIR: string;
  readonly AUTHCLI_STATE_DIR: string;
}

/** Of the person's environment all but what would change the programs of the demo: settings of authcli, Node and npm, and proxies. */
export function demoEnvironment(env: Environment, folder: string): DemoEnvironment {
  const kept = Object.entries(env).filter(([name]) => !/^(AUTHCLI|NODE|npm)_|_proxy$/i.test(name));
  return {
    ...Object.fromEntries(kept),
    AUTHCLI_CONFIG_DIR: join(folder, 'config'),
    AUTHCLI_STATE_DIR: join(folder, 'state'),
  };
}

/** Whether a browser that is opened here appears before a person. */
export function hasDisplay(env: Environment): boolean {
  if (env['CI'] || env['SSH_CONNECTION']) return false;
  if (platform === 'darwin' || platform === 'win32') return true;
  return Boolean(env['DISPLAY'] || env['WAYLAND_DISPLAY']);
}
