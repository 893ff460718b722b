import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { systemErrorCode } from '../../src/errors.js';
import { behind, type Machine } from './run.js';

const pageSize = 4096;

/** A machine whose state folder is a disk of 1 MiB. */
export interface SmallDisk {
  readonly machine: Machine;
  /** Until only `pages` of 4 kB are free. */
  readonly fill: (pages: number) => void;
  readonly free: () => void;
}

export function canMount(): boolean {
  return spawnSync('unshare', ['--mount', 'true']).status === 0;
}

/** Mounted where only a process of ours and those that it is handed to can see it, so that it goes when that ends, however it ends. */
export async function onSmallDisk(machine: Machine): Promise<SmallDisk> {
  const state = join(machine.folder, 'state');
  const mount = `mkdir -m 700 "$0" && mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && echo mounted && exec cat`;
  const keeper = spawn('unshare', ['--mount', 'sh', '-c', mount, state], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    keeper.stdin.end();
    await once(keeper, 'close');
  });
  await once(keeper.stdout, 'data');
  const filler = openSync(join(`/proc/${keeper.pid}/root`, state, 'filler'), 'w');
  onTestFinished(() => closeSync(filler));
  return {
    machine: behind(machine, 'nsenter', `--mount=/proc/${keeper.pid}/ns/mnt`),
    fill: (pages) => {
      const filled = fill(filler);
      ftruncateSync(filler, Math.max(0, filled - pages * pageSize));
    },
    free: () => ftruncateSync(filler, 0),
  };
}

/** Returns how many bytes found room. */
function fill(descriptor: number): number {
  const page = Buffer.alloc(pageSize, 1);
  for (let filled = 0; ; filled += pageSize) {
    try {
      writeSync(descriptor, page, 0, pageSize, filled);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOSPC') return filled;
      throw error;
    }
  }
}
