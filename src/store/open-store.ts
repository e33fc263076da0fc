/** Which store stands behind the port: Redis where it is configured, else the embedded one. */
import { openEmbeddedStore } from './embedded.ts';
import { openRedisStore } from './redis.ts';
import type { Clock, Store } from './store.ts';

export interface OpenStoreOptions {
  readonly redisUrl?: string | undefined;
  /** Where the embedded store keeps its data. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
  /** Gives up while opening; the embedded store takes no time to speak of. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws StoreUnavailable */
export async function openStore({ redisUrl, dataDir, clock, ...options }: OpenStoreOptions): Promise<Store> {
  if (redisUrl !== undefined) return openRedisStore({ url: redisUrl, clock, ...options });
  return openEmbeddedStore({ directory: dataDir, clock });
}
