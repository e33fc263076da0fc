/** The token client where there is no Node, and how it behaves in a process that has nothing else to do. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createContext, Script } from 'node:vm';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readSourceFiles } from '../support/source-files.ts';
import { apiKey, json, openStage, type Stage, token } from './stage.ts';

const root = path.resolve(import.meta.dirname, '../../src');

let stage: Stage;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  await writeFile(path.join(directory, 'client.mjs'), await bundle('esm'));
});

beforeEach(async () => {
  stage = await openStage();
});

afterEach(() => stage.close());
afterAll(() => rm(directory, { recursive: true }));

describe('the source', () => {
  const files = readSourceFiles(root).filter(({ part }) => part === 'client');
  const foreign =
    /\b(?:Buffer|process|setImmediate|clearImmediate|global|require|__dirname|__filename)\b(?!')/;

  it('names nothing of Node', () => {
    const named = files.flatMap(({ path: name, code }) =>
      code
        .replaceAll(/\/\*[\s\S]*?\*\/|'[^'\n]*'|\/\/.*$/gm, '')
        .split('\n')
        .filter(line => foreign.test(line))
        .map(line => `${name}: ${line.trim()}`),
    );
    expect(named).toEqual([]);
  });

  it('asks a timer for nothing that it may not have', () => {
    const careless = files.filter(({ code }) => /\.(?:un)?ref\(/.test(code)).map(({ path: name }) => name);
    expect(careless).toEqual([]);
  });
});

describe('in a world of the web alone', () => {
  it('gets a token, and calls with it', async () => {
    const timers: unknown[] = [];
    const world = {
      fetch: strictFetch,
      URL,
      URLSearchParams,
      Headers,
      TextDecoder,
      AbortController,
      performance: { now: () => performance.now() },
      clearTimeout: (id: number) => clearTimeout(timers[id] as NodeJS.Timeout),
      // A number, as in browsers, Workers and Deno.
      setTimeout: (run: () => void, delay: number) => timers.push(setTimeout(run, delay).unref()) - 1,
      options: { issuer: stage.issuer, apiKey },
    };
    const code = `${await bundle('iife')}
      const client = keyturn.createTokenClient(options);
      Promise.all([client.getToken(), client.fetch(options.issuer).then(response => response.json())]);`;
    const answers: unknown = await (new Script(code).runInContext(createContext(world)) as Promise<unknown>);
    expect(answers).toEqual(['token-1', expect.objectContaining({ access_token: 'token-2' })]);
    expect(timers.length).toBeGreaterThan(0);
  });
});

describe('a process', () => {
  it('ends when it has nothing else to do, though the token lives', { timeout: 20_000 }, async () => {
    stage.answer = () => token(900);
    const { stdout } = await run('console.log(await client.getToken());');
    expect(stdout).toBe('token-1\n');
  });

  it('does not end under a caller who waits', { timeout: 20_000 }, async () => {
    let asked = 0;
    stage.answer = () => {
      asked += 1;
      return asked < 3 ? json(503, {}) : token(900);
    };
    const { stdout } = await run('console.log(await client.getToken());');
    expect(stdout).toBe('token-3\n');
  });
});

/** As in a Worker: it is called as a function of its own, or not at all. */
function strictFetch(this: unknown, ...[input, init]: Parameters<typeof fetch>): Promise<Response> {
  if (this !== undefined && (this as { fetch?: unknown }).fetch !== strictFetch)
    throw new TypeError('Illegal invocation');
  return fetch(input, init);
}

async function bundle(format: 'esm' | 'iife'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(root, 'client/index.ts')],
    bundle: true,
    format,
    globalName: 'keyturn',
    platform: 'neutral',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

function run(code: string) {
  const text = `
    import { createTokenClient } from ${JSON.stringify(path.join(directory, 'client.mjs'))};
    const client = createTokenClient(${JSON.stringify({ issuer: stage.issuer, apiKey })});
    ${code}`;
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', text], { timeout: 15_000 });
}
