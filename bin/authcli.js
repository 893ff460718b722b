#!/usr/bin/env node
// Plain ES5, and no import: an older Node must be able to read as far as the line that is meant for it.
'use strict';

var version = process.versions.node.split('.').map(Number);
var isSupported = version[0] > 20 || (version[0] === 20 && version[1] >= 19);

if (!isSupported) {
  process.stderr.write(
    'error: authcli needs Node.js 20.19 or newer, and this is ' + process.versions.node + '\n',
  );
  process.exitCode = 1;
} else {
  var program = require('./program.js').load();
  // The world has a copy: even what is started without its help inherits none of them.
  var world = program.systemWorld(Object.assign({}, process.env));
  Object.keys(process.env).forEach(function (name) {
    if (name.indexOf('AUTHCLI_') === 0) delete process.env[name];
  });
  process.on('uncaughtException', fail);
  program.main(process.argv.slice(2), world).then(end);
}

/** What the program did not see coming, outside of its only catch-all; the message could hold anything. */
function fail(error) {
  process.stderr.write('error: unexpected failure (' + (error && error.name) + ')\nhint: please report it\n');
  process.exit(1);
}

/** The signal again, so that a shell's loop ends with us; everything has been written by now. */
function end(exitCode) {
  var signal = { 129: 'SIGHUP', 130: 'SIGINT', 143: 'SIGTERM' }[exitCode];
  if (signal && process.platform !== 'win32') {
    // Our own handler may not have gone yet.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  process.exit(exitCode);
}
