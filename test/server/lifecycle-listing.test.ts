/** Lists of keys: filters, pages, cursors that were tampered with, and what a page costs. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFoundation } from '../../src/compose.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createApiKeys, type NewApiKey } from '../../src/issuer/api-keys.ts';
import type { RevocationLog } from '../../src/issuer/revocation-log.ts';
import { createLogger } from '../../src/server/logger.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { startService, type TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';

interface Key {
  readonly id: string;
  readonly name: string;
}

interface Page {
  readonly items: readonly Key[];
  readonly next: string | null;
}

type Caller = (path: string) => Promise<Response>;

/** Calls as the owner, with one token for many calls. */
async function callerOf(service: TestService): Promise<Caller> {
  const token = await service.token(service.ownerKey);
  return path =>
    fetch(`http://127.0.0.1:${service.port}${path}`, { headers: { authorization: `Bearer ${token}` } });
}

async function pageOf(response: Response): Promise<Page> {
  expect(response.status).toBe(200);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return (await response.json()) as Page;
}

function query(parameters: Record<string, string | number>): string {
  const entries = Object.entries(parameters).map(([name, value]): [string, string] => [name, String(value)]);
  return `/admin/keys?${new URLSearchParams(entries).toString()}`;
}

/** Every page of a list, one after the other. */
async function pages(call: Caller, parameters: Record<string, string | number>): Promise<Key[][]> {
  const all: Key[][] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const { items, next } = await pageOf(
      await call(query({ ...parameters, ...(cursor !== undefined && { cursor }) })),
    );
    all.push([...items]);
    cursor = next;
    if (all.length > 200) throw new Error('the list does not end');
  }
  return all;
}

/** Makes keys in the store itself: faster than over HTTP. */
async function fill(
  place: StorePlace,
  fields: readonly Partial<NewApiKey>[],
  clock = Date.now,
): Promise<string[]> {
  const { settings } = loadSettings({
    KEYTURN_DATA_DIR: place.dataDir,
    ...(place.redisUrl !== undefined && {
      KEYTURN_REDIS_URL: place.redisUrl,
      KEYTURN_PEPPER: 'a-pepper-for-the-tests-alone-0001',
      KEYTURN_MASTER_KEY: 'a-master-key-for-the-tests-alone-1',
    }),
  });
  const logger = createLogger('silent', { write: () => undefined });
  const foundation = await openFoundation(settings, { logger, clock });
  try {
    const apiKeys = createApiKeys({ ...foundation, revocationLog: {} as RevocationLog });
    const ids: string[] = [];
    for (let first = 0; first < fields.length; first += 500) {
      const some = fields.slice(first, first + 500);
      const made = await Promise.all(
        some.map((own, place) =>
          apiKeys.create({
            name: `Key ${first + place}`,
            feature: 'connections',
            owner: 'owner',
            status: 'active',
            ...own,
          }),
        ),
      );
      ids.push(...made.map(({ key }) => key.id));
    }
    return ids;
  } finally {
    await foundation.store.close();
  }
}

describeOnEachStore('the list of keys', store => {
  describe('by filter', () => {
    let service: TestService;
    let call: Caller;
    const made: Record<string, string> = {};
    const names = (keys: readonly Key[]) => keys.map(({ id }) => Object.keys(made).find(n => made[n] === id));

    beforeAll(async () => {
      service = await store.start();
      await service.admin('POST', '/admin/accounts', { id: 'alice' });
      const create = async (label: string, fields: Record<string, unknown>, ...steps: string[]) => {
        const { key } = await service.createKey({ name: label, ...fields });
        for (const step of steps) await service.admin('POST', `/admin/keys/${key.id}/${step}`);
        made[label] = key.id;
      };
      await create('Draft of Alice', { draft: true, owner: 'alice' });
      await create('Active of Alice', { owner: 'alice', feature: 'multiple-resources' });
      await create('Disabled', {}, 'disable');
      await create('Revoked', {}, 'revoke');
      await create('Expired', { expiresAt: new Date(service.clock.now() + 60_000).toISOString() });
      await create('Ünïcode 50% _x_', { feature: 'multiple-resources' });
      service.clock.advance(61);
      call = await callerOf(service);
    });

    const newestFirst = [
      'Ünïcode 50% _x_',
      'Expired',
      'Revoked',
      'Disabled',
      'Active of Alice',
      'Draft of Alice',
    ];
    const among = (...labels: string[]) => newestFirst.filter(label => labels.includes(label));
    test.each<[Record<string, string>, string[]]>([
      [{}, newestFirst],
      [{ feature: 'multiple-resources' }, among('Active of Alice', 'Ünïcode 50% _x_')],
      [{ feature: 'services-client' }, []],
      [{ feature: 'nothing' }, []],
      [{ owner: 'alice' }, among('Draft of Alice', 'Active of Alice')],
      [{ owner: 'Alice' }, []],
      [{ owner: 'nobody' }, []],
      [{ status: 'draft' }, among('Draft of Alice')],
      [{ status: 'disabled' }, among('Disabled')],
      [{ status: 'revoked' }, among('Revoked')],
      [{ status: 'expired' }, among('Expired')],
      [{ status: 'active' }, among('Active of Alice', 'Ünïcode 50% _x_')],
      [{ q: 'of alice' }, among('Active of Alice', 'Draft of Alice')],
      [{ q: 'ÜNÏ' }, among('Ünïcode 50% _x_')],
      [{ q: '%' }, among('Ünïcode 50% _x_')],
      [{ q: '_x_' }, among('Ünïcode 50% _x_')],
      [{ q: '.*' }, []],
      [{ owner: 'alice', status: 'active' }, among('Active of Alice')],
      [{ owner: 'alice', feature: 'connections' }, among('Draft of Alice')],
      [
        { owner: 'alice', feature: 'multiple-resources', status: 'active', q: 'ACTIVE' },
        among('Active of Alice'),
      ],
      [{ owner: 'alice', status: 'revoked' }, []],
    ])('%j', async (filter, labels) => {
      const all = (await pages(call, filter)).flat();
      expect(names(all).filter(label => label !== undefined)).toEqual(labels);
      // One page after the other, however small, says the same.
      const one = (await pages(call, { ...filter, limit: 1 })).flat();
      expect(one).toEqual(all);
    });

    test('q takes an id, in capitals too', async () => {
      const id = made['Revoked'] ?? '';
      for (const q of [id, id.toUpperCase()]) {
        expect((await pages(call, { q })).flat().map(key => key.id)).toEqual([id]);
      }
      expect((await pages(call, { q: id.slice(0, -1) })).flat()).toEqual([]);
    });

    test('follows a change of owner, of feature, of name and of status', async () => {
      const { key } = await service.createKey({ name: 'Wanderer' });
      const isFound = async (filter: Record<string, string>) =>
        (await pages(call, filter)).flat().some(({ id }) => id === key.id);
      const before = { owner: 'owner', feature: 'connections', q: 'wand', status: 'active' };
      const after = { owner: 'alice', feature: 'developer-templates', q: 'settler', status: 'disabled' };
      const change = { owner: after.owner, feature: after.feature, name: 'Settler' };
      expect((await service.admin('PATCH', `/admin/keys/${key.id}`, change)).status).toBe(200);
      await service.admin('POST', `/admin/keys/${key.id}/disable`);
      for (const [name, value] of Object.entries(before))
        expect(await isFound({ [name]: value })).toBe(false);
      for (const [name, value] of Object.entries(after)) expect(await isFound({ [name]: value })).toBe(true);
      await service.admin('DELETE', `/admin/keys/${key.id}`);
      for (const [name, value] of Object.entries(after)) expect(await isFound({ [name]: value })).toBe(false);
    });

    test('shows no access key, and no secret', async () => {
      const text = await (await call(query({ limit: 100 }))).text();
      expect(text).not.toMatch(/kt_[0-9a-f]{32}_|"hash"|"pepper"|Access key of/);
    });

    test.each([
      'cursor=',
      'cursor=0',
      'cursor=../../etc/passwd',
      'cursor=%00',
      'cursor=%F0%9F%98%80',
      `cursor=${'0'.repeat(9)}`,
      `cursor=${'0'.repeat(9)}/`,
      `cursor=${'0'.repeat(8)}/${randomUUID()}`,
      `cursor=${'A'.repeat(9)}/${randomUUID()}`,
      `cursor=${'0'.repeat(9)}/${randomUUID()}x`,
      `cursor=${'0'.repeat(9)}/${randomUUID()}%0A`,
      'cursor=owner',
      'cursor=17',
      `cursor=${'0'.repeat(10_000)}`,
      'cursor=a&cursor=b',
      'limit=0',
      'limit=101',
      'limit=-1',
      'limit=1.5',
      'limit=1e1',
      'limit=',
      'limit=ten',
      'status=dead',
      'status=ACTIVE',
      'feature=',
      'owner=',
      `owner=${'x'.repeat(201)}`,
      'name=x',
      'offset=10',
    ])('refuses %s', async text => {
      const answer = await call(`/admin/keys?${text}`);
      expect([400, 431]).toContain(answer.status);
      expect(await answer.text()).not.toContain('"items"');
    });

    test.each([
      ['a control character', 'owner=%00'],
      ['a line break', 'owner=%0Aowner'],
      ['a control character beyond ASCII', 'owner=%C2%85'],
      ['a feature of control characters', 'feature=%01'],
      ['a name of many bytes', `owner=${encodeURIComponent('\u{1f600}'.repeat(200))}`],
      ['a feature of many bytes', `feature=${encodeURIComponent('\u{1f600}'.repeat(100))}`],
      ['a search for a control character', 'q=%00'],
    ])('finds nothing, and breaks nothing, with %s', async (_, text) => {
      const answer = await call(`/admin/keys?${text}`);
      expect([200, 400]).toContain(answer.status);
      expect(await answer.text()).not.toContain('"id"');
    });
  });

  test('of 3,000 keys shows each exactly once, newest first, while others come and go', async () => {
    const place = await store.place();
    const ids = await fill(
      place,
      Array.from({ length: 3000 }, (_, at) => ({
        feature: at % 3 === 0 ? 'developer-templates' : 'connections',
      })),
    );
    const service = await store.start({}, place);
    const call = await callerOf(service);
    const seen: Key[] = [];
    const gone = new Set<string>();
    for (let cursor: string | null | undefined, number = 0; cursor !== null; number += 1) {
      const page = await pageOf(await call(query({ limit: 100, ...(cursor !== undefined && { cursor }) })));
      seen.push(...page.items);
      cursor = page.next;
      if (number > 3) continue;
      await service.createKey({ name: 'Late' });
      // The last one of this page: where the next page begins must not depend on it.
      const last = page.items.at(-1)?.id ?? '';
      expect((await service.admin('DELETE', `/admin/keys/${last}`)).status).toBe(204);
      gone.add(last);
    }
    const wanted = new Set(ids);
    const counted = seen.filter(({ id }) => wanted.has(id));
    expect(counted).toHaveLength(3000);
    expect(new Set(counted.map(({ id }) => id)).size).toBe(3000);
    expect(seen.some(({ name }) => name === 'Late')).toBe(false);
    const times = (seen as (Key & { createdAt: string })[]).map(({ createdAt }) => createdAt);
    expect(times).toEqual([...times].sort().toReversed());

    const filtered = await pages(call, { feature: 'developer-templates', limit: 100 });
    expect(filtered.flat()).toHaveLength(1000 - ids.filter((id, at) => at % 3 === 0 && gone.has(id)).length);
    // A filter that passes few walks on through pages that have less than was asked for.
    const rare = await pages(call, { q: 'Key 1', status: 'active', limit: 100 });
    const expected = ids.filter((id, at) => `Key ${at}`.includes('Key 1') && !gone.has(id));
    expect(rare.flat().map(({ id }) => id)).toHaveLength(expected.length);
    expect((await pages(call, { q: 'nothing of the kind', limit: 100 })).flat()).toEqual([]);
  });
});

describe('what a page of keys costs', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  /** How often each command was called, but for those by which an instance follows the store, and this count. */
  async function commands(): Promise<Map<string, number>> {
    const info = String(await redis.call('info', 'commandstats'));
    const counts = [...info.matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)].map(
      ([, name = '', calls]): [string, number] => [name, Number(calls)],
    );
    return new Map(counts.filter(([name]) => !/^(?:info|xrange|ping|hello|client)/.test(name)));
  }

  async function costOf(deed: () => Promise<unknown>): Promise<{ lists: number; all: number }> {
    const before = await commands();
    for (let time = 0; time < 10; time += 1) await deed();
    const after = await commands();
    const spent = [...after].map(([name, calls]) => [name, calls - (before.get(name) ?? 0)] as const);
    return {
      lists: Object.fromEntries(spent)['zrevrangebylex'] ?? 0,
      all: spent.reduce((sum, [, calls]) => sum + calls, 0),
    };
  }

  test(
    'is the same of 200 keys and of 5,000, and so is what a token costs',
    { timeout: 60_000 },
    async () => {
      const place: StorePlace = { dataDir: '/nonexistent', redisUrl: `${redis.url}/0` };
      const service = await startService({ redisUrl: `${redis.url}/0` });
      try {
        const call = await callerOf(service);
        const rare = { feature: 'services-client', limit: 50 };
        await fill(place, [{ feature: 'services-client' }, ...Array.from({ length: 199 }, () => ({}))]);
        const measure = async () => ({
          page: await costOf(async () =>
            expect((await pageOf(await call(query({ limit: 50 })))).items).toHaveLength(50),
          ),
          filtered: await costOf(async () =>
            expect((await pageOf(await call(query(rare)))).items).toHaveLength(1),
          ),
          owned: await costOf(async () =>
            expect((await pageOf(await call(query({ owner: 'owner', limit: 10 })))).items).toHaveLength(10),
          ),
          exchange: await costOf(() => service.token(service.sampleKey)),
        });
        const few = await measure();
        await fill(
          place,
          Array.from({ length: 4800 }, () => ({})),
        );
        const many = await measure();
        for (const name of ['page', 'filtered', 'owned', 'exchange'] as const) {
          expect([name, many[name].lists]).toEqual([name, few[name].lists]);
          // Each instance asks some ten times a second whether the store is still the same.
          expect(Math.abs(many[name].all - few[name].all)).toBeLessThan(100);
        }
        expect(few.page.lists).toBe(10);
        expect(few.page.all).toBeGreaterThan(500);
        expect(many.page.all).toBeLessThan(2000);
      } finally {
        await service.stop();
      }
    },
  );
});
