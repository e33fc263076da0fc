/** The stores as twins: whatever is done to one and to the other, both must answer the same. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { openRedisStore } from '../../src/store/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { startRedis, startRedisCluster } from '../support/redis-servers.ts';
import { createMovableClock } from './movable-clock.ts';

const clock = createMovableClock();
const retention = 60_000;

const name = fc.constantFrom('a', 'ab', '{a}', 'ü', '🦊');
const value = fc.constantFrom('', '1', ':2', '3:x', 'ß');
const member = fc.oneof(
  fc.constantFrom('a', 'ab', 'b', 'ä', '\ue000', '😀'),
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 3 })
    .filter(text => !/[\p{Cc}\p{Surrogate}]/u.test(text)),
);
const expiry = fc.option(fc.integer({ min: -5, max: 40 }), { nil: undefined });

const step = fc.oneof(
  fc.record({ do: fc.constant('get' as const), name }),
  fc.record({ do: fc.constant('getMany' as const), names: fc.array(name, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('create' as const), name, value, expiry }),
  fc.record({ do: fc.constant('replace' as const), name, expected: value, value, expiry }),
  fc.record({ do: fc.constant('remove' as const), name, expected: value }),
  fc.record({ do: fc.constant('addMember' as const), name, member }),
  fc.record({ do: fc.constant('removeMember' as const), name, member }),
  fc.record({
    do: fc.constant('listMembers' as const),
    name,
    query: fc.record(
      {
        limit: fc.integer({ min: 0, max: 5 }),
        prefix: fc.oneof(member, fc.constant('')),
        after: member,
        reverse: fc.boolean(),
      },
      { requiredKeys: ['limit'] },
    ),
  }),
  fc.record({ do: fc.constant('append' as const), name, value }),
  fc.record({ do: fc.constant('readLog' as const), name, back: fc.nat(5) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: -15_000, max: 30_000 }) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

describe('the stores observe the same', () => {
  const closing: (() => Promise<void>)[] = [];
  let stores: Store[] = [];

  beforeAll(async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-twins-'));
    const [single, cluster] = await Promise.all([startRedis(), startRedisCluster()]);
    stores = [
      await openEmbeddedStore({ directory, clock: clock.read }),
      await openRedisStore({ url: single.url, clock: clock.read }),
      await openRedisStore({ url: cluster.url, clock: clock.read }),
    ];
    closing.push(
      ...stores.map(store => () => store.close()),
      () => single.stop(),
      () => cluster.stop(),
      () => rm(directory, { recursive: true, force: true }),
    );
  }, 30_000);
  afterAll(async () => {
    for (const close of closing) await close();
  });

  // A counter-example is reported with the seed and the path that bring it back.
  test('along random sequences, with a clock that moves both ways', async () => {
    const sequences = fc.array(step, { minLength: 5, maxLength: 60 });
    const twins = fc.asyncProperty(sequences, steps => walk(stores, steps));
    await expect(fc.assert(twins, { numRuns: 150, verbose: true })).resolves.toBeUndefined();
  }, 60_000);
});

/** Takes all stores through the steps side by side, under names that no other walk uses. */
async function walk(stores: readonly Store[], steps: readonly Step[]): Promise<void> {
  const run = randomUUID();
  const walkers = stores.map(store => createWalker(store, run));
  for (const [i, taken] of steps.entries()) {
    if (taken.do === 'wait') clock.now += taken.ms;
    const [first, ...others] = await Promise.all(walkers.map(take => take(taken)));
    for (const other of others) expect({ i, taken, answer: other }).toEqual({ i, taken, answer: first });
  }
}

function createWalker(store: Store, run: string): (step: Step) => Promise<unknown> {
  const ids: string[] = [];
  const full = (short: string) => `${short} ${run}`;
  let latest = clock.now;

  return async step => {
    // What is older than the retention, by the latest clock there was, may be swept in one store and not in another.
    latest = Math.max(latest, clock.now);
    const young = (id: string) => Number.parseInt(id, 10) >= latest - retention;
    switch (step.do) {
      case 'get':
        return store.get(full(step.name));
      case 'getMany':
        return store.getMany(step.names.map(full));
      case 'create':
        return store.create(full(step.name), step.value, expiring(step.expiry));
      case 'replace':
        return store.replace(full(step.name), step.expected, step.value, expiring(step.expiry));
      case 'remove':
        return store.remove(full(step.name), step.expected);
      case 'addMember':
        return store.addMember(full(step.name), step.member);
      case 'removeMember':
        return store.removeMember(full(step.name), step.member);
      case 'listMembers':
        return store.listMembers(full(step.name), step.query);
      case 'append': {
        const id = await store.append(full(step.name), step.value, { retention });
        ids.push(id);
        return id;
      }
      case 'readLog': {
        const after = ids.at(-1 - step.back);
        if (after !== undefined && young(after))
          return store.readLog(full(step.name), { from: after, limit: 3 });
        const entries = await store.readLog(full(step.name), { limit: 1000 });
        return entries.filter(({ id }) => young(id));
      }
      case 'wait':
        return undefined;
    }
  };
}

function expiring(inMs: number | undefined) {
  return inMs === undefined ? {} : { expiresAt: clock.now + inMs };
}
