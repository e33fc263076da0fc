/** A rotation as its users live through it: two instances over one Redis, clients that never pause, in real time. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openService, type Service } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createLogger } from '../../src/server/logger.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { startService, type TestService } from '../support/service.ts';

const env = {
  KEYTURN_ISSUER: 'https://keys.example.com',
  KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
  KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
};
/** Seconds that an old secret has. */
const grace = 2;
/** Milliseconds between two exchanges of a client. */
const pace = 50;
const patience = 30_000;

interface Client {
  /** What every exchange came to, and every call with its token on the other instance. */
  readonly outcomes: {
    readonly apiKey: string;
    readonly exchange: number;
    readonly call: number | undefined;
  }[];
  /** Told the new secret: every exchange from here on is with it. */
  switchTo(apiKey: string): void;
  /** Resolves when that many further exchanges have been answered. */
  further(count: number): Promise<void>;
  stop(): Promise<void>;
}

describe('a rotation under load', () => {
  let redis: RedisServer;
  let first: TestService;
  let second: Service;
  let ports: readonly [number, number];

  beforeAll(async () => {
    redis = await startRedis();
    const redisUrl = `${redis.url}/0`;
    first = await startService({ redisUrl, env });
    const loaded = loadSettings({ ...env, KEYTURN_PORT: '0', KEYTURN_REDIS_URL: redisUrl });
    second = await openService(loaded, { logger: createLogger('silent', { write: () => undefined }) });
    ports = [first.port, second.port];
  });
  afterAll(async () => {
    await second.close(1000);
    await first.stop();
    await redis.stop();
  });

  async function exchange(
    port: number,
    apiKey: string,
  ): Promise<{ status: number; token: string | undefined }> {
    const answer = await fetch(`http://127.0.0.1:${port}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey }),
    });
    const { access_token: token } = (await answer.json()) as { access_token?: string };
    return { status: answer.status, token };
  }

  async function call(port: number, token: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/connections`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.body?.cancel();
    return answer.status;
  }

  /** Exchanges at its pace, alternating the instances; each token is used on the other one. */
  function startClient(apiKey: string): Client {
    const outcomes: Client['outcomes'] = [];
    const stop = new AbortController();
    const underWay: Promise<unknown>[] = [];
    let current = apiKey;
    const once = async (turn: number) => {
      const [here, there] = turn % 2 === 0 ? ports : [ports[1], ports[0]];
      const used = current;
      const { status, token } = await exchange(here, used);
      outcomes.push({
        apiKey: used,
        exchange: status,
        call: token === undefined ? undefined : await call(there, token),
      });
    };
    const run = async () => {
      for (let turn = 0; !stop.signal.aborted; turn += 1) {
        underWay.push(once(turn));
        await delay(pace, undefined, { signal: stop.signal }).catch(() => undefined);
      }
      await Promise.all(underWay);
    };
    const running = run();
    return {
      outcomes,
      switchTo(next) {
        current = next;
      },
      async further(count) {
        const wanted = outcomes.length + count;
        await until(`${count} exchanges were answered`, () => outcomes.length >= wanted);
      },
      async stop() {
        stop.abort();
        await running;
      },
    };
  }

  async function rotate(id: string, body: object): Promise<string> {
    const answer = await first.admin('POST', `/admin/keys/${id}/rotations`, body);
    expect(answer.status).toBe(201);
    return ((await answer.json()) as { apiKey: string }).apiKey;
  }

  async function deadlineOf(id: string): Promise<number> {
    const answer = await first.admin('GET', `/admin/keys/${id}`);
    const { secrets } = (await answer.json()) as { secrets: { retiresAt: string | null }[] };
    return Date.parse(secrets[0]?.retiresAt ?? '');
  }

  /** That the old secret ends on both instances when it should, and no later. */
  async function expectEnd(apiKey: string, deadline: number): Promise<void> {
    expect(deadline - Date.now()).toBeLessThanOrEqual(grace * 1000);
    await delay(Math.max(0, deadline - Date.now()) + 5);
    expect(await Promise.all(ports.map(async port => (await exchange(port, apiKey)).status))).toEqual([
      401, 401,
    ]);
  }

  /** What was not as a client may expect it. */
  function faultsOf({ outcomes }: Client): unknown[] {
    return outcomes.filter(({ exchange, call }) => exchange !== 200 || call !== 200);
  }

  test(
    'overlap: not one exchange is refused, and the old secret ends at its deadline',
    { timeout: patience },
    async () => {
      const { key, apiKey: old } = await first.createKey({});
      const clients = [startClient(old), startClient(old)];
      await Promise.all(clients.map(client => client.further(20)));
      const fresh = await rotate(key.id, { mode: 'overlap', grace });
      const deadline = await deadlineOf(key.id);
      // One is told at once, the other a little later.
      clients[0]?.switchTo(fresh);
      await delay(300);
      clients[1]?.switchTo(fresh);
      await expectEnd(old, deadline);
      await Promise.all(clients.map(client => client.further(20)));
      await Promise.all(clients.map(client => client.stop()));
      for (const client of clients) {
        expect(faultsOf(client)).toEqual([]);
        expect(client.outcomes.filter(({ apiKey }) => apiKey === old).length).toBeGreaterThanOrEqual(20);
        expect(client.outcomes.filter(({ apiKey }) => apiKey === fresh).length).toBeGreaterThanOrEqual(20);
      }
    },
  );

  test(
    'first-use: the old secret waits for the new one, and not one exchange is refused',
    { timeout: patience },
    async () => {
      const { key, apiKey: old } = await first.createKey({});
      const clients = [startClient(old), startClient(old)];
      await Promise.all(clients.map(client => client.further(10)));
      const fresh = await rotate(key.id, { mode: 'first-use', grace });
      // Longer than the grace: it has not begun.
      await delay(grace * 1000 + 500);
      expect(await deadlineOf(key.id)).toBeNaN();
      const known = clients[0]?.outcomes.length ?? 0;
      clients[0]?.switchTo(fresh);
      await until('the new secret was used', () =>
        clients[0]!.outcomes.slice(known).some(({ apiKey }) => apiKey === fresh),
      );
      const deadline = await deadlineOf(key.id);
      clients[1]?.switchTo(fresh);
      await expectEnd(old, deadline);
      await Promise.all(clients.map(client => client.further(20)));
      await Promise.all(clients.map(client => client.stop()));
      for (const client of clients) expect(faultsOf(client)).toEqual([]);
    },
  );

  test('a key that one instance made works on the other at once', { timeout: patience }, async () => {
    for (let round = 0; round < 20; round += 1) {
      const { apiKey } = await first.createKey({});
      const { status, token = '' } = await exchange(ports[1], apiKey);
      expect([status, await call(ports[0], token), await call(ports[1], token)]).toEqual([200, 200, 200]);
    }
  });

  test(
    'now: when the call returns, the old secret is dead on both instances',
    { timeout: patience },
    async () => {
      const { key, apiKey: old } = await first.createKey({});
      const client = startClient(old);
      await client.further(20);
      const tokens = await Promise.all(ports.map(async port => (await exchange(port, old)).token ?? ''));
      const before = client.outcomes.length;
      const fresh = await rotate(key.id, { mode: 'now' });
      client.switchTo(fresh);
      const after = await Promise.all(
        Array.from(
          { length: 40 },
          async (_, turn) => (await exchange(ports[turn % 2 === 0 ? 0 : 1], old)).status,
        ),
      );
      expect(after.filter(status => status !== 401)).toEqual([]);
      // Where the call was made its tokens are dead already; the other instance hears of it.
      for (const token of tokens) expect(await call(ports[0], token)).toBe(401);
      await until('the other instance knows', async () =>
        (await Promise.all(tokens.map(token => call(ports[1], token)))).every(status => status === 401),
      );
      await client.further(40);
      await client.stop();
      // Whoever came with the old secret while the call was under way may have been refused, nobody with the new one.
      expect(client.outcomes.slice(0, before).filter(({ exchange }) => exchange !== 200)).toEqual([]);
      const renewed = client.outcomes.filter(({ apiKey }) => apiKey === fresh);
      expect(renewed.length).toBeGreaterThanOrEqual(20);
      expect(renewed.filter(({ exchange, call }) => exchange !== 200 || call !== 200)).toEqual([]);
    },
  );
});
