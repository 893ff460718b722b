// Bundles the command line and the library into dist/. Not `rolldown --config`: it lists its files at every log level.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { arch, version } from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

import { build } from 'rolldown';

/** Dependencies stay in node_modules, where the few commands that need them load them. */
const isDependency = (/** @type {string} */ id) => /^[^./]/.test(id);
/** Except those that are ES modules only and imported statically: before Node 22.13 `require` of one fails or warns. */
const isBundled = (/** @type {string} */ id) => /^(openid-client|oauth4webapi|jose|valibot)(\/|$)/.test(id);

await build([
  {
    // CommonJS, because starting Node's ES module loader costs a fifth of a bare start.
    input: { main: 'src/main.ts' },
    external: (id) => isDependency(id) && !isBundled(id),
    platform: 'node',
    output: {
      dir: 'dist/cli',
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
      cleanDir: true,
      minify: true,
      // The launcher takes what it needs from `start` by name.
      minifyInternalExports: false,
      // What every start needs is one file: each further one costs as much as what is in it.
      codeSplitting: { groups: [{ name: 'start', tags: ['$initial'] }] },
    },
  },
  {
    input: { index: 'src/index.ts' },
    external: isDependency,
    platform: 'node',
    output: { dir: 'dist/library', format: 'esm', cleanDir: true },
  },
]);

// Data, which the provider commands read file by file.
cpSync('src/providers/catalogue', 'dist/cli/catalogue', { recursive: true });

// The chunk that every start needs, compiled by this Node for this Node: see docs/decisions/0001. Any other compiles it itself.
const start = readFileSync('dist/cli/start.cjs', 'utf8');
if (/\bimport\(/.test(start)) throw new Error('what is compiled ahead cannot import ES modules');
setFlagsFromString('--no-lazy');
const compiled = new Script(Module.wrap(start));
setFlagsFromString('--lazy');
writeFileSync(`dist/cli/start-${version}-${arch}.cache`, compiled.createCachedData());
