/**
 * The connection to Redis: commands with a deadline, whose every failure is StoreUnavailable. Nothing waits
 * for a connection, and nothing is sent twice that might have been done.
 */
import {
  type ConnectOptions,
  connectRedis,
  messageOf,
  unavailable,
  type RedisClient,
} from './redis-connect.ts';
import { dismiss, letGo } from './redis-revive.ts';
import { createSettler } from './redis-settle.ts';
import { watchStream } from './redis-watch.ts';
import type { Script } from './redis-scripts.ts';
import { StoreUnavailable } from './store.ts';

export interface RedisConnection {
  /** @throws StoreUnavailable */
  command(name: string, ...args: Arguments): Promise<unknown>;
  /** Runs a script on one key, or on several of one slot. @throws StoreUnavailable */
  run(script: Script, keys: string | readonly string[], ...args: Arguments): Promise<unknown>;
  /** See {@link Store.watchLog}: of the log under this key. */
  watch(key: string, onNews: () => void): () => void;
  /** See {@link Store.era}. */
  era(): number;
  /** See {@link Store.settle}. @throws StoreUnavailable */
  settle(era?: number): Promise<void>;
  /** Finishes what is under way, within a deadline, and disconnects. */
  close(): Promise<void>;
}

type Arguments = (string | Buffer | number)[];

export async function openRedisConnection(url: string, options: ConnectOptions): Promise<RedisConnection> {
  const { client, target, era, lastError } = await connectRedis(url, options);
  const settler = createSettler(target, client);
  const watches = new Set<() => void>();
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  async function answer(work: () => Promise<unknown>): Promise<unknown> {
    if (closing !== undefined) throw new StoreUnavailable('Redis: the connection has been closed');
    const answered = withDeadline(work());
    underWay.add(answered);
    try {
      return await answered;
    } catch (error) {
      throw unavailable(reasonOf(error, lastError()));
    } finally {
      underWay.delete(answered);
    }
  }

  return {
    command: (name, ...args) => answer(() => send(client, name, args)),
    run: (script, keys, ...args) =>
      answer(() =>
        runScript(client, script, [typeof keys === 'string' ? 1 : keys.length, ...[keys].flat(), ...args]),
      ),
    watch(key, onNews) {
      const end = watchStream(target, key, onNews);
      watches.add(end);
      return () => {
        watches.delete(end);
        end();
      };
    },
    era,
    async settle(begun = era()) {
      try {
        await settler.settle();
        if (era() !== begun) throw new Error('the connection was lost, and what was written may be');
      } catch (error) {
        throw unavailable(reasonOf(error, lastError()));
      }
    },
    close() {
      for (const end of watches) end();
      settler.close();
      return (closing ??= finish(client, underWay));
    },
  };
}

/** The last net, should the client's own deadlines leave a hole. */
async function withDeadline<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('there was no answer in time')), 2000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** While there is no connection, the client only says that it cannot write: the reason is its last error. */
function reasonOf(error: unknown, lastError: unknown): unknown {
  return messageOf(error).includes('enableOfflineQueue') ? (lastError ?? error) : error;
}

async function send(client: RedisClient, name: string, args: Arguments): Promise<unknown> {
  return client.call(name, ...args);
}

async function runScript(client: RedisClient, script: Script, args: Arguments): Promise<unknown> {
  try {
    return await send(client, 'evalsha', [script.sha, ...args]);
  } catch (error) {
    if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
    return send(client, 'eval', [script.lua, ...args]);
  }
}

async function finish(client: RedisClient, underWay: ReadonlySet<Promise<unknown>>): Promise<void> {
  await Promise.allSettled(underWay);
  letGo(client);
  try {
    await withDeadline(client.quit());
  } catch {
    // There was nobody to say goodbye to.
  }
  dismiss(client);
}
