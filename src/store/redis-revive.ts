/**
 * Keeps a client of Redis alive. Where Sentinel replaces the master while it is connecting, ioredis gives up for good: its
 * status is `end`, and every command from then on fails with "Connection is closed".
 */
import type { Cluster, Redis } from 'ioredis';

/** Clients that are to end, and stay so. */
const dismissed = new WeakSet<Redis | Cluster>();

/** Milliseconds. */
const pause = 100;

/** Connects again whenever the client has given up, until it is dismissed. */
export function keepAlive(client: Redis | Cluster): void {
  client.on('end', () => {
    setTimeout(() => {
      // Where that fails it ends again, and comes back here.
      if (!dismissed.has(client)) client.connect().catch(() => undefined);
    }, pause).unref();
  });
}

/** Marks the client as one that is to end: what follows is its own. */
export function letGo(client: Redis | Cluster): void {
  dismissed.add(client);
}

/** Ends the client at once. */
export function dismiss(client: Redis | Cluster): void {
  letGo(client);
  client.disconnect();
}
