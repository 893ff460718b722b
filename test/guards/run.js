// Breaks one guard after the other in a copy of this project: for each of them some test must fail.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { argv, execPath, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ guard: string, file: string, find: string, replace: string, test: string, pattern: string,
 *   env?: Record<string, string> }} Guard
 */

const project = fileURLToPath(new URL('../..', import.meta.url));
const copy = mkdtempSync(join(tmpdir(), 'authcli-guards-'));
// Some tests run the program as another user.
chmodSync(copy, 0o755);
const wanted = argv[2] ?? '';

/** @type {Guard[]} */
const all = JSON.parse(readFileSync(new URL('guards.json', import.meta.url), 'utf8'));
const guards = all.filter(({ guard, file }) => `${file} ${guard}`.includes(wanted));

/**
 * With every guard in its place: asked once, however many guards a test holds.
 * @type {Map<string, ReturnType<typeof outcomeOf>>}
 */
const sound = new Map();

let failed = 0;
try {
  for (const name of [
    'src',
    'bin',
    'test',
    'demo',
    'build.js',
    'package.json',
    'tsconfig.json',
    'vitest.config.ts',
  ]) {
    cpSync(join(project, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
  // Some tests run the program as another user.
  chmodSync(copy, 0o755);
  for (const guard of guards) {
    const verdict = tryWithout(guard);
    if (verdict !== undefined) failed += 1;
    stdout.write(
      `${verdict === undefined ? '✓' : '✗'} ${guard.file}: ${guard.guard}${verdict ? ` — ${verdict}` : ''}\n`,
    );
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
stdout.write(`\n${guards.length - failed} passed, ${failed} failed, 0 skipped\n`);
exit(failed === 0 && guards.length > 0 ? 0 : 1);

/**
 * What is wrong with the tests' hold on this guard; undefined when a test fails without the guard, and passes with it.
 * @param {Guard} guard
 */
function tryWithout({ file, find, replace, ...test }) {
  const path = join(copy, file);
  const whole = readFileSync(path, 'utf8');
  if (whole.split(find).length !== 2) return 'its text is not there exactly once';
  const name = JSON.stringify([test.test, test.pattern, test.env]);
  const before = sound.get(name) ?? outcomeOf(test);
  sound.set(name, before);
  if (before !== 'passed') return before === 'failed' ? 'the test fails with the guard' : 'no such test';
  writeFileSync(
    path,
    whole.replace(find, () => replace),
  );
  try {
    return outcomeOf(test) === 'passed' ? 'no test fails without it' : undefined;
  } finally {
    writeFileSync(path, whole);
  }
}

/** @param {Pick<Guard, 'test' | 'pattern' | 'env'>} of */
function outcomeOf({ test, pattern, env = {} }) {
  const options = {
    cwd: copy,
    env: { ...process.env, ...env },
    encoding: /** @type {const} */ ('utf8'),
    timeout: 300_000,
  };
  const built = spawnSync(execPath, ['build.js'], options);
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const run = spawnSync(execPath, [vitest, 'run', test, '-t', pattern, '--reporter', 'json'], options);
  // A pattern that fits no test would look like a pass.
  const { numPassedTests = 0, numFailedTests = 0 } = JSON.parse(run.stdout.slice(run.stdout.indexOf('{')));
  if (numPassedTests + numFailedTests === 0) return 'none';
  return run.status === 0 ? 'passed' : 'failed';
}
