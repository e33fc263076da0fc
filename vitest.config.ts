/** How the tests run: three files at a time (many of them wait for clocks and elections), and a tally at the end. */
import { defineConfig } from 'vitest/config';

/**
 * Files that leave no process behind but close what they open: they follow each other in one process, which loads the source
 * once. All others have one each.
 */
const together =
  'test/{access,client,clients,gateway,issuer,middleware,protocol,server}/**/!(docs|processes).test.ts';

export default defineConfig({
  test: {
    environment: 'node',
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
    projects: [
      { extends: true, test: { name: 'together', include: [together], isolate: false } },
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: [together] } },
    ],
  },
});
