/** `keyturn completion`: what the shells offer with it that they are given; bash is asked itself. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Transcript } from './lifecycle-transcript.ts';

const cli = new Transcript({});

/** What bash offers behind these words; the last one is begun. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout: script } = await cli.run('completion bash');
  const ask = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keyturn; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', ask, 'bash', 'keyturn', ...words]);
  return stdout.trim().split('\n');
}

describe('completion', () => {
  it('bash offers commands', async () => {
    expect(await offered('a')).toEqual(['accounts', 'access-keys', 'audit']);
    expect(await offered('keys', 'r')).toEqual(['revoke', 'rotate']);
  });

  it('bash offers the options of a command, behind other words too', async () => {
    expect(await offered('keys', 'rotate', '--')).toEqual([
      '--json',
      '--out',
      '--mode',
      '--grace',
      '--self',
      '--help',
    ]);
    expect(await offered('keys', 'rotate', 'an-id', '--mode', 'now', '--o')).toEqual(['--out']);
    expect(await offered('scan', '--j')).toEqual(['--json']);
  });

  it.each(['bash', 'zsh', 'fish'])('%s has a script for every command', async shell => {
    const { code, stdout, stderr } = await cli.run(`completion ${shell}`);
    expect([code, stderr]).toEqual([0, '']);
    for (const name of ['keyturn keys cancel-rotation', 'keyturn signing-keys list', 'keyturn completion'])
      expect(stdout).toContain(`"${name}"`);
    expect(stdout).toContain('--impersonation-user');
  });
});
