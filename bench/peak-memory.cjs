// Preloaded into a Node that is measured: at its end it says on descriptor 3 how much memory (kB) it held at most.
const { readFileSync, writeSync } = require('node:fs');
const process = require('node:process');

process.on('exit', () => writeSync(3, String(peakResidentMemory())));

// Linux lets a new program inherit the peak that getrusage reports from the process that started it; VmHWM is its own.
function peakResidentMemory() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS;
  return /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
}
