#!/usr/bin/env node
// The detached process that owns a refresh: started by authcli itself, told what to do on its standard input.
'use strict';

var program = require('../dist/cli/start.cjs');
var longestLifeMs = 30000;

// Whoever started us may be gone before we are done: its broken pipe is no reason to stop.
process.stdout.on('error', function () {});
setTimeout(function () {
  process.exit(1);
}, longestLifeMs).unref();
program.serveRefreshRequest(process.stdin, program.systemWorld()).then(
  function (reply) {
    process.stdout.write(reply, function () {
      process.exit(0);
    });
  },
  function () {
    process.exit(1);
  },
);
