// What the scripts beside this one share: the project, built, in a folder of its own, with packages for another system.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { exit, stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));
export const folder = realpathSync(mkdtempSync(join(tmpdir(), 'authcli-guest-')));
const began = Date.now();

/** @param {string} text */
export function say(text) {
  stdout.write(`— ${text} (${Math.round((Date.now() - began) / 1000)} s)\n`);
}

/** Ends the script where a program of Debian is missing. @param {string} packages @param {readonly string[]} programs */
export function assertInstalled(packages, ...programs) {
  const missing = programs.find((program) => spawnSync('which', [program]).status !== 0);
  if (missing === undefined) return;
  stderr.write(
    `error: ${missing} is not installed\nhint: apt-get install -y --no-install-recommends ${packages}\n`,
  );
  exit(2);
}

/**
 * @param {string} command @param {readonly string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 */
export function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

/** Node for another system, from the registry. @param {string} system as in `win-x64` @param {string} version */
export function fetchNode(system, version) {
  const into = join(folder, 'node');
  mkdirSync(into);
  run('npm', ['pack', '--silent', `node-${system}@${version}`], { cwd: into, stdio: 'ignore' });
  run('tar', ['xzf', `node-${system}-${version}.tgz`], { cwd: into });
  return join(into, 'package', 'bin');
}

/**
 * A copy of this project with packages for that system, and with `shim` before whatever of ours is started there.
 * @param {readonly string[]} system options of npm @param {string} shim a CommonJS file, as that system names it
 */
export function copyProject(system, shim) {
  const copy = join(folder, 'project');
  mkdirSync(copy);
  for (const name of [
    'bin',
    'demo',
    'docs',
    'src',
    'test',
    'dist',
    'build.js',
    'package.json',
    'package-lock.json',
    'CHANGELOG.md',
    '.npmrc',
    'tsconfig.json',
    'tsconfig.build.json',
    'vitest.config.ts',
  ]) {
    cpSync(join(project, name), join(copy, name), { recursive: true });
  }
  // A program of a test inherits no options of Node.
  for (const name of ['authcli', 'refresh-helper']) {
    const path = join(copy, 'bin', `${name}.js`);
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace("'use strict';", `'use strict'; require(${JSON.stringify(shim)});`),
    );
  }
  const agent = join(copy, 'test', 'support', 'agent.js');
  const required = `import { createRequire } from 'node:module';\ncreateRequire(import.meta.url)(${JSON.stringify(shim)});\n`;
  writeFileSync(
    agent,
    readFileSync(agent, 'utf8').replace('import { parseArgs }', `${required}import { parseArgs }`),
  );
  run('npm', ['ci', ...system, '--no-audit', '--no-fund', '--ignore-scripts', '--silent'], { cwd: copy });
  run(process.execPath, ['demo/bundle.js'], { cwd: project });
  cpSync(join(project, 'build'), join(copy, 'build'), { recursive: true });
  return copy;
}
