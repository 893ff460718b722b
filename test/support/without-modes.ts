import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { isOnPath, requirement } from './requirements.js';
import { behind, type Machine } from './run.js';

/** A mount needs rights and, in the kernel, FUSE: neither is something that one could install. */
export const hasFileSystemsWithoutModes =
  requirement('bindfs', isOnPath('bindfs')) &&
  requirement('unshare, nsenter', isOnPath('unshare') && isOnPath('nsenter')) &&
  isWritable('/dev/fuse') &&
  spawnSync('unshare', ['--mount', 'true']).status === 0;

/**
 * The machine with a folder whose file system takes every chmod and keeps none, as drives of Windows and of a network do: all
 * that lies there may be read and written by everybody. Only processes of this machine see the mount.
 */
export async function withFolderWithoutModes(
  machine: Machine,
  name: string,
  modes: 'of everything' | 'of what is made' = 'of everything',
): Promise<Machine> {
  const folder = join(machine.folder, name);
  mkdirSync(folder, { recursive: true });
  const mount = `bindfs --chmod-ignore ${options[modes]} "$0" "$0" -o nonempty && echo mounted && cat; umount "$0"`;
  const keeper = spawn('unshare', ['--mount', 'sh', '-c', mount, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    keeper.stdin.end();
    await once(keeper, 'close');
  });
  await once(keeper.stdout, 'data');
  return behind(machine, 'nsenter', `--mount=/proc/${keeper.pid}/ns/mnt`);
}

const options = { 'of everything': '-p 0777', 'of what is made': '--create-with-perms=a+rw' };

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
