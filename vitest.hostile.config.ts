import { defineConfig } from 'vitest/config';

/** The hostile cases at full length: what `docs/security.md` reports. */
export default defineConfig({
  test: {
    // Kills, races and full disks are the matter of the fault suite; here in their quick form.
    include: [
      'test/hostile/**/*.test.ts',
      'test/faults/**/*.test.ts',
      'test/faults/stopped.full.ts',
      'test/{protocol,request-options,whoami}.test.ts',
    ],
    reporters: ['default', './test/support/case-summary.ts', './test/support/closing-line.ts'],
    globalSetup: './test/support/leak-check.ts',
    pool: 'forks',
    // Some of them measure, to the tenth of a second.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 30_000,
    env: { AUTHCLI_HOSTILE: 'full' },
  },
});
