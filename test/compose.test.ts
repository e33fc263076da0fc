/** A service that comes up step by step: what is tried again, what a failed try leaves behind, and what ends it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { initialise, openFoundation, openService, type Service } from '../src/compose.ts';
import { loadSettings } from '../src/config/load.ts';
import { createLogger } from '../src/server/logger.ts';
import { StoreUnavailable } from '../src/store/store.ts';
import type * as wiring from '../src/wiring/app.ts';
import { openApp } from '../src/wiring/app.ts';
import { type RedisServer, startRedis } from './support/redis-servers.ts';
import { redisSecrets } from './support/stores.ts';
import { until } from './support/until.ts';

vi.mock('../src/wiring/app.ts', async importOriginal => {
  const original = await importOriginal<typeof wiring>();
  return { openApp: vi.fn(original.openApp) };
});

let redis: RedisServer;
let databases = 0;
let loaded: ReturnType<typeof loadSettings>;
let service: Service | undefined;
let events: string[];
const logger = createLogger('silent', { write: () => undefined });

beforeAll(async () => {
  redis = await startRedis();
}, 60_000);

afterAll(() => redis.stop());

beforeEach(() => {
  events = [];
  const KEYTURN_REDIS_URL = `${redis.url}/${databases++}`;
  loaded = loadSettings({ KEYTURN_PORT: '0', KEYTURN_REDIS_URL, ...redisSecrets });
});

afterEach(async () => {
  vi.mocked(openApp).mockClear();
  await service?.close();
  service = undefined;
});

/** The next tries to open the app begin a loop, and fail. */
function failWith(...errors: readonly Error[]): void {
  for (const error of errors) {
    vi.mocked(openApp).mockImplementationOnce(async ({ stop, ending, running }) => {
      events.push('begun');
      const loop = new Promise<void>(resolve => {
        stop.addEventListener('abort', () => {
          events.push(ending.aborted ? 'ended' : 'stopped alone');
          resolve();
        });
      });
      running.push(loop);
      throw error;
    });
  }
}

async function init(): Promise<void> {
  const foundation = await openFoundation(loaded.settings, { logger });
  await initialise('owner', loaded.settings, foundation);
  await foundation.store.close();
}

async function readiness(path = '/readyz'): Promise<number> {
  return (await fetch(`http://127.0.0.1:${service?.port}${path}`)).status;
}

const away = () => new StoreUnavailable('away');

describe('a try to serve that fails for a moment', () => {
  it('ends what it has begun before the next, once there is a deployment', async () => {
    failWith(away(), away(), away());
    service = await openService(loaded, { logger });
    expect(await readiness()).toBe(503);
    await init();
    await until('it serves', async () => (await readiness()) === 200);
    expect(events).toEqual(['begun', 'ended', 'begun', 'ended', 'begun', 'ended']);
    expect(openApp).toHaveBeenCalledTimes(4);
  });

  it('is no end of the start: it lives, and serves once it can', async () => {
    await init();
    failWith(away());
    service = await openService(loaded, { logger });
    expect([await readiness('/livez')]).toEqual([200]);
    await until('it serves', async () => (await readiness()) === 200);
    expect(events).toEqual(['begun', 'ended']);
  });
});

describe('a try to serve that fails for good', () => {
  const fault = new TypeError('a fault of our own');

  it('ends the start, with what it has begun', async () => {
    await init();
    failWith(fault);
    await expect(openService(loaded, { logger })).rejects.toBe(fault);
    expect(events).toEqual(['begun', 'ended']);
  });

  it('is told by a service that was waiting, and not tried again', async () => {
    failWith(fault);
    service = await openService(loaded, { logger });
    const failure = service.failure.catch((error: unknown) => error);
    await init();
    expect(await failure).toBe(fault);
    expect(events).toEqual(['begun', 'ended']);
    expect(openApp).toHaveBeenCalledTimes(1);
  });
});

describe('a start that is told to wait no longer', () => {
  it('answers 503 while Redis is away, and serves once it is there', async () => {
    await init();
    await redis.kill();
    const stop = new AbortController();
    const opening = openService(loaded, { logger, signal: stop.signal });
    stop.abort();
    service = await opening;
    expect([await readiness('/livez'), await readiness(), await readiness('/v2/connections')]).toEqual([
      200, 503, 503,
    ]);
    await redis.restart();
    await until('it serves', async () => (await readiness()) === 200);
  });

  it('is like any other where there is nothing to wait for', async () => {
    await init();
    service = await openService(loaded, { logger, signal: AbortSignal.abort() });
    await until('it serves', async () => (await readiness()) === 200);
    const [{ stop }] = vi.mocked(openApp).mock.calls[0]!;
    expect(stop.aborted).toBe(false);
  });
});

it('a service that is closed ends what it has begun', async () => {
  await init();
  const opened = await openService(loaded, { logger });
  const [{ stop, ending }] = vi.mocked(openApp).mock.calls[0]!;
  expect([stop.aborted, ending.aborted]).toEqual([false, false]);
  await opened.close();
  expect([stop.aborted, ending.aborted]).toEqual([true, true]);
});
