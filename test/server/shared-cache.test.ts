/** Behind a shared cache: no answer to one origin or caller is ever served to another. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { type SharedCache, startSharedCache } from '../support/shared-cache.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

const [one, other] = ['https://one.example', 'https://other.example'];
const layout = '/sitecore/api/layout/render/jss?item=%2F';
type Asking = Readonly<Record<string, string>>;

describeOnEmbeddedStore('behind a shared cache', store => {
  let service: TestService;
  let cache: SharedCache;
  /** Header fields by which callers differ, each with a name. */
  let callers: [string, Asking][];
  let siteKeys: string[];
  let documentPath: string;

  beforeAll(async () => {
    service = await store.start({ env: { KEYTURN_TRUSTED_PROXIES: '127.0.0.1' } });
    cache = await startSharedCache(service.url);
    const tokens: string[] = [];
    siteKeys = [];
    for (const origin of [one, other]) {
      tokens.push(await service.token((await service.createKey({ corsOrigins: [origin] })).apiKey));
      const doors = { feature: 'services-client', doors: ['sc_apikey'], corsOrigins: [origin] };
      siteKeys.push((await service.createKey(doors)).key.id);
    }
    const bearer = (place: number) => ({ authorization: `Bearer ${tokens[place]}` });
    callers = [
      ['token 0 from one', { ...bearer(0), origin: one }],
      ['key 0 from one', { sc_apikey: siteKeys[0]!, origin: one }],
      ['nobody from one', { origin: one }],
      ['nobody', {}],
      ['token 0', bearer(0)],
      ['token 0 from other', { ...bearer(0), origin: other }],
      ['token 1 from other', { ...bearer(1), origin: other }],
      ['key 1 from other', { sc_apikey: siteKeys[1]!, origin: other }],
      ['key 1', { sc_apikey: siteKeys[1]! }],
      ['nobody from other', { origin: other }],
      ['nobody from null', { origin: 'null' }],
      ['a bad token', { authorization: 'Bearer x.y.z' }],
      ['a bad key', { sc_apikey: randomUUID() }],
      ['a wrong access key', { 'x-sf-access-key': 'x' }],
    ];
    const created = await fetch(`${service.url}/v2/connections`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokens[0]}`, 'content-type': 'application/json' },
      body: '{"name":"of the first caller"}',
    });
    documentPath = `/v2/connections/${((await created.json()) as { ref: string }).ref}`;
  });
  afterAll(() => cache.stop());

  /** Lets some callers go first in turn, and then asks as all: the answers that are not the caller's own. */
  const findForeignAnswers = async (path: string, method: string, askings: readonly [string, Asking][]) => {
    const truths = await Promise.all(askings.map(([, headers]) => tell(service.url + path, method, headers)));
    const foreign: unknown[] = [];
    for (const [first, headers] of askings.slice(0, 4)) {
      cache.purge();
      await tell(cache.url + path, method === 'HEAD' ? 'GET' : method, headers);
      for (const [place, [who, headers]] of askings.entries()) {
        const told = await tell(cache.url + path, method, headers);
        const own = truths[place];
        if (!isDeepStrictEqual(told, own)) foreign.push({ who, first, told, own });
      }
    }
    return foreign;
  };

  test.each<[string, string, () => string]>([
    ['a list', 'GET', () => '/v2/connections'],
    ['a document', 'GET', () => documentPath],
    ['HEAD', 'HEAD', () => documentPath],
    ['no such document', 'GET', () => `/v2/connections/${randomUUID()}`],
    ['a method that is not offered', 'PATCH', () => '/v2/connections'],
    ['another controller', 'GET', () => '/v3/templates'],
    ['a layout', 'GET', () => layout],
    ['a layout by a key in the query', 'GET', () => `${layout}&sc_apikey=${siteKeys[0]}`],
    ['GraphQL', 'GET', () => `/api/app?query=%7Ba%7D&sc_apikey=${siteKeys[1]}`],
    ['content', 'GET', () => '/api/default/news'],
    ['a path that there is not', 'GET', () => '/nowhere'],
    ['/admin', 'GET', () => '/admin/keys'],
  ])('%s (%s) is told to each caller anew', async (_, method, path) => {
    expect(await findForeignAnswers(path(), method, callers)).toEqual([]);
  });

  test.each<[string, () => string]>([
    ['without a key', () => '/v2/connections'],
    ['of the other key', () => layout],
    ['with a key in the query', () => `${layout}&sc_apikey=${siteKeys[0]}`],
  ])('a preflight %s is answered to each origin anew', async (_, path) => {
    const askings = [one, other, 'null', 'https://strange.example'].flatMap((origin): [string, Asking][] => [
      [origin, { origin, 'access-control-request-method': 'GET' }],
      [`${origin}, no preflight`, { origin }],
    ]);
    expect(await findForeignAnswers(path(), 'OPTIONS', askings)).toEqual([]);
  });

  test.each(['/auth/verify', '/auth/verify/nginx'])('%s is asked each time', async path => {
    const askings = ['/v2/connections', '/v3/templates', '/nowhere'].flatMap(uri =>
      callers.slice(0, 7).map(([who, headers]): [string, Asking] => {
        const forwarded = { 'x-forwarded-method': 'GET', 'x-forwarded-uri': uri };
        return [`${who} about ${uri}`, { ...headers, ...forwarded }];
      }),
    );
    expect(await findForeignAnswers(path, 'GET', askings)).toEqual([]);
  });

  test('a condition is heard behind the guard alone', async () => {
    const since = new Date().toUTCString();
    for (const condition of [{ 'if-none-match': '*' }, { 'if-modified-since': since }] as Asking[]) {
      const askings = callers.map(([who, headers]): [string, Asking] => [who, { ...headers, ...condition }]);
      expect(await findForeignAnswers('/v2/connections', 'GET', askings)).toEqual([]);
    }
  });

  test('a key that was revoked is served nothing from memory', async () => {
    const { key } = await service.createKey({ feature: 'services-client', doors: ['sc_apikey'] });
    const path = `${layout}&sc_apikey=${key.id}`;
    const preflight = { origin: one, 'access-control-request-method': 'GET' };
    expect((await tell(cache.url + path, 'GET', {})).status).toBe(200);
    await service.admin('PATCH', `/admin/keys/${key.id}`, { corsOrigins: [one] });
    expect((await tell(cache.url + path, 'OPTIONS', preflight)).cors).toMatchObject({
      'access-control-allow-origin': one,
    });
    await service.admin('POST', `/admin/keys/${key.id}/revoke`);
    expect((await tell(cache.url + path, 'GET', {})).status).toBe(400);
    expect((await tell(cache.url + path, 'OPTIONS', preflight)).cors).toEqual({});
  });

  test('the documents that are the same for all are kept, and nothing else is', async () => {
    const documents = [
      '/.well-known/jwks.json',
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/.well-known/oauth-protected-resource',
    ];
    for (const path of documents) expect(await findForeignAnswers(path, 'GET', callers)).toEqual([]);
    expect(cache.kept.filter(kept => !kept.includes('/.well-known/'))).toEqual([]);
    await tell(`${cache.url}/.well-known/jwks.json`, 'GET', {});
    const again = await fetch(`${cache.url}/.well-known/jwks.json`, { headers: { origin: other } });
    expect(again.headers.get('x-cache')).toBe('hit');
    expect(again.headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('the cache of these tests', () => {
  test.each<[string, Asking, string]>([
    ['serves what is public to whoever asks', { 'cache-control': 'public, max-age=60' }, 'a'],
    ['serves by its own judgement where nothing is said', {}, 'a'],
    ['keeps apart what varies', { 'cache-control': 'public, max-age=60', vary: 'Origin' }, 'b'],
    ['asks again where it has to', { 'cache-control': 'no-cache' }, 'b'],
    ['serves what it has where nothing has changed', { 'cache-control': 'no-cache', etag: '"1"' }, 'a'],
    ['keeps nothing that is private', { 'cache-control': 'private, max-age=60' }, 'b'],
  ])('%s', async (_, headers, second) => {
    const server = createServer((req, res) => {
      const isKnown = req.headers['if-none-match'] !== undefined;
      res.writeHead(isKnown ? 304 : 200, headers).end(isKnown ? undefined : req.headers.origin);
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const cache = await startSharedCache(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const ask = async (origin: string) => (await fetch(cache.url, { headers: { origin } })).text();
      expect([await ask('a'), await ask('b')]).toEqual(['a', second]);
    } finally {
      await cache.stop();
      await new Promise(resolve => {
        server.close(resolve);
        server.closeAllConnections();
      });
    }
  });
});

/** What a caller is told, but for what differs each time. */
async function tell(url: string, method: string, headers: Asking) {
  const response = await fetch(url, { method, headers });
  const named = [...response.headers];
  return {
    status: response.status,
    body: await response.text(),
    cors: Object.fromEntries(named.filter(([name]) => name.startsWith('access-control-'))),
    identity: Object.fromEntries(named.filter(([name]) => name.startsWith('x-keyturn-'))),
    challenge: response.headers.get('www-authenticate'),
  };
}
