import { spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { isOnPath } from '../test/support/requirements.js';

export interface Contender {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Medians; undefined where this machine or this program gives no such number. */
export interface Measurement {
  readonly wallMs: number | undefined;
  readonly cpuMs: number | undefined;
  readonly peakKb: number | undefined;
}

const peakMemoryPreload = fileURLToPath(new URL('../bench/peak-memory.cjs', import.meta.url));
const hasBash = isOnPath('bash');

/** Each round runs all contenders, every time another one first, so that a busy moment of the machine hits them alike. */
export function measure(contenders: readonly Contender[], rounds: number): Map<Contender, Measurement> {
  const samples = contenders.map((contender) => ({
    contender,
    wallMs: new Array<number>(),
    cpuMs: new Array<number>(),
    peakKb: new Array<number>(),
  }));
  for (let round = 0; round < rounds; round++) {
    const first = round % samples.length;
    for (const { contender, wallMs, cpuMs, peakKb } of [
      ...samples.slice(first),
      ...samples.slice(0, first),
    ]) {
      wallMs.push(wallTime(contender));
      if (hasBash) cpuMs.push(cpuTime(contender));
      if (contender.program === execPath) peakKb.push(peakMemory(contender));
    }
  }
  return new Map(
    samples.map(({ contender, wallMs, cpuMs, peakKb }) => [
      contender,
      { wallMs: median(wallMs), cpuMs: median(cpuMs), peakKb: median(peakKb) },
    ]),
  );
}

/** From the start of the program until it is gone, in milliseconds. */
function wallTime({ program, args, env, name }: Contender): number {
  const began = performance.now();
  runToEnd(name, program, args, env);
  return performance.now() - began;
}

/** User and system time in milliseconds, as bash knows it: Node does not tell what a child used. */
function cpuTime({ program, args, env, name }: Contender): number {
  const script = 'exec 3>&2; TIMEFORMAT="%3U %3S"; { time "$@" 2>&3 >/dev/null; } 2>&1';
  const [, times] = runToEnd(name, 'bash', ['-c', script, 'bash', program, ...args], env);
  const [user, system] = (times ?? '').split(' ').map(Number);
  return 1000 * ((user ?? Number.NaN) + (system ?? Number.NaN));
}

/** Of a Node program, in kilobytes. */
function peakMemory({ program, args, env, name }: Contender): number {
  return Number(runToEnd(name, program, ['--require', peakMemoryPreload, ...args], env)[3]);
}

/** @returns what it wrote, by file descriptor */
function runToEnd(
  name: string,
  program: string,
  args: readonly string[],
  env: Contender['env'],
): readonly (string | null)[] {
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe'] as const;
  const { status, output, error } = spawnSync(program, args, { env, stdio: [...stdio], encoding: 'utf8' });
  if (status === 0) return output;
  throw new Error(`${name} ended with ${status ?? error?.message}: ${output?.[2]}`);
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}
