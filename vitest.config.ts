/** How the tests run: every file in a process of its own, three at a time (many of them wait for clocks and elections), and a tally at the end. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/require-redis.ts'],
    reporters: ['default', './test/support/tally-reporter.ts'],
    pool: 'forks',
    maxWorkers: 3,
    // Milliseconds. Tests start servers and processes, and the machine may be a small one.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    allowOnly: false,
    passWithNoTests: false,
  },
});
