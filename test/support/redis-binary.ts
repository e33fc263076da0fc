/**
 * Where the tests' Redis comes from: the PATH, else Debian's or Homebrew's package. The tests never go without
 * one: where none can be had, the error says what to type.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

export interface RedisBinary {
  readonly command: string;
  /** What the process needs besides the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** @throws Error that says what to type where there is no Redis, and none can be got. */
export async function findRedisBinary(): Promise<RedisBinary> {
  const tried: string[] = [];
  for (const way of [onPath, inCache, fromDebianArchive, fromDebianInstall, fromHomebrew]) {
    try {
      return await way();
    } catch (error) {
      tried.push(`${way.name}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    }
  }
  throw new Error(`${advice}\n${tried.join('\n')}`);
}

const advice = `The tests of the store need redis-server or valkey-server, 7.0 or newer, on the PATH. Type one of:
  sudo apt-get install redis-server      (Debian, Ubuntu)
  sudo dnf install valkey                (Fedora)
  brew install redis                     (macOS)
What was tried:`;

async function onPath(): Promise<RedisBinary> {
  for (const command of ['redis-server', 'valkey-server']) {
    if (await runs({ command, env: {} })) return { command, env: {} };
  }
  throw new Error('there is none');
}

async function runs({ command, env }: RedisBinary): Promise<boolean> {
  try {
    await run(command, ['--version'], env);
    return true;
  } catch {
    return false;
  }
}

async function run(command: string, args: readonly string[], env = {}, cwd?: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { env: { ...process.env, ...env }, cwd });
  return stdout;
}

const cache = path.resolve(import.meta.dirname, '../../node_modules/.cache/keyturn-redis');

async function inCache(): Promise<RedisBinary> {
  const libraries = path.join(cache, 'usr/lib');
  const [triplet = '.'] = await readdir(libraries);
  const binary = {
    command: path.join(cache, 'usr/bin/redis-server'),
    env: { LD_LIBRARY_PATH: path.join(libraries, triplet) },
  };
  if (!(await runs(binary))) throw new Error('what is there does not run');
  return binary;
}

/** Debian's packages, unpacked beside the other caches: nothing is installed, and no service starts. */
async function fromDebianArchive(): Promise<RedisBinary> {
  await mkdir(path.dirname(cache), { recursive: true });
  const draft = await mkdtemp(`${cache}-`);
  try {
    await download(draft);
    for (const file of await readdir(draft)) {
      if (file.endsWith('.deb')) await run('dpkg', ['-x', file, '.'], {}, draft);
    }
    // Of two test files that do this at once, one wins, and both use it.
    await rename(draft, cache).catch(() => access(cache));
    return await inCache();
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function download(directory: string): Promise<void> {
  const packages = ['redis-server', 'redis-tools', 'liblzf1', 'libjemalloc2', 'libatomic1'];
  try {
    await run('apt-get', ['download', ...packages], {}, directory);
  } catch {
    await asRoot('apt-get', ['update']);
    await run('apt-get', ['download', ...packages], {}, directory);
  }
}

async function asRoot(command: string, args: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid?.() === 0) await run(command, args, env);
  else await run('sudo', ['-n', command, ...args], env);
}

/** `redis-tools` holds the server's program too, under another name, and brings no service. */
async function fromDebianInstall(): Promise<RedisBinary> {
  await asRoot('apt-get', ['install', '-y', '--no-install-recommends', 'redis-tools']);
  await mkdir(cache, { recursive: true });
  const command = path.join(cache, 'redis-server');
  await symlink('/usr/bin/redis-check-rdb', command).catch(() => access(command));
  if (!(await runs({ command, env: {} }))) throw new Error('the installed program does not run');
  return { command, env: {} };
}

async function fromHomebrew(): Promise<RedisBinary> {
  await run('brew', ['install', 'redis']);
  const prefix = await run('brew', ['--prefix', 'redis']);
  return { command: path.join(prefix.trim(), 'bin/redis-server'), env: {} };
}
