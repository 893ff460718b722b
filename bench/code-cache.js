// What the compiled chunk saves of `authcli token`: the program as it is against a copy that loads the chunk as source.
// Run it in an environment that is signed in: node bench/code-cache.js [ROUNDS]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'authcli-code-cache-'));
const rounds = Number(argv[2] ?? 100);

/** @param {string} name */
function copyOf(name) {
  const copy = join(folder, name);
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/**
 * Processor time in milliseconds, as bash knows it: on a busy machine the clock tells little.
 * @param {string} program
 */
function cost(program) {
  const script = 'exec 3>&2; TIMEFORMAT="%3U %3S"; { time "$@" 2>&3 >/dev/null; } 2>&1';
  const words = ['-c', script, 'bash', execPath, join(program, 'bin', 'authcli.js'), 'token'];
  const { status, stdout: times, stderr } = spawnSync('bash', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const [user = 0, system = 0] = times.trim().split(' ').map(Number);
  return (user + system) * 1000;
}

/**
 * The mean of the middle half: bash counts in whole milliseconds, which a median would keep.
 * @param {readonly number[]} times
 */
function typical(times) {
  const quarter = Math.floor(times.length / 4);
  const middle = times.toSorted((a, b) => a - b).slice(quarter, times.length - quarter);
  return middle.reduce((sum, time) => sum + time, 0) / middle.length;
}

try {
  const compiled = copyOf('compiled');
  const source = copyOf('source');
  writeFileSync(
    join(source, 'bin', 'program.js'),
    "exports.load = () => require('../dist/cli/start.cjs');\n",
  );
  /** @type {[compiled: number[], source: number[]]} */
  const times = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    // Each is the first one in every other round.
    if (round % 2 === 0) times[0].push(cost(compiled));
    times[1].push(cost(source));
    if (round % 2 === 1) times[0].push(cost(compiled));
  }
  const [checked, bare] = times.map(typical);
  const share = ((1 - (checked ?? 0) / (bare ?? 1)) * 100).toFixed(1);
  stdout.write(
    `${rounds} rounds: ${bare?.toFixed(2)} ms from source, ${checked?.toFixed(2)} ms compiled, ${share} % less processor time\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
