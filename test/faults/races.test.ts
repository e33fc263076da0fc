/** Clients that mint while a key is being revoked, and an instance whose clock is wrong. */
import { expect, test } from 'vitest';
import type { Token } from '../support/recorded-client.ts';
import { startRedis } from '../support/redis-servers.ts';
import { afterwards, deploy } from './deployments.ts';
import { startLoad } from './load.ts';

const rounds = 10;
const clients = 8;

test('F21: of what is minted while a key is revoked, nothing is accepted afterwards, anywhere', async () => {
  const redis = await startRedis();
  afterwards(() => redis.stop());
  const { client, start } = await deploy(redis.url);
  const instances = await Promise.all(['X', 'Y'].map(name => start(name)));
  for (let round = 0; round < rounds; round += 1) {
    const key = await client.createKey(instances[0]!);
    const minted: Token[] = [];
    const loads = Array.from({ length: clients }, (_, number) =>
      startLoad(async () => {
        const answer = await client.exchange(instances[number % 2]!, key);
        if (answer.minted !== undefined) minted.push(answer.minted);
      }, 0),
    );
    await expect.poll(() => minted.length, { timeout: 10_000 }).toBeGreaterThan(clients);
    const revoke = round % 2 === 0 ? client.revokeKey : client.step;
    expect(await revoke(instances[round % 3 === 0 ? 1 : 0]!, key, 'revoke')).toMatchObject({ outcome: 200 });
    await Promise.all(loads.map(load => load.end()));
    const uses = await Promise.all(
      minted.slice(-4 * clients).flatMap(token => instances.map(instance => client.use(instance, token))),
    );
    expect(new Set(uses.map(({ outcome }) => outcome))).toEqual(new Set([401]));
  }
}, 60_000);

test.each([59, -59])(
  'F26: an instance whose clock is %i minutes off does no harm to what is revoked',
  async minutes => {
    const redis = await startRedis();
    afterwards(() => redis.stop());
    const { client, start } = await deploy(redis.url);
    const shim = `const now=Date.now.bind(Date);Date.now=()=>now()+${minutes}*60000;`;
    const wrong = {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shim)}`,
      KEYTURN_TOKEN_TTL: '86400',
    };
    const [right, off] = await Promise.all([
      start('right', { KEYTURN_TOKEN_TTL: '86400' }),
      start('off', wrong),
    ]);
    const key = await client.createKey(right);
    const token = await client.token(right, key);
    expect(await client.revokeToken(right, token)).toMatchObject({ outcome: 200 });
    const late = await start('late');
    for (const at of [right, late, off]) expect((await client.use(at, token)).outcome).not.toBe(200);
    const other = await client.token(right, key);
    expect(await client.revokeToken(off, other)).toMatchObject({ outcome: 200 });
    for (const at of [right, late]) expect((await client.use(at, other)).outcome).toBe(401);
  },
  60_000,
);
