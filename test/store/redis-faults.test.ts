/** What may happen to a Redis, and that the store answers StoreUnavailable in time, and recovers by itself. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openRedisStore } from '../../src/store/redis.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import {
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  type RedisGroup,
  type RedisServer,
} from '../support/redis-servers.ts';
import { until } from '../support/until.ts';

const stores: Store[] = [];
const servers: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map(store => store.close()));
  await Promise.all(servers.splice(0).map(server => server.stop()));
});

describe('a Redis that is gone or hangs', () => {
  test('frozen: refused within two seconds and then at once, and used again when it goes on', async () => {
    const { server, store } = await startWithStore();
    await store.create('r', 'a');
    server.freeze();
    const [slowest] = await Promise.all([time(refusal(store.get('r'))), refusal(store.create('q', 'a'))]);
    expect(slowest).toBeLessThan(2200);
    await until('the connection is given up', async () => (await time(refusal(store.get('r')))) < 50, 5000);
    server.thaw();
    await recovery(store, 3000);
    expect(await store.get('r')).toBe('a');
  });

  test('killed: refused at once, and used again when it has restarted', async () => {
    const { server, store } = await startWithStore();
    await store.create('r', 'a');
    await server.kill();
    expect(await time(refusal(store.get('r')))).toBeLessThan(500);
    expect(await time(refusal(store.create('q', 'a')))).toBeLessThan(500);
    await server.restart();
    await recovery(store, 3000);
    expect(await store.get('r')).toBe('a');
    expect(await store.replace('r', 'a', 'b')).toBe(true);
  });

  test('never there: opening is given up after about five seconds, with the reason', async () => {
    const opening = openStore('redis://127.0.0.1:1');
    const took = time(refusal(opening));
    await expect(opening).rejects.toThrow('ECONNREFUSED');
    expect(await took).toBeLessThan(6000);
  }, 10_000);

  test('loading a big data set: opening waits for it', async () => {
    const { server, store } = await startWithStore();
    // In batches: each command has its deadline, on a busy machine too.
    for (let first = 0; first < 20_000; first += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => store.create(`r${first + i}`, 'a')));
    }
    await store.close();
    await server.kill();
    await server.restart(['key-load-delay 250']);
    expect(await server.call('info', 'persistence')).toMatch(/loading:1/);
    const opened = await openStore(server.url);
    expect(await opened.get('r19999')).toBe('a');
  }, 20_000);

  test('closing ends soon, also when Redis is frozen with work under way', async () => {
    const { server, store } = await startWithStore();
    server.freeze();
    const underWay = refusal(store.get('r'));
    expect(await time(store.close())).toBeLessThan(4500);
    await underWay;
    server.thaw();
  });

  test('closing finishes what is under way, and what comes later is refused', async () => {
    const { store } = await startWithStore();
    const created = Promise.all(Array.from({ length: 50 }, (_, i) => store.create(`r${i}`, 'a')));
    await store.close();
    expect(new Set(await created)).toEqual(new Set([true]));
    await refusal(store.get('r1'));
  });
});

describe('a Redis that refuses', () => {
  let server: RedisServer;
  let store: Store;
  beforeAll(async () => {
    server = await startRedis();
    store = await openRedisStore({ url: server.url, clock: Date.now });
    await store.create('r', 'a');
  });
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  test.each([
    ['OOM', ['maxmemory', 1], ['maxmemory', 0]],
    ['NOREPLICAS', ['min-replicas-to-write', 1], ['min-replicas-to-write', 0]],
  ])('%s: writes are refused, reads go on', async (code, on, off) => {
    await server.call('config', 'set', ...on);
    expect(await refusal(store.create('q', 'a'))).toContain(code);
    await refusal(store.replace('r', 'a', 'b'));
    await refusal(store.append('l', 'a', { retention: 1000 }));
    await refusal(store.addMember('s', 'a'));
    await refusal(store.check());
    expect(await store.get('r')).toBe('a');
    await server.call('config', 'set', ...off);
    await store.check();
  });

  test('MISCONF: a disk that takes no snapshot', async () => {
    await server.call('config', 'set', 'save', '3600 1', 'stop-writes-on-bgsave-error', 'yes');
    await breakSnapshots(server);
    await until('a snapshot has failed', async () => {
      return /rdb_last_bgsave_status:err/.test(String(await server.call('info', 'persistence')));
    });
    expect(await refusal(store.create('q', 'a'))).toContain('MISCONF');
    expect(await store.get('r')).toBe('a');
    await server.call('config', 'set', 'save', '', 'stop-writes-on-bgsave-error', 'no');
    await store.check();
  });

  test('READONLY: a master that has become a replica, and a master again', async () => {
    const other = await startRedis();
    servers.push(other);
    await server.call('replicaof', '127.0.0.1', other.port);
    expect(await refusal(store.create('q', 'a'))).toContain('READONLY');
    await server.call('replicaof', 'no', 'one');
    await recovery(store, 3000);
    expect(await store.create('after', 'a')).toBe(true);
  });

  test('BUSY: a script that does not end', async () => {
    await server.call('config', 'set', 'busy-reply-threshold', 50);
    const endless = server.call('eval', 'while true do end', 0).catch(String);
    await until(
      'it is busy',
      async () => (await refusalOrNothing(store.get('r')))?.includes('BUSY') ?? false,
    );
    await server.call('script', 'kill');
    expect(await endless).toContain('killed');
    expect(await store.get('r')).toBe('a');
  });

  test('NOSCRIPT: scripts that Redis has forgotten are sent again', async () => {
    await server.call('script', 'flush');
    const created = await Promise.all(Array.from({ length: 20 }, (_, i) => store.create(`n${i}`, 'a')));
    expect(created.every(Boolean)).toBe(true);
  });

  test('WRONGTYPE: a key of ours that is something else', async () => {
    await server.call('rpush', 'keyturn:r:{odd}', 'x');
    expect(await refusal(store.get('odd'))).toContain('WRONGTYPE');
    await refusal(store.create('odd', 'a'));
    expect(await store.getMany(['r'])).toEqual(['a']);
  });

  test('a record that is damaged is neither read nor written over, and the others are', async () => {
    await server.call('set', 'keyturn:r:{bad}', 'garbage');
    expect(await refusal(store.get('bad'))).toContain('damaged');
    expect(await refusal(store.create('bad', 'a'))).toContain('damaged');
    expect(await server.call('get', 'keyturn:r:{bad}')).toBe('garbage');
    expect(await store.get('r')).toBe('a');
  });
});

describe('credentials', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis(['requirepass secret', 'user some on >other ~* +@all -info -zadd']);
  });
  afterAll(() => server.stop());

  test.each([
    ['NOAUTH', ''],
    ['WRONGPASS', ':wrong-secret@'],
  ])('%s: refused at once, without telling the password', async (code, user) => {
    const opening = openStore(`redis://${user}127.0.0.1:${server.port}`);
    expect(await time(refusal(opening))).toBeLessThan(2000);
    expect(await refusal(opening)).toContain(code);
    expect(inspect(await opening.catch(identity), { depth: 9 })).not.toContain('secret');
  });

  test('the right ones are accepted', async () => {
    const store = await openStore(`redis://:secret@127.0.0.1:${server.port}/3`);
    expect(await store.create('r', 'a')).toBe(true);
  });

  test('an error of a command does not tell what was to be written', async () => {
    const store = await openStore(`redis://some:other@127.0.0.1:${server.port}`);
    const error = await store.addMember('s', 'confidential').catch(identity);
    expect(inspect(error, { depth: 9 })).toContain('NOPERM');
    expect(inspect(error, { depth: 9 })).not.toContain('confidential');
  });

  test('a database that does not exist is refused', async () => {
    expect(await refusal(openStore(`redis://:secret@127.0.0.1:${server.port}/99`))).toContain('DB index');
  });

  test('NOPERM: what the user may not do is StoreUnavailable; that INFO is forbidden, a warning', async () => {
    const warnings: string[] = [];
    const store = await openStore(`redis://some:other@127.0.0.1:${server.port}`, warnings);
    expect(warnings).toEqual([expect.stringContaining('INFO')]);
    expect(await refusal(store.addMember('s', 'a'))).toContain('NOPERM');
    expect(await store.create('r', 'a')).toBe(true);
  });
});

describe('settings', () => {
  test('that lose data are warned of', async () => {
    const server = await startServer(['maxmemory-policy allkeys-lru', 'appendonly no']);
    const warnings: string[] = [];
    await openStore(server.url, warnings);
    expect(warnings).toEqual([
      expect.stringContaining('maxmemory-policy allkeys-lru'),
      expect.stringContaining('appendonly'),
    ]);
  });

  test('that are sound are not', async () => {
    const server = await startServer();
    const warnings: string[] = [];
    await openStore(server.url, warnings);
    expect(warnings).toEqual([]);
  });
});

describe('Sentinel', () => {
  let group: RedisGroup;
  beforeAll(async () => {
    group = await startRedisSentinel(3);
  }, 30_000);
  afterAll(() => group.stop());

  test('a replica that is addressed as a master is refused', async () => {
    expect(await refusal(openStore(group.nodes[1]?.url ?? ''))).toContain('replica');
  });

  test('a master that may be replaced unnoticed is warned of, until it is told to mind its replicas', async () => {
    const warnings: string[] = [];
    await openStore(group.url, warnings);
    expect(warnings).toEqual([expect.stringContaining('min-replicas-to-write')]);
    await group.nodes[0]?.call('config', 'set', 'min-replicas-to-write', '1', 'min-replicas-max-lag', '2');
    const further: string[] = [];
    await openStore(group.url, further);
    expect(further).toEqual([]);
    await group.nodes[0]?.call('config', 'set', 'min-replicas-to-write', '0');
  });

  test('a master that Sentinel does not know is refused', async () => {
    expect(await refusal(openStore(group.url.replace('/main', '/other')))).toContain('sentinels');
  }, 10_000);

  test('when the master dies, the replica that takes over is found', async () => {
    const store = await openStore(group.url);
    await store.create('r', 'a');
    await until('the replica has it', async () => {
      return (await group.nodes[1]?.call('get', 'keyturn:r:{r}')) === ':a';
    });
    await group.nodes[0]?.kill();
    await refusal(store.create('q', 'a'));
    await recovery(store, 15_000);
    expect(await store.get('r')).toBe('a');
    expect(await store.replace('r', 'a', 'b')).toBe(true);
  }, 30_000);
});

describe('Cluster', () => {
  let group: RedisGroup;
  beforeAll(async () => {
    group = await startRedisCluster();
  }, 30_000);
  afterAll(() => group.stop());

  test('one of its nodes addressed alone is refused', async () => {
    expect(await refusal(openStore(group.nodes[0]?.url ?? ''))).toContain('redis+cluster://');
  });

  test('a slot that moves under load costs no answer', async () => {
    const store = await openStore(group.url);
    const names = Array.from({ length: 60 }, (_, i) => `moving-${i}`);
    await Promise.all(names.map(name => store.create(name, '0')));
    let moving = true;
    const load = Promise.all(names.map(name => countWhile(store, name, () => moving)));
    for (const name of names.slice(0, 20)) await moveSlot(group, `keyturn:r:{${name}}`);
    moving = false;
    const counts = await load;
    expect(await store.getMany(names)).toEqual(counts.map(String));
  }, 20_000);

  test('a node that dies takes only its slots along, until it is back', async () => {
    const store = await openStore(group.url);
    const name = await nameOn(group, 1);
    await store.create(name, 'a');
    await group.nodes[1]?.kill();
    expect(await time(refusal(store.replace(name, 'a', 'b')))).toBeLessThan(2200);
    await group.nodes[1]?.restart();
    await recovery(store, 10_000);
    await until('the slots are served', async () => (await refusalOrNothing(store.get(name))) === undefined);
    expect(await store.replace(name, 'a', 'b')).toBe(true);
  }, 30_000);
});

async function startServer(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis(settings);
  servers.push(server);
  return server;
}

async function startWithStore(settings: readonly string[] = []) {
  const server = await startServer(settings);
  return { server, store: await openStore(server.url) };
}

async function openStore(url: string, warnings: string[] = []): Promise<Store> {
  const store = await openRedisStore({ url, clock: Date.now, onWarning: text => warnings.push(text) });
  stores.push(store);
  return store;
}

/** The message with which the store says that it is unavailable. Any other outcome is an error. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const message = await refusalOrNothing(work);
  if (message === undefined) throw new Error('it was not refused');
  return message;
}

async function refusalOrNothing(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof StoreUnavailable) return error.message;
    throw error;
  }
}

function identity(error: unknown): unknown {
  return error;
}

async function time(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work;
  return performance.now() - start;
}

async function recovery(store: Store, within: number): Promise<void> {
  await until(
    'the store is usable',
    async () => (await refusalOrNothing(store.check())) === undefined,
    within,
  );
}

/** Puts a directory where the snapshot should be: not even root can rename a file over it. */
async function breakSnapshots(server: RedisServer): Promise<void> {
  const reply = await server.call('config', 'get', 'dir');
  if (!Array.isArray(reply)) throw new Error('Redis does not tell its directory');
  await mkdir(path.join(String(reply[1]), 'dump.rdb', 'full'), { recursive: true });
  await server.call('bgsave');
}

async function countWhile(store: Store, name: string, going: () => boolean): Promise<number> {
  let count = 0;
  for (; going() || count === 0; count++) {
    if ((await store.get(name)) !== String(count)) throw new Error(`${name} is not ${count}`);
    if (!(await store.replace(name, String(count), String(count + 1))))
      throw new Error(`${name} was replaced`);
  }
  return count;
}

async function moveSlot(group: RedisGroup, key: string): Promise<void> {
  const slot = Number(await group.nodes[0]?.call('cluster', 'keyslot', key));
  const owner = Math.min(2, Math.floor(slot / 5461));
  const [from, to] = [group.nodes[owner], group.nodes[(owner + 1) % 3]];
  if (!from || !to) throw new Error('there are three nodes');
  const [fromId, toId] = [
    String(await from.call('cluster', 'myid')),
    String(await to.call('cluster', 'myid')),
  ];
  await to.call('cluster', 'setslot', slot, 'importing', fromId);
  await from.call('cluster', 'setslot', slot, 'migrating', toId);
  await from.call('migrate', '127.0.0.1', to.port, key, 0, 5000);
  for (const node of [to, from]) await node.call('cluster', 'setslot', slot, 'node', toId);
}

async function nameOn(group: RedisGroup, node: number): Promise<string> {
  for (let i = 0; ; i++) {
    const slot = Number(await group.nodes[0]?.call('cluster', 'keyslot', `keyturn:r:{on-${i}}`));
    if (Math.min(2, Math.floor(slot / 5461)) === node) return `on-${i}`;
  }
}
