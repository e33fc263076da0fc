/** What must be true of a Redis before it is used, and what its operator should hear. */
import { Cluster, type Redis } from 'ioredis';
import { StoreUnfit } from './store.ts';

/**
 * Looks at each node that holds data.
 * @throws StoreUnfit where it is the wrong kind of node, or too old
 */
export async function inspectRedis(
  client: Redis | Cluster,
  onWarning: (message: string) => void,
): Promise<void> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const warnings = await Promise.all(nodes.map(node => inspectNode(node, client instanceof Cluster)));
  for (const warning of new Set(warnings.flat())) onWarning(warning);
}

async function inspectNode(node: Redis, inCluster: boolean): Promise<string[]> {
  const info = await readInfo(node);
  if (info === undefined) return ['Redis does not let its settings be read (INFO), so they were not checked'];
  refuseUnfit(info, inCluster);
  return warningsAbout(info, inCluster);
}

async function readInfo(node: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const lines = (await node.info()).split(/\r?\n/);
    return new Map(lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return undefined;
    throw error;
  }
}

function refuseUnfit(info: ReadonlyMap<string, string>, inCluster: boolean): void {
  if (info.get('role') === 'slave') {
    throw new StoreUnfit('Redis: this node is a replica, and writes go to a master');
  }
  if (info.get('cluster_enabled') === '1' && !inCluster) {
    throw new StoreUnfit('Redis: this node is part of a Cluster; use redis+cluster://');
  }
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '7.0').split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) throw new StoreUnfit('Redis: 6.2 or newer is needed');
}

function warningsAbout(info: ReadonlyMap<string, string>, inCluster: boolean): string[] {
  const warnings: string[] = [];
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    warnings.push(
      `Redis has maxmemory-policy ${policy}: under memory pressure it forgets keys and revocations. Set noeviction`,
    );
  }
  if (info.get('aof_enabled') === '0') {
    warnings.push('Redis has appendonly no: a crash loses what was acknowledged. Set appendonly yes');
  }
  // The line is there only where both are set. A master of a Cluster that finds itself alone ends by itself.
  if (!inCluster && Number(info.get('connected_slaves')) > 0 && !info.has('min_slaves_good_slaves')) {
    warnings.push(
      'Redis has replicas and min-replicas-to-write 0: a master that was replaced goes on for those who still reach it. Set min-replicas-to-write 1 and min-replicas-max-lag 2',
    );
  }
  return warnings;
}
