/** The last line of a run: it counts what passed, and nothing that did not run passes unseen. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

describe('the tally', () => {
  it('is the last line of a run that passes', async () => {
    const { lines, code } = await runTests("it('one', () => {}); it('two', () => {});");
    expect(lines.at(-1)).toBe('2 passed, 0 failed');
    expect(code).toBe(0);
  });

  it('counts a skipped test as failed, and names it', async () => {
    const { lines, code } = await runTests(
      "it('one', () => {}); it.skip('two', () => {}); it.todo('three');",
    );
    expect(lines.at(-1)).toBe('1 passed, 2 failed');
    expect(lines.at(-2)).toBe('Skipped, which counts as failed: a.test.js: three');
    expect(code).toBe(1);
  });

  it.each([
    ['a file that cannot be loaded', "throw new Error('no')", '0 passed, 1 failed'],
    [
      'a suite whose beforeAll fails: it, and its test',
      "describe('s', () => { beforeAll(() => { throw new Error('no'); }); it('one', () => {}); })",
      '0 passed, 2 failed',
    ],
    [
      'an error that no test caught',
      "it('one', async () => { Promise.reject(new Error('no')); await new Promise(done => setTimeout(done, 20)); })",
      '1 passed, 1 failed',
    ],
    [
      'a test that fails',
      "it('one', () => { expect(1).toBe(2); }); it('two', () => {});",
      '1 passed, 1 failed',
    ],
  ])('counts %s', async (_what, code, expected) => {
    const run = await runTests(code);
    expect(run.lines.at(-1)).toBe(expected);
    expect(run.code).toBe(1);
  });
});

/** Runs one file of tests in a directory of its own; the lines of stdout, and how the process ended. */
async function runTests(code: string): Promise<{ lines: string[]; code: number | null }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-tally-'));
  try {
    await writeFile(path.join(directory, 'a.test.js'), code);
    const args = ['run', '--globals', '--root', directory];
    const reporters = [
      '--reporter',
      'default',
      '--reporter',
      path.join(root, 'test/support/tally-reporter.ts'),
    ];
    return await run(path.join(root, 'node_modules/vitest/vitest.mjs'), [...args, ...reporters]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function run(script: string, args: readonly string[]): Promise<{ lines: string[]; code: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', code => resolve({ lines: output.trimEnd().split('\n'), code }));
  });
}
