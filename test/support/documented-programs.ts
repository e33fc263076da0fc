/** The programs that a page of docs/ holds, run as they stand there: within the checkout the package knows itself by its name. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** The first program under each title of the page. */
export async function readPrograms(page: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(path.join(root, 'docs', page), 'utf8');
  const sections = text.split(/^##+ /m).map(section => [section.split('\n', 1)[0] ?? '', section] as const);
  const programs = sections.map(
    ([title, section]) => [title, /```js\n([\s\S]*?)```/.exec(section)?.[1]] as const,
  );
  return new Map(programs.flatMap(([title, code]) => (code === undefined ? [] : [[title, code] as const])));
}

export interface RunningProgram {
  /** What it has written to standard output. */
  output(): string;
  /** Resolves with its exit code. */
  readonly ended: Promise<number>;
  end(): Promise<void>;
}

/** @param env beside the path */
export function runProgram(code: string, env: Readonly<Record<string, string>>): RunningProgram {
  const child = spawn(process.execPath, ['--input-type=module'], {
    cwd: root,
    // Express writes refusals to standard error, but in tests.
    env: { PATH: process.env['PATH'], NODE_ENV: 'test', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stdin.end(code);
  const ended = once(child, 'close').then(([exitCode]) => exitCode as number);
  return {
    output: () => output,
    ended,
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs a program that serves on `PORT` while it is used. */
export async function withServer(
  code: string,
  env: Readonly<Record<string, string>>,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const program = runProgram(code, { ...env, PORT: String(port) });
  const url = `http://127.0.0.1:${port}`;
  try {
    const answers = () =>
      fetch(url).then(
        () => true,
        () => false,
      );
    await until('it answers', answers);
    await use(url);
  } finally {
    await program.end();
  }
}
