/** A Redis that is split in two, and a Cluster that loses the master of the log: who cannot know, refuses. */
import { expect, test } from 'vitest';
import { findViolations } from '../support/history.ts';
import { startRedisCluster, startRedisSentinel } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { deploy, longestFailover, proxyOnTheWay, stopLater } from './deployments.ts';
import { startLoad } from './load.ts';

test('R05: an old master that one instance alone still reaches: that one refuses before the others are told', async () => {
  const world = proxyOnTheWay();
  const settings = ['min-replicas-to-write 1', 'min-replicas-max-lag 2', 'repl-ping-replica-period 1'];
  const group = stopLater(
    await startRedisSentinel(3, { replicas: 2, settings, downAfter: 3500, reachMaster: world.begin }),
  );
  const { client, start } = await deploy(group.url);
  const [x, y] = await Promise.all([start('X', { KEYTURN_REDIS_URL: group.nodes[0]!.url }), start('Y')]);
  const [one, other] = [await client.createKey(y), await client.createKey(y)];
  const [gone, ofOther] = [await client.token(y, one), await client.token(x, other)];
  const load = startLoad(() => Promise.all([client.use(x, gone), client.use(x, ofOther)]), 50);
  const minting = startLoad(() => client.exchange(x, other), 50);
  world.get().drop();
  await until(
    'the new side works',
    async () => (await client.revokeToken(y, gone)).outcome === 200,
    longestFailover,
  );
  expect(await client.revokeKey(y, other)).toMatchObject({ outcome: 200 });
  const after = await Promise.all([client.use(x, gone), client.use(x, ofOther), client.exchange(x, other)]);
  expect(after.map(({ outcome }) => outcome)).toEqual([503, 503, 503]);
  await Promise.all([load.end(), minting.end()]);
  expect(findViolations(client.history)).toEqual([]);
  await world.get().close();
}, 120_000);

test('R14: a Cluster loses the master that has the log', async () => {
  const group = stopLater(await startRedisCluster({ replicas: true }));
  const { client, start } = await deploy(group.url);
  const [x, y] = await Promise.all([start('X'), start('Y')]);
  const key = await client.createKey(x);
  const [before, after, kept] = await Promise.all([0, 1, 2].map(() => client.token(x, key)));
  await until('it is revoked', async () => (await client.revokeToken(x, before!)).outcome === 200);
  const load = startLoad(
    () => Promise.all([x, y].flatMap(at => [client.use(at, before!), client.use(at, kept!)])),
    50,
  );
  const slot = Number(await group.nodes[0]!.call('cluster', 'keyslot', 'keyturn:l:{revocations}'));
  await group.nodes[Math.min(2, Math.floor(slot / 5461))]!.kill();
  await until('it refuses', async () => (await client.use(x, kept!)).outcome === 503);
  await until(
    'it is revoked',
    async () => (await client.revokeToken(y, after!)).outcome === 200,
    longestFailover,
  );
  for (const at of [x, y]) {
    await until('it lets in', async () => (await client.use(at, kept!)).outcome === 200);
    for (const token of [before!, after!]) expect((await client.use(at, token)).outcome).toBe(401);
  }
  await load.end();
  const late = await start('late');
  for (const token of [before!, after!]) expect((await client.use(late, token)).outcome).toBe(401);
}, 120_000);
