/** How Redis is connected to, in each layout. */
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { countEras } from './redis-era.ts';
import { inspectRedis } from './redis-inspect.ts';
import { dismiss, keepAlive } from './redis-revive.ts';
import { parseRedisUrl, type RedisTarget } from './redis-url.ts';
import { StoreUnavailable, StoreUnfit } from './store.ts';

export type RedisClient = Redis | Cluster;

/** @throws Error where the client has no connection, nor gets one within a second */
export async function waitUntilReady(client: RedisClient): Promise<void> {
  const deadline = performance.now() + 1000;
  while (client.status !== 'ready') {
    if (performance.now() > deadline) throw new Error('there is no connection');
    await delay(10);
  }
}

export interface ConnectedRedis {
  readonly client: RedisClient;
  readonly target: RedisTarget;
  /** See {@link Store.era}. */
  readonly era: () => number;
  /** The latest error of the connection itself. */
  readonly lastError: () => unknown;
}

export interface ConnectOptions {
  readonly onWarning: (message: string) => void;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws StoreUnavailable where there is no usable Redis in time, or `signal` came first */
export async function connectRedis(
  url: string,
  { onWarning, signal }: ConnectOptions,
): Promise<ConnectedRedis> {
  const target = parseRedisUrl(url);
  const client = createClient(target);
  const era = countEras(client);
  let latest: unknown;
  const lastError = () => latest;
  client.on('error', (error: unknown) => (latest = error));
  client.on('node error', (error: unknown) => (latest = error));
  try {
    await untilReady(client, lastError, signal);
    await inspectRedis(client, onWarning);
    keepAlive(client);
    return { client, target, era, lastError };
  } catch (error) {
    dismiss(client);
    throw unavailable(error);
  }
}

export function unavailable(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error;
  // The client's errors carry the command: with it passwords and records would come into the log.
  if (error instanceof Error) Reflect.deleteProperty(error, 'command');
  const Kind = hopeless.test(messageOf(error)) ? StoreUnfit : StoreUnavailable;
  return new Kind(`Redis: ${messageOf(error)}`, { cause: error });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function createClient(target: RedisTarget): RedisClient {
  if (target.layout === 'cluster') return createCluster(target, nodeOptions(target));
  return createNodeClient(target, { ...nodeOptions(target), ...connectionOptions });
}

/**
 * A client beside the main one, for commands that keep their connection waiting. It queues while it connects.
 *
 * @param patience milliseconds that a command may take
 */
export function createWaitingClient(target: RedisTarget, patience: number): RedisClient {
  const options = { ...nodeOptions(target), commandTimeout: patience, socketTimeout: patience + 1000 };
  const client =
    target.layout === 'cluster'
      ? createCluster(target, options)
      : createNodeClient(target, { ...options, ...connectionOptions, enableAutoPipelining: false });
  // Whoever asks for something hears of it; while nobody asks, it only connects again.
  client.on('error', () => undefined);
  keepAlive(client);
  return client;
}

/** A client of each Sentinel, to be connected when it is first asked. */
export function createSentinelClients({
  hosts,
  tls,
  sentinelUsername,
  sentinelPassword,
}: RedisTarget): readonly Redis[] {
  return hosts.map(host => {
    const client = new Redis({
      ...host,
      ...(tls && { tls: {} }),
      ...(sentinelUsername !== undefined && { username: sentinelUsername }),
      ...(sentinelPassword !== undefined && { password: sentinelPassword }),
      lazyConnect: true,
      connectTimeout: 500,
      commandTimeout: 500,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      retryStrategy: retryDelay,
    });
    client.on('error', () => undefined);
    return client;
  });
}

function createNodeClient(target: RedisTarget, options: RedisOptions): Redis {
  if (target.layout === 'sentinel') return createSentinelClient(target, options);
  const [host] = target.hosts;
  return new Redis({ ...options, ...host });
}

function createSentinelClient(target: RedisTarget, options: RedisOptions): Redis {
  const { hosts, master, tls, sentinelUsername, sentinelPassword } = target;
  return new Redis({
    ...options,
    sentinels: [...hosts],
    ...(master !== undefined && { name: master }),
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    sentinelCommandTimeout: 1000,
    sentinelRetryStrategy: retryDelay,
    // Without it the client stays with a master that Sentinel has replaced.
    failoverDetector: true,
  });
}

function createCluster(target: RedisTarget, redisOptions: RedisOptions): Cluster {
  return new Cluster([...target.hosts], {
    redisOptions,
    scaleReads: 'master',
    // Not in a Cluster: where slots move while commands gather, ioredis rejects a promise that nobody can hear.
    enableAutoPipelining: false,
    enableOfflineQueue: false,
    clusterRetryStrategy: retryDelay,
    slotsRefreshTimeout: 1000,
    slotsRefreshInterval: 2000,
    maxRedirections: 5,
    // A command on a closed connection may have been done: only the caller may repeat it.
    retryDelayOnFailover: 0,
    // A certificate is for a name, not for the address it resolves to.
    ...(target.tls && { dnsLookup: (address, callback) => callback(null, address) }),
  });
}

/** What holds for every connection to a node with data. */
function nodeOptions({ db, tls, username, password }: RedisTarget) {
  return {
    db,
    ...(tls && { tls: {} }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    connectTimeout: 2000,
    // A frozen Redis looks alive: only these two notice.
    commandTimeout: 1000,
    socketTimeout: 2000,
    maxLoadingRetryTime: 500,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
  } satisfies RedisOptions;
}

function retryDelay(attempt: number): number {
  return Math.min(50 * attempt, 1000);
}

/** What holds where the connection to one node is the connection to Redis. */
const connectionOptions = {
  enableAutoPipelining: true,
  enableOfflineQueue: false,
  retryStrategy: retryDelay,
  // The master has become a replica: look again for who is the master.
  reconnectOnError: (error: Error) => error.message.includes('READONLY'),
} satisfies RedisOptions;

async function untilReady(
  client: RedisClient,
  lastError: () => unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  let deadline = performance.now() + 5000;
  while (client.status !== 'ready') {
    signal?.throwIfAborted();
    const error = lastError();
    if (hopeless.test(messageOf(error))) throw error;
    // Asked all the time, not at the deadline: the client may be between two connections just then.
    if (await isLoading(client)) deadline = performance.now() + 5000;
    if (performance.now() > deadline) throw error ?? new Error('there was no answer in time');
    await delay(50);
  }
  // A database that does not exist is an error on the way to being ready, on another database.
  if (hopeless.test(messageOf(lastError()))) throw lastError();
}

/** Errors that time will not heal. */
const hopeless = /^(?:NOAUTH|WRONGPASS|NOPERM|ERR invalid password|ERR AUTH|ERR DB index)/;

/** A big data set takes its time to load, and is worth waiting for. */
async function isLoading(client: RedisClient): Promise<boolean> {
  if (client instanceof Cluster || client.status !== 'connect') return false;
  const info = await client.info('persistence').catch(() => '');
  return /^loading:1\r?$/m.test(info);
}
