/** The audit over HTTP: every change once, with who, whence, before and after, never a secret; and no change without it. */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { startService, type TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

interface Entry {
  readonly seq: number;
  readonly at: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly reason?: string;
  readonly account?: string;
  readonly clientId?: string;
  readonly address: string;
  readonly requestId: string;
  readonly before?: Record<string, unknown>;
  readonly after?: Record<string, unknown>;
  readonly prev: string;
  readonly hash: string;
}

interface Page {
  readonly items: readonly Entry[];
  readonly next: string | null;
}

describeOnEachStore('the audit', store => {
  let service: TestService;
  /** Every secret that was ever handed out here. */
  const secrets: string[] = [];

  beforeAll(async () => {
    service = await store.start();
    secrets.push(service.ownerKey, service.sampleKey);
  });

  async function page(query = ''): Promise<Page> {
    const answer = await service.admin('GET', `/admin/audit?${query}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    return (await answer.json()) as Page;
  }

  const entries = async (query: string) => (await page(`limit=100&${query}`)).items;
  const newest = async () => (await page('limit=1')).items[0]?.seq ?? 0;

  /** What was written since. */
  async function since(seq: number): Promise<Entry[]> {
    return (await entries('')).filter(entry => entry.seq > seq).toReversed();
  }

  async function send(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await service.admin(method, path, body);
    const text = await answer.text();
    secrets.push(...(text.match(/kt_\w+/g) ?? []));
    expect(`${answer.status} ${answer.ok ? '' : text}`).toMatch(/^20\d $/);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async function createKey(fields: Record<string, unknown> = {}): Promise<string> {
    const { key, apiKey } = await service.createKey(fields);
    secrets.push(apiKey);
    return key.id;
  }

  async function createAccount(fields: Record<string, unknown> = {}): Promise<string> {
    const id = randomUUID();
    await send('POST', '/admin/accounts', { id, ...fields });
    return id;
  }

  describe('has one entry for each change', () => {
    const key = (id: string) => `/admin/keys/${id}`;
    const account = (id: string) => `/admin/accounts/${id}`;
    const deeds: [
      action: string,
      deed: () => Promise<[target: string, change: () => Promise<unknown>]>,
      before: object | undefined,
      after: object | undefined,
    ][] = [
      [
        'key.update',
        async () => {
          const id = await createKey();
          return [`key/${id}`, () => send('PATCH', key(id), { name: 'New', tokenTtl: 60 })];
        },
        { name: 'A key', keyVersion: 1 },
        { name: 'New', tokenTtl: 60, keyVersion: 2 },
      ],
      [
        'key.publish',
        async () => {
          const id = await createKey({ draft: true });
          return [`key/${id}`, () => send('POST', `${key(id)}/publish`)];
        },
        { status: 'draft' },
        { status: 'active' },
      ],
      [
        'key.disable',
        async () => {
          const id = await createKey();
          return [`key/${id}`, () => send('POST', `${key(id)}/disable`)];
        },
        { status: 'active' },
        { status: 'disabled', keyVersion: 2 },
      ],
      [
        'key.enable',
        async () => {
          const id = await createKey();
          await send('POST', `${key(id)}/disable`);
          return [`key/${id}`, () => send('POST', `${key(id)}/enable`)];
        },
        { status: 'disabled' },
        { status: 'active' },
      ],
      [
        'key.revoke',
        async () => {
          const id = await createKey();
          return [`key/${id}`, () => send('POST', `${key(id)}/revoke`)];
        },
        { status: 'active' },
        { status: 'revoked' },
      ],
      [
        'key.delete',
        async () => {
          const id = await createKey();
          return [`key/${id}`, () => send('DELETE', key(id))];
        },
        { status: 'active', name: 'A key' },
        undefined,
      ],
      ...['overlap', 'first-use', 'now'].map((mode): (typeof deeds)[number] => [
        `key.rotation.${mode}`,
        async () => {
          const id = await createKey();
          return [`key/${id}`, () => send('POST', `${key(id)}/rotations`, { mode })];
        },
        { secrets: [{ state: 'active' }] },
        {
          secrets:
            mode === 'now'
              ? [{ state: 'active' }]
              : [
                  { state: mode === 'overlap' ? 'retiring' : 'active' },
                  { state: mode === 'overlap' ? 'active' : 'pending' },
                ],
        },
      ]),
      [
        'key.rotation.cancel',
        async () => {
          const id = await createKey();
          await send('POST', `${key(id)}/rotations`, { mode: 'first-use' });
          return [`key/${id}`, () => send('DELETE', `${key(id)}/rotations/current`)];
        },
        { secrets: [{ state: 'active' }, { state: 'pending' }] },
        { secrets: [{ state: 'active' }] },
      ],
      [
        'account.create',
        async () => {
          const id = randomUUID();
          return [`account/${id}`, () => send('POST', '/admin/accounts', { id, role: 'admin' })];
        },
        undefined,
        { role: 'admin' },
      ],
      [
        'account.update',
        async () => {
          const id = await createAccount();
          return [`account/${id}`, () => send('PATCH', account(id), { role: 'admin' })];
        },
        { role: 'member' },
        { role: 'admin' },
      ],
      [
        'account.delete',
        async () => {
          const id = await createAccount();
          return [`account/${id}`, () => send('DELETE', account(id))];
        },
        { role: 'member' },
        undefined,
      ],
      [
        'access-key.create',
        async () => {
          const id = await createAccount();
          return [`account/${id}`, () => send('POST', `${account(id)}/access-key`)];
        },
        { role: 'member' },
        { role: 'member' },
      ],
      [
        'access-key.revoke',
        async () => {
          const id = await createAccount();
          await send('POST', `${account(id)}/access-key`);
          return [`account/${id}`, () => send('DELETE', `${account(id)}/access-key`)];
        },
        { accessKey: expect.any(String) as string },
        { role: 'member' },
      ],
    ];
    test.each(deeds)('%s', async (action, deed, before, after) => {
      const [target, change] = await deed();
      const seq = await newest();
      const began = service.clock.now();
      await change();
      const written = await since(seq);
      expect(written).toHaveLength(1);
      const [entry] = written;
      expect(entry).toMatchObject({
        action,
        target,
        outcome: 'done',
        account: 'owner',
        address: '127.0.0.1',
      });
      expect(entry?.clientId).toMatch(/^[0-9a-f-]{36}$/);
      expect(entry?.requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(service.log.some(line => line.includes(entry?.requestId ?? 'none'))).toBe(true);
      expect(Date.parse(entry?.at ?? '')).toBeGreaterThanOrEqual(began);
      expect(Date.parse(entry?.at ?? '')).toBeLessThanOrEqual(service.clock.now());
      for (const [known, wanted] of [
        [entry?.before, before],
        [entry?.after, after],
      ]) {
        expect(known === undefined).toBe(wanted === undefined);
        expect(known ?? {}).toMatchObject(wanted ?? {});
      }
    });

    test('key.create', async () => {
      const seq = await newest();
      const id = await createKey({ name: 'Made' });
      expect(await since(seq)).toMatchObject([
        {
          action: 'key.create',
          target: `key/${id}`,
          outcome: 'done',
          account: 'owner',
          after: { id, name: 'Made' },
        },
      ]);
    });

    test('what a key does to itself: rotation, first use, revocation of the key and of a token', async () => {
      const { key: made, apiKey } = await service.createKey({});
      const seq = await newest();
      const rotated = await fetch(`http://127.0.0.1:${service.port}/keys/self/rotations`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`:${apiKey}`)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ mode: 'first-use' }),
      });
      const { apiKey: fresh } = (await rotated.json()) as { apiKey: string };
      secrets.push(apiKey, fresh);
      const token = await service.token(fresh);
      for (const text of [token, fresh]) {
        const answer = await fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
          method: 'POST',
          body: new URLSearchParams({ token: text }),
        });
        expect(answer.status).toBe(200);
      }
      const written = await since(seq);
      expect(written.map(({ action }) => action)).toEqual([
        'key.rotation.first-use',
        'key.rotation.first-used',
        'token.revoke',
        'key.revoke',
      ]);
      for (const entry of written) {
        expect(entry).toMatchObject({ outcome: 'done', clientId: made.id, address: '127.0.0.1' });
        expect(entry.account).toBeUndefined();
      }
    });

    test('none for what changes nothing', async () => {
      const id = await createKey();
      await send('POST', `${key(id)}/revoke`);
      const seq = await newest();
      await send('POST', `${key(id)}/revoke`);
      await send('GET', key(id));
      await send('GET', '/admin/keys');
      expect((await service.admin('PATCH', key(id), { name: 'Late' })).status).toBe(409);
      expect((await service.admin('POST', '/admin/keys', { name: 'x' })).status).toBe(422);
      expect((await service.admin('DELETE', key(randomUUID()))).status).toBe(404);
      expect(await since(seq)).toEqual([]);
    });

    test('of many at once each that was done, and one that lost a race is said to have failed', async () => {
      const id = await createKey();
      const seq = await newest();
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => service.admin('POST', `${key(id)}/rotations`, { mode: 'overlap' })),
      );
      for (const answer of answers) secrets.push(...((await answer.text()).match(/kt_\w+/g) ?? []));
      const outcomes = (await since(seq)).map(({ outcome }) => outcome);
      const count = (wanted: string) => outcomes.filter(outcome => outcome === wanted).length;
      expect(count('done') - count('failed')).toBe(1);
      expect(count('done') + count('failed')).toBe(outcomes.length);
    });
  });

  describe('has an entry for each refusal', () => {
    const call = (method: string, path: string, authorization?: string, body?: object) =>
      fetch(`http://127.0.0.1:${service.port}${path}`, {
        method,
        headers: {
          ...(authorization !== undefined && { authorization }),
          'content-type': 'application/json',
          'x-forwarded-for': '203.0.113.7',
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });

    test('of a caller who is known, with who it was', async () => {
      const id = await createAccount();
      const { accessKey } = await send('POST', `/admin/accounts/${id}/access-key`);
      const token = await service.token(accessKey as string);
      const { key: foreign } = await service.createKey({});
      const seq = await newest();
      const refusals: [string, string, string, string][] = [
        ['POST', '/admin/keys', 'POST /admin/keys', 'insufficient_scope'],
        ['GET', '/admin/audit', 'GET /admin/audit', 'controller_not_allowed'],
        ['DELETE', `/admin/keys/${foreign.id}`, 'DELETE /admin/keys/:id', 'insufficient_scope'],
        ['POST', `/admin/keys/${foreign.id}/rotations`, 'POST /admin/keys/:id/rotations', 'role_not_allowed'],
        ['PATCH', `/admin/accounts/${id}`, 'PATCH /admin/accounts/:id', 'controller_not_allowed'],
      ];
      for (const [method, path] of refusals) {
        expect(
          (await call(method, path, `Bearer ${token}`, method === 'GET' ? undefined : { mode: 'now' }))
            .status,
        ).toBe(403);
      }
      expect(await since(seq)).toMatchObject(
        refusals.map(([, path, action, reason]) => ({
          action,
          target: path,
          outcome: 'refused',
          reason,
          account: id,
          clientId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
          address: '127.0.0.1',
        })),
      );
    });

    test('of a stranger too, but no more than sixty a minute of one address', async () => {
      service.clock.advance(120);
      const seq = await newest();
      const flood = () =>
        Promise.all(
          Array.from({ length: 100 }, async (_, place) => {
            const authorization = [undefined, 'Bearer nonsense', `Basic ${btoa('admin:admin')}`][place % 3];
            return (await call('GET', '/admin/keys', authorization)).status;
          }),
        );
      expect(new Set(await flood())).toEqual(new Set([401]));
      const written = await since(seq);
      expect(written.length).toBeGreaterThan(0);
      expect(written.length).toBeLessThanOrEqual(60);
      for (const entry of written) {
        expect(entry).toMatchObject({ outcome: 'refused', action: 'GET /admin/keys', address: '127.0.0.1' });
        expect(entry.account).toBeUndefined();
        expect(['credential_missing', 'token_invalid']).toContain(entry.reason);
      }
      const more = await newest();
      await flood();
      expect((await since(more)).length).toBe(0);
      service.clock.advance(61);
      await call('GET', '/admin/keys');
      expect(await since(more)).toHaveLength(1);
    });

    test('of a key that is not the right one, without it', async () => {
      service.clock.advance(61);
      const seq = await newest();
      const wrong = `${service.sampleKey.slice(0, -1)}${service.sampleKey.endsWith('0') ? '1' : '0'}`;
      const answer = await call('POST', '/keys/self/rotations', `Basic ${btoa(`:${wrong}`)}`, {
        mode: 'now',
      });
      expect(answer.status).toBe(401);
      const written = await since(seq);
      expect(written).toMatchObject([
        { outcome: 'refused', reason: 'key_invalid', target: '/keys/self/rotations' },
      ]);
      expect(JSON.stringify(written)).not.toContain('kt_');
    });
  });

  describe('is listed', () => {
    test('by key, account and action', async () => {
      const id = await createKey();
      await send('POST', `/admin/keys/${id}/disable`);
      const account = await createAccount();
      expect((await entries(`key=${id}`)).map(({ action }) => action)).toEqual(['key.disable', 'key.create']);
      expect((await entries(`key=${id}&action=key.disable`)).map(({ target }) => target)).toEqual([
        `key/${id}`,
      ]);
      expect((await entries(`account=${account}`)).map(({ action }) => action)).toEqual(['account.create']);
      const ofOwner = await entries('account=owner&action=key.disable');
      expect(ofOwner.every(entry => entry.account === 'owner' && entry.action === 'key.disable')).toBe(true);
      expect(ofOwner.length).toBeGreaterThan(0);
      expect(await entries('key=nothing')).toEqual([]);
      expect(await entries('action=key')).toEqual([]);
    });

    test('newest first, in pages that join', async () => {
      const all: Entry[] = [];
      let next: string | null = '';
      while (next !== null) {
        const { items, next: further }: Page = await page(`limit=17${next === '' ? '' : `&cursor=${next}`}`);
        all.push(...items);
        next = further;
      }
      expect(all.map(({ seq }) => seq)).toEqual(all.map((_, place) => all.length - place));
      for (const [place, entry] of all.slice(0, -1).entries()) expect(entry.prev).toBe(all[place + 1]?.hash);
      expect(all.at(-1)?.prev).toBe('0'.repeat(64));
    });

    test.each([
      'cursor=0',
      'cursor=-1',
      'cursor=x',
      'cursor=',
      'cursor=1e3',
      'cursor=9999999999999999',
      'limit=0',
      'limit=101',
      'action=key.create&action=key.revoke',
      'who=me',
      'key=',
      'action=',
    ])('not by %s: 400', async query => {
      const answer = await service.admin('GET', `/admin/audit?${query}`);
      expect(answer.status).toBe(400);
      expect(await answer.text()).not.toContain('"items"');
    });

    test('from a place that does not exist: nothing', async () => {
      expect((await page('cursor=999999999')).items).toEqual([]);
    });
  });

  test('is whole, and says so', async () => {
    const answer = await service.admin('GET', '/admin/audit/verification');
    expect(answer.status).toBe(200);
    const {
      entries: count,
      head,
      faults,
    } = (await answer.json()) as { entries: number; head: string; faults: unknown[] };
    const [last] = (await page('limit=1')).items;
    expect([count, head, faults]).toEqual([last?.seq, last?.hash, []]);
  });

  test('holds no secret and no hash of one, and neither does any list', async () => {
    const texts: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const answer = await service.admin(
        'GET',
        `/admin/audit?limit=100${next === '' ? '' : `&cursor=${next}`}`,
      );
      texts.push(await answer.text());
      next = (JSON.parse(texts.at(-1)!) as Page).next;
    }
    for (const path of [
      'keys?limit=100',
      'accounts?limit=100',
      'signing-keys',
      'peppers',
      'features',
      'controllers',
    ]) {
      texts.push(await (await service.admin('GET', `/admin/${path}`)).text());
    }
    const text = texts.join('\n');
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of secrets) expect(text).not.toContain(secret.slice(36, -4));
    expect(text).not.toMatch(/kt_[0-9a-f]{32}_/);
    expect(text).not.toMatch(/"(?:pepper|firstUseGrace|d|p|q|privateJwk|sealed)":/);
    // The one hash that is shown is the chain's.
    expect(text.match(/"hash":"[^"]*"/g)?.filter(hash => !/^"hash":"[0-9a-f]{64}"$/.test(hash))).toEqual([]);
  });
});

describe('what is in the store', () => {
  let redis: RedisServer;
  let service: TestService;
  let inspector: Redis;

  beforeAll(async () => {
    redis = await startRedis();
    service = await startService({ redisUrl: `${redis.url}/0` });
    inspector = new Redis(`${redis.url}/0`);
  });
  afterAll(async () => {
    inspector.disconnect();
    await service.stop();
    await redis.stop();
  });

  const nameOf = (seq: number) => `keyturn:r:{audit/${seq}}`;

  /** All that the store holds, but for what is noted of uses and for attempts to repeat. */
  async function dump(): Promise<Record<string, string>> {
    const names = (await inspector.keys('*')).filter(name => !/key-use|keyturn:check/.test(name)).sort();
    const texts = await Promise.all(names.map(name => inspector.dumpBuffer(name)));
    return Object.fromEntries(names.map((name, place) => [name, texts[place]?.toString('base64') ?? '']));
  }

  /** Makes every attempt to write the next entry fail, as a full or broken store does. */
  async function block(): Promise<() => Promise<unknown>> {
    const answer = await service.admin('GET', '/admin/audit?limit=1');
    const { items } = (await answer.json()) as Page;
    const name = nameOf((items[0]?.seq ?? 0) + 1);
    await inspector.rpush(name, 'in the way');
    return () => inspector.del(name);
  }

  test('does not change by reading, whatever is read', async () => {
    const { key } = await service.createKey({});
    const token = await service.token(service.ownerKey);
    const before = await dump();
    for (const path of [
      '/admin/keys',
      `/admin/keys/${key.id}`,
      '/admin/keys?q=x&status=active',
      '/admin/accounts',
      '/admin/accounts/owner',
      '/admin/audit',
      '/admin/audit/verification',
      '/admin/features',
      '/admin/controllers',
      '/admin/signing-keys',
      '/admin/peppers',
      '/.well-known/jwks.json',
      '/livez',
      '/readyz',
      `/admin/keys/${key.id}/revoke`,
      `/admin/keys/${key.id}/rotations`,
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await fetch(`http://127.0.0.1:${service.port}${path}`, {
          method,
          headers: { authorization: `Bearer ${token}` },
        });
        expect([200, 405]).toContain(answer.status);
      }
    }
    expect(await dump()).toEqual(before);
  });

  test(
    'does not change where the audit cannot be written: 503, and the same call works later',
    { timeout: 60_000 },
    async () => {
      const { key, apiKey } = await service.createKey({});
      const rotating = await service.createKey({});
      await service.admin('POST', `/admin/keys/${rotating.key.id}/rotations`, { mode: 'first-use' });
      const draft = await service.createKey({ draft: true });
      const disabled = await service.createKey({});
      await service.admin('POST', `/admin/keys/${disabled.key.id}/disable`);
      await service.admin('POST', '/admin/accounts', { id: 'alice' });
      await service.admin('POST', '/admin/accounts/alice/access-key');
      await service.admin('POST', '/admin/accounts', { id: 'bob', role: 'owner' });
      const token = await service.token(apiKey);
      const oauthRevoke = (text: string) =>
        fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
          method: 'POST',
          body: new URLSearchParams({ token: text }),
        });
      const admin = (method: string, path: string, body?: object) => () =>
        service.admin(method, `/admin/${path}`, body);
      const pending = await service.createKey({});
      const rotated = await service.admin('POST', `/admin/keys/${pending.key.id}/rotations`, {
        mode: 'first-use',
      });
      const { apiKey: unused } = (await rotated.json()) as { apiKey: string };
      const deeds: [string, () => Promise<Response>][] = [
        ['create', admin('POST', 'keys', { name: 'New', feature: 'connections' })],
        ['narrow', admin('PATCH', `keys/${key.id}`, { allowedControllers: [] })],
        ['publish', admin('POST', `keys/${draft.key.id}/publish`)],
        ['enable', admin('POST', `keys/${disabled.key.id}/enable`)],
        ['rotate', admin('POST', `keys/${key.id}/rotations`, { mode: 'now' })],
        ['disable', admin('POST', `keys/${key.id}/disable`)],
        ['cancel', admin('DELETE', `keys/${rotating.key.id}/rotations/current`)],
        ['first use', () => service.exchange(unused)],
        ['make an account', admin('POST', 'accounts', { id: 'carol', role: 'owner' })],
        ['change an account', admin('PATCH', 'accounts/bob', { role: 'member' })],
        ['make an access key', admin('POST', 'accounts/alice/access-key')],
        ['take an access key', admin('DELETE', 'accounts/alice/access-key')],
        ['delete an account', admin('DELETE', 'accounts/alice')],
        ['revoke a token', () => oauthRevoke(token)],
        ['revoke', admin('POST', `keys/${key.id}/revoke`)],
        ['revoke by its holder', () => oauthRevoke(rotating.apiKey)],
        ['delete', admin('DELETE', `keys/${key.id}`)],
      ];
      const unblock = await block();
      for (const [name, deed] of deeds) {
        const before = await dump();
        const answer = await deed();
        expect([name, answer.status]).toEqual([name, 503]);
        expect(answer.headers.get('retry-after')).not.toBeNull();
        expect(await answer.text()).not.toMatch(/kt_|redis|127\.0\.0\.1|audit/i);
        expect([name, await dump()]).toEqual([name, before]);
      }
      // A refusal stands, and reading goes on.
      expect((await fetch(`http://127.0.0.1:${service.port}/admin/keys`)).status).toBe(401);
      expect((await service.exchange(apiKey)).status).toBe(200);
      expect((await service.admin('GET', '/admin/keys')).status).toBe(200);
      await unblock();
      for (const [name, deed] of deeds) expect([name, (await deed()).ok]).toEqual([name, true]);
    },
  );
});
