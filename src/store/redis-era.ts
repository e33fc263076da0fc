/**
 * Counts the times in which what Redis acknowledges stays together. Where a connection ends, or another node is master,
 * what had been acknowledged before may be gone: replication comes behind the answers.
 */
import { Cluster, type Redis } from 'ioredis';

/** The number of the present era. To be called before the client connects. */
export function countEras(client: Redis | Cluster): () => number {
  let era = 0;
  const next = () => {
    era += 1;
  };
  if (!(client instanceof Cluster)) {
    client.on('close', next);
    return () => era;
  }
  client.on('+node', node => node.on('close', next));
  client.on('-node', next);
  let masters = '';
  return () => {
    // A replica that was known before takes over without any connection's being made or lost.
    const present = client.nodes('master').map(({ options }) => `${options.host}:${options.port}`);
    const before = masters;
    masters = present.sort().join(' ');
    if (masters !== before) next();
    return era;
  };
}
