/** The recipes of docs/clients.md for the shell and for Node, run as they stand there. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

const root = path.resolve(import.meta.dirname, '../..');
const sitecore = 'https://api.sitecorecloud.io';

interface Recipe {
  readonly title: string;
  readonly language: string;
  readonly code: string;
}

const recipes = readRecipes(await readFile(path.join(root, 'docs/clients.md'), 'utf8'));

let service: TestService;
let sitecoreService: TestService;
const directories: string[] = [];

beforeAll(async () => {
  service = await startService();
  sitecoreService = await startService({ env: { KEYTURN_AUDIENCE: sitecore } });
});

afterAll(async () => {
  await Promise.all([service.stop(), sitecoreService.stop()]);
  await Promise.all(directories.map(directory => rm(directory, { recursive: true, force: true })));
});

describe.concurrent('the recipe for', () => {
  it.each(recipes.filter(({ language }) => language === 'js'))(
    '$title lists the connections',
    { timeout: 60_000 },
    async ({ title, code }) => {
      const { stdout } = await run(
        process.execPath,
        ['--input-type=module'],
        code,
        await surroundings(title),
      );
      expect(stdout).toMatch(/href: 'http:\/\/127\.0\.0\.1:\d+\/v2\/connections',\s+items: \[\]/);
    },
  );

  it('curl lists the connections, and gets a token by JSON', { timeout: 60_000 }, async () => {
    const [byForm, byJson] = recipes.filter(({ title }) => title === 'curl');
    const listed = await run('bash', ['-e'], byForm?.code ?? '', await surroundings('curl'));
    expect(JSON.parse(listed.stdout)).toEqual({ href: `${service.url}/v2/connections`, items: [] });
    const answered = await run('bash', ['-e'], byJson?.code ?? '', await surroundings('curl'));
    expect(JSON.parse(answered.stdout)).toMatchObject({ token_type: 'Bearer', expires_in: 900 });
  });
});

/** What the page tells its reader to have. */
async function surroundings(title: string): Promise<Record<string, string>> {
  if (title.endsWith('with a key pair')) return keyPairSurroundings(title);
  if (title !== 'Sitecore Content SDK')
    return { KEYTURN_URL: service.url, KEYTURN_API_KEY: service.sampleKey };
  const { apiKey } = await sitecoreService.createKey({
    audiences: [sitecore],
    claims: {
      'https://auth.sitecorecloud.io/claims/tenant_id': 'my-tenant',
      'https://auth.sitecorecloud.io/claims/org_id': 'my-organisation',
    },
  });
  return { KEYTURN_URL: sitecoreService.url, KEYTURN_API_KEY: apiKey };
}

/** The pair is made as the page says, in a directory of its own. */
async function keyPairSurroundings(title: string): Promise<Record<string, string>> {
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-'));
  directories.push(directory);
  const making = recipes.find(recipe => recipe.title === title && recipe.language === 'sh')?.code ?? '';
  await run('bash', ['-e'], `cd ${directory}\n${making}`, {});
  const file = path.join(directory, 'private.jwk');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const publicJwk: unknown = JSON.parse(await readFile(path.join(directory, 'public.jwk'), 'utf8'));
  const { key } = await service.createKey({ publicJwk });
  return { KEYTURN_URL: service.url, KEYTURN_CLIENT_ID: key.id, KEYTURN_PRIVATE_JWK: file };
}

/** Runs what it is given on stdin, in the checkout, where the libraries are. */
function run(command: string, args: readonly string[], code: string, env: Record<string, string>) {
  const running = promisify(execFile)(command, args, {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  running.child.stdin?.end(code);
  return running;
}

function readRecipes(page: string): Recipe[] {
  return page.split(/^## /m).flatMap(section => {
    const title = section.slice(0, section.indexOf('\n'));
    const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
    return blocks.map(([, language = '', code = '']) => ({ title, language, code }));
  });
}
