/** Hears of new entries of a stream soon after they came. What it says is a hint: see `watchLog` in store.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import { createWaitingClient } from './redis-connect.ts';
import { dismiss } from './redis-revive.ts';
import type { RedisTarget } from './redis-url.ts';

/** Milliseconds that one question waits for news. */
const block = 1000;
/** Milliseconds between two tries while there is no Redis. */
const pause = 250;

/** Returns what ends it. */
export function watchStream(target: RedisTarget, key: string, onNews: () => void): () => void {
  const client = createWaitingClient(target, block + 1000);
  const stop = new AbortController();
  void watch();
  return () => {
    stop.abort();
    dismiss(client);
  };

  async function watch(): Promise<void> {
    let last = '$';
    while (!stop.signal.aborted) {
      try {
        const reply = await client.call('xread', 'COUNT', 1000, 'BLOCK', block, 'STREAMS', key, last);
        const newest = newestId(reply);
        if (newest === undefined) continue;
        last = newest;
      } catch {
        // The reader hears of it too, and says so. Whatever came meanwhile, it finds by itself.
        last = '$';
        await delay(pause, undefined, { ref: false });
      }
      if (!stop.signal.aborted) onNews();
    }
  }
}

function newestId(reply: unknown): string | undefined {
  // RESP3 answers with a map, RESP2 with pairs; ioredis gives both as nested lists.
  const [stream] = Array.isArray(reply) ? (reply as unknown[]) : [];
  const entries: unknown = Array.isArray(stream) ? stream[1] : undefined;
  const newest: unknown = Array.isArray(entries) ? entries.at(-1) : undefined;
  const id: unknown = Array.isArray(newest) ? newest[0] : undefined;
  return typeof id === 'string' ? id : undefined;
}
