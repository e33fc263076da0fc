/** Who may do what: every call of the admin API by every kind of caller. */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const callers = ['nobody', 'key', 'member', 'admin', 'owner'] as const;
type Caller = (typeof callers)[number];

interface Call {
  /** As in the route table. */
  readonly route: string;
  /** What stands for `:id`: made anew for every caller. */
  readonly of?: 'key' | 'own key' | 'account' | 'keyed account';
  readonly body?: object;
  /** The statuses for the callers, in their order. */
  readonly statuses: readonly [number, number, number, number, number];
}

/** Every route, some for several cases. */
const calls: readonly Call[] = [
  {
    route: 'POST /admin/keys',
    body: { name: 'New', feature: 'connections' },
    statuses: [401, 403, 403, 201, 201],
  },
  { route: 'GET /admin/keys', statuses: [401, 403, 200, 200, 200] },
  { route: 'GET /admin/keys/:id', of: 'key', statuses: [401, 403, 200, 200, 200] },
  { route: 'PATCH /admin/keys/:id', of: 'key', body: { name: 'New' }, statuses: [401, 403, 403, 200, 200] },
  {
    route: 'PATCH /admin/keys/:id',
    of: 'own key',
    body: { name: 'New' },
    statuses: [401, 403, 403, 200, 200],
  },
  { route: 'DELETE /admin/keys/:id', of: 'key', statuses: [401, 403, 403, 403, 204] },
  { route: 'DELETE /admin/keys/:id', of: 'own key', statuses: [401, 403, 403, 403, 204] },
  { route: 'POST /admin/keys/:id/publish', of: 'key', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /admin/keys/:id/disable', of: 'key', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /admin/keys/:id/enable', of: 'key', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /admin/keys/:id/revoke', of: 'key', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /admin/keys/:id/revoke', of: 'own key', statuses: [401, 403, 403, 200, 200] },
  {
    route: 'POST /admin/keys/:id/rotations',
    of: 'key',
    body: { mode: 'now' },
    statuses: [401, 403, 403, 201, 201],
  },
  {
    route: 'POST /admin/keys/:id/rotations',
    of: 'own key',
    body: { mode: 'now' },
    statuses: [401, 403, 201, 201, 201],
  },
  { route: 'DELETE /admin/keys/:id/rotations/current', of: 'key', statuses: [401, 403, 403, 409, 409] },
  { route: 'DELETE /admin/keys/:id/rotations/current', of: 'own key', statuses: [401, 403, 409, 409, 409] },
  { route: 'POST /admin/accounts', body: { id: '#' }, statuses: [401, 403, 403, 403, 201] },
  { route: 'GET /admin/accounts', statuses: [401, 403, 403, 200, 200] },
  { route: 'GET /admin/accounts/:id', of: 'account', statuses: [401, 403, 403, 200, 200] },
  {
    route: 'PATCH /admin/accounts/:id',
    of: 'account',
    body: { role: 'admin' },
    statuses: [401, 403, 403, 403, 200],
  },
  { route: 'DELETE /admin/accounts/:id', of: 'account', statuses: [401, 403, 403, 403, 204] },
  { route: 'POST /admin/accounts/:id/access-key', of: 'account', statuses: [401, 403, 403, 403, 201] },
  {
    route: 'DELETE /admin/accounts/:id/access-key',
    of: 'keyed account',
    statuses: [401, 403, 403, 403, 204],
  },
  { route: 'GET /admin/audit', statuses: [401, 403, 403, 200, 200] },
  { route: 'GET /admin/audit/verification', statuses: [401, 403, 403, 200, 200] },
  { route: 'GET /admin/features', statuses: [401, 403, 403, 200, 200] },
  { route: 'GET /admin/controllers', statuses: [401, 403, 403, 200, 200] },
  { route: 'GET /admin/signing-keys', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /admin/signing-keys/rotate', statuses: [401, 403, 403, 403, 201] },
  {
    route: 'POST /admin/signing-keys',
    body: { jwk: makePrivateJwk() },
    statuses: [401, 403, 403, 403, 201],
  },
  { route: 'POST /admin/signing-keys/:kid/revoke', statuses: [401, 403, 403, 403, 404] },
  { route: 'GET /admin/peppers', statuses: [401, 403, 403, 200, 200] },
];

function makePrivateJwk(): JsonWebKey {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
}

describe('the table of this test', () => {
  test('knows every route of the admin API, and no other', async () => {
    const source = await readFile(new URL('../../src/server/routes/admin.ts', import.meta.url), 'utf8');
    const routes = [...source.matchAll(/router\s*\.(\w+)\(\s*(['"`])(.*?)\2/g)].map(
      ([, method = '', , path = '']) => `${method.toUpperCase()} ${path}`,
    );
    expect(routes.length).toBe(source.split('router.').length - 1);
    const known = new Set([...calls.map(({ route }) => route), 'POST /keys/self/rotations']);
    expect([...new Set(routes)].sort()).toEqual([...known].sort());
  });
});

describeOnEachStore('roles', store => {
  let service: TestService;
  const keys: Partial<Record<Caller, string>> = {};
  let made = 0;

  async function send(
    caller: string | undefined,
    method: string,
    path: string,
    body?: object,
  ): Promise<Response> {
    const authorization = caller === undefined ? undefined : `Bearer ${await service.token(caller)}`;
    return sendWith(authorization, method, path, body);
  }

  function sendWith(
    authorization: string | undefined,
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  const as = (caller: Caller, method: string, path: string, body?: object) =>
    send(caller === 'nobody' ? undefined : keys[caller], method, path, body);
  const pathOf = (id: string) => `/admin/accounts/${encodeURIComponent(id)}`;
  const freshName = () => `somebody-${(made += 1)}`;

  /** An account with an access key. */
  async function createAccount(
    fields: Record<string, unknown> = {},
  ): Promise<{ id: string; accessKey: string }> {
    const id = typeof fields['id'] === 'string' ? fields['id'] : freshName();
    const created = await service.admin('POST', '/admin/accounts', { id, ...fields });
    expect(created.status).toBe(201);
    return { id, accessKey: await createAccessKey(id) };
  }

  async function createAccessKey(id: string): Promise<string> {
    const answer = await service.admin('POST', `${pathOf(id)}/access-key`);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    return ((await answer.json()) as { accessKey: string }).accessKey;
  }

  /** What the token may be used for now: the status of a call, and its code. */
  async function use(token: string, path = '/admin/keys'): Promise<string> {
    const answer = await sendWith(`Bearer ${token}`, 'GET', path);
    const { code } = (await answer.json()) as { code?: string };
    return code === undefined ? String(answer.status) : `${answer.status} ${code}`;
  }

  beforeAll(async () => {
    service = await store.start();
    keys.owner = service.ownerKey;
    keys.key = service.sampleKey;
    keys.admin = (await createAccount({ id: 'the-admin', role: 'admin' })).accessKey;
    keys.member = (await createAccount({ id: 'the-member' })).accessKey;
  });

  describe('of an account decide over every call', () => {
    const cases = calls.flatMap(call =>
      callers.map((caller, place): [string, Caller, number, Call] => [
        `${call.route}${call.of === 'own key' ? ', a key of the member' : ''}`,
        caller,
        call.statuses[place]!,
        call,
      ]),
    );
    test.each(cases)('%s by %s: %i', async (_, caller, status, { route, of, body }) => {
      const id = of === undefined ? '' : await subject(of);
      const [method = '', path = ''] = route.split(' ');
      const text = JSON.stringify(body)?.replace('#', freshName());
      const before = of?.endsWith('key') === true ? await stateOf(id) : undefined;
      const answer = await as(
        caller,
        method,
        path.replace(':id', id),
        text === undefined ? undefined : (JSON.parse(text) as object),
      );
      expect(answer.status).toBe(status);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      const after = before === undefined || status < 400 ? before : await stateOf(id);
      expect(after).toEqual(before);
    });

    async function subject(of: NonNullable<Call['of']>): Promise<string> {
      if (of === 'keyed account') return (await createAccount()).id;
      if (of === 'account') {
        const id = freshName();
        await service.admin('POST', '/admin/accounts', { id });
        return id;
      }
      return (await service.createKey(of === 'own key' ? { owner: 'the-member' } : {})).key.id;
    }

    async function stateOf(id: string): Promise<unknown> {
      return (await service.admin('GET', `/admin/keys/${id}`)).json();
    }
  });

  describe('without a credential that counts', () => {
    test.each<[string, () => string | undefined]>([
      ['none', () => undefined],
      ['an empty one', () => ''],
      ['admin:admin', () => `Basic ${btoa('admin:admin')}`],
      ['owner:', () => `Basic ${btoa('owner:')}`],
      ["the owner's key itself", () => `Bearer ${service.ownerKey}`],
      ["the owner's key by Basic", () => `Basic ${btoa(`owner:${service.ownerKey}`)}`],
      ['null', () => 'Bearer null'],
    ])('%s: every route is 401', async (_, authorization) => {
      for (const { route } of calls) {
        const [method = '', path = ''] = route.split(' ');
        const answer = await sendWith(authorization(), method, path.replace(':id', 'owner'));
        expect([route, answer.status]).toEqual([route, 401]);
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
      }
    });

    test.each([
      '/admin',
      '/admin/',
      '/admin/keys/',
      '/Admin/keys',
      '/admin//keys',
      '/admin/keys/../accounts',
      '/debug',
      '/env',
      '/actuator',
      '/graphql',
      '/setup',
      '/console/setup',
    ])('%s opens nothing', async path => {
      for (const method of ['GET', 'POST']) {
        const answer = await sendWith(undefined, method, path);
        expect([401, 404, 405]).toContain(answer.status);
      }
    });

    test('headers that name a user name nobody', async () => {
      const names = {
        'x-user': 'owner',
        'x-forwarded-user': 'owner',
        'x-role': 'owner',
        'x-remote-user': 'owner',
      };
      expect((await sendWith(undefined, 'GET', '/admin/accounts', undefined, names)).status).toBe(401);
    });

    test('a token for another audience is none here', async () => {
      const key = await service.createKey({ audiences: ['https://elsewhere.example.com'] });
      expect(await use(await service.token(key.apiKey))).toBe('401 audience_mismatch');
    });
  });

  describe('nobody rises by himself', () => {
    test.each<[Caller, string, string, object]>([
      ['member', 'PATCH', '/admin/accounts/the-member', { role: 'owner' }],
      ['member', 'PATCH', '/admin/accounts/the-member', { permissions: ['keyturn:accounts:manage'] }],
      ['member', 'POST', '/admin/accounts', { id: 'mine', role: 'owner' }],
      ['member', 'POST', '/admin/accounts/owner/access-key', {}],
      ['member', 'POST', '/admin/accounts/the-member/access-key', {}],
      ['admin', 'PATCH', '/admin/accounts/the-admin', { role: 'owner' }],
      ['admin', 'PATCH', '/admin/accounts/the-member', { role: 'admin' }],
      ['admin', 'PATCH', '/admin/accounts/owner', { role: 'member' }],
      ['admin', 'POST', '/admin/accounts', { id: 'mine', role: 'owner' }],
      ['admin', 'POST', '/admin/accounts/owner/access-key', {}],
      ['admin', 'DELETE', '/admin/accounts/the-member', {}],
      ['admin', 'DELETE', '/admin/accounts/owner/access-key', {}],
    ])('%s: %s %s %j is 403', async (caller, method, path, body) => {
      const before = await (await service.admin('GET', '/admin/accounts')).text();
      expect((await as(caller, method, path, body)).status).toBe(403);
      expect(await (await service.admin('GET', '/admin/accounts')).text()).toBe(before);
    });

    test.each<[object]>([
      [{ feature: 'account-owner' }],
      [{ feature: 'account-admin' }],
      [{ feature: 'connections', scopes: ['keyturn:accounts:manage'] }],
      [{ feature: 'connections', allowedControllers: ['Keyturn.Accounts'] }],
      [{ feature: 'connections', account: 'owner' }],
      [{ feature: 'connections', claims: { scope: 'keyturn:accounts:manage' } }],
    ])('an admin makes no key with %j', async fields => {
      expect((await as('admin', 'POST', '/admin/keys', { name: 'Wide', ...fields })).status).toBe(422);
    });

    test.each(['the-admin', 'owner'])(
      'a key that acts as %s has no more rights than its feature',
      async user => {
        const { apiKey } = await service.createKey({ impersonationUser: user, audiences: [service.url] });
        const token = await service.token(apiKey);
        expect(await use(token)).toBe('403 controller_not_allowed');
        const { key } = await service.createKey({ owner: user });
        const answer = await sendWith(`Bearer ${token}`, 'POST', `/admin/keys/${key.id}/rotations`, {
          mode: 'now',
        });
        expect(answer.status).toBe(403);
      },
    );

    test('a scope that the role does not have is not granted', async () => {
      for (const scope of ['keyturn:accounts:manage', 'keyturn:keys:manage', 'keyturn:keys:delete']) {
        expect((await service.exchange(keys.admin ?? '', { scope })).status).toBe(400);
      }
      const narrow = await service.token(keys.admin ?? '', { scope: 'keyturn:keys:read' });
      expect(await use(narrow)).toBe('200');
      const answer = await sendWith(`Bearer ${narrow}`, 'POST', '/admin/keys', {
        name: 'New',
        feature: 'connections',
      });
      expect(answer.status).toBe(403);
    });

    test('an access key is no key of the list, and cannot be changed as one', async () => {
      const { accessKey } = (await (await service.admin('GET', '/admin/accounts/the-admin')).json()) as {
        accessKey: string;
      };
      for (const [method, path] of [
        ['GET', ''],
        ['PATCH', ''],
        ['DELETE', ''],
        ['POST', '/revoke'],
        ['POST', '/rotations'],
      ] as const) {
        const body = method === 'PATCH' ? { name: 'Mine' } : method === 'POST' ? { mode: 'now' } : undefined;
        expect((await service.admin(method, `/admin/keys/${accessKey}${path}`, body)).status).toBe(404);
      }
    });
  });

  describe('a member rotates the keys that it owns', () => {
    test('and cancels that, and loses it with the key', async () => {
      const { key } = await service.createKey({ owner: 'the-member' });
      const path = `/admin/keys/${key.id}/rotations`;
      expect((await as('member', 'POST', path, { mode: 'first-use' })).status).toBe(201);
      expect((await as('member', 'DELETE', `${path}/current`)).status).toBe(200);
      await service.admin('PATCH', `/admin/keys/${key.id}`, { owner: 'the-admin' });
      const refused = await as('member', 'POST', path, { mode: 'now' });
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ code: 'role_not_allowed' });
      await service.admin('PATCH', `/admin/keys/${key.id}`, { owner: null });
      expect((await as('member', 'POST', path, { mode: 'now' })).status).toBe(403);
    });
  });
});
