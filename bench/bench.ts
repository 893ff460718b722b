import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { prepareContest } from './contenders.js';
import { measure } from './measure.js';
import { report } from './report.js';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '40' } } });
const runs = Number(values.runs);
if (Number.isInteger(runs) && runs > 0) {
  await bench();
} else {
  stderr.write('usage: npm run bench [-- --runs N]\n');
  process.exitCode = 2;
}

async function bench(): Promise<void> {
  // Ctrl-C ends the program that is being measured; that ends the measurement, and what was prepared is removed.
  process.on('SIGINT', () => undefined);
  const folder = mkdtempSync(join(tmpdir(), 'authcli-bench-'));
  try {
    const contest = await prepareContest(folder);
    try {
      const { bareNode, sealedFile, keychain, gh, secretTool } = contest;
      const contenders = [bareNode, sealedFile, keychain, gh, secretTool].filter((one) => one !== undefined);
      stderr.write(`${runs} rounds of ${contenders.map(({ name }) => name).join(', ')}\n\n`);
      stdout.write(report(contest, measure(contenders, runs), runs));
    } finally {
      await contest.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
