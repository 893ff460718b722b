// The chunk that every start needs. As `require` has it, but compiled already where this very Node has built it.
'use strict';

const { existsSync, readFileSync } = require('node:fs');
const Module = require('node:module');
const { Script } = require('node:vm');

const file = require.resolve('../dist/cli/start.cjs');
const compiled = file.replace(/\.cjs$/, `-${process.version}-${process.arch}.cache`);

if (existsSync(compiled)) {
  const loaded = new Module(file);
  // For the other chunks, which require it by its name.
  require.cache[file] = loaded;
  const script = new Script(Module.wrap(readFileSync(file, 'utf8')), {
    filename: file,
    cachedData: readFileSync(compiled),
  });
  script.runInThisContext()(loaded.exports, Module.createRequire(file), loaded);
  loaded.loaded = true;
}

module.exports = require(file);
