import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Those that have the file open; Linux only. */
export function holdersOf(file: string): number[] {
  return processIds().filter((pid) =>
    orNone(() => readdirSync(`/proc/${pid}/fd`)).some(
      (descriptor) => orNone(() => [readlinkSync(`/proc/${pid}/fd/${descriptor}`)])[0] === file,
    ),
  );
}

/** Linux only. */
export function childrenOf(parent: number): number[] {
  return processIds().filter((pid) => {
    const [stat = ''] = orNone(() => [readFileSync(`/proc/${pid}/stat`, 'utf8')]);
    return Number(/\) \S (\d+)/.exec(stat)?.[1]) === parent;
  });
}

/** Those that run; Linux only. */
export function processesOf(user: number): number[] {
  return processIds().filter((pid) => {
    const [status = ''] = orNone(() => [readFileSync(`/proc/${pid}/status`, 'utf8')]);
    return Number(/^Uid:\t(\d+)/m.exec(status)?.[1]) === user && !/^State:\tZ/m.test(status);
  });
}

export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Settles as soon as `isSo`, and fails when it is not within `withinMs`. */
export async function until(isSo: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`still not so after ${withinMs} ms`);
    await pause(50);
  }
}

function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A process may be gone between being listed and being looked at. */
function orNone(look: () => string[]): string[] {
  try {
    return look();
  } catch {
    return [];
  }
}
