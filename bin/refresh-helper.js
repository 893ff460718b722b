#!/usr/bin/env node
// The detached process that owns a refresh: started by authcli itself, told what to do on its standard input.
'use strict';

var fs = require('node:fs');
var program = require('./program.js').load();
// 30 for the lock, 25 for the provider, as src/time-budgets.ts has them. Counted, not timed: a process that was stopped first reads what came meanwhile.
var longestSeconds = 60;
var secondsLeft = longestSeconds;

// Whoever started us may be gone before we are done: its broken pipe is no reason to stop.
process.stdout.on('error', function () {});
setInterval(function () {
  secondsLeft -= 1;
  if (secondsLeft === 0) process.exit(1);
}, 1000).unref();
process.stdin.once('end', function () {
  secondsLeft = longestSeconds;
});
// This starts Node's threads. Where the system refuses them the process ends here, and not between the provider's answer and our write.
fs.stat(__filename, function () {
  process.stdout.write('ready\n');
  program.serveRefreshRequest(process.stdin, program.systemWorld()).then(end, function () {
    process.exit(1);
  });
});

function end(reply) {
  process.stdout.write(reply, function () {
    process.exit(0);
  });
}
