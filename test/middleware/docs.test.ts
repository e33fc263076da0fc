/** The programs of docs/guards.md and docs/moving.md, run as they stand there, against the service as its first start leaves it. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from '../support/built-cli.ts';
import { readPrograms, runProgram, withServer } from '../support/documented-programs.ts';
import { startService, type TestService } from '../support/service.ts';

const programs = new Map([...(await readPrograms('guards.md')), ...(await readPrograms('moving.md'))]);

let service: TestService;
let env: Record<string, string>;
let token: string;

beforeAll(async () => {
  await buildCli();
  service = await startService();
  const { apiKey } = await service.createKey({ feature: 'resource-server' });
  env = { KEYTURN_URL: service.url, KEYTURN_API_KEY: apiKey, OLD_KEY_SHA256: digestOf('old') };
  token = await service.token(service.sampleKey);
});
afterAll(() => service.stop());

const programFor = (title: string) => {
  const program = programs.get(title);
  if (program === undefined) throw new Error(`there is no program for ${title}`);
  return program;
};

describe('the program', () => {
  it.each(['Express', 'Koa', 'Hono', 'From a plain API key', 'From Auth0'])('%s guards its route', title =>
    withServer(programFor(title), env, async url => {
      const answer = await fetch(`${url}/orders`, { headers: { authorization: `Bearer ${token}` } });
      expect(await answer.json()).toEqual({ for: clientId() });
      expect((await fetch(`${url}/orders`)).status).toBe(401);
    }),
  );

  it('From a plain API key takes the old one, too', () =>
    withServer(programFor('From a plain API key'), env, async url => {
      const statuses = ['old', 'older'].map(async key => {
        const answer = await fetch(`${url}/orders`, { headers: { 'x-api-key': key } });
        return answer.status;
      });
      expect(await Promise.all(statuses)).toEqual([200, 401]);
    }));

  it.each([
    ['Next', 'GET(request)'],
    ['Workers, Deno, Bun', 'worker.fetch(request, process.env)'],
  ])('%s answers', async (title, call) => {
    // Standard input has no exports: what the runtime would call is called here.
    const code = programFor(title).replace('export default', 'const worker =').replace('export ', '');
    const program = runProgram(
      `${code}
      for (const headers of [{ authorization: 'Bearer ${token}' }, {}]) {
        const request = new Request('https://shop.example/orders', { headers });
        const response = await ${call};
        console.log(response.status, await response.text());
      }
      process.exit();`,
      env,
    );
    expect(await program.ended).toBe(0);
    const [letIn = '', refused = ''] = program.output().split('\n');
    expect(letIn).toBe(`200 {"for":"${clientId()}"}`);
    expect(refused).toMatch(/^401 .*credential_missing/);
  });
});

function clientId(): string {
  const digits = service.sampleKey.split('_')[1] ?? '';
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
