/** What is said of a body that is not right: each fault once, by its place, and what may stand there. */
import { beforeAll, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

describeOnEmbeddedStore('a body that is not right', store => {
  let service: TestService;
  let id: string;
  beforeAll(async () => {
    service = await store.start();
    id = (await service.createKey({})).key.id;
  });

  test.each<[method: string, path: string, body: unknown, errors: [string, string][]]>([
    ['POST', '/admin/keys/ID/rotations', {}, [['/mode', 'is required']]],
    [
      'POST',
      '/admin/keys/ID/rotations',
      { mode: 'x' },
      [['/mode', 'must be one of overlap, first-use, now']],
    ],
    ['POST', '/admin/keys/ID/rotations', { mode: 'overlap', grace: -1 }, [['/grace', 'must be >= 0']]],
    ['POST', '/admin/keys/ID/rotations', { mode: 'now', grace: 1 }, [['/grace', 'is not known']]],
    [
      'POST',
      '/admin/accounts',
      { id: 'x', role: 'root' },
      [['/role', 'must be one of owner, admin, member']],
    ],
    ['PATCH', '/admin/keys/ID', { tokenTtl: 1 }, [['/tokenTtl', 'must be >= 2']]],
    ['PATCH', '/admin/keys/ID', { doors: ['door'] }, [['/doors/0', 'must be one of token, sc_apikey']]],
  ])('%s %s %j', async (method, path, body, errors) => {
    const response = await service.admin(method, path.replace('ID', id), body);
    expect(response.status).toBe(422);
    const answer = (await response.json()) as { detail: string; errors: unknown };
    expect(answer.errors).toEqual(errors.map(([pointer, detail]) => ({ pointer, detail })));
    expect(answer.detail).toBe(errors.map(([pointer, detail]) => `${pointer}: ${detail}`).join('; '));
  });

  test.each(['doors', 'scopes', 'audiences', 'customDataInToken', 'allowedControllers'])(
    'is not told of each of the thousands of faults in its %s',
    async member => {
      for (const item of [0, {}, []]) {
        const response = await service.admin('PATCH', `/admin/keys/${id}`, {
          [member]: Array(15_000).fill(item),
        });
        expect(response.status).toBe(422);
        const { errors } = (await response.json()) as { errors: unknown[] };
        expect(errors.length).toBeGreaterThan(0);
        expect(errors.length).toBeLessThanOrEqual(100);
      }
    },
  );

  test('in a query is not told of each of hundreds that stand twice', async () => {
    const query = Array.from({ length: 400 }, (_, at) => `q${at}=1&q${at}=2`).join('&');
    const response = await service.admin('GET', `/admin/keys?${query}`);
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: unknown[] };
    expect(errors.length).toBeLessThanOrEqual(200);
  });

  test('in a query is told with what may stand there', async () => {
    const detailOf = async (query: string) => {
      const response = await service.admin('GET', `/admin/keys?${query}`);
      expect(response.status).toBe(400);
      return ((await response.json()) as { detail: string }).detail;
    };
    expect(await detailOf('limit=1001')).toMatch(/^\/limit: is not right\. .*1 to 100/);
    expect(await detailOf('status=nope')).toMatch(/^\/status: must be one of draft, active/);
  });
});
