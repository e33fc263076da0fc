/** The example site with Keyturn in front of it: started by its one command, and asked as it tells its reader to. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';

const root = path.resolve(import.meta.dirname, '../..');

describe('the example site', () => {
  let example: ChildProcess;
  let directory: string;
  let said = '';
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-example-'));
    const { PATH, HOME } = process.env;
    example = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), 'examples/sitecore-site/start.ts'],
      { cwd: root, env: { PATH, HOME, TMPDIR: directory, KEYTURN_PORT: '0', SITE_PORT: '0' } },
    );
    for (const stream of [example.stdout, example.stderr])
      stream?.on('data', chunk => (said += String(chunk)));
    await until('Keyturn and the site serve', () => said.includes('Ctrl-C ends it'), 50_000);
  });
  afterAll(async () => {
    example.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  test('prints two keys, and a line to paste for each', async () => {
    const lines = said.split('\n').filter(line => line.startsWith('curl '));
    const run = async (line = '') => JSON.parse((await promisify(execFile)('bash', ['-c', line])).stdout);
    const [page, items] = [await run(lines[0]), await run(lines[1])];
    expect(page).toMatchObject({
      sitecore: {
        context: { user: 'extranet\\Anonymous' },
        route: { fields: { title: { value: 'Welcome' } } },
      },
    });
    expect(items).toMatchObject({
      value: [{ Name: 'home' }, { Name: 'about us' }],
      asked: { database: 'web', filter: "(Language eq 'en') and (IsLatestVersion eq true)" },
      caller: {
        keyId: /(\S{36})$/m.exec(said.slice(said.indexOf('Items of')))?.[1],
        feature: 'odata-items',
        scope: 'items:read',
        controller: 'Sitecore.Services.OData.ItemsController',
        user: 'sitecore\\ServicesAPI',
        customData: { Database: 'web', 'Search Filter': 'IsLatestVersion eq true' },
      },
    });
    expect(lines).toHaveLength(2);
  });

  test('shows what reached the site, and no key', async () => {
    await expect.poll(() => said).toContain('site: 200 GET /sitecore/api/ssc/aggregate/content/Items?');
    expect(said).toMatch(/^site: 200 GET \S+ for extranet\\Anonymous \(services-client\)$/m);
    expect(said).not.toMatch(/^site: .*apikey/im);
    expect(said).not.toMatch(/kt_[0-9a-f]{32}/);
  });

  test('ends when it is told to, and leaves nothing behind', async () => {
    example.kill('SIGINT');
    expect(await once(example, 'exit')).toEqual([0, null]);
    expect((await readdir(directory)).filter(name => name.startsWith('keyturn'))).toEqual([]);
  });
});

test('the example’s controllers are those of the default catalogue, with a site behind them', async () => {
  const read = async (file: string) =>
    (JSON.parse(await readFile(path.join(root, file), 'utf8')) as { controllers: Declared[] }).controllers;
  const shared = (await read('config/controllers.json')).filter(({ name }) => name.startsWith('Sitecore.'));
  expect((await read('examples/sitecore-site/controllers.json')).map(asAsked)).toEqual(shared.map(asAsked));
});

interface Declared {
  readonly name: string;
  readonly doors: readonly string[];
  readonly routes: readonly Record<string, unknown>[];
}

/** What a declaration asks of callers, whatever answers them. */
function asAsked({ name, doors, routes }: Declared): Declared {
  return { name, doors, routes: routes.map(({ operation: _, ...route }) => route) };
}
