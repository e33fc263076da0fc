/** The programs of docs/guards.md, run as they stand there, against the service as its first start leaves it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from '../support/built-cli.ts';
import { freePort } from '../support/free-port.ts';
import { startService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const root = path.resolve(import.meta.dirname, '../..');
const page = await readFile(path.join(root, 'docs/guards.md'), 'utf8');

let service: TestService;
let serverKey: string;
let token: string;

beforeAll(async () => {
  await buildCli();
  service = await startService();
  serverKey = (await service.createKey({ feature: 'resource-server' })).apiKey;
  token = await service.token(service.sampleKey);
});
afterAll(() => service.stop());

describe('the program for', () => {
  it.each(['Express', 'Koa', 'Hono'])('%s guards its route', async title => {
    const port = await freePort();
    const program = run(programFor(title), { PORT: String(port) });
    try {
      const url = `http://127.0.0.1:${port}/orders`;
      await until('it answers', () =>
        fetch(url).then(
          () => true,
          () => false,
        ),
      );
      const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      expect(await answer.json()).toEqual({ for: clientId() });
      const refusal = await fetch(url);
      expect([refusal.status, await refusal.json()]).toMatchObject([401, { code: 'credential_missing' }]);
    } finally {
      await program.end();
    }
  });

  it.each([
    ['Next', 'GET(request)'],
    ['Workers, Deno, Bun', 'worker.fetch(request, process.env)'],
  ])('%s answers', async (title, call) => {
    // Standard input has no exports: what the runtime would call is called here.
    const code = programFor(title).replace('export default', 'const worker =').replace('export ', '');
    const asking = `
      for (const headers of [{ authorization: 'Bearer ${token}' }, {}]) {
        const request = new Request('https://shop.example/orders', { headers });
        const response = await ${call};
        console.log(response.status, await response.text());
      }
      process.exit();`;
    const program = run(code + asking);
    const [status] = await program.ended;
    expect([status, program.output()]).toEqual([
      0,
      expect.stringMatching(/^200 .*\n401 .*credential_missing.*\n$/),
    ]);
    expect(program.output()).toContain(`{"for":"${clientId()}"}`);
  });
});

function clientId(): string {
  const digits = service.sampleKey.split('_')[1] ?? '';
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function programFor(title: string): string {
  const section = page.split('\n## ').find(text => text.startsWith(`${title}\n`)) ?? '';
  const code = /```js\n([\s\S]*?)```/.exec(section)?.[1];
  if (code === undefined) throw new Error(`the page has no program for ${title}`);
  return code;
}

/** Within the checkout the package knows itself by its name. */
function run(code: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--input-type=module'], {
    cwd: root,
    env: { PATH: process.env['PATH'], KEYTURN_URL: service.url, KEYTURN_API_KEY: serverKey, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stdin.end(code);
  const ended = once(child, 'exit');
  return {
    ended,
    output: () => output,
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
