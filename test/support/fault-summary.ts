import type { Reporter, TestCase, TestModule } from 'vitest/node';

import { seed } from './random.js';

/** What a test of the fault suite has measured, for the summary. */
interface Measured {
  readonly rounds: number;
  /** In words: `0 sessions lost`. */
  readonly result: string;
}

declare module 'vitest' {
  interface TaskMeta {
    measured?: Measured;
  }
}

/** Each promise with how often it was tried and what came out. */
export default class FaultSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = [['promise', 'rounds', 'result'], ...tests.map(row)];
    const [promises = 0, rounds = 0] = [0, 1].map((column) =>
      Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
    );
    process.stdout.write('\n');
    for (const [promise = '', times = '', result = ''] of rows) {
      process.stdout.write(`${promise.padEnd(promises)}  ${times.padStart(rounds)}  ${result}\n`);
    }
    process.stdout.write(`\nThe same moments again: AUTHCLI_FAULT_SEED=${seed} npm run test:faults\n`);
  }
}

function row(test: TestCase): string[] {
  const { rounds, result } = test.meta().measured ?? {};
  const { state } = test.result();
  const outcome = state === 'passed' ? [result ?? 'kept'] : [state, result];
  return [test.fullName, String(rounds ?? ''), outcome.filter((part) => part !== undefined).join(': ')];
}
