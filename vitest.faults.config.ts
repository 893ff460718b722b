import { defineConfig } from 'vitest/config';

/** The fault suite at full length: what `docs/reliability.md` reports. */
export default defineConfig({
  test: {
    // The tests of `….full.ts` wait for real time limits, which the quick form has no time for.
    include: ['test/faults/**/*.{test,full}.ts'],
    reporters: ['verbose', './test/support/fault-summary.ts', './test/support/closing-line.ts'],
    globalSetup: './test/support/leak-check.ts',
    pool: 'forks',
    fileParallelism: false,
    hookTimeout: 30_000,
    env: {
      AUTHCLI_FAULT_ROUNDS: '200',
      AUTHCLI_FAULT_PROCESSES: '100',
      AUTHCLI_FAULT_PARALLEL_ROUNDS: '10',
      AUTHCLI_FAULT_STORE_ROUNDS: '100',
      AUTHCLI_FAULT_RACES: '100',
      AUTHCLI_FAULT_RUNS: '1000',
      AUTHCLI_FAULT_TRANSIENTS: '1000',
      AUTHCLI_FAULT_REFUSED: '1000',
      AUTHCLI_FAULT_WRITES: '1000',
    },
  },
});
