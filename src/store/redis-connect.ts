/** How Redis is connected to, in each layout. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { inspectRedis } from './redis-inspect.ts';
import { parseRedisUrl, type RedisTarget } from './redis-url.ts';
import { StoreUnavailable } from './store.ts';

export type RedisClient = Redis | Cluster;

export interface ConnectedRedis {
  readonly client: RedisClient;
  /** The latest error of the connection itself. */
  readonly lastError: () => unknown;
}

/** @throws StoreUnavailable where there is no usable Redis in time. */
export async function connectRedis(
  url: string,
  onWarning: (message: string) => void,
): Promise<ConnectedRedis> {
  const client = createClient(parseRedisUrl(url));
  let latest: unknown;
  const lastError = () => latest;
  client.on('error', (error: unknown) => (latest = error));
  client.on('node error', (error: unknown) => (latest = error));
  try {
    await untilReady(client, lastError);
    await inspectRedis(client, onWarning);
    return { client, lastError };
  } catch (error) {
    client.disconnect();
    throw unavailable(error);
  }
}

export function unavailable(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error;
  // The client's errors carry the command: with it passwords and records would come into the log.
  if (error instanceof Error) Reflect.deleteProperty(error, 'command');
  return new StoreUnavailable(`Redis: ${messageOf(error)}`, { cause: error });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function createClient(target: RedisTarget): RedisClient {
  if (target.layout === 'cluster') return createCluster(target);
  if (target.layout === 'sentinel') return createSentinelClient(target);
  const [host] = target.hosts;
  return new Redis({ ...nodeOptions(target), ...connectionOptions, ...host });
}

function createSentinelClient(target: RedisTarget): Redis {
  const { hosts, master, tls, sentinelUsername, sentinelPassword } = target;
  return new Redis({
    ...nodeOptions(target),
    ...connectionOptions,
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

function createCluster(target: RedisTarget): Cluster {
  return new Cluster([...target.hosts], {
    redisOptions: nodeOptions(target),
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

async function untilReady(client: RedisClient, lastError: () => unknown): Promise<void> {
  let deadline = performance.now() + 5000;
  while (client.status !== 'ready') {
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

async function delay(milliseconds: number): Promise<void> {
  await new Promise(resolve => {
    setTimeout(resolve, milliseconds);
  });
}
