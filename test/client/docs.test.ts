/** The code of docs/token-client.md, run as it stands there, against the real service. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

const root = path.resolve(import.meta.dirname, '../..');
const page = await readFile(path.join(root, 'docs/token-client.md'), 'utf8');
const blocks = page.split(/^#{1,2} /m).flatMap(section => {
  const title = section.slice(0, section.indexOf('\n'));
  return Array.from(section.matchAll(/^```js\n(.*?)^```$/gms), ([, code = '']) => ({ title, code }));
});

/** What each block prints, by the title over it. */
const prints: Readonly<Record<string, RegExp>> = {
  'How does a service get tokens without thinking about it?':
    /^200 \{\s+href: '.*\/v2\/connections',\s+items: \[\]\s+\}\n$/,
  'More than one kind of token': /^200 403 201\n$/,
  'With another HTTP client': /^200\n$/,
  Errors: /^Tell somebody: invalid_client, [A-Z].*\.\n$/,
};

let service: TestService;
let directory: string;

beforeAll(async () => {
  service = await startService();
  directory = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  await writeFile(path.join(directory, 'api-key'), `${service.sampleKey}\n`);
  await build({
    entryPoints: [path.join(root, 'src/client/index.ts')],
    bundle: true,
    format: 'esm',
    outfile: path.join(directory, 'client.mjs'),
  });
});

afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true });
});

describe('the code under', () => {
  it('each title is known', () => {
    expect(blocks.map(({ title }) => title)).toEqual(Object.keys(prints));
  });

  it.each(blocks)('"$title" does what it says', { timeout: 60_000 }, async ({ title, code }) => {
    expect(await run(code)).toMatch(prints[title]!);
  });
});

/** The page's addresses, file and package are those of this test. */
async function run(code: string): Promise<string> {
  const here = {
    'https://keys.example.com': service.url,
    'https://api.example.com/orders': `${service.url}/v2/connections`,
    '/run/secrets/api-key': path.join(directory, 'api-key'),
    'keyturn/client': path.join(directory, 'client.mjs'),
  };
  const text = Object.entries(here).reduce(
    (text, [there, ours]) => text.replaceAll(`'${there}'`, `'${ours}'`),
    code,
  );
  const running = promisify(execFile)(process.execPath, ['--input-type=module'], {
    env: { KEYTURN_URL: service.url, KEYTURN_API_KEY: service.sampleKey },
  });
  running.child.stdin?.end(text);
  return (await running).stdout;
}
