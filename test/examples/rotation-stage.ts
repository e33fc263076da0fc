/** A key in a file, a service that lives by it, a proxy in the way of the rotation script, and the script itself. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { TestService } from '../support/service.ts';
import { type Proxy, startProxy } from './lossy-proxy.ts';

export type Script = 'rotate.sh' | 'rotate.ts';

export interface Stage {
  readonly id: string;
  readonly file: string;
  /** The key string that the file held first. */
  readonly oldKey: string;
  readonly proxy: Proxy;
  /** The key string that the file holds. */
  key(): Promise<string>;
  /** The journal, or an empty text. */
  journal(): Promise<string>;
  /** Starts the script, its way to the service going through the proxy. */
  start(script: Script, options?: StartOptions): Run;
  /** What stands in the file's folder. */
  folder(): Promise<string[]>;
  /** The key as the admin API shows it. */
  show(): Promise<{ secrets: { state: string; last4: string }[] }>;
  /** Moves the clock past the deadline of the old secret, and looks what has become of it all. */
  outcome(): Promise<Outcome>;
  close(): Promise<void>;
}

export interface Outcome {
  /** Answers to the service's exchanges that were none, from first to last. */
  readonly refusals: readonly string[];
  /** The last characters of the secrets that live. */
  readonly secrets: readonly string[];
  readonly rotations: number;
  readonly folder: readonly string[];
  /** Of the file, octal. */
  readonly mode: string;
}

export interface StartOptions {
  /** Another file than the stage's. */
  readonly file?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Kills it at this step, counted from 1. */
  readonly dieAt?: number;
}

export interface Run {
  readonly pid: number;
  /** Ends it as a power cut does; what it had sent meets nobody who waits. */
  kill(): Promise<void>;
  readonly ended: Promise<Ending>;
  untilSaid(text: string): Promise<void>;
}

export interface Ending {
  /** Null where it was killed. */
  readonly code: number | null;
  readonly output: string;
}

/** Seconds. */
const grace = 60;

export async function openStage(service: TestService): Promise<Stage> {
  const { key, apiKey } = await service.createKey({});
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-rotation-'));
  const file = path.join(directory, 'api-key');
  await writeFile(file, `${apiKey}\n`, { mode: 0o600 });
  const proxy = await startProxy(service.port);
  const user = useKey(service, file);
  const readKey = () => readKeyString(file);
  const show = async () => {
    const response = await service.admin('GET', `/admin/keys/${key.id}`);
    return (await response.json()) as Awaited<ReturnType<Stage['show']>>;
  };
  return {
    id: key.id,
    file,
    oldKey: apiKey,
    proxy,
    key: readKey,
    journal: () => readFile(`${file}.rotation`, 'utf8').catch(() => ''),
    start: (script, options) => startScript(script, { file, ...options }, proxy),
    folder: () => readdir(directory),
    show,
    async outcome() {
      service.clock.advance(grace + 1);
      await user.untilUsed(await readKey());
      return {
        refusals: user.refusals,
        secrets: (await show()).secrets.map(({ last4 }) => last4),
        rotations: await countRotations(service, key.id),
        folder: await readdir(directory),
        mode: ((await stat(file)).mode & 0o777).toString(8),
      };
    },
    async close() {
      await user.stop();
      await proxy.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function readKeyString(file: string): Promise<string> {
  return /kt_\w+/.exec(await readFile(file, 'utf8'))?.[0] ?? '';
}

async function countRotations(service: TestService, id: string): Promise<number> {
  const response = await service.admin('GET', `/admin/audit?key=${id}&limit=100`);
  const { items } = (await response.json()) as { items: AuditEntry[] };
  return items.filter(({ before, after }) => before?.secrets?.length === 1 && after?.secrets?.length === 2)
    .length;
}

interface AuditEntry {
  readonly before?: { readonly secrets?: readonly unknown[] };
  readonly after?: { readonly secrets?: readonly unknown[] };
}

/** Reads the file and exchanges what is in it, every 50 ms. */
function useKey(service: TestService, file: string) {
  const refusals: string[] = [];
  const over = new AbortController();
  let last = '';
  const loop = (async () => {
    while (!over.signal.aborted) {
      const key = await readKeyString(file);
      const response = await service.exchange(key);
      if (response.status !== 200) refusals.push(`${response.status} ${await response.text()}`);
      else await response.arrayBuffer();
      last = key;
      await sleep(50);
    }
  })();
  return {
    refusals,
    async untilUsed(key: string) {
      await expect.poll(() => last, { timeout: 5000 }).toBe(key);
    },
    async stop() {
      over.abort();
      await loop;
    },
  };
}

const here = import.meta.dirname;
const examples = path.resolve(here, '../../examples/rotation');

const interpreters = {
  'rotate.sh': () => ['bash'],
  'rotate.ts': (dieAt?: number) => {
    const preloads = [import.meta.resolve('tsx'), ...(dieAt ? [path.join(here, 'die-at-step.ts')] : [])];
    return [process.execPath, ...preloads.flatMap(preload => ['--import', preload])];
  },
};

/** What the two death watches read, each its own. */
function dying(dieAt: number | undefined, file: string): Record<string, string> {
  if (dieAt === undefined) return {};
  return { DIE_AT: String(dieAt), BASH_ENV: path.join(here, 'die-at-step.sh'), DIE_BESIDE: file };
}

function startScript(
  script: Script,
  { file, args = [], env = {}, dieAt }: StartOptions & { readonly file: string },
  proxy: Proxy,
): Run {
  const [program, ...before] = [...interpreters[script](dieAt), path.join(examples, script)];
  const child = spawn(program ?? '', [...before, '--grace', String(grace), ...args, file], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      KEYTURN_URL: proxy.url,
      ...dying(dieAt, file),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += String(chunk)));
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve));
  const ended = exited.then(async code => {
    // What it was waiting for may outlive it, and holds its output open.
    await sleep(20);
    expect(output).not.toMatch(/kt_[0-9a-f]{32}/);
    return { code, output };
  });
  return {
    pid: child.pid ?? 0,
    ended,
    async untilSaid(said) {
      await expect.poll(() => output, { timeout: 10_000 }).toContain(said);
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
      proxy.letGo();
    },
  };
}
