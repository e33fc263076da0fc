/** Controllers that another server guards: keys are made for them, proxies may ask about them, and nothing here answers them. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGuard, type FetchGuard } from '../../src/middleware/fetch.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const config = path.resolve(import.meta.dirname, '../../config');
const audience = 'https://shop.example';
const demand = { controller: 'Shop.Orders', scope: 'orders:read' } as const;

describeOnEachStore('a controller elsewhere', store => {
  let service: TestService;
  let guard: FetchGuard;
  let token: string;

  beforeAll(async () => {
    const { dataDir: directory } = await store.place();
    const extend = async (name: 'features' | 'controllers', entries: object[]) => {
      const file = JSON.parse(await readFile(path.join(config, `${name}.json`), 'utf8')) as Record<
        string,
        object[]
      >;
      const place = path.join(directory, `${name}.json`);
      await writeFile(place, JSON.stringify({ ...file, [name]: [...(file[name] ?? []), ...entries] }));
      return place;
    };
    const env = {
      KEYTURN_TRUSTED_PROXIES: '127.0.0.1',
      KEYTURN_FEATURES: await extend('features', [
        { name: 'shop', scopes: ['orders:manage'], controllers: ['Shop.Orders', 'Shop.Stock'] },
      ]),
      KEYTURN_CONTROLLERS: await extend('controllers', [
        { name: 'Shop.Orders', elsewhere: true, audience },
        {
          name: 'Shop.Stock',
          elsewhere: true,
          routes: [{ methods: ['GET'], path: '/stock/:id', scope: 'orders:read' }],
        },
      ]),
    };
    service = await store.start({ env });
    const { apiKey } = await service.createKey({ feature: 'resource-server' });
    guard = createGuard({ issuer: service.url, audience, apiKey });
    const key = await service.createKey({ feature: 'shop', audiences: [audience, service.url] });
    token = await service.token(key.apiKey, { audience });
  });
  afterAll(() => guard.close());

  const request = (text: string) =>
    new Request(`${audience}/orders`, { headers: { authorization: `Bearer ${text}` } });

  test('lets in there whoever has a key for it', async () => {
    const { caller } = await guard(request(token), demand);
    expect(caller).toMatchObject({ feature: 'shop', controllers: new Set(['Shop.Orders', 'Shop.Stock']) });
    const stranger = await service.token(service.sampleKey);
    expect((await guard(request(stranger), demand)).response?.status).toBe(401);
  });

  test('is decided on where a proxy asks, and not answered here', async () => {
    const key = await service.createKey({ feature: 'shop' });
    const headers = { authorization: `Bearer ${await service.token(key.apiKey)}` };
    const forwarded = { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/stock/7' };
    const asked = await fetch(`${service.url}/auth/verify`, { headers: { ...headers, ...forwarded } });
    expect([asked.status, asked.headers.get('x-keyturn-controller')]).toEqual([200, 'Shop.Stock']);
    expect((await fetch(`${service.url}/stock/7`, { headers })).status).toBe(404);
  });
});
