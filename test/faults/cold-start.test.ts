/** F14: instances that start before their Redis does. They live, say what they wait for, and need no second start. */
import { expect, test } from 'vitest';
import { openService } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { WrongSecrets } from '../../src/issuer/deployment.ts';
import { createLogger } from '../../src/server/logger.ts';
import { StoreUnfit } from '../../src/store/store.ts';
import { freePort } from '../support/free-port.ts';
import { startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { afterwards, deploy } from './deployments.ts';

test('F14: without Redis an instance lives and lets nobody in; with it, it serves', async () => {
  const redis = await startRedis();
  afterwards(() => redis.stop());
  const { client, start } = await deploy(redis.url);
  const early = await start('early');
  const key = await client.createKey(early);
  const [token, revoked] = [await client.token(early, key), await client.token(early, key)];
  expect(await client.revokeToken(early, revoked)).toMatchObject({ outcome: 200 });
  await early.kill();
  await redis.kill();

  const late = await start('late');
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${late.port}${path}`)).status;
  expect([await ask('/livez'), await ask('/readyz')]).toEqual([200, 503]);
  expect((await client.use(late, token)).outcome).toBe(503);
  expect((await client.use(late, revoked)).outcome).toBe(503);
  expect((await client.exchange(late, key)).outcome).toBe(503);

  await redis.restart();
  await until('it serves', async () => (await ask('/readyz')) === 200);
  expect((await client.use(late, token)).outcome).toBe(200);
  expect((await client.use(late, revoked)).outcome).toBe(401);
  expect((await client.exchange(late, key)).outcome).toBe(200);
}, 60_000);

test('F14: an instance answers probes before it knows that Redis is away', async () => {
  const port = await freePort();
  const loaded = loadSettings({
    KEYTURN_PORT: String(port),
    KEYTURN_REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
    KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
    KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
  });
  const logger = createLogger('silent', { write: () => undefined });
  let isOpen = false;
  const stop = new AbortController();
  const opening = openService(loaded, { logger, signal: stop.signal }).then(service => {
    isOpen = true;
    return service;
  });
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  await until('it lives', () =>
    ask('/livez').then(
      status => status === 200,
      () => false,
    ),
  );
  expect([await ask('/readyz'), await ask('/v2/connections'), isOpen]).toEqual([503, 503, false]);
  expect(await ask('/metrics')).toBe(200);
  // Whatever nginx is told otherwise, it makes a 500 of.
  expect(await ask('/auth/verify/nginx')).toBe(403);
  // Within ten seconds of the word it is over, and Redis is waited for as long.
  const askedAt = performance.now();
  stop.abort();
  await (await opening).close();
  expect(performance.now() - askedAt).toBeLessThan(8000);
});

test('a Redis that does not let us in is not waited for', async () => {
  const redis = await startRedis(['requirepass secret']);
  afterwards(() => redis.stop());
  const loaded = loadSettings({
    KEYTURN_PORT: '0',
    KEYTURN_REDIS_URL: redis.url.replace('//', '//:wrong@'),
    KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
    KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
  });
  const logger = createLogger('silent', { write: () => undefined });
  await expect(openService(loaded, { logger })).rejects.toThrow(StoreUnfit);
});

test('F14: a Redis that comes up with the data of other secrets is not waited for', async () => {
  const redis = await startRedis();
  afterwards(() => redis.stop());
  await deploy(redis.url);
  await redis.kill();
  const loaded = loadSettings({
    KEYTURN_PORT: '0',
    KEYTURN_REDIS_URL: redis.url,
    KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
    KEYTURN_MASTER_KEY: 'another-master-key-than-the-others',
  });
  const service = await openService(loaded, { logger: createLogger('silent', { write: () => undefined }) });
  afterwards(() => service.close());
  const failure = service.failure.catch((error: unknown) => error);
  await redis.restart();
  expect(await failure).toBeInstanceOf(WrongSecrets);
}, 60_000);
