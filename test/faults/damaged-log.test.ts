/**
 * A Redis that loses, garbles or sets back what it holds while instances live: they notice, refuse while they cannot
 * tell, put back what they know, and what was revoked stays so for those who start later too.
 */
import { Redis } from 'ioredis';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { FaultProxy } from '../support/fault-proxy.ts';
import type { Instance } from '../support/instances.ts';
import type { RecordedClient, Token } from '../support/recorded-client.ts';
import { namesIn, type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { atTheEnd, type Deployment, deploy, proxyTo, through } from './deployments.ts';

const log = 'keyturn:l:{revocations}';
const set = 'keyturn:s:{revocations}';

let redis: RedisServer;
let deployment: Deployment;
let client: RecordedClient;
let near: Instance;
let far: Instance;
let proxy: FaultProxy;
let key: { id: string; text: string };

beforeAll(async () => {
  redis = await startRedis();
  atTheEnd(() => redis.stop());
  deployment = await deploy(redis.url, atTheEnd);
  client = deployment.client;
  proxy = await proxyTo(redis.port, atTheEnd);
  [near, far] = await Promise.all([deployment.start('near'), deployment.start('far', through(proxy))]);
}, 60_000);
beforeEach(async () => {
  key = await client.createKey(near);
}, 60_000);

test('F16: trimmed past an instance while it is cut off: it reads the whole before it lets anybody in', async () => {
  const tokens = await Promise.all(Array.from({ length: 30 }, () => client.token(near, key)));
  const [first, ...others] = tokens as [Token, ...Token[]];
  const kept = others.pop()!;
  proxy.drop();
  await client.revokeToken(near, first);
  await Promise.all(others.map(token => client.revokeToken(near, token)));
  await redis.call('xtrim', log, 'MAXLEN', 1);
  await proxy.heal();
  await until('it works again', async () => {
    await client.use(far, first);
    return (await client.use(far, kept)).outcome === 200;
  });
  for (const token of [first, ...others]) expect((await client.use(far, token)).outcome).toBe(401);
}, 30_000);

test('F17: the log is deleted, and both log and set: those who know put it back', async () => {
  const [one, two, kept] = [
    await client.token(near, key),
    await client.token(near, key),
    await client.token(near, key),
  ];
  await client.revokeToken(near, one);
  await redis.call('del', log);
  expect(await client.revokeToken(far, two)).toMatchObject({ outcome: 200 });
  await expectDead([one, two]);
  const held = Number(await redis.call('zcard', set));
  await redis.call('del', log, set);
  await until('it is put back', async () => Number(await redis.call('zcard', set)) >= held);
  const late = await deployment.start('late');
  for (const token of [one, two]) expect((await client.use(late, token)).outcome).toBe(401);
  await until('all let in what is good', async () => {
    const uses = await Promise.all([near, far, late].map(at => client.use(at, kept)));
    return uses.every(({ outcome }) => outcome === 200);
  });
  await late.stop();
}, 30_000);

test('F17: an older copy of everything: what was revoked since stays so, for later instances too', async () => {
  const [ofToken, ofKey] = [await client.token(near, key), await client.token(near, key)];
  const copy = await dumpAll();
  await client.revokeToken(near, ofToken);
  expect(await client.revokeKey(near, key)).toMatchObject({ outcome: 200 });
  await until('the other has read it', async () => (await client.use(far, ofKey)).outcome === 401);
  const held = Number(await redis.call('zcard', set));
  await restoreAll(copy);
  await until('it is put back', async () => Number(await redis.call('zcard', set)) >= held);
  // The key's record is the old one again, and follows what the log says of it.
  await until('the key is dead', async () => (await client.exchange(near, key)).outcome === 401);
  const late = await deployment.start('late');
  for (const token of [ofToken, ofKey]) expect((await client.use(late, token)).outcome).toBe(401);
  expect((await client.exchange(late, key)).outcome).toBe(401);
  await expectDead([ofToken, ofKey]);
}, 30_000);

test('FLUSHALL: nothing is let in, minted or begun anew, and all is well when the data is back', async () => {
  const [gone, kept] = [await client.token(near, key), await client.token(near, key)];
  await client.revokeToken(near, gone);
  const copy = await dumpAll();
  await redis.call('flushall');
  await until('both refuse', async () => {
    const uses = await Promise.all([near, far].map(at => client.use(at, kept)));
    return uses.every(({ outcome }) => outcome === 503);
  });
  const refused = await Promise.all(
    [near, far].flatMap(at => [
      client.exchange(at, key),
      client.revokeToken(at, kept),
      client.step(at, key, 'disable'),
    ]),
  );
  expect(refused.map(({ outcome }) => outcome)).toEqual(refused.map(() => 503));
  expect(await namesIn(redis)).toEqual([]);
  await restoreAll(copy);
  await until('it works again', async () => {
    const uses = await Promise.all([near, far].map(at => client.use(at, kept)));
    return uses.every(({ outcome }) => outcome === 200);
  });
  await expectDead([gone]);
}, 30_000);

test('F24: entries, members and notes that nobody can have written are passed over, and reported', async () => {
  const [before, behind, kept] = [
    await client.token(near, key),
    await client.token(near, key),
    await client.token(near, key),
  ];
  await client.revokeToken(near, before);
  for (const value of ['', '{', '[]', '{"jti":7}', 'x'.repeat(1_000_000)])
    await redis.call('xadd', log, '*', 'v', value);
  await redis.call('xadd', log, '*', 'other', '1', 'fields', '2');
  for (const member of ['', 'x', '000000000001/{', '999999999999/{"jti":7}'])
    await redis.call('zadd', set, 0, member);
  expect(await client.revokeToken(near, behind)).toMatchObject({ outcome: 200 });
  await expectDead([before, behind]);
  for (const at of [near, far]) {
    expect((await client.use(at, kept)).outcome).toBe(200);
    await until('it is in the log', () => at.log().some(line => line.includes('cannot be read')));
  }
}, 30_000);

async function expectDead(tokens: readonly Token[]): Promise<void> {
  for (const at of [near, far]) {
    for (const token of tokens) {
      expect([401, 503]).toContain((await client.use(at, token)).outcome);
    }
  }
}

type Copy = readonly (readonly [name: string, content: Buffer])[];

async function dumpAll(): Promise<Copy> {
  return onRedis(async connection => {
    const names = await connection.keys('*');
    return Promise.all(names.map(async name => [name, await connection.dumpBuffer(name)] as const));
  });
}

/** As a restart on a backup does: all at once. */
async function restoreAll(copy: Copy): Promise<void> {
  await onRedis(async connection => {
    const work = connection.multi().flushall();
    for (const [name, content] of copy) work.restore(name, 0, content);
    await work.exec();
  });
}

async function onRedis<T>(work: (connection: Redis) => Promise<T>): Promise<T> {
  const connection = new Redis(redis.port);
  try {
    return await work(connection);
  } finally {
    connection.disconnect();
  }
}
