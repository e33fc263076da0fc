/** The store is away, frozen, or came back as another: what cannot be told is 503, never 401 and never 200. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { namesIn, type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { startService, type TestService } from '../support/service.ts';

/** Milliseconds in which each answer has to come, whatever the store does. */
const patience = 8000;

describe.each<[string, (redis: RedisServer) => Promise<void>, (redis: RedisServer) => Promise<void>]>([
  ['frozen', async redis => redis.freeze(), async redis => redis.thaw()],
  ['gone', redis => redis.kill(), redis => redis.restart()],
])('while the store is %s', (_, begin, end) => {
  let redis: RedisServer;
  let service: TestService;
  let dataDir: string;
  let token: string;
  let revoked: string;
  let etag: string;

  beforeAll(async () => {
    redis = await startRedis();
    dataDir = await mkdtemp(join(tmpdir(), 'keyturn-service-'));
    service = await startService({ redisUrl: redis.url, dataDir, env: { KEYTURN_MAX_STALENESS: '1' } });
    token = await service.token(service.sampleKey);
    revoked = await service.token(service.sampleKey);
    await send('/oauth/revoke', { method: 'POST', body: new URLSearchParams({ token: revoked }) });
    etag = (await send('/.well-known/jwks.json')).headers.get('etag') ?? '';
    await begin(redis);
    await until('the revocation state is too old', isStale, 20_000);
  }, 60_000);
  afterAll(async () => {
    redis.thaw();
    await service.stop();
    await redis.stop();
    await rm(dataDir, { recursive: true, force: true });
  }, 60_000);

  const send = (path: string, init: RequestInit = {}) =>
    fetch(service.url + path, { ...init, signal: AbortSignal.timeout(patience) });
  const isStale = async () => {
    const response = await send('/v2/connections', { headers: { authorization: `Bearer ${token}` } });
    return (await response.text()).includes('"revocation_state_stale"');
  };
  const use = async (bearer: string) => {
    const response = await send('/v2/connections', { headers: { authorization: `Bearer ${bearer}` } });
    await response.text();
    return response.status;
  };

  test('a guarded route says that it cannot tell, and asks to be asked again', async () => {
    const response = await send('/v2/connections', { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(await response.json()).toMatchObject({ code: 'revocation_state_stale' });
  }, 30_000);
  test('the keys are published from memory, with the tag that they had', async () => {
    const response = await send('/.well-known/jwks.json');
    expect(response.status).toBe(200);
    expect(((await response.json()) as { keys: object[] }).keys.length).toBe(1);
    expect(response.headers.get('etag')).toBe(etag);
    const known = await send('/.well-known/jwks.json', { headers: { 'if-none-match': etag } });
    expect(known.status).toBe(304);
  });
  test('what can be told is told: no token, a bad token, a revoked one', async () => {
    expect((await send('/v2/connections')).status).toBe(401);
    expect(await use('x.y.z')).toBe(401);
    expect(await use(revoked)).toBe(401);
  }, 30_000);
  test.each<[string, () => URLSearchParams]>([
    [
      '/oauth/token',
      () => new URLSearchParams({ grant_type: 'client_credentials', client_secret: service.sampleKey }),
    ],
    ['/oauth/revoke', () => new URLSearchParams({ token: service.sampleKey })],
  ])(
    '%s is 503 temporarily_unavailable',
    async (path, body) => {
      const response = await send(path, { method: 'POST', body: body() });
      expect(response.status).toBe(503);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(response.headers.get('content-type')).toMatch(/^application\/json/);
      expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' });
    },
    30_000,
  );
  test('the revocation of a token does not claim success', async () => {
    const body = new URLSearchParams({ token });
    expect((await send('/oauth/revoke', { method: 'POST', body })).status).toBe(503);
  }, 30_000);
  test('a key that is none is refused without asking the store', async () => {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_secret: 'nonsense' });
    expect((await send('/oauth/token', { method: 'POST', body })).status).toBe(401);
  }, 30_000);
  test('the process lives, and says that it is not ready', async () => {
    expect((await send('/livez')).status).toBe(200);
    const response = await send('/readyz');
    expect(response.status).toBe(503);
    expect(await response.text()).not.toMatch(/redis|127\.0\.0\.1|ECONN/i);
  }, 30_000);
  test('keys and metadata are served all the same', async () => {
    for (const path of ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server']) {
      expect((await send(path)).status).toBe(200);
    }
  }, 30_000);
  test('no answer names the store', async () => {
    for (const path of ['/v2/connections', '/admin/keys', '/readyz']) {
      const response = await send(path, { headers: { authorization: `Bearer ${token}` } });
      expect(await response.text()).not.toMatch(/redis|127\.0\.0\.1|ECONN|ioredis|stack/i);
    }
  }, 30_000);

  test('once it is back all is well again, and what was revoked is', async () => {
    await end(redis);
    await until('the service is ready', async () => (await send('/readyz')).ok, 30_000);
    await until('the token is good again', async () => (await use(token)) === 200, 30_000);
    expect(await use(revoked)).toBe(401);
    expect((await service.exchange(service.sampleKey)).status).toBe(200);
    expect((await service.createKey({})).key['status']).toBe('active');
  }, 60_000);
});

describe('a store that comes back empty', () => {
  test('is a fault: no key is refused, no token let in, and nothing begins anew', async () => {
    const redis = await startRedis();
    const dataDir = await mkdtemp(join(tmpdir(), 'keyturn-service-'));
    const service = await startService({ redisUrl: redis.url, dataDir, env: { KEYTURN_MAX_STALENESS: '1' } });
    try {
      const token = await service.token(service.sampleKey);
      const use = async () => {
        const response = await fetch(`${service.url}/v2/connections`, {
          headers: { authorization: `Bearer ${token}` },
        });
        return response.status;
      };
      expect(await use()).toBe(200);
      const owner = await service.token(service.ownerKey);
      await redis.call('flushall');
      // At once, before the next look at the revocation log: the token is still known to be good.
      const made = await fetch(`${service.url}/admin/accounts`, {
        method: 'POST',
        headers: { authorization: `Bearer ${owner}`, 'content-type': 'application/json' },
        body: '{"id":"intruder","role":"owner"}',
      });
      expect(made.status).toBe(503);
      expect((await service.exchange(service.sampleKey)).status).toBe(503);
      await until('tokens are not let in', async () => (await use()) === 503, 10_000);
      expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
      const body = new URLSearchParams({ token: service.sampleKey });
      expect((await fetch(`${service.url}/oauth/revoke`, { method: 'POST', body })).status).toBe(503);
      expect(await namesIn(redis)).toEqual([]);
    } finally {
      await service.stop();
      await redis.stop();
      await rm(dataDir, { recursive: true, force: true });
    }
  }, 60_000);
});
