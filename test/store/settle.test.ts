/** That "settled" means: on every replica that may be promoted, and on the node that took it. */
import { afterEach, describe, expect, test } from 'vitest';
import { openRedisStore } from '../../src/store/redis.ts';
import { type Store, StoreUnavailable } from '../../src/store/store.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import {
  type RedisGroup,
  startRedis,
  startRedisCluster,
  promoteReplica,
  startRedisSentinel,
} from '../support/redis-servers.ts';
import { until } from '../support/until.ts';

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
}, 60_000);

async function open(url: string): Promise<Store> {
  const store = await openRedisStore({ url, clock: Date.now });
  ending.push(() => store.close());
  return store;
}

function stopLater(group: RedisGroup): RedisGroup {
  ending.push(() => group.stop());
  return group;
}

/** Milliseconds: a replica has one second, and each step before it a second at most. */
const longestWait = 4000;

async function refusesToSettle(store: Store): Promise<void> {
  const start = performance.now();
  await expect(store.settle()).rejects.toThrow(StoreUnavailable);
  expect(performance.now() - start).toBeLessThan(longestWait);
}

async function settles(store: Store): Promise<boolean> {
  return store.settle().then(
    () => true,
    () => false,
  );
}

describe('on Sentinel', () => {
  async function startThroughProxy(): Promise<{ group: RedisGroup; proxy: FaultProxy; store: Store }> {
    let proxy: FaultProxy | undefined;
    const settings = ['repl-ping-replica-period 1', 'repl-timeout 3'];
    const replicateThrough = async (port: number) => {
      proxy = await startFaultProxy(port);
      return proxy.port;
    };
    const group = stopLater(await startRedisSentinel(1, { settings, replicateThrough }));
    ending.push(async () => proxy?.close());
    return { group, proxy: proxy!, store: await open(group.url) };
  }

  test('what has not reached the replica has not settled; what has, outlives the master', async () => {
    const { group, proxy, store } = await startThroughProxy();
    await store.create('settled', 'a');
    await store.settle();
    proxy.drop();
    await store.create('unsettled', 'a');
    await refusesToSettle(store);
    await proxy.heal();
    await until('the replica has it', () => settles(store));
    const era = store.era();
    await group.nodes[0]!.kill();
    await until('another takes over', async () => {
      await promoteReplica(group.nodes[2]!);
      return store.create('r', 'a').catch(() => false);
    });
    expect(await store.getMany(['settled', 'unsettled'])).toEqual(['a', 'a']);
    // What was begun before the failover can be told of no more, what is begun now can.
    await expect(store.settle(era)).rejects.toThrow(StoreUnavailable);
    await until('one node alone is enough, where no other may be promoted', () => settles(store));
  }, 60_000);

  test('it cannot be told while no sentinel answers', async () => {
    const group = stopLater(await startRedisSentinel(1));
    const store = await open(group.url);
    await store.settle();
    await group.nodes[2]!.kill();
    await refusesToSettle(store);
    await group.nodes[2]!.restart();
    await until('it can again', () => settles(store));
    expect(await store.create('r', 'a')).toBe(true);
  }, 60_000);
});

describe('on a Cluster', () => {
  test('every replica of every master counts', async () => {
    const group = stopLater(await startRedisCluster({ replicas: true }));
    const store = await open(group.url);
    await until('the replicas are known', () => settles(store));
    for (const replica of group.nodes.slice(3)) {
      replica.freeze();
      await refusesToSettle(store);
      replica.thaw();
      await until('it has caught up', () => settles(store));
    }
    expect(await store.create('r', 'a')).toBe(true);
  }, 60_000);

  test('a master that was replaced ends the era', async () => {
    const group = stopLater(await startRedisCluster({ replicas: true }));
    const store = await open(group.url);
    await until('the replicas are known', () => settles(store));
    const era = store.era();
    await group.nodes[0]!.kill();
    await until('its replica has taken over', () => settles(store));
    expect(store.era()).not.toBe(era);
    await expect(store.settle(era)).rejects.toThrow(StoreUnavailable);
  }, 60_000);
});

test('alone: a lost connection ends the era, whatever was lost with it', async () => {
  const redis = await startRedis();
  ending.push(() => redis.stop());
  const store = await open(redis.url);
  const era = store.era();
  await store.settle(era);
  await redis.call('client', 'kill', 'type', 'normal');
  await until('the era has ended', () => store.era() !== era);
  await until('it can be used again', () => store.create('r', 'a').catch(() => false));
  await expect(store.settle(era)).rejects.toThrow(StoreUnavailable);
  await store.settle(store.era());
}, 30_000);
