/** The programs of docs/embedding.md, run as they stand there: the package within somebody else's process. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from '../support/built-cli.ts';
import { readPrograms, runProgram } from '../support/documented-programs.ts';

const programs = await readPrograms('embedding.md');
let directory: string;

beforeAll(async () => {
  await buildCli();
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-embedding-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Runs it to its end. @param more what the program is to do besides, where it has come to its last line */
async function outputOf(title: string, env: Record<string, string> = {}, more = ''): Promise<string[]> {
  const program = runProgram(`${programs.get(title) ?? ''}\n${more}`, env);
  expect(await program.ended).toBe(0);
  return program.output().trimEnd().split('\n');
}

describe('the program under', () => {
  it('each title is known', () => {
    expect([...programs.keys()]).toEqual([
      'How do I start it?',
      'Where do the settings come from?',
      'How do I use it in my tests?',
    ]);
  });

  it('"How do I start it?" serves, tells the first key once, and ends when it is told to', async () => {
    const env = { KEYTURN_PORT: '0', KEYTURN_DATA_DIR: path.join(directory, 'data') };
    const ask = `console.log((await fetch(service.issuer + '/readyz')).status, service.port);
      process.kill(process.pid, 'SIGTERM');`;
    const lines = await outputOf('How do I start it?', env, ask);
    const told = lines.filter(line => !line.startsWith('{'));
    expect(told).toEqual([
      expect.stringMatching(/^Keep the key of the owner: kt_\w+$/),
      expect.stringMatching(/^Keyturn serves on http:\/\/127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^200 \d+$/),
    ]);
    const logged = lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line) as object);
    expect(logged).toContainEqual(expect.objectContaining({ url: '/readyz', status: 200 }));

    const again = await outputOf('How do I start it?', env, ask);
    expect(again.join('\n')).not.toContain('kt_');
  });

  it('"Where do the settings come from?" tells of every problem', async () => {
    const report = await outputOf('Where do the settings come from?');
    expect(report).toEqual(expect.arrayContaining(['  KEYTURN_PORT', '  KEYTURN_TOKEN_TTL']));
  });

  it('"How do I use it in my tests?" lets a token expire, and leaves nothing behind', async () => {
    const place = await mkdtemp(path.join(directory, 'tests-'));
    const lines = await outputOf('How do I use it in my tests?', { TMPDIR: place });
    expect(lines).toEqual(['the route answers 200', 'and when the token has expired 401']);
    expect(await readdir(place)).toEqual([]);
  });
});
