/** Four instances over one Redis, under load: what one of them revokes is dead on all when the call returns. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Instance } from '../support/instances.ts';
import type { RecordedClient, Token } from '../support/recorded-client.ts';
import { startRedis } from '../support/redis-servers.ts';
import { createRandom, tellSeed } from '../support/seed.ts';
import { afterwards, deploy } from './deployments.ts';

const rounds = 25;
/** Milliseconds between two uses of one token at one instance. */
const pace = 10;

test('25 rounds: token, key and admin', async () => {
  const redis = await startRedis();
  afterwards(() => redis.stop());
  const random = createRandom(tellSeed('rounds'));
  const { client, start } = await deploy(redis.url);
  const instances = await Promise.all(['X', 'Y', 'Z', 'W'].map(name => start(name)));
  const pick = () => instances[Math.floor(random() * instances.length)]!;
  const ways = [revokeToken, revokeKey, disable, enableAgain];
  for (let round = 0; round < rounds; round += 1) {
    await playRound(client, instances, pick(), ways[round % ways.length]!);
  }
  expect(client.history.calls.filter(({ outcome }) => outcome === 503)).toEqual([]);
}, 60_000);

type Way = (
  client: RecordedClient,
  at: Instance,
  token: Token,
  key: { id: string; text: string },
) => Promise<void>;

async function playRound(client: RecordedClient, instances: readonly Instance[], at: Instance, revoke: Way) {
  const key = await client.createKey(at);
  const token = await client.token(at, key);
  const other = await client.token(at, key);
  const load = instances.map(instance => useUntilDead(client, instance, token));
  await delay(30);
  await revoke(client, at, token, key);
  for (const uses of await Promise.all(load)) {
    expect(uses[0]).toBe(200);
    expect(uses.at(-1)).toBe(401);
  }
  const expected = revoke === revokeToken ? 200 : 401;
  const others = await Promise.all(instances.map(instance => client.use(instance, other)));
  expect(others.map(({ outcome }) => outcome)).toEqual(instances.map(() => expected));
}

/** One that never came to be dead would be seen by the checker, too: the load ends some time after the call. */
async function useUntilDead(client: RecordedClient, at: Instance, token: Token) {
  const outcomes: (number | 'lost')[] = [];
  for (let turn = 0; turn < 500 && outcomes.at(-1) !== 401; turn += 1) {
    outcomes.push((await client.use(at, token)).outcome);
    await delay(pace);
  }
  return outcomes;
}

const revokeToken: Way = async (client, at, token) => {
  expect(await client.revokeToken(at, token)).toMatchObject({ outcome: 200 });
};
const revokeKey: Way = async (client, at, _, key) => {
  expect(await client.revokeKey(at, key)).toMatchObject({ outcome: 200 });
};
const disable: Way = async (client, at, _, key) => {
  expect(await client.step(at, key, 'disable')).toMatchObject({ outcome: 200 });
};
const enableAgain: Way = async (client, at, _, key) => {
  expect(await client.step(at, key, 'disable')).toMatchObject({ outcome: 200 });
  expect(await client.step(at, key, 'enable')).toMatchObject({ outcome: 200 });
};
