/** Redis servers for the tests, in each layout, on free ports of the loopback address and in directories of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { findRedisBinary } from './redis-binary.ts';
import { until } from './until.ts';

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Sends one command, on a connection of its own. */
  call(...command: [string, ...(string | number)[]]): Promise<unknown>;
  /** Stops the process where it stands, as a hung machine does. */
  freeze(): void;
  thaw(): void;
  /** Ends the process at once, keeping its directory. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and directory, with further settings if any. */
  restart(settings?: readonly string[]): Promise<void>;
  /** Ends it and deletes its directory. */
  stop(): Promise<void>;
}

export interface RedisGroup {
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

/** One server. `settings` are lines of redis.conf. It keeps an append-only file unless told otherwise. */
export async function startRedis(settings: readonly string[] = []): Promise<RedisServer> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await startOn(await freePort(), [...dataSettings, ...settings], []);
    } catch (error) {
      // Somebody may have taken the port between our looking and our starting.
      if (attempt === 4) throw error;
    }
  }
}

const dataSettings = ['save ""', 'appendonly yes', 'appendfsync no'];

/** Three masters that share the slots; with `replicas`, each has one. The nodes are the masters, then their replicas. */
export async function startRedisCluster({ replicas = false } = {}): Promise<RedisGroup> {
  const masters = await Promise.all([0, 1, 2].map(startClusterNode));
  const followers = replicas ? await Promise.all([0, 1, 2].map(startClusterNode)) : [];
  const nodes = [...masters, ...followers];
  for (const [i, { node }] of nodes.entries()) {
    await node.call('cluster', 'set-config-epoch', i + 1);
    if (i < 3) await node.call('cluster', 'addslotsrange', ...(slotRanges[i] ?? []));
  }
  for (const { node, busPort } of nodes.slice(1)) {
    await nodes[0]?.node.call('cluster', 'meet', '127.0.0.1', node.port, busPort);
  }
  await until('the cluster is whole', () => allSay(nodes, `cluster_known_nodes:${nodes.length}`));
  for (const [i, { node }] of followers.entries()) {
    const id = String(await masters[i]?.node.call('cluster', 'myid'));
    await until('it may follow', () => node.call('cluster', 'replicate', id).then(Boolean, () => false));
  }
  await until('all follow', async () => {
    const infos = await Promise.all(masters.map(({ node }) => node.call('info', 'replication')));
    return !replicas || infos.every(info => /^slave0:.*state=online/m.test(String(info)));
  });
  return group(
    `redis+cluster://${masters.map(({ node }) => `127.0.0.1:${node.port}`).join(',')}`,
    nodes.map(({ node }) => node),
  );
}

async function allSay(nodes: readonly { node: RedisServer }[], what: string): Promise<boolean> {
  const infos = await Promise.all(nodes.map(async ({ node }) => String(await node.call('cluster', 'info'))));
  return infos.every(info => info.includes('cluster_state:ok') && info.includes(what));
}

const slotRanges = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
];

async function startClusterNode() {
  const busPort = await freePort();
  const settings = ['cluster-enabled yes', `cluster-port ${busPort}`, 'cluster-node-timeout 2000'];
  return { busPort, node: await startRedis(settings) };
}

export interface SentinelOptions {
  readonly replicas?: number;
  /** Lines of redis.conf, for master and replicas. */
  readonly settings?: readonly string[];
  /** The port by which everybody reaches the master: a proxy's, perhaps. */
  readonly reachMaster?: (port: number) => Promise<number>;
  /** The port by which the replicas alone reach it. */
  readonly replicateThrough?: (port: number) => Promise<number>;
  /** Milliseconds without an answer after which a sentinel holds a node for dead. */
  readonly downAfter?: number;
}

/**
 * Has a sentinel promote a replica of a master that is dead. It does so by itself too, but where its first try finds no
 * replica fit, the next one may be minutes away.
 */
export async function promoteReplica(sentinel: RedisServer): Promise<void> {
  const refused = /INPROG|NOGOODSLAVE/;
  await sentinel.call('sentinel', 'failover', 'main').catch((error: unknown) => {
    if (!refused.test(String(error))) throw error;
  });
}

/** A master with replicas, and `sentinels` that watch them. The nodes are the master, the replicas, the sentinels. */
export async function startRedisSentinel(sentinels = 1, options: SentinelOptions = {}): Promise<RedisGroup> {
  const { settings = [], replicas = 1, reachMaster = async port => port } = options;
  const master = await startRedis(settings);
  const port = await reachMaster(master.port);
  const source = await (options.replicateThrough?.(port) ?? port);
  const replication = [...settings, `replicaof 127.0.0.1 ${source}`, 'repl-diskless-sync-delay 0'];
  const followers = await Promise.all(Array.from({ length: replicas }, () => startRedis(replication)));
  const watchers = await Promise.all(
    Array.from({ length: sentinels }, () => startSentinel(port, sentinels, options)),
  );
  await until('the sentinels know everybody', async () => {
    const known = await Promise.all(watchers.map(knownTo));
    return known.every(([slaves, others]) => slaves === String(replicas) && others === String(sentinels - 1));
  });
  await until('the replicas follow', async () => {
    const infos = await Promise.all(followers.map(follower => follower.call('info', 'replication')));
    return infos.every(info => /master_link_status:up/.test(String(info)));
  });
  const hosts = watchers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return group(`redis+sentinel://${hosts}/main`, [master, ...followers, ...watchers]);
}

async function startSentinel(port: number, all: number, options: SentinelOptions): Promise<RedisServer> {
  const settings = [
    `sentinel monitor main 127.0.0.1 ${port} ${Math.floor(all / 2) + 1}`,
    `sentinel down-after-milliseconds main ${options.downAfter ?? 1000}`,
    // After that time a sentinel leads replicas past a proxy to the master itself.
    `sentinel failover-timeout main ${options.replicateThrough === undefined ? 3000 : 60_000}`,
  ];
  const sentinel = await startOn(await freePort(), settings, ['--sentinel']);
  // By default a replica is looked at every ten seconds, and one not looked at for five is not promoted at the first try.
  await sentinel.call('sentinel', 'debug', 'info-period', 1000);
  return sentinel;
}

async function knownTo(sentinel: RedisServer): Promise<[unknown, unknown]> {
  const reply = await sentinel.call('sentinel', 'master', 'main');
  const fields = Array.isArray(reply) ? reply : [];
  const field = (name: string) => fields[fields.indexOf(name) + 1];
  return [field('num-slaves'), field('num-other-sentinels')];
}

function group(url: string, nodes: readonly RedisServer[]): RedisGroup {
  return {
    url,
    nodes,
    async stop() {
      await Promise.all(nodes.map(node => node.stop()));
    },
  };
}

async function startOn(
  port: number,
  settings: readonly string[],
  flags: readonly string[],
): Promise<RedisServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'keyturn-redis-'));
  const file = path.join(directory, 'redis.conf');
  const own = [`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`, 'daemonize no', 'loglevel warning'];
  await writeFile(file, [...own, ...settings, ''].join('\n'));
  let running = await launch(port, file, flags, directory);

  const server: RedisServer = {
    port,
    url: `redis://127.0.0.1:${port}`,
    call: (...command) => callOnce(port, command),
    freeze: () => running.kill('SIGSTOP'),
    thaw: () => running.kill('SIGCONT'),
    kill: () => end(running),
    async restart(further = []) {
      await appendFile(file, [...further, ''].join('\n'));
      running = await launch(port, file, flags, directory);
    },
    async stop() {
      await end(running);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return server;
}

async function launch(
  port: number,
  file: string,
  flags: readonly string[],
  directory: string,
): Promise<ChildProcess> {
  const { command, env } = await (binary ??= findRedisBinary());
  const child = spawn(command, [file, ...flags], { env: { ...process.env, ...env }, stdio: 'pipe' });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  endWithThisProcess(child, directory);
  await until(`Redis answers on port ${port}`, async () => {
    if (child.exitCode !== null) throw new Error(`Redis ended: ${output}`);
    const reply = await callOnce(port, ['info', 'server']).catch(String);
    // A stranger on our port is not our server; one that asks for a password is.
    return String(reply).includes(`process_id:${child.pid}`) || String(reply).includes('NOAUTH');
  });
  return child;
}

let binary: ReturnType<typeof findRedisBinary> | undefined;

function endWithThisProcess(child: ChildProcess, directory: string): void {
  const endNow = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  process.setMaxListeners(50);
  process.once('exit', endNow);
  child.once('exit', () => process.off('exit', endNow));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => {
    child.once('exit', resolve);
  });
  child.kill('SIGKILL');
  await ended;
}

async function callOnce(port: number, [name, ...args]: [string, ...(string | number)[]]): Promise<unknown> {
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, ...impatient });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await redis.call(name, ...args);
  } finally {
    redis.disconnect();
  }
}

const impatient = {
  connectTimeout: 1000,
  commandTimeout: 3000,
  enableReadyCheck: false,
  protocol: 2,
} as const;

/**
 * The names of what stands in it, but for who looked at the revocation log: a look that was on its way may have noted that, and
 * it says nothing to anybody.
 */
export async function namesIn(redis: Pick<RedisServer, 'call'>): Promise<string[]> {
  const names = (await redis.call('keys', '*')) as string[];
  return names.filter(name => name !== 'keyturn:f:{revocations}');
}
