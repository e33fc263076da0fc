/** The same suite over each store: the embedded one, and a Redis server of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startRedis, type RedisServer } from './redis-servers.ts';
import { startService, type TestService, type TestServiceOptions } from './service.ts';

/** What `startService` configures over Redis; beside an embedded store the service keeps secrets of its own. */
export const redisSecrets = {
  KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
  KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
};

/** Where a service keeps its data: handed to `startService`, a second service finds what the first one left. */
export interface StorePlace {
  readonly dataDir: string;
  readonly redisUrl?: string;
}

export interface TestStore {
  readonly kind: 'embedded' | 'redis';
  /** An empty store. */
  place(): Promise<StorePlace>;
  /**
   * A service on an empty store, or on `place`; a second one there has neither owner key nor sample key to show. It is
   * stopped when the suite ends.
   */
  start(options?: Omit<TestServiceOptions, 'dataDir' | 'redisUrl'>, place?: StorePlace): Promise<TestService>;
}

/** Runs the suite on the embedded store and on Redis, and holds every service in it to what holds for all. */
export function describeOnEachStore(title: string, suite: (store: TestStore) => void): void {
  describe.each(['embedded', 'redis'] as const)(`${title} (%s store)`, kind => {
    runOn(kind, suite);
  });
}

/** As {@link describeOnEachStore}, for what no store can change. */
export function describeOnEmbeddedStore(title: string, suite: (store: TestStore) => void): void {
  describe(`${title} (embedded store)`, () => {
    runOn('embedded', suite);
  });
}

function runOn(kind: TestStore['kind'], suite: (store: TestStore) => void): void {
  const started: TestService[] = [];
  const directories: string[] = [];
  const inService = new Set<StorePlace>();
  let redis: RedisServer | undefined;
  let databases = 0;
  if (kind === 'redis') {
    beforeAll(async () => {
      redis = await startRedis();
    }, 60_000);
  }

  const place = async (): Promise<StorePlace> => {
    const dataDir = await mkdtemp(join(tmpdir(), 'keyturn-service-'));
    directories.push(dataDir);
    return redis === undefined ? { dataDir } : { dataDir, redisUrl: `${redis.url}/${databases++}` };
  };
  const start: TestStore['start'] = async (options, given) => {
    const where = given ?? (await place());
    const service = await startService(
      inService.has(where) ? again(where, options) : { ...options, ...where },
    );
    inService.add(where);
    let stopping: Promise<void> | undefined;
    const stop = () => (stopping ??= service.stop());
    started.push({ ...service, stop });
    return { ...service, stop };
  };

  afterAll(async () => {
    await Promise.all(started.map(service => service.stop()));
    await redis?.stop();
    await Promise.all(directories.map(directory => rm(directory, { recursive: true, force: true })));
    for (const { log } of started) expectSoundLog(log);
  });
  suite({ kind, place, start });
}

/** The options for a service on a store that has its owner: over Redis, too, nothing is to be made. */
function again({ dataDir, redisUrl }: StorePlace, options: TestServiceOptions = {}): TestServiceOptions {
  const shared = redisUrl === undefined ? {} : { KEYTURN_REDIS_URL: redisUrl, ...redisSecrets };
  return { ...options, dataDir, env: { ...shared, ...options.env } };
}

/** Whatever a suite did to it: no fault of its own, and no secret. */
function expectSoundLog(log: readonly string[]): void {
  expect(log.filter(line => /"level":"(?:error|fatal)"|"status":500/.test(line))).toEqual([]);
  expect(log.filter(line => /kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/i.test(line))).toEqual([]);
  expect(log.filter(line => /eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/.test(line))).toEqual([]);
  for (const line of log) JSON.parse(line);
}
