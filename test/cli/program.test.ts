/** The real program: that the exit codes and streams of a process are those that the commands mean. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/built-cli.ts';
import { startService, type TestService } from '../support/service.ts';

/** Milliseconds, on a busy machine. */
const patience = 120_000;

let service: TestService;
let env: Record<string, string>;

beforeAll(async () => {
  service = await startService();
  env = { KEYTURN_URL: service.url, KEYTURN_API_KEY: service.ownerKey };
});

afterAll(() => service.stop());

describe.concurrent('the keyturn program', () => {
  it('makes a key, and hands it to stdout alone', { timeout: patience }, async () => {
    const ended = await runCli(['keys', 'create', '--name', 'Made', '--feature', 'connections'], { env });
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^kt_\w{71}\n$/);
    expect(ended.stderr).not.toContain('kt_');
    expect((await service.exchange(ended.stdout.trim())).status).toBe(200);
  });

  it('prints JSON that a program can read', { timeout: patience }, async () => {
    const ended = await runCli(['token', '--json'], { env });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({ tokenType: 'Bearer', expiresIn: 900 });
  });

  it.each([
    [0, ['--help'], {}],
    [1, ['keys', 'show', 'nonsense'], {}],
    [2, ['keys', 'create'], {}],
    [69, ['token'], { KEYTURN_URL: 'http://127.0.0.1:1' }],
    [77, ['token'], { KEYTURN_API_KEY: 'nonsense' }],
    [78, ['token'], { KEYTURN_URL: 'nonsense' }],
  ])('ends with %i for %j', { timeout: patience }, async (code, args, changed) => {
    const ended = await runCli(args, { env: { ...env, ...changed } });
    expect([ended.code, ended.signal]).toEqual([code, null]);
    expect(ended.stderr).not.toMatch(/\n {4}at /);
  });

  it('writes a long list whole into a pipe that is read slowly', { timeout: patience }, async () => {
    const made = Array.from({ length: 150 }, (_, number) => service.createKey({ name: `Long: ${number}` }));
    await Promise.all(made);
    const ended = await runCli(['keys', 'list', '--json', '--query', 'long:'], { env });
    expect(ended.stdout.length).toBeGreaterThan(65_536);
    expect(JSON.parse(ended.stdout)).toHaveLength(150);
  });

  it('ends without a word where nobody reads on', { timeout: patience }, async () => {
    const ended = await runCli(['keys', 'list'], { env, isUnread: true });
    expect(ended).toEqual({ code: 1, signal: null, stdout: '', stderr: '' });
  });

  it('does not serve where there can be no data directory', { timeout: patience }, async () => {
    const ran = await runCli(['serve'], { env: { KEYTURN_DATA_DIR: '/dev/null/data', KEYTURN_PORT: '0' } });
    expect([ran.code, ran.stdout]).toEqual([78, '']);
    expect(ran.stderr).toMatch(/KEYTURN_DATA_DIR[\s\S]*\/dev\/null\/data[\s\S]*ENOTDIR/);
  });

  it('says which version it is', { timeout: patience }, async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(await runCli(['--version'])).toEqual({
      code: 0,
      signal: null,
      stdout: `${version}\n`,
      stderr: '',
    });
  });

  it('can be executed as it is built', { timeout: patience }, async () => {
    // npm makes the file executable when it links it; its first line says with what.
    const { stdout } = await new Promise<{ stdout: string }>((resolve, reject) => {
      execFile('head', ['-1', 'dist/cli/main.js'], (error, stdout) =>
        error ? reject(error) : resolve({ stdout }),
      );
    });
    expect(stdout).toBe('#!/usr/bin/env node\n');
  });
});
