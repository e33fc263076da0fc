/** OData keys: what restricts them binds by every door. */
import { beforeAll, expect, test } from 'vitest';
import { decodeJwt } from 'jose';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const customData = { Database: 'web', 'Search Filter': 'IsLatestVersion eq true', note: 'x' };

describeOnEachStore('an OData key', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const make = (fields: Record<string, unknown> = {}) =>
    service.createKey({ feature: 'odata-items', doors: ['token', 'sc_apikey'], customData, ...fields });

  test('is not saved without a database', async () => {
    const body = { name: 'x', feature: 'odata-items', customData: { note: 'x' } };
    expect((await service.admin('POST', '/admin/keys', body)).status).toBe(422);
  });

  test.each(['a eq 1) or (1 eq 1', "a eq '", '(a eq 1', "a eq 'x' or b eq '''"])(
    'is not saved with a filter that would not stay within parentheses: %s',
    async filter => {
      const body = {
        name: 'x',
        feature: 'odata-items',
        customData: { ...customData, 'Search Filter': filter },
      };
      const response = await service.admin('POST', '/admin/keys', body);
      expect([response.status, await response.json()]).toMatchObject([
        422,
        { errors: [{ pointer: '/customData/Search Filter' }] },
      ]);
    },
  );

  test('says in every token what restricts it, and of the rest what it is told to', async () => {
    const { apiKey } = await make();
    const { Database, 'Search Filter': filter } = customData;
    expect(decodeJwt(await service.token(apiKey))['custom_data']).toEqual({
      Database,
      'Search Filter': filter,
    });
    const all = await make({ customDataInToken: ['note', 'Database'] });
    expect(decodeJwt(await service.token(all.apiKey))['custom_data']).toEqual(customData);
  });

  test('loses its tokens when what restricts it changes, and keeps them otherwise', async () => {
    const { key, apiKey } = await make();
    const token = await service.token(apiKey);
    const isAlive = async () => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${service.url}/sitecore/api/ssc/aggregate/content/Items`, { headers });
      return response.status === 200;
    };
    await service.admin('PATCH', `/admin/keys/${key.id}`, { customData: { ...customData, note: 'y' } });
    expect(await isAlive()).toBe(true);
    await service.admin('PATCH', `/admin/keys/${key.id}`, { customData: { Database: 'web' } });
    expect(await isAlive()).toBe(false);
  });
});
