// Loads the chunk that every start needs. As `require` has it, but compiled already where this very Node has built it.
// V8 itself compares little more than its own version and the length of the source: a cache with one wrong bit makes the
// program crash, hang or decide otherwise. So a digest comes first.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync, statSync } = require('node:fs');
const Module = require('node:module');
const { arch, execPath, platform, version } = require('node:process');
const { Script } = require('node:vm');

const digestLength = 32;

function load() {
  const file = require.resolve('../dist/cli/start.cjs');
  /** @type {typeof import('../src/main.js')} */
  const main = compiledAhead(file)?.exports ?? require(file);
  return main;
}

/**
 * The module, run; undefined where no cache fits this Node and this source.
 * @param {string} file the source
 */
function compiledAhead(file) {
  const stored = contentOf(codeCachePath(file));
  if (stored === undefined) return undefined;
  const bytes = readFileSync(file);
  const cachedData = checkedCodeCache(bytes, stored);
  if (cachedData === undefined) return undefined;
  const loaded = new Module(file);
  // For the other chunks, which require it by its name.
  require.cache[file] = loaded;
  const script = new Script(Module.wrap(bytes.toString()), { filename: file, cachedData });
  script.runInThisContext()(loaded.exports, Module.createRequire(file), loaded);
  loaded.loaded = true;
  return loaded;
}

/** @param {string} path */
function contentOf(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** @param {string} file the source */
function codeCachePath(file) {
  return file.replace(/\.cjs$/, `-${version}-${platform}-${arch}.cache`);
}

/**
 * The content of the file: the digest, and then the cache.
 * @param {Buffer} source
 * @param {Buffer} cache
 */
function withDigest(source, cache) {
  return Buffer.concat([digestOf(source, cache), cache]);
}

/**
 * The cache, if it is whole and was made from this source by this build of Node.
 * @param {Buffer} source
 * @param {Buffer} stored
 * @returns {Buffer | undefined}
 */
function checkedCodeCache(source, stored) {
  const cache = stored.subarray(digestLength);
  const isGood = cache.length > 0 && digestOf(source, cache).equals(stored.subarray(0, digestLength));
  return isGood ? cache : undefined;
}

/**
 * Two builds of one version may compile in different ways; the size of the program tells them apart.
 * @param {Buffer} source
 * @param {Buffer} cache
 */
function digestOf(source, cache) {
  const build = `${statSync(execPath).size} ${source.length} `;
  return createHash('sha256').update(build).update(source).update(cache).digest();
}

module.exports = { checkedCodeCache, codeCachePath, load, withDigest };
