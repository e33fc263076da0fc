/** Controllers with an upstream, through the whole service: guard, CORS, log and all. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startUpstream, type TestUpstream } from '../support/gateway.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

describeOnEmbeddedStore('a controller with an upstream', store => {
  let directory: string;
  let upstream: TestUpstream;
  let service: TestService;
  let token: string;
  const page = 'https://shop.example';
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-gateway-'));
    upstream = await startUpstream((req, res) => {
      if (req.url?.endsWith('/slow')) return;
      res.setHeader('ETag', '"1"');
      res.setHeader('Access-Control-Allow-Origin', '*');
      res.setHeader('Vary', 'Accept');
      res.end('from the upstream');
    });
    service = await store.start({ env: await writeCatalogue(directory, upstream.url) });
    const { apiKey } = await service.createKey({ feature: 'orders', corsOrigins: [page] });
    token = await service.token(apiKey);
  });
  afterAll(async () => {
    await upstream.close();
    await rm(directory, { recursive: true, force: true });
  });
  const call = (target: string, init: RequestInit = {}) => {
    upstream.asked.length = 0;
    return fetch(service.url + target, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
    });
  };

  test('gets the call of a caller who may, and is told who that is', async () => {
    const response = await call('/orders/1?a=%2F', { headers: { 'x-keyturn-user': 'root' } });
    expect(await response.text()).toBe('from the upstream');
    const { url, headers } = upstream.asked[0]!;
    expect(url).toBe('/base/orders/1?a=%2F');
    expect(headers['authorization']).toBeUndefined();
    expect(headers).toMatchObject({
      'x-keyturn-feature': 'orders',
      'x-keyturn-scope': 'orders:read',
      'x-keyturn-controller': 'Shop.Orders',
      'x-keyturn-custom-data': '',
    });
  });
  test('gets a fresh token that says what its route demands, a GraphQL entry too, where it asks for one', async () => {
    const audiences = ['https://graph.example'];
    const { key, apiKey } = await service.createKey({ feature: 'orders', audiences });
    const authorization = `Bearer ${await service.token(apiKey)}`;
    expect(await (await call('/graph/shop', { headers: { authorization } })).text()).toBe(
      'from the upstream',
    );
    const forwarded = upstream.asked[0]!.headers.authorization!;
    expect(forwarded).not.toBe(authorization);
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', service.url));
    const { payload } = await jwtVerify(forwarded.slice('Bearer '.length), keys, { issuer: service.url });
    expect(payload).toMatchObject({
      aud: 'https://graph.example',
      client_id: key.id,
      allowed_controllers: ['Shop.Graph', 'GraphQL:/graph/shop'],
    });
    expect(payload.exp! - payload.iat!).toBe(60);
  });
  test('gets a token that opens the same route again, and no other', async () => {
    const { apiKey } = await service.createKey({ feature: 'orders', audiences: ['https://graph.example'] });
    const ask = (target: string, authorization: string) => call(target, { headers: { authorization } });
    await ask('/graph/shop', `Bearer ${await service.token(apiKey)}`);
    const forwarded = upstream.asked[0]!.headers.authorization!;
    expect((await ask('/graph/shop', forwarded)).status).toBe(200);
    const refused = await ask('/graph/other', forwarded);
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('GraphQL:/graph/other');
  });
  test.each<[string, RequestInit, number]>([
    ['no token', { headers: { authorization: '' } }, 401],
    ['a token that is none', { headers: { authorization: 'Bearer x' } }, 401],
    ['too small a scope', { method: 'PUT', body: 'x' }, 403],
    ['an origin that is not among the key’s', { headers: { origin: 'https://evil.example' } }, 403],
    ['a condition, and no token', { headers: { authorization: '', 'if-none-match': '"1"' } }, 401],
    ['a range, and no token', { headers: { authorization: '', range: 'bytes=0-1' } }, 401],
  ])('never hears of %s', async (_, init, status) => {
    expect((await call('/orders/1', init)).status).toBe(status);
    expect(upstream.asked).toEqual([]);
  });
  test('leaves CORS to us, and shares Vary', async () => {
    const response = await call('/orders/1', { headers: { origin: page } });
    expect(response.headers.get('access-control-allow-origin')).toBe(page);
    expect(response.headers.get('vary')).toBe('Origin, Authorization, sc_apikey, X-SF-Access-Key, Accept');
    expect(response.headers.get('cache-control')).toBe('private, no-store');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });
  test('that fails is a problem that the page may read', async () => {
    const response = await call('/orders/slow', { headers: { origin: page } });
    expect(response.status).toBe(504);
    expect(response.headers.get('access-control-allow-origin')).toBe(page);
    expect(await response.json()).toMatchObject({ code: 'upstream_timeout' });
  });
  test.each([
    ['no token', [], 401],
    ['a wrong scope', ['Authorization: Bearer '], 403],
  ])('gives no WebSocket for %s', async (_, headers, status) => {
    const request = requestText([
      `GET ${status === 403 ? '/events/1' : '/orders/1'} HTTP/1.1`,
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ...headers.map(header => header + token),
    ]);
    upstream.asked.length = 0;
    const answer = await sendRaw(service.port, request, { until: 'close' });
    expect(answer?.status).toBe(status);
    expect(answer?.header('connection')).toBe('close');
    expect(upstream.asked).toEqual([]);
  });

  test('gets no key string, however it is sent beside an sc_apikey', async () => {
    const { key, apiKey } = await service.createKey({
      feature: 'items',
      doors: ['token', 'sc_apikey'],
      customData: { Database: 'web' },
    });
    const visitor = 'Bearer of-another-issuer';
    expect((await call('/items/1', { headers: { authorization: visitor, sc_apikey: key.id } })).status).toBe(
      200,
    );
    expect(upstream.asked[0]!.headers.authorization).toBe(visitor);
    const basic = Buffer.from(`:${apiKey}`).toString('base64');
    for (const authorization of [`Bearer ${apiKey}`, `Basic ${basic}`, `Bearer ${service.ownerKey}`]) {
      const { status } = await call('/items/1', { headers: { authorization, sc_apikey: key.id } });
      expect([status, upstream.asked]).toEqual([401, []]);
    }
  });

  test.each([
    ['a filter', { 'Search Filter': 'a eq 1' }, '(b eq 2) and (a eq 1)'],
    ['none', {}, 'b eq 2'],
    ['an empty one', { 'Search Filter': ' ' }, 'b eq 2'],
  ])('gets the filter of a caller and that of its key: %s', async (_, filter, expected) => {
    const customData = { Database: 'web', ...filter };
    const { key } = await service.createKey({ feature: 'items', doors: ['sc_apikey'], customData });
    const target = `/items/1?$filter=${encodeURIComponent('b eq 2')}`;
    expect((await call(target, { headers: { authorization: '', sc_apikey: key.id } })).status).toBe(200);
    expect(new URL(upstream.asked[0]!.url, upstream.url).searchParams.get('$filter')).toBe(expected);
  });
});

async function writeCatalogue(directory: string, upstream: string): Promise<Record<string, string>> {
  const features = [
    {
      name: 'orders',
      scopes: ['orders:read'],
      controllers: ['Shop.Orders', 'Shop.Graph', 'GraphQL:*'],
    },
    ...['owner', 'admin', 'member'].map(role => ({
      name: role,
      scopes: ['keyturn:keys:manage'],
      controllers: ['Keyturn.Keys'],
      role,
    })),
    { name: 'connections', scopes: ['orders:read'], controllers: ['Shop.Orders'] },
    { name: 'items', scopes: ['items:read'], controllers: ['Shop.Items'], requiredCustomData: ['Database'] },
  ];
  const controllers = [
    {
      name: 'Shop.Orders',
      upstream: `${upstream}/base`,
      timeout: 1,
      routes: [
        { methods: ['GET'], path: '/orders/:id', scope: 'orders:read' },
        { methods: ['PUT'], path: '/orders/:id', scope: 'orders:update' },
        { methods: ['GET'], path: '/events/:id', scope: 'events:read' },
      ],
    },
    {
      name: 'Shop.Items',
      upstream,
      doors: ['bearer', 'sc_apikey'],
      routes: [{ methods: ['GET'], path: '/items/:id', scope: 'items:read' }],
    },
    {
      name: 'Shop.Graph',
      upstream,
      audience: 'https://graph.example',
      forward: 'jwt',
      routes: [{ methods: ['GET'], path: '/graph/:name', scope: 'orders:read', graphqlPath: true }],
    },
  ];
  const files = { KEYTURN_FEATURES: { features }, KEYTURN_CONTROLLERS: { controllers } };
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(files)) {
    env[name] = path.join(directory, `${name}.json`);
    await writeFile(env[name], JSON.stringify(value));
  }
  return env;
}
