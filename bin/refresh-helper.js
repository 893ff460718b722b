#!/usr/bin/env node
// The detached process that owns a refresh: started by authcli itself, told what to do on its standard input.
'use strict';

var program = require('./program.js').load();
// 30 for the lock, 28 for the provider. Counted, not timed: a process that was stopped first reads what came meanwhile.
var secondsLeft = 60;

// Whoever started us may be gone before we are done: its broken pipe is no reason to stop.
process.stdout.on('error', function () {});
setInterval(function () {
  secondsLeft -= 1;
  if (secondsLeft === 0) process.exit(1);
}, 1000).unref();
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
