import { platform } from 'node:process';

import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The hostile cases look into /proc and limit processes as Linux does.
    exclude: [...configDefaults.exclude, ...(platform === 'linux' ? [] : ['test/hostile/**'])],
    reporters: ['default', './test/support/closing-line.ts'],
    globalSetup: './test/support/leak-check.ts',
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
