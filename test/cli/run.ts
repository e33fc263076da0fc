/** Runs a command in this process, and takes down what it says: ids, keys, tokens, times and addresses by kind alone. */
import { runCommandLine } from '../../src/cli/program.ts';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Said> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    env,
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
  });
  return { code, stdout, stderr };
}

export function normalise({ code, stdout, stderr }: Said): Said {
  return { code, stdout: withoutChance(stdout), stderr: withoutChance(stderr) };
}

function withoutChance(text: string): string {
  return text
    .replaceAll(/kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/g, '<key>')
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<token>')
    .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, '<id>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replaceAll(/("last4": ?)"\w{4}"/g, '$1"<last4>"')
    .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, '<url>');
}
