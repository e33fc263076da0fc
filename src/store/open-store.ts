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
}

/** @throws StoreUnavailable */
export async function openStore({ redisUrl, dataDir, clock, onWarning }: OpenStoreOptions): Promise<Store> {
  if (redisUrl !== undefined) return openRedisStore({ url: redisUrl, clock, onWarning });
  return openEmbeddedStore({ directory: dataDir, clock });
}
