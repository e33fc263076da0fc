/** Rotation over HTTP: a key changes its secret without an outage, by an administrator or by itself. */
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { TestClock, type TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';

interface Secret {
  readonly state: string;
  readonly last4: string;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  readonly lastUsedFrom: string | null;
  readonly retiresAt: string | null;
}

interface Key {
  readonly id: string;
  readonly status: string;
  readonly keyVersion: number;
  readonly secrets: readonly Secret[];
}

interface Rotated {
  readonly key: Key;
  readonly apiKey: string;
}

const day = 86_400;

/** Sends a rotation as the owner does. */
function rotate(service: TestService, id: string, body: object): Promise<Response> {
  return service.admin('POST', `/admin/keys/${id}/rotations`, body);
}

async function rotated(response: Response): Promise<Rotated> {
  const text = await response.text();
  expect(`${response.status} ${response.ok ? '' : text}`).toBe('201 ');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(text).not.toMatch(/"(?:hash|pepper|firstUseGrace)"/);
  return JSON.parse(text) as Rotated;
}

function cancel(service: TestService, id: string): Promise<Response> {
  return service.admin('DELETE', `/admin/keys/${id}/rotations/current`);
}

async function read(service: TestService, id: string): Promise<Key> {
  const response = await service.admin('GET', `/admin/keys/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Key;
}

/** Whether each secret gets a token. Asking uses them. */
async function works(service: TestService, ...apiKeys: string[]): Promise<boolean[]> {
  const answers = await Promise.all(apiKeys.map(apiKey => service.exchange(apiKey)));
  for (const { status } of answers) expect([200, 401]).toContain(status);
  return answers.map(({ ok }) => ok);
}

/** Calls a guarded route; the status, and the code of a refusal. */
async function call(service: TestService, token: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${service.port}/v2/connections`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { code } = (await response.json()) as { code?: string };
  return code === undefined ? String(response.status) : `${response.status} ${code}`;
}

/** Sends a rotation as the key itself does. */
function rotateSelf(
  service: TestService,
  authorization: string | undefined,
  body: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`http://127.0.0.1:${service.port}/keys/self/rotations`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(authorization !== undefined && { authorization }),
      ...headers,
    },
    body: JSON.stringify(body),
  });
}

function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;
}

function statuses(answers: readonly Response[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describeOnEachStore('rotation', store => {
  let service: TestService;
  let place: StorePlace;

  beforeAll(async () => {
    place = await store.place();
    service = await store.start({}, place);
  });

  describe('by an administrator', () => {
    test('overlap: both secrets work until the deadline, then only the new one', async () => {
      const { key, apiKey: old } = await service.createKey({});
      expect((await read(service, key.id)).secrets).toMatchObject([{ state: 'active', retiresAt: null }]);
      const before = service.clock.now();
      const { key: after, apiKey: fresh } = await rotated(
        await rotate(service, key.id, { mode: 'overlap', grace: 100 }),
      );
      const retiresAt = Date.parse(after.secrets[0]?.retiresAt ?? '');
      expect(retiresAt).toBeGreaterThanOrEqual(before + 100_000);
      expect(retiresAt).toBeLessThanOrEqual(service.clock.now() + 100_000);
      expect(after).toMatchObject({
        id: key.id,
        status: 'active',
        keyVersion: 1,
        secrets: [
          { state: 'retiring', last4: old.slice(-4) },
          { state: 'active', last4: fresh.slice(-4), retiresAt: null },
        ],
      });
      expect(await works(service, old, fresh)).toEqual([true, true]);
      service.clock.advance(90);
      expect(await works(service, old, fresh)).toEqual([true, true]);
      service.clock.advance(11);
      expect(await works(service, old, fresh)).toEqual([false, true]);
      expect((await read(service, key.id)).secrets).toMatchObject([
        { state: 'active', last4: fresh.slice(-4) },
      ]);
    });

    test('overlap: what the old secret gets from now on ends with it, what the new one gets does not', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const early = await service.token(old);
      const { key: after, apiKey: fresh } = await rotated(
        await rotate(service, key.id, { mode: 'overlap', grace: 100 }),
      );
      const [ending, lasting] = [await service.token(old), await service.token(fresh)];
      const deadline = Date.parse(after.secrets[0]?.retiresAt ?? '') / 1000;
      expect(decodeJwt(ending).exp).toBeLessThanOrEqual(deadline);
      expect(decodeJwt(ending).exp).toBeGreaterThan(deadline - 2);
      expect(decodeJwt(lasting).exp).toBeGreaterThan(deadline + 700);
      for (const token of [early, ending, lasting]) expect(await call(service, token)).toBe('200');
      service.clock.advance(101);
      expect(await call(service, ending)).toBe('401 token_expired');
      expect(await call(service, lasting)).toBe('200');
    });

    test('first-use: the old secret stays until the new one is used, and for the grace from then on', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const { key: after, apiKey: fresh } = await rotated(
        await rotate(service, key.id, { mode: 'first-use', grace: 60 }),
      );
      expect(after.secrets).toMatchObject([
        { state: 'active', last4: old.slice(-4), retiresAt: null },
        { state: 'pending', last4: fresh.slice(-4), retiresAt: null },
      ]);
      service.clock.advance(30 * day);
      expect(await works(service, old)).toEqual([true]);
      expect(decodeJwt(await service.token(old)).exp).toBeGreaterThan(service.clock.now() / 1000 + 800);
      expect((await read(service, key.id)).secrets).toMatchObject([
        { state: 'active' },
        { state: 'pending' },
      ]);

      const earliest = service.clock.now() + 60_000;
      expect(await works(service, fresh)).toEqual([true]);
      const { secrets } = await read(service, key.id);
      expect(secrets).toMatchObject([{ state: 'retiring' }, { state: 'active', retiresAt: null }]);
      const retiresAt = Date.parse(secrets[0]?.retiresAt ?? '');
      expect(retiresAt).toBeGreaterThanOrEqual(earliest);
      expect(retiresAt).toBeLessThan(earliest + 10_000);
      expect(await works(service, old, fresh)).toEqual([true, true]);
      expect((await read(service, key.id)).secrets[0]?.retiresAt).toBe(secrets[0]?.retiresAt);
      service.clock.advance(61);
      expect(await works(service, old, fresh)).toEqual([false, true]);
    });

    test('first-use: that many use the new secret for the first time at once starts the clock once', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: fresh } = await rotated(
        await rotate(service, key.id, { mode: 'first-use', grace: 60 }),
      );
      const answers = await works(service, ...Array.from({ length: 20 }, () => fresh));
      expect(answers).not.toContain(false);
      expect((await read(service, key.id)).secrets).toMatchObject([
        { state: 'retiring' },
        { state: 'active' },
      ]);
      expect(await works(service, old)).toEqual([true]);
    });

    test('now: the old secret and every token of it end at once', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const token = await service.token(old);
      expect(await call(service, token)).toBe('200');
      const { key: after, apiKey: fresh } = await rotated(await rotate(service, key.id, { mode: 'now' }));
      expect(after).toMatchObject({ keyVersion: 2, secrets: [{ state: 'active', last4: fresh.slice(-4) }] });
      expect(await call(service, token)).toBe('401 token_revoked');
      expect(await works(service, old, fresh)).toEqual([false, true]);
      expect(await call(service, await service.token(fresh))).toBe('200');
    });

    test.each(['overlap', 'first-use'])('%s with no grace: the old secret ends at once', async mode => {
      const { key, apiKey: old } = await service.createKey({});
      const token = await service.token(old);
      const { key: after, apiKey: fresh } = await rotated(await rotate(service, key.id, { mode, grace: 0 }));
      expect(after.secrets).toHaveLength(mode === 'overlap' ? 1 : 2);
      expect(await works(service, fresh)).toEqual([true]);
      expect(await works(service, old)).toEqual([false]);
      expect((await read(service, key.id)).secrets).toHaveLength(1);
      // The mode that ends tokens is `now`.
      expect(await call(service, token)).toBe('200');
    });

    test.each(['overlap', 'first-use'])('%s without a grace: a day', async mode => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: fresh } = await rotated(await rotate(service, key.id, { mode }));
      expect(await works(service, fresh)).toEqual([true]);
      service.clock.advance(day - 60);
      expect(await works(service, old, fresh)).toEqual([true, true]);
      service.clock.advance(61);
      expect(await works(service, old, fresh)).toEqual([false, true]);
    });

    test.each([
      ['overlap', 'overlap'],
      ['overlap', 'first-use'],
      ['overlap', 'now'],
      ['first-use', 'overlap'],
      ['first-use', 'first-use'],
      ['first-use', 'now'],
    ])('during %s no second one by %s: 409, and nothing changes', async (first, second) => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: fresh } = await rotated(await rotate(service, key.id, { mode: first, grace: 60 }));
      const before = await read(service, key.id);
      const answer = await rotate(service, key.id, { mode: second });
      expect(answer.status).toBe(409);
      expect(await answer.json()).toMatchObject({ code: 'conflict' });
      expect(await read(service, key.id)).toEqual(before);
      expect(await works(service, old, fresh)).toEqual([true, true]);
      service.clock.advance(62);
      await rotated(await rotate(service, key.id, { mode: second }));
    });

    test.each(['overlap', 'first-use'])('%s, twenty at once: one wins', async mode => {
      const { key, apiKey: old } = await service.createKey({});
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => rotate(service, key.id, { mode, grace: 60 })),
      );
      expect(statuses(answers)).toEqual({ 201: 1, 409: 19 });
      const winner = await rotated(answers.find(({ status }) => status === 201)!);
      expect((await read(service, key.id)).secrets.map(({ last4 }) => last4)).toEqual([
        old.slice(-4),
        winner.apiKey.slice(-4),
      ]);
      expect(await works(service, winner.apiKey, old)).toEqual([true, true]);
    });

    test('now, five at once: the last one stands, and every other secret is dead', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => rotate(service, key.id, { mode: 'now' })),
      );
      expect(statuses(answers)).toEqual({ 201: 5 });
      const all = await Promise.all(answers.map(rotated));
      const alive = await works(service, ...all.map(({ apiKey }) => apiKey));
      expect(alive.filter(Boolean)).toHaveLength(1);
      expect(await works(service, old)).toEqual([false]);
      const { secrets, keyVersion } = await read(service, key.id);
      expect(secrets.map(({ last4 }) => last4)).toEqual([all[alive.indexOf(true)]?.apiKey.slice(-4)]);
      expect(keyVersion).toBeGreaterThanOrEqual(6);
    });

    test('by several at once in one moment: no two secrets are taken for each other', async () => {
      const moment = Date.now();
      const clock = Object.assign(new TestClock(), { now: () => moment });
      const own = await store.start({ clock });
      for (let round = 0; round < 5; round += 1) {
        const { key } = await own.createKey({});
        const modes = ['now', round % 2 === 0 ? 'overlap' : 'first-use'];
        await Promise.all(modes.map(mode => rotate(own, key.id, { mode })));
        const { secrets } = await read(own, key.id);
        expect(new Set(secrets.map(({ createdAt }) => createdAt)).size).toBe(secrets.length);
      }
    });

    test.each<[string, object, [string, string][], number]>([
      ['a draft', { draft: true }, [], 201],
      ['a key that is not valid yet', { notBefore: '2999-01-01T00:00:00Z' }, [], 201],
      ['a disabled key', {}, [['POST', '/disable']], 409],
      ['a revoked key', {}, [['POST', '/revoke']], 409],
      ['a deleted key', {}, [['DELETE', '']], 404],
    ])('of %s, and it stays as unusable as it was', async (_, fields, steps, status) => {
      for (const mode of ['overlap', 'first-use', 'now']) {
        const { key, apiKey } = await service.createKey({ ...fields });
        for (const [method, path] of steps) {
          expect((await service.admin(method, `/admin/keys/${key.id}${path}`)).ok).toBe(true);
        }
        const answer = await rotate(service, key.id, { mode });
        expect(answer.status).toBe(status);
        const { apiKey: fresh = apiKey } = (await answer.json()) as Partial<Rotated>;
        expect(await works(service, apiKey, fresh)).toEqual([false, false]);
      }
    });

    test('of an expired key: 409, and it stays dead', async () => {
      const expiresAt = new Date(service.clock.now() + 60_000).toISOString();
      const { key, apiKey } = await service.createKey({ expiresAt });
      service.clock.advance(61);
      for (const mode of ['overlap', 'first-use', 'now']) {
        expect((await rotate(service, key.id, { mode })).status).toBe(409);
      }
      expect(await works(service, apiKey)).toEqual([false]);
      expect(await read(service, key.id)).toMatchObject({ status: 'expired', keyVersion: 1 });
    });

    test.each(['overlap', 'first-use'])('%s never outlives the key', async mode => {
      const expiresAt = new Date(service.clock.now() + 120_000).toISOString();
      const { key, apiKey: old } = await service.createKey({ expiresAt });
      const { apiKey: fresh } = await rotated(await rotate(service, key.id, { mode, grace: 10_000 }));
      const newToken = await service.token(fresh);
      expect((await read(service, key.id)).secrets[0]?.retiresAt).toBe(expiresAt);
      for (const token of [newToken, await service.token(old)]) {
        expect(decodeJwt(token).exp).toBeLessThanOrEqual(Date.parse(expiresAt) / 1000);
      }
      service.clock.advance(121);
      expect(await works(service, old, fresh)).toEqual([false, false]);
      expect(await call(service, newToken)).toBe('401 token_expired');
    });

    test.each<[string, unknown]>([
      ['no mode', {}],
      ['an unknown mode', { mode: 'later' }],
      ['a grace for now', { mode: 'now', grace: 5 }],
      ['a negative grace', { mode: 'overlap', grace: -1 }],
      ['a broken grace', { mode: 'overlap', grace: 1.5 }],
      ['a grace that is text', { mode: 'overlap', grace: '60' }],
      ['more than a year', { mode: 'first-use', grace: 31_536_001 }],
      ['an unknown member', { mode: 'overlap', secret: 'mine' }],
    ])('with %s is 422, and nothing changes', async (_, body) => {
      const { key, apiKey } = await service.createKey({});
      const before = await read(service, key.id);
      const answer = await rotate(service, key.id, body as object);
      expect(answer.status).toBe(422);
      expect(await answer.json()).toMatchObject({ code: 'validation_failed' });
      expect(await read(service, key.id)).toEqual(before);
      expect(await works(service, apiKey)).toEqual([true]);
    });

    test.each(['ffffffff-ffff-4fff-bfff-ffffffffffff', 'nothing', '%00', 'owner'])(
      'of %s, which is no key: 404',
      async id => {
        expect((await rotate(service, id, { mode: 'now' })).status).toBe(404);
        expect((await cancel(service, id)).status).toBe(404);
      },
    );
  });

  describe('cancelled', () => {
    test('while the new secret is pending: it is dead, the old one and its tokens live', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const token = await service.token(old);
      const { apiKey: fresh } = await rotated(await rotate(service, key.id, { mode: 'first-use' }));
      const answer = await cancel(service, key.id);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('etag')).not.toBeNull();
      expect(await answer.json()).toMatchObject({
        keyVersion: 1,
        secrets: [{ state: 'active', last4: old.slice(-4), retiresAt: null }],
      });
      expect(await works(service, old, fresh)).toEqual([true, false]);
      expect(await call(service, token)).toBe('200');
      expect((await cancel(service, key.id)).status).toBe(409);
    });

    test.each([
      ['overlap, unused', 'overlap', false],
      ['overlap, used', 'overlap', true],
      ['first-use, used', 'first-use', true],
    ])('%s: the new secret and all tokens are dead, the old one lives on', async (_, mode, isUsed) => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: fresh } = await rotated(await rotate(service, key.id, { mode, grace: 60 }));
      const tokens = [await service.token(old), ...(isUsed ? [await service.token(fresh)] : [])];
      const answer = await cancel(service, key.id);
      expect(await answer.json()).toMatchObject({
        keyVersion: 2,
        secrets: [{ state: 'active', last4: old.slice(-4), retiresAt: null }],
      });
      for (const token of tokens) expect(await call(service, token)).toBe('401 token_revoked');
      expect(await works(service, old, fresh)).toEqual([true, false]);
      service.clock.advance(2 * day);
      expect(await works(service, old)).toEqual([true]);
    });

    test.each([
      ['none was begun', []],
      ['it was now', [{ mode: 'now' }]],
      ['it was without grace', [{ mode: 'overlap', grace: 0 }]],
      ['it has ended', [{ mode: 'overlap', grace: 60 }]],
    ])('where %s: 409, and nothing changes', async (_, rotations) => {
      const { key } = await service.createKey({});
      for (const body of rotations) await rotated(await rotate(service, key.id, body));
      service.clock.advance(61);
      const before = await read(service, key.id);
      expect((await cancel(service, key.id)).status).toBe(409);
      expect(await read(service, key.id)).toEqual(before);
    });

    test('and begun anew: the taken back secret stays dead', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: first } = await rotated(await rotate(service, key.id, { mode: 'first-use' }));
      await cancel(service, key.id);
      const { apiKey: second } = await rotated(await rotate(service, key.id, { mode: 'first-use' }));
      expect(await works(service, old, first)).toEqual([true, false]);
      expect((await read(service, key.id)).secrets[1]?.state).toBe('pending');
      expect(await works(service, second, first)).toEqual([true, false]);
    });

    test('against a first use at the same moment: either the new secret lives, or it never did', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { key, apiKey: old } = await service.createKey({});
        const { apiKey: fresh } = await rotated(
          await rotate(service, key.id, { mode: 'first-use', grace: 60 }),
        );
        const [answer, use] = await Promise.all([cancel(service, key.id), service.exchange(fresh)]);
        expect(answer.status).toBe(200);
        expect(await works(service, old, fresh)).toEqual([true, false]);
        const { access_token: token } = (await use.json()) as { access_token?: string };
        const outcome = token === undefined ? 'none' : await call(service, token);
        expect(['none', '401 token_revoked']).toContain(outcome);
      }
    });
  });

  describe('by the key itself', () => {
    const names: [string, (id: string) => string][] = [
      ['its id', id => id],
      ['its id in braces', id => `{${id.toUpperCase()}}`],
      ['no name', () => ''],
    ];
    test.each(names)('by Basic with %s', async (_, nameOf) => {
      const { key, apiKey: old } = await service.createKey({});
      const { key: after, apiKey: fresh } = await rotated(
        await rotateSelf(service, basic(nameOf(key.id), old), { mode: 'overlap', grace: 60 }),
      );
      expect(after.id).toBe(key.id);
      expect(await works(service, old, fresh)).toEqual([true, true]);
      service.clock.advance(61);
      expect(await works(service, old, fresh)).toEqual([false, true]);
    });

    test('by a Bearer token of its own, which lives on but for now', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const token = await service.token(old);
      const first = await rotated(
        await rotateSelf(service, `Bearer ${token}`, { mode: 'overlap', grace: 60 }),
      );
      expect(first.key.id).toBe(key.id);
      service.clock.advance(61);
      const second = await rotated(await rotateSelf(service, `Bearer ${token}`, { mode: 'now' }));
      expect(await rotateSelf(service, `Bearer ${token}`, { mode: 'now' })).toMatchObject({ status: 401 });
      expect(await works(service, old, first.apiKey, second.apiKey)).toEqual([false, false, true]);
    });

    test('by its pending secret: that is its first use', async () => {
      const { key, apiKey: old } = await service.createKey({});
      const { apiKey: fresh } = await rotated(
        await rotate(service, key.id, { mode: 'first-use', grace: 60 }),
      );
      expect((await rotateSelf(service, basic('', fresh), { mode: 'overlap' })).status).toBe(409);
      expect((await read(service, key.id)).secrets).toMatchObject([
        { state: 'retiring' },
        { state: 'active' },
      ]);
      service.clock.advance(61);
      await rotated(await rotateSelf(service, basic('', fresh), { mode: 'overlap', grace: 60 }));
      expect(await works(service, old)).toEqual([false]);
    });

    test('twenty at once: one wins', async () => {
      const { apiKey } = await service.createKey({});
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          rotateSelf(service, basic('', apiKey), { mode: 'overlap', grace: 60 }),
        ),
      );
      expect(statuses(answers)).toEqual({ 201: 1, 409: 19 });
    });

    test('is refused to all others, and nothing changes', async () => {
      const { key, apiKey } = await service.createKey({});
      const { key: other, apiKey: otherKey } = await service.createKey({});
      const elsewhere = await service.createKey({ audiences: ['https://elsewhere.example.com'] });
      const wrong = apiKey.slice(0, -1) + (apiKey.endsWith('0') ? '1' : '0');
      const refused: [string | undefined, string][] = [
        [undefined, 'credential_missing'],
        [basic(key.id, ''), 'key_invalid'],
        [basic(key.id, wrong), 'key_invalid'],
        [basic(other.id, apiKey), 'key_invalid'],
        [basic('somebody', apiKey), 'key_invalid'],
        ['Basic !', 'key_invalid'],
        ['Bearer nonsense', 'token_invalid'],
        [`Bearer ${apiKey}`, 'token_invalid'],
        [`Bearer ${await service.token(elsewhere.apiKey)}`, 'audience_mismatch'],
      ];
      for (const [authorization, code] of refused) {
        const answer = await rotateSelf(service, authorization, { mode: 'now' });
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toMatch(/^(?:Basic|Bearer)\b/);
        expect(await answer.json()).toMatchObject({ code });
      }
      expect(await works(service, apiKey, otherKey)).toEqual([true, true]);
      expect((await read(service, key.id)).secrets).toHaveLength(1);
    });

    test.each<[string, object, string | undefined]>([
      ['draft', { draft: true }, undefined],
      ['not valid yet', { notBefore: '2999-01-01T00:00:00Z' }, undefined],
      ['disabled', {}, 'disable'],
      ['revoked', {}, 'revoke'],
    ])('is refused to one that is %s, who is told so', async (word, fields, step) => {
      const { key, apiKey } = await service.createKey({ ...fields });
      if (step !== undefined) await service.admin('POST', `/admin/keys/${key.id}/${step}`);
      const answer = await rotateSelf(service, basic('', apiKey), { mode: 'now' });
      expect(answer.status).toBe(401);
      const { code, detail } = (await answer.json()) as { code: string; detail: string };
      expect(code).toBe('key_invalid');
      expect(detail).toMatch(word === 'not valid yet' ? /not valid before 2999/ : new RegExp(word));
      expect((await read(service, key.id)).secrets).toMatchObject([{ last4: apiKey.slice(-4) }]);
    });

    test('from a browser only where the key allows the origin', async () => {
      const { apiKey } = await service.createKey({ corsOrigins: ['https://www.example.com'] });
      const from = (origin: string) =>
        rotateSelf(service, basic('', apiKey), { mode: 'overlap' }, { origin });
      const refused = await from('https://evil.example.com');
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ code: 'origin_not_allowed' });
      await rotated(await from('https://www.example.com'));
    });
  });

  describe('says when and from where each secret was last used', () => {
    test('at once where it was used, and after a restart everywhere', async () => {
      const own = await store.place();
      const first = await store.start({}, own);
      const { key, apiKey: old } = await first.createKey({});
      expect((await read(first, key.id)).secrets).toMatchObject([{ lastUsedAt: null, lastUsedFrom: null }]);
      const before = first.clock.now();
      expect(await works(first, old)).toEqual([true]);
      const [used] = (await read(first, key.id)).secrets;
      expect(used?.lastUsedFrom).toBe('127.0.0.1');
      expect(Date.parse(used?.lastUsedAt ?? '')).toBeGreaterThanOrEqual(before);
      expect(Date.parse(used?.lastUsedAt ?? '')).toBeLessThanOrEqual(first.clock.now());

      const { key: answered, apiKey: fresh } = await rotated(
        await rotate(first, key.id, { mode: 'first-use', grace: 600 }),
      );
      expect(answered.secrets[0]?.lastUsedAt).toBe(used?.lastUsedAt);
      expect((await read(first, key.id)).secrets).toMatchObject([
        { lastUsedAt: used?.lastUsedAt },
        { state: 'pending', lastUsedAt: null },
      ]);
      first.clock.advance(60);
      expect(await works(first, fresh)).toEqual([true]);
      const { secrets } = await read(first, key.id);
      expect(secrets[0]?.lastUsedAt).toBe(used?.lastUsedAt);
      expect(Date.parse(secrets[1]?.lastUsedAt ?? '')).toBeGreaterThanOrEqual(before + 60_000);
      const list = (await (await first.admin('GET', '/admin/keys')).json()) as { items: Key[] };
      expect(list.items.find(({ id }) => id === key.id)?.secrets).toEqual(secrets);

      await first.stop();
      const second = await store.start({ clock: first.clock }, own);
      const answer = await fetch(`http://127.0.0.1:${second.port}/admin/keys/${key.id}`, {
        headers: { authorization: `Bearer ${await second.token(first.ownerKey)}` },
      });
      expect(((await answer.json()) as Key).secrets).toEqual(secrets);
    });

    test('not where it was refused', async () => {
      const { key, apiKey } = await service.createKey({});
      const wrong = apiKey.slice(0, -1) + (apiKey.endsWith('0') ? '1' : '0');
      await service.exchange(wrong);
      expect((await read(service, key.id)).secrets).toMatchObject([{ lastUsedAt: null }]);
    });

    test('also after a rotation was taken back and begun anew', async () => {
      const { key, apiKey: old } = await service.createKey({});
      expect(await works(service, old)).toEqual([true]);
      const [used] = (await read(service, key.id)).secrets;
      for (let round = 0; round < 3; round += 1) {
        service.clock.advance(1);
        const { apiKey } = await rotated(await rotate(service, key.id, { mode: 'overlap' }));
        expect(await works(service, apiKey)).toEqual([true]);
        expect((await read(service, key.id)).secrets[0]?.lastUsedAt).toBe(used?.lastUsedAt);
        expect((await cancel(service, key.id)).status).toBe(200);
      }
    });
  });
});
