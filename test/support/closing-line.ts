import type { Reporter, TestModule } from 'vitest/node';

import { leaksOfTheRun } from './leak-check.js';

/** The last line of a run, the same in every tool: `N passed, N failed, N skipped`. A file that cannot even run counts as failed, and so does a secret left behind. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test inside of a skipped suite stays pending; one that should have run and did not has failed.
        if (test.options.mode === 'skip' || test.options.mode === 'todo') count.skipped++;
        else count[state === 'pending' ? 'failed' : state]++;
      }
    }
    for (const leak of leaksOfTheRun()) {
      process.stdout.write(`\nleft behind: ${leak}\n`);
      process.exitCode = 1;
      count.failed++;
    }
    process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
  }
}
