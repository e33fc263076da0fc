/** `[RequiredApiKey]` on somebody else's Koa routes: the decision is Keyturn's, and so are its words. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Koa from 'koa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRequiredApiKey, type RequiredApiKeyState } from '../../src/middleware/required-api-key.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const route = '/sitecore/api/layout/render/jss?item=%2F';

describeOnEachStore('a required API key', store => {
  let directory: string;
  let service: TestService;
  let server: Server;
  let keyId: string;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-required-'));
    const file = path.join(directory, 'controllers.json');
    const catalogue = JSON.parse(await readFile('config/controllers.json', 'utf8')) as {
      controllers: { name: string; requireApiKey?: boolean }[];
    };
    for (const controller of catalogue.controllers)
      controller.requireApiKey = controller.name.endsWith('LayoutServiceController');
    await writeFile(file, JSON.stringify(catalogue));
    service = await store.start({ env: { KEYTURN_CONTROLLERS: file, KEYTURN_TRUSTED_PROXIES: '127.0.0.1' } });
    const { key } = await service.createKey({
      feature: 'services-client',
      doors: ['sc_apikey'],
      corsOrigins: ['https://page.example'],
      impersonationUser: 'extranet\\Ané',
      customData: { note: 'ü' },
    });
    keyId = key.id;
    server = await serve(service.url);
  });
  afterAll(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });
  const call = (address: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${address}`, { headers });

  test('lets in whom Keyturn lets in, and says who it is', async () => {
    const answer = await call(`${route}&sc_apikey=${keyId}`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      keyId,
      feature: 'services-client',
      scope: 'services:manage',
      controller: 'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController',
      user: 'extranet\\Ané',
      customData: { note: 'ü' },
    });
    expect((await call(route, { sc_apikey: keyId, origin: 'https://page.example' })).status).toBe(200);
  });

  test.each<[string, string, Record<string, string>]>([
    ['no key', route, {}],
    ['an unknown key', `${route}&sc_apikey=${randomUUID()}`, {}],
    ['another origin', `${route}&sc_apikey=KEY`, { origin: 'https://other.example' }],
    ['a token that claims to be genuine', `${route}&sc_apikey=KEY`, { authorization: 'Bearer TOKEN' }],
  ])('answers %s as Keyturn itself does', async (_, address, headers) => {
    const forged = `e30.${Buffer.from(JSON.stringify({ iss: service.url })).toString('base64url')}.x`;
    const fill = (text: string) => text.replace('KEY', keyId).replace('TOKEN', forged);
    const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fill(value)]));
    const [here, there] = await Promise.all([
      call(fill(address), sent),
      fetch(service.url + fill(address), { headers: sent }),
    ]);
    expect(here.status).toBe(there.status);
    expect(here.status).toBeGreaterThanOrEqual(400);
    for (const name of ['content-type', 'www-authenticate', 'vary'])
      expect(here.headers.get(name)).toBe(there.headers.get(name));
    expect(await here.json()).toEqual(await there.json());
  });

  test('lets in nobody on a route that Keyturn does not know, nor by a path that can be read in two ways', async () => {
    expect((await call(`/elsewhere?sc_apikey=${keyId}`)).status).toBe(404);
    expect((await call(`/x%2f..${route}&sc_apikey=${keyId}`)).status).toBe(400);
  });

  test('lets in nobody while Keyturn cannot be asked', async () => {
    const alone = await serve('http://127.0.0.1:1');
    const answer = await fetch(
      `http://127.0.0.1:${(alone.address() as AddressInfo).port}${route}&sc_apikey=${keyId}`,
    );
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    alone.close();
  });
});

async function serve(url: string): Promise<Server> {
  const app = new Koa<RequiredApiKeyState>();
  app.use(createRequiredApiKey({ url }));
  app.use(ctx => {
    ctx.body = ctx.state.keyturn;
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
