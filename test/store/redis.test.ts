/** The Redis store: the port's promises in each layout, and what may happen to a Redis. */
import { afterAll, beforeAll, describe } from 'vitest';
import { openRedisStore } from '../../src/store/redis.ts';
import { startRedis, startRedisCluster, startRedisSentinel } from '../support/redis-servers.ts';
import { describeStoreContract } from './contract.ts';

describe.each([
  ['standalone', startRedis],
  ['Cluster', startRedisCluster],
  ['Sentinel', startRedisSentinel],
])('%s', (layout, start) => {
  let servers: { url: string; stop(): Promise<void> };
  beforeAll(async () => {
    servers = await start();
  }, 30_000);
  afterAll(() => servers.stop());

  describeStoreContract(layout, clock => openRedisStore({ url: servers.url, clock }));
});
