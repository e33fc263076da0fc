/** The Redis store: standalone, behind Sentinel, or a Cluster. Each operation touches one slot. */
import { randomUUID } from 'node:crypto';
import { smaller, successor } from './byte-order.ts';
import { parseLogId } from './log-id.ts';
import { checkName, checkText } from './names.ts';
import { encodeRecord, livingValue } from './record-text.ts';
import { openRedisConnection, type RedisConnection } from './redis-connection.ts';
import * as scripts from './redis-scripts.ts';
import {
  type Clock,
  type LogQuery,
  type LogReader,
  type MemberQuery,
  type RecordOptions,
  type Store,
  StoreUnavailable,
} from './store.ts';

export interface RedisStoreOptions {
  /** See redis-url.ts for its forms. */
  readonly url: string;
  readonly clock: Clock;
  /** Told of settings that can lose data, once, while opening. */
  readonly onWarning?: (message: string) => void;
  /** Gives up while opening. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws StoreUnavailable where there is no usable Redis within about five seconds, or `signal` came first */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { url, clock, onWarning = () => undefined, signal } = options;
  const redis = await openRedisConnection(url, { onWarning, signal });

  return {
    kind: 'redis',
    ...recordOperations(redis, clock),
    ...memberOperations(redis),
    ...logOperations(redis, clock),

    async check() {
      const written = randomUUID();
      await redis.command('set', checkKey, written, 'PX', 60_000);
      await redis.command('get', checkKey);
    },

    era: () => redis.era(),

    settle: era => redis.settle(era),

    close: () => redis.close(),
  };
}

const checkKey = 'keyturn:check';

function recordOperations(redis: RedisConnection, clock: Clock) {
  async function get(name: string): Promise<string | undefined> {
    checkName(name);
    return livingValue(textOrNothing(await redis.command('get', keyOf('r', name))), clock());
  }

  return {
    get,

    async getMany(names: readonly string[]) {
      return Promise.all(names.map(get));
    },

    async create(name: string, value: string, { expiresAt }: RecordOptions = {}) {
      checkName(name);
      checkText(value);
      const text = encodeRecord(value, expiresAt);
      const ttl = timeToLive(expiresAt, clock());
      return 1 === (await redis.run(scripts.create, keyOf('r', name), clock(), text, ttl));
    },

    async replace(name: string, expected: string, value: string, { expiresAt }: RecordOptions = {}) {
      checkName(name);
      checkText(expected);
      checkText(value);
      const text = encodeRecord(value, expiresAt);
      const ttl = timeToLive(expiresAt, clock());
      return 1 === (await redis.run(scripts.replace, keyOf('r', name), clock(), expected, text, ttl));
    },

    async remove(name: string, expected: string) {
      checkName(name);
      checkText(expected);
      return 1 === (await redis.run(scripts.remove, keyOf('r', name), clock(), expected));
    },
  };
}

/** Braces steer a key to a slot of a Cluster, so a name has none of its own. */
function keyOf(kind: 'r' | 's' | 'l' | 'f', name: string): string {
  return `keyturn:${kind}:{${name.replace(/[%{}]/g, encodeURIComponent)}}`;
}

/**
 * How long Redis keeps a record: an hour longer than it lives, so that Redis's clock, or one put back, never
 * takes a living one. Counted from our clock, as Redis's own may be another.
 */
function timeToLive(expiresAt: number | undefined, now: number): number | '' {
  return expiresAt === undefined ? '' : Math.max(0, expiresAt - now) + 3_600_000;
}

function textOrNothing(reply: unknown): string | undefined {
  if (reply === null) return undefined;
  return text(reply);
}

function text(reply: unknown): string {
  if (typeof reply !== 'string') throw new StoreUnavailable('Redis: an answer of an unexpected kind');
  return reply;
}

function memberOperations(redis: RedisConnection) {
  return {
    async addMember(set: string, member: string) {
      checkName(set);
      checkName(member);
      await redis.command('zadd', keyOf('s', set), 0, member);
    },

    async removeMember(set: string, member: string) {
      checkName(set);
      checkName(member);
      await redis.command('zrem', keyOf('s', set), member);
    },

    async listMembers(set: string, query: MemberQuery) {
      checkName(set);
      checkText(query.prefix ?? '');
      checkText(query.after ?? '');
      if (query.limit < 1) return [];
      const range = query.reverse ? descending(query) : ascending(query);
      const reply = await redis.command(
        range.command,
        keyOf('s', set),
        ...range.bounds,
        'LIMIT',
        0,
        query.limit,
      );
      return list(reply).map(text);
    },
  };
}

function ascending({ prefix = '', after }: MemberQuery) {
  const first = Buffer.from(prefix);
  const exclusive = after !== undefined && first.compare(Buffer.from(after)) <= 0;
  const from = exclusive ? `(${after}` : `[${prefix}`;
  const to = prefix === '' ? '+' : below(successor(first));
  return { command: 'zrangebylex', bounds: [from, to] };
}

function descending({ prefix = '', after }: MemberQuery) {
  const ends = [];
  if (prefix !== '') ends.push(successor(Buffer.from(prefix)));
  if (after !== undefined) ends.push(Buffer.from(after));
  const from = ends.length === 0 ? '+' : below(ends.reduce(smaller));
  return { command: 'zrevrangebylex', bounds: [from, `[${prefix}`] };
}

function below(bound: Buffer): Buffer {
  return Buffer.concat([Buffer.from('('), bound]);
}

function list(reply: unknown): unknown[] {
  if (!Array.isArray(reply)) throw new StoreUnavailable('Redis: an answer of an unexpected kind');
  return reply;
}

function logOperations(redis: RedisConnection, clock: Clock) {
  return {
    async append(log: string, value: string, { retention }: { retention: number }) {
      checkName(log);
      checkText(value);
      const now = clock();
      const before = Math.max(0, Math.floor(now - retention));
      return text(await redis.run(scripts.append, keyOf('l', log), now, value, before));
    },

    async readLog(log: string, { from, limit, reader }: LogQuery) {
      checkName(log);
      if (from !== undefined) parseLogId(from);
      if (limit < 1) return [];
      return list(await range(log, from ?? '-', limit, reader)).map(entry);
    },

    async lastEntry(log: string) {
      checkName(log);
      const [newest] = list(await redis.command('xrevrange', keyOf('l', log), '+', '-', 'COUNT', 1));
      return newest === undefined ? undefined : entry(newest);
    },

    async listReaders(log: string) {
      checkName(log);
      const readers = await redis.command('hgetall', keyOf('f', log));
      return Object.entries(readers as Record<string, string>).map(([id, note]) => ({ id, note }));
    },

    async removeReader(log: string, { id, note }: LogReader) {
      checkName(log);
      checkName(id);
      await redis.run(scripts.removeReader, keyOf('f', log), id, note);
    },

    watchLog(log: string, onNews: () => void) {
      checkName(log);
      return redis.watch(keyOf('l', log), onNews);
    },
  };

  function range(log: string, from: string, limit: number, reader: LogReader | undefined): Promise<unknown> {
    if (reader === undefined) return redis.command('xrange', keyOf('l', log), from, '+', 'COUNT', limit);
    const { id, note } = reader;
    checkName(id);
    checkText(note);
    return redis.run(scripts.readAsReader, [keyOf('l', log), keyOf('f', log)], from, limit, id, note);
  }
}

function entry(reply: unknown) {
  const [id, fields] = list(reply);
  return { id: text(id), value: text(list(fields)[1]) };
}
