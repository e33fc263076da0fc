/** Ends a run with one line, `N passed, N failed`. A test that did not run counts as failed. */
import type { Reporter, TestModule } from 'vitest/node';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Full names of the tests that did not run. */
  readonly skipped: readonly string[];
}

export default class TallyReporter implements Reporter {
  #tally: Tally = { passed: 0, failed: 0, skipped: [] };

  onInit(): void {
    // On exit, so that nothing which the runner says later comes after it; a write to a pipe or file is done at once.
    process.once('exit', () => process.stdout.write(describeTally(this.#tally)));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#tally = countTests(modules, unhandledErrors.length);
    if (this.#tally.failed > 0) process.exitCode = 1;
  }
}

/**
 * Counts a run's tests. A file or suite that broke outside its tests, and an error that no test caught, count as one
 * failure each: a run with any of them is not to look clean.
 */
export function countTests(modules: readonly TestModule[], unhandledErrors: number): Tally {
  let passed = 0;
  let failed = unhandledErrors;
  const skipped: string[] = [];
  for (const module of modules) {
    failed += module.errors().length;
    for (const suite of module.children.allSuites()) failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') passed += 1;
      else failed += 1;
      if (state === 'skipped') skipped.push(`${module.relativeModuleId}: ${test.fullName}`);
    }
  }
  return { passed, failed, skipped };
}

export function describeTally({ passed, failed, skipped }: Tally): string {
  const complaints = skipped.map(name => `Skipped, which counts as failed: ${name}\n`);
  return `${complaints.join('')}${passed} passed, ${failed} failed\n`;
}
