/** `/metrics`: what is counted, what is never in it, and where it is served. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openService } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createLogger } from '../../src/server/logger.ts';
import { freePort } from '../support/free-port.ts';
import { closeLater } from '../support/kept.ts';
import { startRedis } from '../support/redis-servers.ts';
import { describeOnEachStore, describeOnEmbeddedStore, redisSecrets } from '../support/stores.ts';
import type { TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** Samples by their name and labels, as a scraper takes them. */
async function scrape(url: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    if (line === '' || line.startsWith('# ')) continue;
    const [, name, value] = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    expect(name, line).toBeDefined();
    const isNew = !samples.has(name!);
    expect(isNew, line).toBe(true);
    samples.set(name!, Number(value));
  }
  return samples;
}

const answersOf = (method: string, route: string, status: number) =>
  `keyturn_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;

describeOnEachStore('/metrics', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });

  it('counts answers by the route that they are of, and refusals by their code', async () => {
    const before = await scrape(service.url);
    const token = await service.token(service.sampleKey);
    const read = (headers: Record<string, string>) => fetch(`${service.url}/v2/connections/x`, { headers });
    expect((await read({ authorization: `Bearer ${token}` })).status).toBe(404);
    expect((await read({ authorization: 'Bearer nonsense' })).status).toBe(401);
    expect((await service.exchange('kt_nonsense')).status).toBe(401);
    expect((await fetch(`${service.url}/nowhere`)).status).toBe(404);
    expect((await fetch(`${service.url}/auth/verify/envoy/nowhere`)).status).toBe(403);
    const after = await scrape(service.url);
    const gained = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(gained(answersOf('POST', '/oauth/token', 200))).toBe(1);
    expect(gained(answersOf('POST', '/oauth/token', 401))).toBe(1);
    expect(gained(answersOf('GET', '/v2/connections/:ref', 404))).toBe(1);
    expect(gained(answersOf('GET', '/v2/connections/:ref', 401))).toBe(1);
    expect(gained(answersOf('GET', 'none', 404))).toBe(1);
    expect(gained(answersOf('GET', '/auth/verify/envoy', 403))).toBe(1);
    expect(gained('keyturn_refusals_total{code="token_invalid"}')).toBe(1);
    expect(gained('keyturn_refusals_total{code="invalid_client"}')).toBe(1);
  });

  it('tells how this instance stands', async () => {
    const { key } = await service.createKey({});
    const before = await scrape(service.url);
    expect(before.get('keyturn_ready')).toBe(1);
    expect(before.get('keyturn_revocation_age_seconds')).toBeLessThan(10);
    expect(before.get('keyturn_revocation_listeners')).toBe(0);
    expect(before.get('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    await service.admin('POST', `/admin/keys/${key.id}/revoke`);
    const listener = (await service.createKey({ feature: 'resource-server' })).apiKey;
    const authorization = `Basic ${Buffer.from(`:${listener}`).toString('base64')}`;
    const stop = new AbortController();
    await fetch(`${service.url}/oauth/revocations`, { headers: { authorization }, signal: stop.signal });
    const after = await scrape(service.url);
    expect(after.get('keyturn_revocations')! - before.get('keyturn_revocations')!).toBe(1);
    expect(after.get('keyturn_revocation_listeners')).toBe(1);
    stop.abort();
    await until('it has hung up', async () => {
      return (await scrape(service.url)).get('keyturn_revocation_listeners') === 0;
    });
  });

  it('holds nothing of keys, callers or versions, whatever is sent', async () => {
    const { key, apiKey } = await service.createKey({});
    const token = await service.token(apiKey);
    await service.admin('GET', `/admin/keys/${key.id}`);
    const strange = [
      `/${key.id}`,
      `/v2/connections/${apiKey}`,
      `/auth/verify?sc_apikey=${key.id}`,
      '/%0Aup 1',
    ];
    for (const path of strange)
      await fetch(service.url + path, { headers: { authorization: `Bearer ${token}` } });
    await fetch(`${service.url}/v2/connections`, { method: 'PROPFIND' });
    const text = await (await fetch(`${service.url}/metrics`)).text();
    await scrape(service.url);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|kt_|eyJ|127\.0\.0\.1|v\d+\.\d+\.\d+/i);
    expect(text).not.toContain(process.version);
  });

  it('is asked with GET alone', async () => {
    const ask = async (method: string) => (await fetch(`${service.url}/metrics`, { method })).status;
    expect([await ask('HEAD'), await ask('POST'), await ask('DELETE')]).toEqual([200, 405, 405]);
  });
});

describeOnEmbeddedStore('a port of its own for /metrics', store => {
  it('has it alone, and the main port has it not', async () => {
    const port = await freePort();
    const service = await store.start({ env: { KEYTURN_METRICS_PORT: String(port) } });
    const own = `http://127.0.0.1:${port}`;
    expect((await fetch(`${service.url}/metrics`)).status).toBe(404);
    const { paths } = (await (await fetch(`${service.url}/openapi.json`)).json()) as { paths: object };
    expect(paths).not.toHaveProperty('/metrics');
    expect((await scrape(own)).get(answersOf('GET', 'none', 404))).toBe(1);
    for (const path of ['/', '/livez', '/oauth/token', '/admin/keys', '/metrics/'])
      expect([path, (await fetch(own + path)).status]).toEqual([path, 404]);
    expect((await fetch(`${own}/metrics`, { method: 'POST' })).status).toBe(405);
    await service.stop();
    await expect(fetch(`${own}/metrics`)).rejects.toThrow('fetch failed');
  });

  it('ends the start where somebody else has it', async () => {
    const { port } = await store.start();
    const env = { KEYTURN_METRICS_PORT: String(port) };
    await expect(store.start({ env })).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('while there is no deployment', () => {
  it.each(['main', 'own'])('the %s port tells what the process does', async which => {
    const [redis, own] = [await startRedis(), await freePort()];
    closeLater({ close: () => redis.stop() });
    const loaded = loadSettings({
      KEYTURN_PORT: '0',
      KEYTURN_ISSUER: 'https://keys.example.com',
      KEYTURN_REDIS_URL: redis.url,
      ...redisSecrets,
      ...(which === 'own' && { KEYTURN_METRICS_PORT: String(own) }),
    });
    const logger = createLogger('silent', { write: () => undefined });
    const service = closeLater(await openService(loaded, { logger }));
    const main = `http://127.0.0.1:${service.port}`;
    expect((await fetch(`${main}/readyz`)).status).toBe(503);
    for (const path of ['/livez', '/readyz', '/oauth/token'])
      expect((await fetch(main + path)).headers.get('x-content-type-options')).toBe('nosniff');
    const samples = await scrape(which === 'own' ? `http://127.0.0.1:${own}` : main);
    expect(samples.get(answersOf('GET', 'none', 503))).toBe(3);
    expect(samples.get('keyturn_refusals_total{code="not_initialised"}')).toBe(2);
    expect(samples.get('keyturn_ready')).toBe(0);
  });
});
