/**
 * How long a revocation takes, and how soon each other instance refuses: four instances over one Redis under a steady
 * load, every revocation through another of them. `npm run bench:revocation`. What was accepted after a revoking call had
 * returned is counted, and makes the run fail.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createHistory, findViolations, tally } from '../test/support/history.ts';
import {
  initialiseDeployment,
  type Instance,
  sharedSettings,
  startInstance,
} from '../test/support/instances.ts';
import { createRecordedClient, type Key, type Token } from '../test/support/recorded-client.ts';
import { startRedis } from '../test/support/redis-servers.ts';
import { createRandom, tellSeed } from '../test/support/seed.ts';
import { markdownTable } from './report.ts';
import { serveBuilt } from './serve-built.ts';

const { values } = parseArgs({
  options: { revocations: { type: 'string', default: '200' }, rate: { type: 'string', default: '200' } },
});
const revocations = Math.min(1000, Number(values.revocations));
/** Requests a second on each instance, beside those that look for the first refusal. */
const rate = Math.min(1000, Number(values.rate));
/** Milliseconds between two looks at one instance. */
const look = 5;

const redis = await startRedis();
const env = sharedSettings(redis.url, 5);
const client = createRecordedClient(createHistory(), await initialiseDeployment(env));
const instances = await Promise.all(['X', 'Y', 'Z', 'W'].map(name => startInstance(serveBuilt, name, env)));
try {
  await measure();
} finally {
  client.close();
  await Promise.all(instances.map(instance => instance.kill()));
  await redis.stop();
}

async function measure(): Promise<void> {
  const random = createRandom(tellSeed('revocation'));
  const pick = () => instances[Math.floor(random() * instances.length)]!;
  const key = await client.createKey(instances[0]!);
  const steady = await client.token(instances[0]!, key);
  const begun = performance.now();
  const load = instances.map(instance => keepBusy(instance, steady));
  const calls: number[] = [];
  const spread: number[] = [];
  for (let round = 0; round < revocations; round += 1) {
    const { call, others } = await revokeOnce(
      pick(),
      round % 2 === 0 ? key : await client.createKey(pick()),
      round,
    );
    calls.push(call);
    spread.push(...others);
  }
  await Promise.all(load.map(end => end()));
  const seconds = (performance.now() - begun) / 1000;
  const uses = client.history.calls.filter(({ token }) => token === steady.id);
  const violations = findViolations(client.history);
  process.stdout.write(
    `${[
      markdownTable([
        ['ms', 'p50', 'p99', 'max', 'count'],
        ['the revoking call', ...describe(calls)],
        ['from its start to the first refusal at another instance', ...describe(spread)],
        ['a guarded call meanwhile', ...describe(uses.map(({ start, end }) => end - start))],
      ]),
      `${(uses.length / seconds / instances.length).toFixed(0)} guarded calls a second on each of ${instances.length} instances`,
      `outcomes: ${JSON.stringify(tally(client.history.calls))}`,
      `accepted after the call had returned, or otherwise wrong: ${violations.length}`,
      ...violations.slice(0, 10),
    ].join('\n')}\n`,
  );
  if (violations.length > 0) process.exitCode = 1;
}

/** By turns a token, and a key by its holder. */
async function revokeOnce(
  at: Instance,
  key: Key,
  round: number,
): Promise<{ call: number; others: number[] }> {
  const token = await client.token(at, key);
  const others = instances.filter(other => other !== at).map(other => firstRefusal(other, token));
  await delay(2 * look);
  const revoked = await (round % 2 === 0 ? client.revokeToken(at, token) : client.revokeKey(at, key));
  if (revoked.outcome !== 200) throw new Error(`the revocation was answered with ${revoked.outcome}`);
  const refusals = await Promise.all(others);
  return { call: revoked.end - revoked.start, others: refusals.map(time => time - revoked.start) };
}

async function firstRefusal(at: Instance, token: Token): Promise<number> {
  for (let turn = 0; turn < 2000; turn += 1) {
    const { outcome, end } = await client.use(at, token);
    if (outcome === 401) return end;
    await delay(look);
  }
  throw new Error('the token never died');
}

/** At its pace, whether the answers come or not. Returns what ends it. */
function keepBusy(at: Instance, token: Token): () => Promise<void> {
  const underWay = new Set<Promise<unknown>>();
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(((performance.now() - begun) * rate) / 1000, sent + 50);
    for (; sent < due && underWay.size < 200; sent += 1) {
      const call = client.use(at, token).finally(() => underWay.delete(call));
      underWay.add(call);
    }
  }, 5);
  return async () => {
    clearInterval(timer);
    await Promise.all(underWay);
  };
}

function describe(times: readonly number[]): string[] {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(1);
  return [at(0.5), at(0.99), at(1), String(sorted.length)];
}
