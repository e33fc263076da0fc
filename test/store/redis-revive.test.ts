/** A client that has given up connects again, unless it is to end. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dismiss, keepAlive } from '../../src/store/redis-revive.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
}, 30_000);
afterAll(() => server.stop());

test('a client whose status is final comes back, also where there is nobody for a while', async () => {
  const client = new Redis(server.url, { retryStrategy: null, enableOfflineQueue: false });
  client.on('error', () => undefined);
  keepAlive(client);
  await until('it is connected', () => client.status === 'ready');
  await server.kill();
  await until('it has given up', () => client.status === 'end');
  await server.restart();
  await until('it is back', () => client.status === 'ready');
  expect(await client.ping()).toBe('PONG');
  dismiss(client);
  await until('it has ended', () => client.status === 'end');
  expect(client.status).toBe('end');
});
