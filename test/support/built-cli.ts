/** The built command line as a process of its own: built where it is older than its source, started, watched, ended. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';
import { until } from './until.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliProcess {
  /** What it has written up to now. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ended: Promise<Ended>;
  kill(signal?: NodeJS.Signals): void;
}

export interface CliOptions {
  /** `KEYTURN_…` variables; none come from the environment of the tests. */
  readonly env?: Record<string, string>;
  /** Whether nobody reads its stdout: the other end is closed. */
  readonly isUnread?: boolean;
}

/** The checkout: the default catalogue is found from here. */
const root = path.resolve(import.meta.dirname, '../..');

/** Starts `keyturn` with these arguments. */
export async function spawnCli(
  args: readonly string[],
  { env = {}, isUnread = false }: CliOptions = {},
): Promise<CliProcess> {
  const program = await buildCli();
  const child = spawn(process.execPath, [program, ...args], {
    cwd: root,
    env: { ...strangersEnvironment(), ...env },
    stdio: 'pipe',
  });
  endWithTheTests(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (isUnread) child.stdout.destroy();
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    ended,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
  };
}

/** Sees that the build is not older than the source. @returns the path of the program */
export function buildCli(): Promise<string> {
  return (built ??= buildWhereOld());
}

/** Runs one command to its end. */
export async function runCli(args: readonly string[], options?: CliOptions): Promise<Ended> {
  return (await spawnCli(args, options)).ended;
}

export interface ServingProcess extends CliProcess {
  readonly url: string;
  readonly port: number;
}

/**
 * Starts `keyturn serve` and waits until it serves, on a free port unless told otherwise.
 *
 * @throws Error with what it said, where it ended instead
 */
export async function serveCli(env: Record<string, string>): Promise<ServingProcess> {
  const serving = await spawnCli(['serve'], { env: { KEYTURN_PORT: '0', ...env } });
  let ended: Ended | undefined;
  void serving.ended.then(result => (ended = result));
  let match: RegExpExecArray | null = null;
  const isServing = () => {
    if (ended !== undefined) throw new Error(`keyturn serve ended (${ended.code}): ${ended.stderr}`);
    match = /^Keyturn serves on (\S+) \(port (\d+)\)\.$/m.exec(serving.stderr);
    return match !== null;
  };
  await until('keyturn serves', isServing, 100_000);
  const [, url, port] = match as unknown as [string, string, string];
  return Object.assign(serving, { url, port: Number(port) });
}

/** Ends a service as an operator does, and sees that it ends well. */
export async function stopServing(serving: CliProcess): Promise<Ended> {
  serving.kill('SIGTERM');
  const ended = await serving.ended;
  if (ended.code !== 0)
    throw new Error(`keyturn serve ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
  return ended;
}

function strangersEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:KEYTURN_|VITEST|NODE_OPTIONS$|NODE_ENV$)/.test(name),
    ),
  );
}

/** A test that fails leaves its processes behind: they end with its file, or with this process. */
const running = new Set<ChildProcess>();

function endNow(): void {
  for (const child of running) child.kill('SIGKILL');
}

afterAll(endNow);
process.once('exit', endNow);

function endWithTheTests(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

let built: Promise<string> | undefined;

/** Once per run: the test files are processes with one parent, and the first of them builds for all. */
async function buildWhereOld(): Promise<string> {
  const program = path.join(root, 'dist/cli/main.js');
  const lock = path.join(root, 'node_modules/.cache/keyturn-build');
  const note = path.join(root, 'dist/.built-for');
  await mkdir(path.dirname(lock), { recursive: true });
  await until('the build is free', () => takeLock(lock), 120_000);
  try {
    const isBuilt = (await read(note)) === String(process.ppid) && (await changedAt(program)) > 0;
    if (!isBuilt && (await changedAt(program)) < (await newestChange(path.join(root, 'src')))) {
      await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root });
    }
    await writeFile(note, String(process.ppid));
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
  return program;
}

/** A lock of a run that died is older than any build takes. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const age = Date.now() - (await changedAt(lock));
    if (age > 60_000 && age < Date.now()) await rm(lock, { recursive: true, force: true });
    return false;
  }
}

async function newestChange(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile());
  return Math.max(
    ...(await Promise.all(files.map(file => changedAt(path.join(file.parentPath, file.name))))),
  );
}

/** Milliseconds since the epoch; 0 where there is nothing. */
async function changedAt(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
