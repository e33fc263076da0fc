/** Accounts over HTTP: their names, their access keys, what ends their tokens, and that an owner always remains. */
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

interface Account extends Record<string, unknown> {
  readonly id: string;
  readonly role: string;
  readonly accessKey?: string;
}

const pathOf = (id: string) => `/admin/accounts/${encodeURIComponent(id)}`;

describeOnEachStore('accounts', store => {
  let service: TestService;
  let made = 0;

  beforeAll(async () => {
    service = await store.start();
  });

  const freshName = () => `somebody-${(made += 1)}`;

  /** Calls with the access key given. */
  async function send(
    accessKey: string,
    method: string,
    path: string,
    body?: object,
    { port, token } = service,
  ): Promise<Response> {
    return sendWith(await token(accessKey), method, path, body, {}, port);
  }

  function sendWith(
    token: string,
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
    port = service.port,
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async function accountOf(response: Response, status = 200): Promise<Account> {
    const text = await response.text();
    expect(`${response.status} ${response.ok ? '' : text}`).toBe(`${status} `);
    expect(response.headers.get('cache-control')).toBe('no-store');
    return JSON.parse(text) as Account;
  }

  const create = async (fields: Record<string, unknown> = {}, { admin } = service): Promise<Account> =>
    accountOf(await admin('POST', '/admin/accounts', { id: freshName(), ...fields }), 201);

  async function createAccessKey(id: string, { admin } = service): Promise<string> {
    const answer = await admin('POST', `${pathOf(id)}/access-key`);
    expect(answer.status).toBe(201);
    const { account, accessKey } = (await answer.json()) as { account: Account; accessKey: string };
    expect(account).toMatchObject({ id, accessKey: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
    return accessKey;
  }

  async function createWithKey(
    fields: Record<string, unknown> = {},
    where = service,
  ): Promise<Account & { key: string }> {
    const account = await create(fields, where);
    return { ...account, key: await createAccessKey(account.id, where) };
  }

  async function use(token: string): Promise<string> {
    const answer = await sendWith(token, 'GET', '/admin/keys?limit=1');
    const { code } = (await answer.json()) as { code?: string };
    return code === undefined ? String(answer.status) : `${answer.status} ${code}`;
  }

  describe('have any name', () => {
    test.each([
      'extranet\\anonymous',
      'sitecore\\Admin Ünïcode',
      'team/of/slashes',
      '../../admin',
      'a b+c%20d?e=f#g;h',
      'person@example.com',
      '日本語',
      '...',
      '{braces}',
      'null',
      '__proto__',
      'x'.repeat(200),
    ])('%s', async id => {
      const account = await create({ id });
      expect(account).toEqual({
        id,
        role: 'member',
        permissions: [],
        provider: 'local',
        corsOrigins: [],
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      });
      expect(await accountOf(await service.admin('GET', pathOf(id)))).toEqual(account);
      const token = await service.token(await createAccessKey(id));
      expect(decodeJwt(token)).toMatchObject({ sub: id, feature: 'account-member' });
      const { key } = await service.createKey({ owner: id });
      const owned = await service.admin('GET', `/admin/keys?owner=${encodeURIComponent(id)}`);
      expect(((await owned.json()) as { items: { id: string }[] }).items.map(item => item.id)).toEqual([
        key.id,
      ]);
      expect((await sendWith(token, 'POST', `/admin/keys/${key.id}/rotations`, { mode: 'now' })).status).toBe(
        201,
      );
      expect(await accountOf(await service.admin('PATCH', pathOf(id), { role: 'admin' }))).toMatchObject({
        role: 'admin',
      });
      expect((await service.admin('DELETE', pathOf(id))).status).toBe(204);
      expect((await service.admin('GET', pathOf(id))).status).toBe(404);
    });

    test.each<[string, unknown]>([
      ['none', undefined],
      ['an empty one', ''],
      ['one that no path can hold', '..'],
      ['a number', 7],
      ['a control character', 'a\u0000b'],
      ['a line break', 'a\nb'],
      ['a control character beyond ASCII', 'a\u0085b'],
      ['half a character', 'a\ud800'],
      ['201 characters', 'x'.repeat(201)],
      ['200 characters of four bytes', '\u{1f600}'.repeat(200)],
    ])('but not %s', async (_, id) => {
      expect((await service.admin('POST', '/admin/accounts', { id })).status).toBe(422);
      expect(
        (await service.admin('POST', '/admin/keys', { name: 'x', feature: 'connections', owner: id ?? '' }))
          .status,
      ).toBe(422);
    });

    test.each(['%00', '%0A', '%C2%85', encodeURIComponent('\u{1f600}'.repeat(200)), 'nobody'])(
      'that can be found: case %# is 404',
      async id => {
        const path = `/admin/accounts/${id}`;
        for (const [method, at, body] of [
          ['GET', ''],
          ['PATCH', '', { role: 'admin' }],
          ['DELETE', ''],
          ['POST', '/access-key'],
          ['DELETE', '/access-key'],
        ] as const) {
          expect((await service.admin(method, path + at, body)).status).toBe(404);
        }
      },
    );

    test('once', async () => {
      const { id } = await create();
      expect((await service.admin('POST', '/admin/accounts', { id, role: 'owner' })).status).toBe(409);
      const twin = freshName();
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => service.admin('POST', '/admin/accounts', { id: twin })),
      );
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409, 409, 409, 409]);
    });
  });

  describe('are listed', () => {
    test('by name, page by page, each once', async () => {
      const names = await Promise.all(Array.from({ length: 7 }, async () => (await create()).id));
      const seen: string[] = [];
      let query = '?limit=2';
      for (let page = 0; page < 100 && query !== ''; page += 1) {
        const answer = await service.admin('GET', `/admin/accounts${query}`);
        const { items, next } = (await answer.json()) as { items: Account[]; next: string | null };
        expect(items.length).toBeLessThanOrEqual(2);
        seen.push(...items.map(({ id }) => id));
        query = next === null ? '' : `?limit=2&cursor=${encodeURIComponent(next)}`;
      }
      expect(query).toBe('');
      expect(new Set(seen).size).toBe(seen.length);
      for (const name of names) expect(seen).toContain(name);
      expect(seen).toEqual(seen.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    });

    test.each(['cursor=', `cursor=${'x'.repeat(201)}`, 'limit=0', 'limit=101', 'role=owner'])(
      'not by %s',
      async query => {
        const answer = await service.admin('GET', `/admin/accounts?${query}`);
        expect(answer.status).toBe(400);
        expect(await answer.text()).not.toContain('"items"');
      },
    );

    test('with a parameter that stands twice are refused', async () => {
      const response = await service.admin('GET', '/admin/accounts?limit=1&limit=2');
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ code: 'malformed_request' });
    });
    test.each(['%00', '%C2%85', '%F0%9F%98%80'])('from %s, which is no name but a place', async cursor => {
      expect((await service.admin('GET', `/admin/accounts?cursor=${cursor}`)).status).toBe(200);
    });
  });

  describe('refuse what is not theirs', () => {
    test.each<[Record<string, unknown>]>([
      [{ permissions: ['keyturn:keys:manage'] }],
      [{ permissions: ['keyturn:accounts:read', 'personalize.flows:read'] }],
      [{ permissions: ['two scopes'] }],
      [{ permissions: [''] }],
      [{ permissions: 'personalize.flows:read' }],
      [{ role: 'root' }],
      [{ role: null }],
      [{ provider: 'ldap' }],
      [{ corsOrigins: ['https://example.com/path'] }],
      [{ accessKey: 'ffffffff-ffff-4fff-bfff-ffffffffffff' }],
      [{ createdAt: 0 }],
    ])('%j', async fields => {
      expect((await service.admin('POST', '/admin/accounts', { id: freshName(), ...fields })).status).toBe(
        422,
      );
      const { id, ...before } = await create();
      expect((await service.admin('PATCH', pathOf(id), fields)).status).toBe(422);
      expect(await accountOf(await service.admin('GET', pathOf(id)))).toEqual({ id, ...before });
    });

    test('another name by PATCH', async () => {
      const { id } = await create();
      expect((await service.admin('PATCH', pathOf(id), { id: freshName() })).status).toBe(422);
    });
  });

  test('have permissions beside their role, and origins for their access key', async () => {
    const { key } = await createWithKey({
      permissions: ['personalize.flows:read'],
      corsOrigins: 'https://www.example.com;https://other.example.com',
    });
    const token = await service.token(key);
    expect(decodeJwt(token)).toMatchObject({
      scope: 'keyturn:keys:read keyturn:own_keys:update personalize.flows:read',
      allowed_origins: ['https://www.example.com', 'https://other.example.com'],
      aud: service.url,
    });
    const from = async (origin: string) =>
      (await sendWith(token, 'GET', '/admin/keys', undefined, { origin })).status;
    expect(await from('https://www.example.com')).toBe(200);
    expect(await from('https://evil.example.com')).toBe(403);
  });

  describe('an ETag', () => {
    test('lets one of two at once change the account', async () => {
      const { id } = await create();
      const etag = (await service.admin('GET', pathOf(id))).headers.get('etag') ?? '';
      const owner = await service.token(service.ownerKey);
      const answers = await Promise.all(
        [['personalize.flows:read'], ['personalize.flows:manage']].map(permissions =>
          sendWith(owner, 'PATCH', pathOf(id), { permissions }, { 'if-match': etag }),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter(status => status === 200)).toHaveLength(1);
      expect([409, 412]).toContain(statuses.find(status => status !== 200));
      for (const method of ['PATCH', 'DELETE']) {
        const late = await sendWith(
          owner,
          method,
          pathOf(id),
          method === 'PATCH' ? { role: 'admin' } : undefined,
          { 'if-match': etag },
        );
        expect(late.status).toBe(412);
      }
    });
  });

  describe('an access key', () => {
    test('comes once, and a new one replaces the old at once, with its tokens', async () => {
      const { id, key: old } = await createWithKey();
      const token = await service.token(old);
      expect(await use(token)).toBe('200');
      const fresh = await createAccessKey(id);
      expect(await use(token)).toBe('401 token_revoked');
      expect((await service.exchange(old)).status).toBe(401);
      expect(await use(await service.token(fresh))).toBe('200');
      expect(await (await service.admin('GET', pathOf(id))).text()).not.toMatch(/kt_|hash|pepper/);
    });

    test('of many made at once one works', async () => {
      const { id } = await create();
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => service.admin('POST', `${pathOf(id)}/access-key`)),
      );
      for (const { status } of answers) expect([201, 409]).toContain(status);
      const keys = await Promise.all(
        answers
          .filter(({ ok }) => ok)
          .map(async answer => ((await answer.json()) as { accessKey: string }).accessKey),
      );
      const outcomes = await Promise.all(keys.map(async key => (await service.exchange(key)).status));
      expect(outcomes.filter(status => status === 200)).toHaveLength(1);
    });

    test('that is taken away is dead, and cannot be taken away again', async () => {
      const { id, key } = await createWithKey();
      const token = await service.token(key);
      expect((await service.admin('DELETE', `${pathOf(id)}/access-key`)).status).toBe(204);
      expect(await use(token)).toBe('401 token_revoked');
      expect((await service.exchange(key)).status).toBe(401);
      expect(await accountOf(await service.admin('GET', pathOf(id)))).not.toHaveProperty('accessKey');
      expect((await service.admin('DELETE', `${pathOf(id)}/access-key`)).status).toBe(404);
    });

    test('that was revoked by its holder can be replaced', async () => {
      const { id, key } = await createWithKey();
      const revoked = await fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token: key }),
      });
      expect(revoked.status).toBe(200);
      expect((await service.exchange(key)).status).toBe(401);
      expect((await service.exchange(await createAccessKey(id))).status).toBe(200);
    });

    test('is not for external accounts', async () => {
      const { id } = await create({ provider: 'external' });
      expect((await service.admin('POST', `${pathOf(id)}/access-key`)).status).toBe(409);
      await service.admin('PATCH', pathOf(id), { provider: 'local' });
      const key = await createAccessKey(id);
      const token = await service.token(key);
      const after = await accountOf(await service.admin('PATCH', pathOf(id), { provider: 'external' }));
      expect(after).not.toHaveProperty('accessKey');
      expect(await use(token)).toBe('401 token_revoked');
      expect((await service.exchange(key)).status).toBe(401);
    });
  });

  describe('what takes rights away ends the tokens at once', () => {
    test.each<[string, Record<string, unknown>, object]>([
      ['a lower role', { role: 'admin' }, { role: 'member' }],
      ['another role', { role: 'member' }, { role: 'admin' }],
      ['fewer permissions', { permissions: ['personalize.flows:read'] }, { permissions: [] }],
      ['fewer origins', { corsOrigins: ['https://example.com'] }, { corsOrigins: [] }],
    ])('%s', async (_, fields, change) => {
      const { id, key } = await createWithKey(fields);
      const token = await service.token(key);
      expect(await use(token)).toBe('200');
      await accountOf(await service.admin('PATCH', pathOf(id), change));
      expect(await use(token)).toBe('401 token_revoked');
      expect(await use(await service.token(key))).toBe('200');
    });

    test.each<[string, Record<string, unknown>, object]>([
      ['more permissions', {}, { permissions: ['personalize.flows:read'] }],
      ['more origins', {}, { corsOrigins: ['https://example.com'] }],
      ['nothing', {}, {}],
      ['the same role', { role: 'admin' }, { role: 'admin' }],
    ])('but not %s', async (_, fields, change) => {
      const { id, key } = await createWithKey(fields);
      const token = await service.token(key);
      await accountOf(await service.admin('PATCH', pathOf(id), change));
      expect(await use(token)).toBe('200');
    });

    test('and so does the end of the account', async () => {
      const { id, key } = await createWithKey({ role: 'owner' });
      const token = await service.token(key);
      expect((await service.admin('DELETE', pathOf(id))).status).toBe(204);
      expect(await use(token)).toBe('401 token_revoked');
      expect((await service.exchange(key)).status).toBe(401);
      // Nor does another account of the name bring them back.
      await create({ id, role: 'owner' });
      expect(await use(token)).toBe('401 token_revoked');
      expect((await service.exchange(key)).status).toBe(401);
      expect((await service.admin('DELETE', pathOf(id))).status).toBe(204);
    });
  });

  test('ends with its access key, also where somebody ends that at the same moment', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id } = await createWithKey({ role: 'owner' });
      const [whole, key] = await Promise.all([
        service.admin('DELETE', pathOf(id)),
        service.admin('DELETE', `${pathOf(id)}/access-key`),
      ]);
      const left = (await service.admin('GET', pathOf(id))).status;
      // Whoever is told that there is no such account is to find none.
      expect([[204, 404].includes(whole.status) ? 404 : 200, whole.status === 404]).toEqual([left, false]);
      expect([204, 404, 409]).toContain(key.status);
      const again = await service.admin('DELETE', pathOf(id));
      expect(again.status).toBe(left === 200 ? 204 : 404);
    }
  });

  describe('the last owner', () => {
    test.each<[string, string, object | undefined]>([
      ['is not deleted', 'DELETE', undefined],
      ['is not made an admin', 'PATCH', { role: 'admin' }],
      ['is not made a member', 'PATCH', { role: 'member' }],
    ])('%s: 409', async (_, method, body) => {
      const answer = await service.admin(method, '/admin/accounts/owner', body);
      expect(answer.status).toBe(409);
      expect(await answer.json()).toMatchObject({ code: 'conflict' });
      expect(await accountOf(await service.admin('GET', '/admin/accounts/owner'))).toMatchObject({
        role: 'owner',
      });
    });

    test('may go once there is another', async () => {
      const second = await createWithKey({ role: 'owner' });
      const asSecond = (method: string, path: string, body?: object) => send(second.key, method, path, body);
      expect((await asSecond('PATCH', '/admin/accounts/owner', { role: 'admin' })).status).toBe(200);
      expect((await asSecond('DELETE', pathOf(second.id))).status).toBe(409);
      expect((await asSecond('PATCH', '/admin/accounts/owner', { role: 'owner' })).status).toBe(200);
      expect((await service.admin('DELETE', pathOf(second.id))).status).toBe(204);
    });

    test.each<[string, string, object | undefined]>([
      ['demote', 'PATCH', { role: 'member' }],
      ['delete', 'DELETE', undefined],
    ])('remains where two %s each other at once', async (_, method, body) => {
      for (let round = 0; round < 3; round += 1) {
        const own = await store.start();
        const second = await createWithKey({ role: 'owner' }, own);
        const tokens = await Promise.all([own.token(own.ownerKey), own.token(second.key)]);
        const answers = await Promise.all([
          sendWith(tokens[0], method, pathOf(second.id), body, {}, own.port),
          sendWith(tokens[1], method, '/admin/accounts/owner', body, {}, own.port),
        ]);
        const statuses = answers.map(({ status }) => status);
        expect(statuses.filter(status => status < 300)).toHaveLength(1);
        // The loser is told that it is the last one, or has lost its rights already.
        expect([401, 403, 409]).toContain(statuses.find(status => status >= 300));
        const winner = statuses[0]! < 300 ? own.ownerKey : second.key;
        expect((await send(winner, 'GET', '/admin/accounts', undefined, own)).status).toBe(200);
        await own.stop();
      }
    });

    test('remains where the same other one is demoted by many at once', async () => {
      for (let round = 0; round < 3; round += 1) {
        const { id } = await create({ role: 'owner' });
        const answers = await Promise.all(
          ['admin', 'member', 'admin', 'member', 'owner'].map(role =>
            service.admin('PATCH', pathOf(id), { role }),
          ),
        );
        for (const { status } of answers) expect([200, 409]).toContain(status);
        await accountOf(await service.admin('PATCH', pathOf(id), { role: 'member' }));
        expect((await service.admin('PATCH', '/admin/accounts/owner', { role: 'member' })).status).toBe(409);
      }
    });
  });
});
