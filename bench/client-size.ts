/**
 * What it costs to take `keyturn/client` along, beside other clients of the same grant: `npm run bench:client`. Bytes are
 * those of one bundle with all that it needs; times are those of the packages as they are installed, in fresh processes.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { markdownTable, spread } from './report.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '21' } } });
const root = path.resolve(import.meta.dirname, '..');
const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
try {
  const empty = path.join(directory, 'empty.mjs');
  await writeFile(empty, 'export {};\n');
  const subjects = {
    'an empty module': { source: empty, installed: empty },
    'keyturn/client': {
      source: path.join(root, 'src/client/index.ts'),
      installed: path.join(root, 'dist/client/index.js'),
    },
    oauth4webapi: fromPackage('oauth4webapi'),
    'openid-client': fromPackage('openid-client'),
    'simple-oauth2': fromPackage('simple-oauth2'),
  };
  const times = await measure(subjects);
  const floor = times.get('an empty module') ?? [];
  const rows = await Promise.all(
    Object.entries(subjects).map(async ([name, { source }]) => {
      const { minified, zipped } = await sizeOf(source);
      const taken = times.get(name) ?? [];
      const ratios = taken.map((time, round) => time / (floor[round] ?? Number.NaN));
      return [name, count(minified), count(zipped), spread(taken, 1), spread(ratios, 1)];
    }),
  );
  const header = ['', 'bytes, minified', 'and with gzip', 'ms to import (min–max)', '× an empty module'];
  process.stdout.write(`Node ${process.versions.node}\n\n${markdownTable([header, ...rows])}\n`);
} finally {
  await rm(directory, { recursive: true });
}

interface Subject {
  readonly source: string;
  /** What Node loads. */
  readonly installed: string;
}

function fromPackage(name: string): Subject {
  const installed = import.meta.resolve(name);
  return { source: name, installed };
}

/** Bytes. Node's own modules are Node's. */
async function sizeOf(source: string): Promise<{ minified: number; zipped: number }> {
  const { outputFiles } = await build({
    stdin: { contents: `export * from ${JSON.stringify(source)};`, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    write: false,
  });
  const [{ contents } = { contents: new Uint8Array() }] = outputFiles;
  return { minified: contents.length, zipped: gzipSync(contents, { level: 9 }).length };
}

/** In turns, so that what disturbs the machine disturbs all. The first round warms the disk's cache and does not count. */
async function measure(subjects: Readonly<Record<string, Subject>>): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(Object.keys(subjects).map(name => [name, []]));
  for (let round = 0; round <= Number(options.rounds); round += 1) {
    for (const [name, { installed }] of Object.entries(subjects)) {
      const time = await timeOfImport(
        installed.startsWith('file:') ? installed : pathToFileURL(installed).href,
      );
      if (round > 0) times.get(name)?.push(time);
    }
  }
  return times;
}

function count(bytes: number): string {
  return bytes.toLocaleString('en');
}

/** Milliseconds of one import in a process that has done nothing else. */
async function timeOfImport(url: string): Promise<number> {
  const code = `const since = performance.now(); await import(${JSON.stringify(url)}); console.log(performance.now() - since)`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code]);
  return Number(stdout);
}
