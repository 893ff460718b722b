// Bundles the command line and the library into dist/. Not `rolldown --config`: it lists its files at every log level.
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

import { build } from 'rolldown';

import { codeCachePath, withDigest } from './bin/program.js';

/** Dependencies stay in node_modules, where the few commands that need them load them. */
const isDependency = (/** @type {string} */ id) => /^[^./]/.test(id);
/** Except those that are ES modules only and imported statically: before Node 22.13 `require` of one fails or warns. */
const isBundled = (/** @type {string} */ id) => /^(openid-client|oauth4webapi|jose|valibot)(\/|$)/.test(id);

/**
 * All that was read for a bundle. A package that was left out of it again is named, too: that does no harm.
 * @type {Set<string>}
 */
const modules = new Set();
const collector = {
  name: 'modules',
  moduleParsed: (/** @type {{ id: string }} */ { id }) => void modules.add(id),
};

const bundles = await build([
  {
    // CommonJS, because starting Node's ES module loader costs a fifth of a bare start.
    input: { main: 'src/main.ts' },
    external: (id) => isDependency(id) && !isBundled(id),
    platform: 'node',
    plugins: [collector],
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
    plugins: [collector],
    output: { dir: 'dist/library', format: 'esm', cleanDir: true },
  },
]);

for (const { output } of bundles) {
  for (const chunk of output) if (chunk.type === 'chunk') chunk.moduleIds.forEach((id) => modules.add(id));
}
writeFileSync('dist/THIRD-PARTY-NOTICES.txt', notices(packagesOf(modules)));

// Data, which the provider commands read file by file.
cpSync('src/providers/catalogue', 'dist/cli/catalogue', { recursive: true });

// The chunk that every start needs, compiled by this Node for this Node: see docs/decisions/0001. Any other compiles it itself.
const startPath = 'dist/cli/start.cjs';
const start = exportedAtOnce(readFileSync(startPath, 'utf8'));
writeFileSync(startPath, start);
const bytes = Buffer.from(start);
if (bytes.length !== start.length) throw new Error('one character outside of ASCII doubles the chunk for V8');
if (/\bimport\(/.test(start)) throw new Error('what is compiled ahead cannot import ES modules');
setFlagsFromString('--no-lazy');
const compiled = new Script(Module.wrap(start));
setFlagsFromString('--lazy');
writeFileSync(codeCachePath(startPath), withDigest(bytes, compiled.createCachedData()));

/**
 * A plain assignment in place of each function that the bundler wrote for an export: a hundred functions less to load
 * at every start. They stand at the end, where all has its value, and `no-mutable-exports` holds that none of it changes later.
 * @param {string} chunk
 */
function exportedAtOnce(chunk) {
  const getter =
    /Object\.defineProperty\(exports,"?(\w+)"?,\{enumerable:!0,get:function\(\)\{return ?([^{}]+)\}\}\)/g;
  const result = chunk.replace(getter, 'exports.$1=$2');
  if (result.includes('defineProperty(exports,'))
    throw new Error('the bundler writes its exports in another way');
  return result;
}

/**
 * The folders of the packages that these modules are of.
 * @param {Iterable<string>} ids
 */
function packagesOf(ids) {
  const folders = Array.from(ids, (id) => {
    // The few functions that the bundler itself puts in.
    if (id.includes('rolldown/runtime')) return 'node_modules/rolldown';
    return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replaceAll('\\', '/'))?.[0] ?? '';
  });
  return [...new Set(folders)].filter((folder) => folder !== '');
}

/**
 * Their licences ask for this: name, version and licence of each, word for word.
 * @param {readonly string[]} folders
 */
function notices(folders) {
  const parts = folders.map((folder) => {
    const { name, version: release } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    if (files.length === 0) throw new Error(`${name} is bundled, and has no licence`);
    const texts = files.toSorted().map((file) => readFileSync(join(folder, file), 'utf8').trim());
    return [`${name} ${release}`, ...texts].join('\n\n');
  });
  const heading = 'authcli contains code of these packages:';
  return [heading, ...parts.toSorted()].join(`\n\n${'-'.repeat(80)}\n\n`) + '\n';
}
