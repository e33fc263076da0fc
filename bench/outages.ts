/** What is accepted and refused, second by second, while Redis is lost in four ways: `npm run bench:outages`. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Call, createHistory, findViolations, tally } from '../test/support/history.ts';
import {
  initialiseDeployment,
  type Instance,
  sharedSettings,
  startInstance,
} from '../test/support/instances.ts';
import { createRecordedClient, type RecordedClient, type Token } from '../test/support/recorded-client.ts';
import { startRedis, startRedisCluster, startRedisSentinel } from '../test/support/redis-servers.ts';
import { markdownTable } from './report.ts';
import { serveBuilt } from './serve-built.ts';

/** Seconds. */
const [bound, length] = [2, 16];

interface Scene {
  readonly title: string;
  readonly url: string;
  /** What befalls it, by the second. */
  readonly events: Readonly<
    Record<number, { readonly name: string; readonly befall: () => Promise<unknown> }>
  >;
  stop(): Promise<void>;
}

for (const open of [killed, emptied, failedOver, clusterMasterLost]) {
  const scene = await open();
  try {
    await play(scene);
  } finally {
    await scene.stop();
  }
}

async function killed(): Promise<Scene> {
  const redis = await startRedis();
  return {
    title: 'Redis alone: kill -9, and started again with its data',
    url: redis.url,
    events: {
      3: { name: 'killed', befall: () => redis.kill() },
      8: { name: 'started', befall: () => redis.restart() },
    },
    stop: () => redis.stop(),
  };
}

async function emptied(): Promise<Scene> {
  const redis = await startRedis(['appendonly no']);
  return {
    title: 'Redis alone, without a file: kill -9, and started again empty',
    url: redis.url,
    events: {
      3: { name: 'killed', befall: () => redis.kill() },
      5: { name: 'started, empty', befall: () => redis.restart() },
    },
    stop: () => redis.stop(),
  };
}

async function failedOver(): Promise<Scene> {
  const group = await startRedisSentinel(3);
  return {
    title: 'Sentinel (down-after 1 s): the master is killed',
    url: group.url,
    events: { 3: { name: 'master killed', befall: () => group.nodes[0]!.kill() } },
    stop: () => group.stop(),
  };
}

async function clusterMasterLost(): Promise<Scene> {
  const group = await startRedisCluster({ replicas: true });
  const slot = Number(await group.nodes[0]!.call('cluster', 'keyslot', 'keyturn:l:{revocations}'));
  const node = group.nodes[Math.min(2, Math.floor(slot / 5461))]!;
  return {
    title: 'Cluster (node timeout 2 s): the master of the revocation log is killed',
    url: group.url,
    events: { 3: { name: 'master killed', befall: () => node.kill() } },
    stop: () => group.stop(),
  };
}

async function play({ title, url, events }: Scene): Promise<void> {
  const env = sharedSettings(url, bound);
  const client = createRecordedClient(createHistory(), await initialiseDeployment(env));
  const instances = await Promise.all(['X', 'Y'].map(name => startInstance(serveBuilt, name, env)));
  try {
    const key = await client.createKey(instances[0]!);
    const gone = await client.token(instances[0]!, key);
    const kept = await client.token(instances[0]!, key);
    await client.revokeToken(instances[0]!, gone);
    const begun = performance.now();
    const stop = new AbortController();
    const load = [
      every(50, turn => client.use(instances[turn % 2]!, kept)),
      every(200, turn => client.use(instances[turn % 2]!, gone)),
      every(100, turn => client.exchange(instances[turn % 2]!, key)),
      every(250, turn => client.get(instances[turn % 2]!, '/.well-known/jwks.json')),
      every(500, turn => revokeNew(client, instances[turn % 2]!, key)),
      every(500, turn => client.admin(instances[turn % 2]!, 'GET', '/admin/keys?limit=1')),
    ].map(run => run(stop.signal));
    for (let second = 0; second < length; second += 1) {
      await delay(begun + second * 1000 - performance.now());
      await events[second]?.befall();
    }
    await delay(begun + length * 1000 - performance.now());
    stop.abort();
    await Promise.all(load);
    report(title, events, client, { begun, gone });
  } finally {
    client.close();
    await Promise.all(instances.map(instance => instance.kill()));
  }
}

function every(pace: number, turn: (number: number) => Promise<unknown>) {
  return async (signal: AbortSignal): Promise<void> => {
    const underWay: Promise<unknown>[] = [];
    for (let number = 0; !signal.aborted && number < 2000; number += 1) {
      underWay.push(turn(number));
      await delay(pace);
    }
    await Promise.all(underWay);
  };
}

async function revokeNew(
  client: RecordedClient,
  at: Instance,
  key: Parameters<RecordedClient['exchange']>[1],
) {
  const { minted } = await client.exchange(at, key);
  if (minted !== undefined) await client.revokeToken(at, minted);
}

function report(
  title: string,
  events: Scene['events'],
  { history }: RecordedClient,
  { begun, gone }: { begun: number; gone: Token },
): void {
  const columns: [string, (call: Call) => boolean][] = [
    ['a good token', ({ op, token }) => op === 'use' && token !== gone.id],
    ['a revoked token', ({ op, token }) => op === 'use' && token === gone.id],
    ['exchange', ({ op }) => op === 'exchange'],
    ['revoke', ({ op }) => op === 'revoke-token'],
    ['JWKS, and admin (read)', ({ op }) => op === 'look'],
  ];
  const rows = Array.from({ length }, (_, second) => {
    const from = begun + second * 1000;
    const calls = history.calls.filter(({ start }) => start >= from && start < from + 1000);
    const cells = columns.map(([, matches]) => describe(calls.filter(matches)));
    return [String(second), events[second]?.name ?? '', ...cells];
  });
  const table = markdownTable([['s', '', ...columns.map(([name]) => name)], ...rows]);
  const violations = findViolations(history);
  process.stdout.write(`\n### ${title}\n\n${table}\n\nwrong answers: ${violations.length}\n`);
  for (const violation of violations.slice(0, 5)) process.stdout.write(`${violation}\n`);
  if (violations.length > 0) process.exitCode = 1;
}

function describe(calls: readonly Call[]): string {
  const counts = Object.entries(tally(calls.map(({ code: _, ...call }) => call)));
  return counts.map(([outcome, count]) => `${count}×${outcome}`).join(' ');
}
