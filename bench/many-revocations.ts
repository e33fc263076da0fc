/** What a million revoked tokens cost an instance: its start, its memory, and each question. */
import { randomUUID } from 'node:crypto';
import { createRevocationLog } from '../src/issuer/revocation-log.ts';
import { writeRevocation } from '../src/issuer/revocation-news.ts';
import { openRedisStore } from '../src/store/redis.ts';
import type { Store } from '../src/store/store.ts';
import { startRedis } from '../test/support/redis-servers.ts';

const batch = 1000;

async function measure(count: number): Promise<void> {
  const redis = await startRedis();
  const store = await openRedisStore({ url: redis.url, clock: Date.now });
  await fill(store, count);
  const { revocations, catchUp } = createRevocationLog({
    store,
    clock: Date.now,
    monotonic: () => performance.now(),
    maxStaleness: 5,
    confirm: async () => undefined,
    onRingChanged: async () => undefined,
    onMalformedEntry: () => undefined,
    onLogLost: () => undefined,
  });
  const before = residentMegabytes();
  const startedAt = performance.now();
  await catchUp();
  const start = performance.now() - startedAt;
  const memory = residentMegabytes() - before;
  const token = { kid: '', claims: { client_id: randomUUID(), key_version: 1, jti: randomUUID() } };
  const askedAt = performance.now();
  for (let time = 0; time < 1_000_000; time += 1) revocations.isRevoked(token);
  const question = performance.now() - askedAt;
  const redisMemory = /used_memory:(\d+)/.exec(String(await redis.call('info', 'memory')))?.[1];
  process.stdout.write(
    `${revocations.size} revocations: read in ${Math.round(start)} ms, ${Math.round(memory)} MB more, ` +
      `${question.toFixed(0)} ns a question, Redis uses ${Math.round(Number(redisMemory) / 1e6)} MB\n`,
  );
  await store.close();
  await redis.stop();
}

async function fill(store: Store, count: number): Promise<void> {
  const exp = Math.ceil(Date.now() / 1000) + 3600;
  for (let done = 0; done < count; done += batch) {
    const members = Array.from({ length: batch }, () => writeRevocation({ jti: randomUUID(), exp }));
    await Promise.all(members.map(member => store.addMember('revocations', member)));
  }
}

function residentMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 1e6;
}

for (const count of [1000, 100_000, 1_000_000]) await measure(count);
