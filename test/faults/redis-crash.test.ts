/** Redis itself dies, hangs, is slow, or refuses: what is let in meanwhile, what is said, and how soon all is well again. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { recoveryTime } from '../support/history.ts';
import type { Instance } from '../support/instances.ts';
import type { Key, RecordedClient, Token } from '../support/recorded-client.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { createRandom, tellSeed } from '../support/seed.ts';
import { atTheEnd, bound, deploy, proxyTo, through } from './deployments.ts';
import { startLoad } from './load.ts';

/** Milliseconds: two seconds, and as much again for a busy machine. */
const longestRecovery = 4000;

let redis: RedisServer;
let client: RecordedClient;
let near: Instance;
let slow: Instance;
let proxy: FaultProxy;
let key: Key;
let gone: Token;
let kept: Token;

beforeAll(async () => {
  redis = await startRedis();
  atTheEnd(() => redis.stop());
  const { client: recorded, start } = await deploy(redis.url, atTheEnd);
  client = recorded;
  proxy = await proxyTo(redis.port, atTheEnd, createRandom(tellSeed('redis-crash')));
  const patient = { ...through(proxy), KEYTURN_MAX_STALENESS: '5' };
  [near, slow] = await Promise.all([start('near'), start('slow', patient)]);
}, 60_000);
beforeEach(async () => {
  key = await client.createKey(near);
  [gone, kept] = [await client.token(near, key), await client.token(near, key)];
  await until('it is revoked', async () => (await client.revokeToken(near, gone)).outcome === 200);
});

describe.each<[string, () => Promise<void> | void, () => Promise<void> | void]>([
  ['killed', () => redis.kill(), () => redis.restart()],
  ['frozen', () => redis.freeze(), () => redis.thaw()],
])('R01, R07: Redis is %s', (_, begin, end) => {
  test('good tokens are good for the bound, then nobody can tell, and soon all is well again', async () => {
    const load = startLoad(() => Promise.all([client.use(near, kept), client.use(near, gone)]));
    const minting = startLoad(() => client.exchange(near, key), 50);
    const begun = performance.now();
    await begin();
    await until('it refuses', async () => (await client.use(near, kept)).outcome === 503);
    expect(await client.revokeToken(near, kept)).toMatchObject({ outcome: 503 });
    const ended = performance.now();
    await end();
    const healed = performance.now();
    await until('it works again', async () => (await client.exchange(near, key)).outcome === 200);
    await until('and lets in', async () => (await client.use(near, kept)).outcome === 200);
    await Promise.all([load.end(), minting.end()]);
    const uses = client.history.calls.filter(({ op, token }) => op === 'use' && token === kept.id);
    // N7. The instance had heard of the log at most one look before.
    const during = uses.filter(({ start, end }) => start > begun && end < begun + bound * 1000 - 400);
    expect(new Set(during.map(({ outcome }) => outcome))).toEqual(new Set([200]));
    for (const op of ['use', 'exchange'])
      expect(recoveryTime(client.history, healed, call => call.op === op)).toBeLessThan(longestRecovery);
    // N6: nobody hangs beyond a client's deadline.
    const calls = client.history.calls.filter(({ start }) => start > begun && start < ended);
    const slowest = (op: string) =>
      Math.max(...calls.filter(call => call.op === op).map(c => c.end - c.start));
    expect(slowest('use')).toBeLessThan(1000);
    expect(slowest('exchange')).toBeLessThan(3500);
    expect((await client.use(near, gone)).outcome).toBe(401);
  }, 30_000);
});

test.each<[string, [string, string | number], [string, string | number]]>([
  ['OOM', ['maxmemory', 1], ['maxmemory', 0]],
  ['NOREPLICAS', ['min-replicas-to-write', 1], ['min-replicas-to-write', 0]],
])(
  'R11, R12: %s: nothing can be changed, and that is said',
  async (_, on, off) => {
    await redis.call('config', 'set', ...on);
    const refused = [await client.revokeToken(near, kept), await client.step(near, key, 'disable')];
    expect(refused.map(({ outcome }) => outcome)).toEqual([503, 503]);
    await redis.call('config', 'set', ...off);
    await until('it works again', async () => (await client.use(near, kept)).outcome !== 503);
    expect(await client.revokeKey(near, key)).toMatchObject({ outcome: 200 });
    expect((await client.use(near, kept)).outcome).toBe(401);
    expect(await redis.call('info', 'stats')).toMatch(/evicted_keys:0/);
  },
  30_000,
);

test('R11: where memory is full, tokens are decided upon as before', async () => {
  await redis.call('config', 'set', 'maxmemory', 1);
  for (const begun = performance.now(); performance.now() < begun + bound * 2000;) {
    expect((await client.use(near, kept)).outcome).toBe(200);
    expect((await client.use(near, gone)).outcome).toBe(401);
  }
  expect((await client.exchange(near, key)).outcome).toBe(200);
  await redis.call('config', 'set', 'maxmemory', 0);
}, 30_000);

test('R12: READONLY: refused, and used again when it is a master again', async () => {
  await redis.call('replicaof', '127.0.0.1', 1);
  expect(await client.revokeToken(near, kept)).toMatchObject({ outcome: 503 });
  await redis.call('replicaof', 'no', 'one');
  await until('it works again', async () => (await client.revokeKey(near, key)).outcome === 200);
  expect((await client.use(near, kept)).outcome).toBe(401);
}, 30_000);

describe.each<[string, () => void]>([
  ['200 ms away, more or less', () => proxy.set({ kind: 'delay', ms: 100, jitter: 50 })],
  ['heard a byte at a time', () => proxy.set({ kind: 'slice' })],
  ['heard at 50 KB a second', () => proxy.set({ kind: 'throttle', bytesPerSecond: 50_000 })],
])('R08: Redis is %s', (_, begin) => {
  test('slower where it is asked, as fast where it is not, and right', async () => {
    begin();
    const load = startLoad(() => client.use(slow, kept));
    const since = performance.now();
    for (let round = 0; round < 3; round += 1) {
      const token = await client.token(slow, key);
      expect(await client.revokeToken(near, token)).toMatchObject({ outcome: 200 });
      expect((await client.use(slow, token)).outcome).toBe(401);
    }
    await load.end();
    await proxy.heal();
    const uses = client.history.calls.filter(({ start, token }) => start > since && token === kept.id);
    const times = uses.map(({ start, end }) => end - start).sort((a, b) => a - b);
    expect(new Set(uses.map(({ outcome }) => outcome))).toEqual(new Set([200]));
    // Half of them, for this machine is busy: nothing of the link's slowness is in it.
    expect(times[times.length >> 1]).toBeLessThan(50);
  }, 30_000);
});
