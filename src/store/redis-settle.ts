/**
 * Waits until what Redis has acknowledged is on every replica that may be promoted. It replicates behind its answers'
 * back: without this, a failover can take back what was promised.
 */
import calculateSlot from 'cluster-key-slot';
import { Cluster, type Redis } from 'ioredis';
import {
  createSentinelClients,
  createWaitingClient,
  waitUntilReady,
  type RedisClient,
} from './redis-connect.ts';
import type { RedisTarget } from './redis-url.ts';

/** Milliseconds that the replicas have. */
const patience = 1000;

export interface Settler {
  /** @throws Error where not every replica has it in time, or it cannot be told how many there are */
  settle(): Promise<void>;
  close(): void;
}

export function createSettler(target: RedisTarget): Settler {
  const sentinels = target.layout === 'sentinel' ? createSentinelClients(target) : [];
  let client: RedisClient | undefined;
  const settleNow = async (): Promise<void> => {
    client ??= createWaitingClient(target, patience + 1000);
    await waitUntilReady(client);
    const masters =
      client instanceof Cluster ? mastersOf(client) : [{ node: client, key: settleKey('0'), replicas: 0 }];
    const elected = target.master === undefined ? 0 : await countElectable(sentinels, target.master);
    await Promise.all(masters.map(master => waitForReplicas(master, elected)));
  };
  return {
    settle: shareRounds(settleNow),
    close() {
      client?.disconnect();
      for (const sentinel of sentinels) sentinel.disconnect();
    },
  };
}

interface Master {
  readonly node: Redis;
  /** Of a record that this node may write. */
  readonly key: string;
  /** As far as the topology knows. */
  readonly replicas: number;
}

/** Whoever comes while a round is under way waits for the next, together with all who come meanwhile. */
function shareRounds(round: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    current = round().finally(() => {
      current = undefined;
    });
    return current;
  };
  return () => {
    if (current === undefined) return begin();
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}

function mastersOf(cluster: Cluster): Master[] {
  const masters = new Map<string, Master>();
  const nodes = new Map(
    cluster.nodes('master').map(node => [`${node.options.host}:${node.options.port}`, node]),
  );
  // Names until each node has one whose slot is its own: a few for each.
  for (let tag = 0; masters.size < nodes.size && tag < 64 * nodes.size + 1024; tag += 1) {
    const key = settleKey(String(tag));
    const [master, ...replicas] = cluster.slots[calculateSlot(key)] ?? [];
    const node = master === undefined ? undefined : nodes.get(master);
    if (node !== undefined && !masters.has(master!))
      masters.set(master!, { node, key, replicas: replicas.length });
  }
  return [...masters.values()];
}

function settleKey(tag: string): string {
  return `keyturn:settle:{${tag}}`;
}

/** Replicas that a Sentinel would promote. It remembers those that are cut off from the master, which the master forgets. */
async function countElectable(sentinels: readonly Redis[], master: string): Promise<number> {
  const lists = await Promise.any(sentinels.map(sentinel => sentinel.call('sentinel', 'replicas', master)));
  const flags = (Array.isArray(lists) ? (lists as unknown[]) : []).map(flagsOf);
  return flags.filter(set => !/down|disconnected/.test(set)).length;
}

function flagsOf(replica: unknown): string {
  const fields = Array.isArray(replica) ? (replica as unknown[]) : Object.entries(replica as object).flat();
  return String(fields[fields.indexOf('flags') + 1]);
}

async function waitForReplicas({ node, key, replicas }: Master, elected: number): Promise<void> {
  const connected = (await node.info('replication')).match(/^slave\d+:.*state=online/gm)?.length ?? 0;
  const wanted = Math.max(connected, replicas, elected);
  if (wanted === 0) return;
  // What this connection writes comes behind all that had been acknowledged, so the replicas have that too.
  const [, acknowledged] = await Promise.all([
    node.set(key, '', 'PX', 60_000),
    node.call('wait', wanted, patience),
  ]);
  if (Number(acknowledged) >= wanted) return;
  throw new Error(`${Number(acknowledged)} of ${wanted} replicas have confirmed the change in time`);
}
