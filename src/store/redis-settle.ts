/**
 * Waits until what Redis has acknowledged is on every replica that may be promoted. It replicates behind its answers'
 * back: without this, a failover can take back what was promised.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import { Cluster, type Redis } from 'ioredis';
import {
  createSentinelClients,
  createWaitingClient,
  waitUntilReady,
  type RedisClient,
} from './redis-connect.ts';
import { dismiss } from './redis-revive.ts';
import type { RedisTarget } from './redis-url.ts';

/** Milliseconds that the replicas have. */
const patience = 1000;

export interface Settler {
  /** @throws Error where not every replica has it in time, or it cannot be told how many there are */
  settle(): Promise<void>;
  close(): void;
}

/** @param writer the client whose writes it is about */
export function createSettler(target: RedisTarget, writer: RedisClient): Settler {
  const sentinels = target.layout === 'sentinel' ? createSentinelClients(target) : [];
  // Its own: what another instance writes in between is not to be taken for another node's.
  const id = randomUUID();
  let client: RedisClient | undefined;
  const settleNow = async (): Promise<void> => {
    client ??= createWaitingClient(target, patience + 1000);
    await waitUntilReady(client);
    const masters =
      client instanceof Cluster
        ? mastersOf(client, id)
        : [{ node: client, key: settleKey('0', id), replicas: 0 }];
    const elected = target.master === undefined ? 0 : await countElectable(sentinels, target.master);
    await Promise.all(masters.map(master => waitForReplicas(master, elected, writer)));
  };
  return {
    settle: shareRounds(settleNow),
    close() {
      if (client !== undefined) dismiss(client);
      for (const sentinel of sentinels) dismiss(sentinel);
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
    // Who began the present round hears of its failure; the next is another.
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}

function mastersOf(cluster: Cluster, id: string): Master[] {
  const masters = new Map<string, Master>();
  const nodes = new Map(
    cluster.nodes('master').map(node => [`${node.options.host}:${node.options.port}`, node]),
  );
  // Names until each node has one whose slot is its own: a few for each.
  for (let tag = 0; masters.size < nodes.size && tag < 64 * nodes.size + 1024; tag += 1) {
    const key = settleKey(String(tag), id);
    const [master, ...replicas] = cluster.slots[calculateSlot(key)] ?? [];
    const node = master === undefined ? undefined : nodes.get(master);
    if (node !== undefined && !masters.has(master!))
      masters.set(master!, { node, key, replicas: replicas.length });
  }
  return [...masters.values()];
}

function settleKey(tag: string, id: string): string {
  return `keyturn:settle:{${tag}}:${id}`;
}

/** Replicas that a Sentinel would promote. It remembers those that are cut off from the master, which the master forgets. */
async function countElectable(sentinels: readonly Redis[], master: string): Promise<number> {
  for (const begun = performance.now(); ;) {
    const answers = await Promise.allSettled(
      sentinels.map(async sentinel => readFlags(await sentinel.call('sentinel', 'replicas', master))),
    );
    const told = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (told.length === 0) throw new Error('no sentinel tells which replicas there are');
    const isUndecided = told.flat().some(flags => /disconnected/.test(flags) && !/down/.test(flags));
    // One of them may be cut off from a replica that the others see, and would promote.
    if (!isUndecided || performance.now() - begun > patience)
      return Math.max(...told.map(list => list.filter(flags => !/down|disconnected/.test(flags)).length));
    // After a failover the old master is a replica that no sentinel has looked at yet.
    await delay(50);
  }
}

function readFlags(replicas: unknown): string[] {
  return (Array.isArray(replicas) ? (replicas as unknown[]) : []).map(flagsOf);
}

function flagsOf(replica: unknown): string {
  const fields = Array.isArray(replica) ? (replica as unknown[]) : Object.entries(replica as object).flat();
  return String(fields[fields.indexOf('flags') + 1]);
}

async function waitForReplicas(
  { node, key, replicas }: Master,
  elected: number,
  writer: RedisClient,
): Promise<void> {
  await meet(writer, node, key);
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

/** @throws Error where two clients are not at the same node: after a failover one may still be at the old one */
async function meet(writer: RedisClient, node: Redis, key: string): Promise<void> {
  const place = randomUUID();
  await writer.set(key, place, 'PX', 60_000);
  if ((await node.get(key)) !== place) throw new Error('another node has taken over');
}
