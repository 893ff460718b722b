import { defineConfig } from 'vitest/config';

/** The fault suite at full length: what `docs/reliability.md` reports. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    reporters: ['verbose', './test/support/closing-line.ts'],
    pool: 'forks',
    fileParallelism: false,
    hookTimeout: 30_000,
    env: {
      AUTHCLI_FAULT_ROUNDS: '200',
      AUTHCLI_FAULT_PROCESSES: '100',
      AUTHCLI_FAULT_PARALLEL_ROUNDS: '10',
      AUTHCLI_FAULT_TRANSIENTS: '1000',
      AUTHCLI_FAULT_WRITES: '1000',
    },
  },
});
