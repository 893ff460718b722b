import { readFileSync } from 'node:fs';

const betweenLooksMs = 500;
/** Hundreds of starts at once take some seconds. */
const longestStartMs = 20_000;
const longestSleepMs = 3_000;

/**
 * Calls `onStuck` if a program that was started does not come up. Node waits for ever for a thread that the system refused to start
 * (a process limit, a container's limit of PIDs): nothing but its parent can notice that.
 * @returns ends the watch
 */
export function watchStart(pid: number | undefined, onStuck: () => void): () => void {
  let looks = 0;
  let asleepSince = 0;
  let lastSeen: string | undefined;
  // Counted, not timed: a process of ours that was stopped first reads what came meanwhile.
  const timer = setInterval(() => {
    looks += 1;
    const seen = sleeping(pid);
    if (seen === undefined || seen !== lastSeen) asleepSince = looks;
    lastSeen = seen;
    const isAsleep = (looks - asleepSince) * betweenLooksMs >= longestSleepMs;
    if (!isAsleep && looks * betweenLooksMs < longestStartMs) return;
    clearInterval(timer);
    onStuck();
  }, betweenLooksMs);
  return () => clearInterval(timer);
}

/**
 * How much processor time a sleeping process has used; undefined when it is not asleep. One that waits for a processor or for the disk
 * is not asleep. Only Linux tells.
 */
function sleeping(pid: number | undefined): string | undefined {
  try {
    // After the name, which may hold anything: state, …, user time and system time (proc_pid_stat(5)).
    const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return state === 'S' ? `${rest[10]} ${rest[11]}` : undefined;
  } catch {
    return undefined;
  }
}
