/**
 * An instance that is frozen, or cut off from Redis in each way that a network knows: a revoking call returns within the
 * bound and a second, the instance lets nothing in that was revoked, and comes back by itself.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { recoveryTime } from '../support/history.ts';
import type { Instance } from '../support/instances.ts';
import type { RecordedClient } from '../support/recorded-client.ts';
import { startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { startLoad } from './load.ts';
import { atTheEnd, bound, deploy, longestRevocation, proxyTo, through } from './deployments.ts';

/** Milliseconds: two seconds, and as much again for a busy machine. */
const longestRecovery = 4000;

let client: RecordedClient;
let near: Instance;
let far: Instance;
let proxy: FaultProxy;

beforeAll(async () => {
  const redis = await startRedis();
  atTheEnd(() => redis.stop());
  const deployment = await deploy(redis.url, atTheEnd);
  client = deployment.client;
  proxy = await proxyTo(redis.port, atTheEnd);
  [near, far] = await Promise.all([deployment.start('near'), deployment.start('far', through(proxy))]);
}, 60_000);
afterEach(async () => {
  far.thaw();
  await proxy.heal();
});

test('frozen: what waited in its socket finds it refusing until it has caught up', async () => {
  const key = await client.createKey(near);
  const [gone, kept] = [await client.token(far, key), await client.token(far, key)];
  expect((await client.use(far, gone)).outcome).toBe(200);
  far.freeze();
  const revoked = await client.revokeToken(near, gone);
  expect(revoked.outcome).toBe(200);
  expect(revoked.end - revoked.start).toBeGreaterThan(bound * 1000);
  expect(revoked.end - revoked.start).toBeLessThan(longestRevocation);
  const waiting = Array.from({ length: 50 }, () => client.use(far, gone));
  const others = Array.from({ length: 10 }, () => client.use(far, kept));
  far.thaw();
  const outcomes = new Set((await Promise.all(waiting)).map(({ outcome }) => outcome));
  expect([...outcomes].filter(outcome => outcome !== 401 && outcome !== 503)).toEqual([]);
  await Promise.all(others);
  await until('it works again', async () => (await client.use(far, kept)).outcome === 200, 5000);
  expect((await client.use(far, gone)).outcome).toBe(401);
  // On the list of those that are waited for, and as fast as before.
  const next = await client.revokeToken(near, kept);
  expect(next).toMatchObject({ outcome: 200 });
  expect(next.end - next.start).toBeLessThan(bound * 1000);
}, 30_000);

test('frozen for less than the bound: it is waited for', async () => {
  const key = await client.createKey(near);
  const token = await client.token(far, key);
  far.freeze();
  const revoking = client.revokeKey(near, key);
  const waiting = client.use(far, token);
  await until('the nearer one knows', async () => (await client.use(near, token)).outcome === 401, 5000);
  far.thaw();
  await waiting;
  expect(await revoking).toMatchObject({ outcome: 200 });
  expect((await client.use(far, token)).outcome).toBe(401);
}, 30_000);

describe.each<[string, (proxy: FaultProxy) => Promise<void> | void]>([
  ['all bytes vanish', proxy => proxy.drop()],
  ['it can write, and hears no reply', proxy => proxy.half()],
  ['it is reset', proxy => proxy.reset()],
  ['it is refused', proxy => proxy.refuse()],
])('cut off: %s', (_, cut) => {
  test('a revocation returns within the bound and a second, and holds', async () => {
    const key = await client.createKey(near);
    const [gone, kept] = [await client.token(far, key), await client.token(far, key)];
    await cut(proxy);
    const load = startLoad(turn => client.use(far, turn % 2 === 0 ? gone : kept));
    const revoked = await client.revokeToken(near, gone);
    expect(revoked).toMatchObject({ outcome: 200 });
    expect(revoked.end - revoked.start).toBeLessThan(longestRevocation);
    const later = await Promise.all([client.use(far, gone), client.use(far, kept)]);
    expect(later.map(({ outcome, code }) => `${outcome} ${code}`)).toEqual(
      later.map(() => '503 revocation_state_stale'),
    );
    // Neither keys nor changes: unknown, and told so before a client gives up.
    const refused = await Promise.all([client.exchange(far, key), client.revokeToken(far, kept)]);
    expect(refused.map(({ outcome }) => outcome)).toEqual([503, 503]);
    expect((await client.get(far, '/livez')).outcome).toBe(200);
    expect((await client.get(far, '/readyz')).outcome).toBe(503);
    expect((await client.get(far, '/.well-known/jwks.json')).outcome).toBe(200);
    await proxy.heal();
    const healed = performance.now();
    await until('it works again', async () => (await client.exchange(far, key)).outcome === 200, 8000);
    await until(
      'and lets in',
      async () => (await client.use(far, await client.token(near, key))).outcome === 200,
    );
    expect(
      recoveryTime(client.history, healed, call => call.instance === 'far' && call.op === 'use'),
    ).toBeLessThan(longestRecovery);
    expect((await client.use(far, gone)).outcome).toBe(401);
    await load.end();
    const answers = client.history.calls.filter(({ instance, op }) => instance === 'far' && op === 'use');
    // None waited for Redis: what is decided is decided from memory.
    expect(Math.max(...answers.map(({ start, end }) => end - start))).toBeLessThan(1000);
  }, 30_000);
});
