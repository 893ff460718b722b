// npm run test:wine [-- files of tests]: the demo and the journey on a real node.exe, in Wine.
//
// Wine is no evidence for: access lists, DPAPI, PowerShell, real consoles, virus scanners, reserved names, named pipes, limits of
// CreateProcess, signals.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { argv, exit, stderr, stdout } from 'node:process';

import { assertInstalled, copyProject, fetchNode, folder, run, say } from './guest.js';

// Node 24 and newer want functions that Wine 8 has not.
const version = process.env['WINE_NODE'] ?? '22.23.3';
const tests = argv.length > 2 ? argv.slice(2) : ['test/platforms'];

const wine = {
  ...process.env,
  WINEPREFIX: join(folder, 'prefix'),
  WINEDEBUG: '-all',
  WINEARCH: 'win64',
  CI: '1',
};
let failed = 1;

assertInstalled('wine wine64 gcc-mingw-w64-x86-64-win32', 'wine', 'x86_64-w64-mingw32-gcc');
try {
  makePrefix();
  say('Wine is ready');
  const node = join(fetchNode('win-x64', version), 'node.exe');
  const shim = join(folder, 'shim.cjs');
  // Wine 8 does not know TCP_KEEPIDLE, which fetch sets on its sockets.
  writeFileSync(shim, "require('node:net').Socket.prototype.setKeepAlive = function () { return this; };\n");
  const copy = copyProject(['--os=win32', '--cpu=x64'], `Z:${shim}`);
  say(`node.exe ${version} and the project are ready`);
  const asWindows = { node, shim };
  failed = runInWine(asWindows, [windowsPath(join(copy, 'build', 'demo.js'))]);
  say(`the demo ${failed === 0 ? 'passed' : 'failed'}`);
  const vitest = windowsPath(join(copy, 'node_modules', 'vitest', 'vitest.mjs'));
  const outcome = runInWine(asWindows, [vitest, 'run', '--root', windowsPath(copy), ...tests]);
  say(`the tests ${outcome === 0 ? 'passed' : 'failed'}`);
  failed += outcome;
} finally {
  spawnSync('wineserver', ['-k'], { env: wine });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
exit(failed === 0 ? 0 : 1);

function makePrefix() {
  const quiet = { env: wine, stdio: /** @type {const} */ ('ignore') };
  run('wineboot', ['-i'], quiet);
  // Node refuses Windows 7, which is what Wine is by itself.
  run('wine', ['winecfg', '-v', 'win10'], quiet);
  run('wineserver', ['-w'], quiet);
  // The keyring takes its random numbers from there; Wine 8 has no such library.
  const source = join(folder, 'bcryptprimitives.c');
  writeFileSync(
    source,
    '#include <windows.h>\n#include <ntsecapi.h>\n' +
      '__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T size) { return RtlGenRandom(to, (ULONG)size); }\n',
  );
  const library = join(wine.WINEPREFIX, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll');
  run('x86_64-w64-mingw32-gcc', ['-shared', '-O2', '-o', library, source, '-ladvapi32']);
}

/**
 * Through files: Wine takes no pipe of Unix for a standard stream.
 * @param {{ node: string, shim: string }} windows @param {readonly string[]} args
 */
function runInWine({ node, shim }, args) {
  const output = join(folder, 'output');
  const written = openSync(output, 'w');
  const { status } = spawnSync('wine', [node, ...args], {
    env: { ...wine, NODE_OPTIONS: `--require Z:${shim}` },
    stdio: ['ignore', written, written],
    timeout: 1_500_000,
  });
  closeSync(written);
  (status === 0 ? stdout : stderr).write(readFileSync(output));
  return status ?? 1;
}

/** @param {string} path */
function windowsPath(path) {
  return `Z:${path.replaceAll('/', '\\')}`;
}
