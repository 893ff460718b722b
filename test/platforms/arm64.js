// npm run test:arm64 [-- files of tests]: the journey on Linux for arm64, in QEMU.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { argv } from 'node:process';

import { assertInstalled, copyProject, fetchNode, folder, run, say } from './guest.js';

const version = process.env['ARM64_NODE'] ?? '22.23.3';
const tests = argv.length > 2 ? argv.slice(2) : ['test/platforms'];

assertInstalled(
  'qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross',
  'qemu-aarch64-static',
);
try {
  const node = join(folder, 'node-arm64');
  const libraries = '/usr/aarch64-linux-gnu';
  const program = join(fetchNode('linux-arm64', version), 'node');
  writeFileSync(node, `#!/bin/sh\nexec qemu-aarch64-static -L ${libraries} ${program} "$@"\n`);
  chmodSync(node, 0o755);
  // The kernel does not start a program for another processor by itself.
  const shim = join(folder, 'shim.cjs');
  writeFileSync(shim, `if (process.arch === 'arm64') process.execPath = ${JSON.stringify(node)};\n`);
  const copy = copyProject(['--os=linux', '--cpu=arm64', '--libc=glibc'], shim);
  say(`node ${version} for arm64 and the project are ready`);
  run(node, [join(copy, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', copy, ...tests], {
    env: { ...process.env, NODE_OPTIONS: `--require ${shim}` },
  });
  say('the tests passed');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
