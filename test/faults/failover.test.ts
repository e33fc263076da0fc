/** Redis with replicas loses its master, or is split in two: what was told holds, and what was not is told to be unknown. */
import { expect, test } from 'vitest';
import type { Key, Token } from '../support/recorded-client.ts';
import { promoteReplica, startRedisSentinel } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { deploy, longestFailover, proxyOnTheWay, stopLater } from './deployments.ts';
import { startLoad } from './load.ts';

test('R04: a master that dies with what its replica never had: nobody was told that it is done', async () => {
  const replication = proxyOnTheWay();
  const group = stopLater(await startRedisSentinel(1, { replicateThrough: replication.begin }));
  const { client, start } = await deploy(group.url);
  const [x, y] = await Promise.all([start('X'), start('Y')]);
  const key = await client.createKey(x);
  const [before, during, asked, kept] = await Promise.all([0, 1, 2, 3].map(() => client.token(x, key)));
  expect(await client.revokeToken(x, before!)).toMatchObject({ outcome: 200 });
  const load = startLoad(
    () => Promise.all([x, y].flatMap(at => [before!, during!, kept!].map(token => client.use(at, token)))),
    50,
  );
  replication.get().drop();
  const unknown = await Promise.all([
    client.revokeToken(x, during!),
    client.revokeToken(y, asked!),
    client.admin(x, 'POST', '/admin/keys', { name: 'A key', feature: 'connections' }),
  ]);
  expect(unknown.map(({ outcome }) => outcome)).toEqual([503, 503, 503]);
  expect(Math.max(...unknown.map(({ start, end }) => end - start))).toBeLessThan(6000);
  await group.nodes[0]!.kill();
  await until(
    'another takes over',
    async () => {
      await promoteReplica(group.nodes[2]!);
      return (await client.exchange(y, key)).outcome === 200;
    },
    longestFailover,
  );
  // Asked again, at the other one and at the same one: now it is told, and holds.
  for (const [at, token] of [
    [y, during!],
    [y, asked!],
  ] as const) {
    await until(
      'it is done',
      async () => (await client.revokeToken(at, token)).outcome === 200,
      longestFailover,
    );
  }
  const late = await start('late');
  for (const at of [x, y, late]) {
    for (const token of [before!, during!, asked!])
      expect([401, 503]).toContain((await client.use(at, token)).outcome);
    await until('it lets in', async () => (await client.use(at, kept!)).outcome === 200);
  }
  await load.end();
  await replication.get().close();
}, 120_000);

test('a failover by command under load: no creation and no revocation that was told is lost', async () => {
  const group = stopLater(await startRedisSentinel(1));
  const { client, start } = await deploy(group.url);
  const [x, y] = await Promise.all([start('X'), start('Y')]);
  const base = await client.createKey(x);
  const made: Key[] = [];
  const revoked: Token[] = [];
  const create = async (at: typeof x) => {
    const key = await client.createKey(at).catch(() => undefined);
    if (key !== undefined) made.push(key);
  };
  const revoke = async (at: typeof x) => {
    const { minted } = await client.exchange(at, base);
    if (minted === undefined) return;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if ((await client.revokeToken(at, minted)).outcome !== 200) continue;
      revoked.push(minted);
      return;
    }
  };
  const loads = [x, y].flatMap(at => [startLoad(() => create(at), 0), startLoad(() => revoke(at), 0)]);
  await until('it is under way', () => made.length > 5 && revoked.length > 5);
  await group.nodes[2]!.call('sentinel', 'failover', 'main');
  // A node that changes its role cuts its connections, this one too.
  const roleOf = () => group.nodes[1]!.call('info', 'replication').catch(() => 'nobody knows');
  await until('the replica is master', async () => String(await roleOf()).includes('role:master'));
  await until(
    'keys are exchanged again',
    async () => (await client.exchange(x, base)).outcome === 200,
    longestFailover,
  );
  await Promise.all(loads.map(load => load.end()));
  const late = await start('late');
  for (const key of made) expect((await client.exchange(late, key)).outcome).toBe(200);
  for (const token of revoked) expect((await client.use(late, token)).outcome).toBe(401);
}, 120_000);
