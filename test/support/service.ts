/** A whole service on a real port, with a clock that the test moves, over the store that the suite runs on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialise, openFoundation, openService } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createLogger } from '../../src/server/logger.ts';

export interface TestService {
  /** Base URL and issuer. */
  readonly url: string;
  readonly port: number;
  /** The owner's access key. */
  readonly ownerKey: string;
  /** The embedded store's sample key (feature `connections`), or one like it. */
  readonly sampleKey: string;
  readonly clock: TestClock;
  /** Every line that the service has logged. */
  readonly log: string[];
  /** Exchanges a key; the whole answer. */
  exchange(apiKey: string, parameters?: Record<string, string>): Promise<Response>;
  /** Exchanges a key; the access token. */
  token(apiKey: string, parameters?: Record<string, string>): Promise<string>;
  /** Calls the admin API as the owner. */
  admin(method: string, path: string, body?: unknown): Promise<Response>;
  /** Makes a key. */
  createKey(
    fields: Record<string, unknown>,
  ): Promise<{ key: Record<string, unknown> & { id: string }; apiKey: string }>;
  stop(): Promise<void>;
}

/** A clock that starts at the true time and only moves when told to. */
export class TestClock {
  #offset = 0;
  readonly now = (): number => Date.now() + this.#offset;

  advance(seconds: number): void {
    this.#offset += Math.round(seconds * 1000);
  }
}

export interface TestServiceOptions {
  /** As `KEYTURN_…` variables. */
  readonly env?: Record<string, string>;
  /** The URL of a Redis server; the embedded store where absent. */
  readonly redisUrl?: string | undefined;
  readonly clock?: TestClock;
  /** Failed authentications of one address in a minute, after which it is slowed down. */
  readonly failuresPerMinute?: number;
  /** An embedded store's directory, to start on it again; a new one where absent. */
  readonly dataDir?: string;
}

export async function startService(options: TestServiceOptions = {}): Promise<TestService> {
  const directory = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'keyturn-')));
  const clock = options.clock ?? new TestClock();
  const log: string[] = [];
  const logger = createLogger('debug', { write: line => void log.push(line) });
  const loaded = loadSettings({
    KEYTURN_PORT: '0',
    KEYTURN_DATA_DIR: directory,
    ...(options.redisUrl !== undefined && {
      KEYTURN_REDIS_URL: options.redisUrl,
      KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
      KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
    }),
    ...options.env,
  });
  const { failuresPerMinute } = options;
  const surroundings = {
    logger,
    clock: clock.now,
    ...(failuresPerMinute !== undefined && { failuresPerMinute }),
  };
  const ownerKey = options.redisUrl === undefined ? undefined : await initialiseRedis(loaded, surroundings);
  const service = await openService(loaded, surroundings);
  const url = service.issuer;

  const exchange = (apiKey: string, parameters: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${service.port}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey, ...parameters }),
    });
  const token = async (apiKey: string, parameters?: Record<string, string>) => {
    const response = await exchange(apiKey, parameters);
    const answer = (await response.json()) as { access_token?: string };
    if (answer.access_token === undefined)
      throw new Error(`no token: ${response.status} ${JSON.stringify(answer)}`);
    return answer.access_token;
  };
  const owner = ownerKey ?? service.welcome?.ownerKey ?? '';
  const admin = async (method: string, path: string, body?: unknown) =>
    fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${await token(owner)}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const createKey: TestService['createKey'] = async fields => {
    const response = await admin('POST', '/admin/keys', { name: 'A key', feature: 'connections', ...fields });
    if (response.status !== 201) throw new Error(`no key: ${response.status} ${await response.text()}`);
    return (await response.json()) as Awaited<ReturnType<TestService['createKey']>>;
  };
  const sampleKey =
    service.welcome?.sampleKey ?? (ownerKey === undefined ? '' : (await createKey({})).apiKey);
  return {
    url,
    port: service.port,
    ownerKey: owner,
    sampleKey,
    clock,
    log,
    exchange,
    token,
    admin,
    createKey,
    async stop() {
      await service.close(1000);
      if (options.dataDir === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The owner's key on a store that is new; undefined where it has one already. */
async function initialiseRedis(
  { settings }: ReturnType<typeof loadSettings>,
  surroundings: Parameters<typeof openFoundation>[1],
): Promise<string | undefined> {
  const foundation = await openFoundation(settings, surroundings);
  try {
    const result = await initialise('owner', settings, foundation);
    return result.outcome === 'initialised' ? result.accessKey.apiKey : undefined;
  } finally {
    await foundation.store.close();
  }
}
