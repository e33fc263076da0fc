/** The life of a key over HTTP: what each change makes of it, and of the tokens that are out. */
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

interface Key extends Record<string, unknown> {
  readonly id: string;
  readonly status: string;
  readonly keyVersion: number;
}

type Fields = Record<string, unknown>;

const [flows, templates, models, connections] = [
  'Personalize.Flows',
  'Personalize.Templates',
  'Personalize.DecisionModels',
  'Personalize.Connections',
];
const [here, there] = ['https://here.example.com', 'https://there.example.com'];

describeOnEachStore('the life of a key', store => {
  let service: TestService;
  let owner: string;

  beforeAll(async () => {
    service = await store.start();
  });

  /** Calls the admin API as the owner, with a token that no clock of a test has outlived. */
  async function send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    owner = await service.token(service.ownerKey);
    return fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${owner}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  }

  async function create(fields: Fields = {}): Promise<{ key: Key; apiKey: string }> {
    return (await service.createKey({ feature: 'multiple-resources', ...fields })) as {
      key: Key;
      apiKey: string;
    };
  }

  async function keyOf(response: Response): Promise<Key> {
    const text = await response.text();
    expect(`${response.status} ${response.ok ? '' : text}`).toBe('200 ');
    expect(response.headers.get('etag')).toMatch(/^"[\w-]{22}"$/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    return JSON.parse(text) as Key;
  }

  const read = async (id: string) => keyOf(await send('GET', `/admin/keys/${id}`));
  const patch = (id: string, fields: unknown, headers?: Record<string, string>) =>
    send('PATCH', `/admin/keys/${id}`, fields, headers);
  const step = (id: string, name: string) => send('POST', `/admin/keys/${id}/${name}`);
  const etagOf = async (id: string) => (await send('GET', `/admin/keys/${id}`)).headers.get('etag') ?? '';
  const inSeconds = (seconds: number) => new Date(service.clock.now() + seconds * 1000).toISOString();

  /** Whether the token is dead by its key's version; whatever else may be said of it. */
  async function isRevoked(token: string): Promise<boolean> {
    const response = await fetch(`http://127.0.0.1:${service.port}/v2/connections`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { code } = (await response.json()) as { code?: string };
    return code === 'token_revoked';
  }

  describe('a change that narrows raises the version, and ends every token', () => {
    const cases: [string, Fields, () => Fields][] = [
      ['scopes, from all', {}, () => ({ scopes: ['personalize.flows:manage'] })],
      [
        'scopes, from manage to read',
        { scopes: ['personalize.flows:manage'] },
        () => ({ scopes: ['personalize.flows:read'] }),
      ],
      [
        'scopes, one fewer',
        { scopes: ['personalize.flows:read', 'personalize.templates:read'] },
        () => ({ scopes: ['personalize.flows:read'] }),
      ],
      ['controllers, from all', {}, () => ({ allowedControllers: [flows] })],
      ['controllers, to none', {}, () => ({ allowedControllers: [] })],
      [
        'controllers, one fewer',
        { allowedControllers: [flows, models] },
        () => ({ allowedControllers: flows }),
      ],
      ['controllers, from *', { allowedControllers: ['*'] }, () => ({ allowedControllers: [flows] })],
      ['origins, one fewer', { corsOrigins: [here, there] }, () => ({ corsOrigins: [here] })],
      ['origins, from *', { corsOrigins: ['*'] }, () => ({ corsOrigins: [here] })],
      ['origins, removed', { corsOrigins: [here] }, () => ({ corsOrigins: null })],
      ['audiences, from the default', {}, () => ({ audiences: [here] })],
      ['audiences, one fewer', { audiences: [here, there] }, () => ({ audiences: [there] })],
      ['audiences, removed', { audiences: [here] }, () => ({ audiences: null })],
      ['doors', { doors: ['token', 'sc_apikey'] }, () => ({ doors: ['token'] })],
      ['doors, removed', { doors: ['token', 'sc_apikey'] }, () => ({ doors: null })],
      ['expiresAt, from none', {}, () => ({ expiresAt: inSeconds(3600) })],
      ['expiresAt, earlier', { expiresAt: '2998-01-01T00:00:00Z' }, () => ({ expiresAt: inSeconds(3600) })],
      ['notBefore, from none', {}, () => ({ notBefore: inSeconds(3600) })],
      ['tokenTtl, from the default', {}, () => ({ tokenTtl: 60 })],
      ['tokenTtl, shorter', { tokenTtl: 900 }, () => ({ tokenTtl: 899 })],
      ['tokenTtl, from long to the default', { tokenTtl: 86_400 }, () => ({ tokenTtl: null })],
      ['another user', { impersonationUser: 'somebody' }, () => ({ impersonationUser: 'nobody' })],
      ['a user, from none', {}, () => ({ impersonationUser: 'somebody' })],
      ['no user', { impersonationUser: 'somebody' }, () => ({ impersonationUser: null })],
      ['a claim', {}, () => ({ claims: { 'https://example.com/tier': 'gold' } })],
      [
        'another value of a claim',
        { claims: { 'https://example.com/tier': 'gold' } },
        () => ({ claims: { 'https://example.com/tier': 'tin' } }),
      ],
      ['no claims', { claims: { 'https://example.com/tier': 'gold' } }, () => ({ claims: null })],
      [
        'data that tokens carry',
        { customData: { site: 'a' }, customDataInToken: ['site'] },
        () => ({ customData: { site: 'b' } }),
      ],
      [
        'which data tokens carry',
        { customData: { site: 'a' }, customDataInToken: ['site'] },
        () => ({ customDataInToken: null }),
      ],
      ['another feature', {}, () => ({ feature: 'connections' })],
    ];
    test.each(cases)('%s', async (_, fields, change) => {
      const { key, apiKey } = await create(fields);
      const token = await service.token(apiKey);
      expect(await isRevoked(token)).toBe(false);
      const after = await keyOf(await patch(key.id, change()));
      expect(after.keyVersion).toBe(2);
      expect(await isRevoked(token)).toBe(true);
    });
  });

  describe('a change that widens, or has no bearing on tokens, leaves them alive', () => {
    const cases: [string, Fields, () => Fields][] = [
      ['nothing', {}, () => ({})],
      ['a name', {}, () => ({ name: 'Another name' })],
      ['no owner', {}, () => ({ owner: null })],
      ['an owner', { owner: 'owner' }, () => ({ owner: 'owner' })],
      ['data that tokens do not carry', { customData: { site: 'a' } }, () => ({ customData: { site: 'b' } })],
      ['scopes, to all', { scopes: ['personalize.flows:read'] }, () => ({ scopes: null })],
      [
        'scopes, from read to manage',
        { scopes: ['personalize.flows:read'] },
        () => ({ scopes: ['personalize.flows:manage'] }),
      ],
      [
        'scopes in another order',
        { scopes: ['personalize.flows:read', 'personalize.templates:read'] },
        () => ({ scopes: ['personalize.templates:read', 'personalize.flows:read'] }),
      ],
      [
        'controllers, one more',
        { allowedControllers: [flows] },
        () => ({ allowedControllers: [models, flows] }),
      ],
      ['controllers, to all', { allowedControllers: [flows] }, () => ({ allowedControllers: null })],
      ['controllers, to *', { allowedControllers: [flows] }, () => ({ allowedControllers: '*' })],
      [
        'all controllers by name',
        {},
        () => ({ allowedControllers: [connections, flows, models, templates].join(';') }),
      ],
      ['origins, from none', {}, () => ({ corsOrigins: here })],
      ['origins, one more', { corsOrigins: [here] }, () => ({ corsOrigins: [there, here] })],
      ['origins, to *', { corsOrigins: [here] }, () => ({ corsOrigins: ['*'] })],
      ['audiences, one more', { audiences: [here] }, () => ({ audiences: [there, here] })],
      ['doors, one more', {}, () => ({ doors: ['sc_apikey', 'token'] })],
      [
        'expiresAt, later',
        { expiresAt: '2998-01-01T00:00:00Z' },
        () => ({ expiresAt: '2999-01-01T00:00:00Z' }),
      ],
      ['expiresAt, removed', { expiresAt: '2998-01-01T00:00:00Z' }, () => ({ expiresAt: null })],
      [
        'expiresAt, in another zone',
        { expiresAt: '2998-01-01T00:00:00Z' },
        () => ({ expiresAt: '2998-01-01T02:00:00+02:00' }),
      ],
      ['notBefore, past', {}, () => ({ notBefore: inSeconds(-10) })],
      ['notBefore, removed', { notBefore: '2020-01-01T00:00:00Z' }, () => ({ notBefore: null })],
      ['tokenTtl, longer', { tokenTtl: 60 }, () => ({ tokenTtl: 900 })],
    ];
    test.each(cases)('%s', async (_, fields, change) => {
      const { key, apiKey } = await create(fields);
      const token = await service.token(apiKey);
      const after = await keyOf(await patch(key.id, change()));
      expect(after.keyVersion).toBe(1);
      expect(await isRevoked(token)).toBe(false);
    });
  });

  describe('what is sent back as it was read changes no decision', () => {
    /** Members of a key that say what it is, not what it may. */
    const told = new Set(['id', 'status', 'keyVersion', 'createdAt', 'updatedAt', 'secrets']);
    const cases: [string, () => Fields][] = [
      ['a plain key', () => ({})],
      [
        'a key that says everything',
        () => ({
          scopes: ['personalize.flows:read', 'personalize.templates:manage'],
          allowedControllers: [flows, templates],
          corsOrigins: [here, 'http://localhost:3000'],
          impersonationUser: 'extranet\\somebody',
          customData: { site: 'a', language: 'ü' },
          customDataInToken: ['language'],
          claims: { 'https://example.com/deep': { list: [1, 'two', null] } },
          audiences: [service.url, here],
          doors: ['sc_apikey', 'token'],
          owner: 'owner',
          notBefore: '2020-02-29T12:00:00+01:00',
          expiresAt: '2999-12-31T23:59:59.999Z',
          tokenTtl: 120,
        }),
      ],
      ['a key without controllers', () => ({ allowedControllers: [] })],
      ['a key with every controller', () => ({ allowedControllers: '*', corsOrigins: '*' })],
      [
        'a key of a feature that wants data',
        () => ({ feature: 'odata-items', customData: { Database: 'web' } }),
      ],
    ];
    test.each(cases)('%s', async (_, fields) => {
      const { key, apiKey } = await create(fields());
      const token = await service.token(apiKey);
      const before = await read(key.id);
      const body = Object.fromEntries(Object.entries(before).filter(([name]) => !told.has(name)));
      const after = await keyOf(await patch(key.id, body));
      const late = { updatedAt: 0, secrets: 0 };
      expect({ ...after, ...late }).toEqual({ ...before, ...late });
      expect(await isRevoked(token)).toBe(false);
      const fleeting = { iat: 0, exp: 0, jti: '' };
      expect({ ...decodeJwt(await service.token(apiKey)), ...fleeting }).toEqual({
        ...decodeJwt(token),
        ...fleeting,
      });
    });

    test.each([
      ['a draft', { draft: true }, [], 'draft'],
      ['a disabled key', {}, ['disable'], 'disabled'],
      ['an expired key', { expiresAt: 60 }, [], 'expired'],
    ] as [string, Fields, string[], string][])('%s stays one', async (_, fields, steps, status) => {
      const expiresAt = fields['expiresAt'] === undefined ? {} : { expiresAt: inSeconds(60) };
      const { key, apiKey } = await create({ ...fields, ...expiresAt });
      for (const name of steps) await step(key.id, name);
      service.clock.advance(61);
      const before = await read(key.id);
      expect(before.status).toBe(status);
      const body = Object.fromEntries(Object.entries(before).filter(([name]) => !told.has(name)));
      const after = await keyOf(await patch(key.id, body));
      expect({ ...after, updatedAt: 0 }).toEqual({ ...before, updatedAt: 0 });
      expect((await service.exchange(apiKey)).status).toBe(401);
    });
  });

  describe('null removes', () => {
    test.each<[string, Fields, unknown]>([
      ['scopes', { scopes: ['personalize.flows:read'] }, undefined],
      ['allowedControllers', { allowedControllers: [flows] }, undefined],
      ['corsOrigins', { corsOrigins: [here] }, []],
      ['impersonationUser', { impersonationUser: 'somebody' }, undefined],
      ['customData', { customData: { site: 'a' } }, undefined],
      ['claims', { claims: { 'https://example.com/tier': 1 } }, undefined],
      ['audiences', { audiences: [here] }, undefined],
      ['doors', { doors: ['sc_apikey'] }, ['token']],
      ['owner', { owner: 'owner' }, undefined],
      ['notBefore', { notBefore: '2020-01-01T00:00:00Z' }, undefined],
      ['expiresAt', { expiresAt: '2999-01-01T00:00:00Z' }, undefined],
      ['tokenTtl', { tokenTtl: 60 }, undefined],
    ])('%s', async (name, fields, left) => {
      const { key } = await create(fields);
      expect((await read(key.id))[name]).toBeDefined();
      expect((await keyOf(await patch(key.id, { [name]: null })))[name]).toEqual(left);
      expect((await read(key.id))[name]).toEqual(left);
    });

    test.each<[string, unknown]>([
      ['name', { name: null }],
      ['feature', { feature: null }],
      ['data that is in the token', { customData: null }],
    ])('but not %s', async (_, body) => {
      const { key } = await create({ customData: { site: 'a' }, customDataInToken: ['site'] });
      expect((await patch(key.id, body)).status).toBe(422);
    });
  });

  describe('a change that is not acceptable is refused whole', () => {
    test.each<[number, unknown, Record<string, string>?]>([
      [422, { id: 'ffffffff-ffff-4fff-bfff-ffffffffffff' }],
      [422, { status: 'active' }],
      [422, { keyVersion: 1 }],
      [422, { version: 1 }],
      [422, { secrets: [] }],
      [422, { draft: true }],
      [422, { account: 'owner' }],
      [422, { createdAt: '2020-01-01T00:00:00Z' }],
      [422, { name: '' }],
      [422, { feature: 'nothing' }],
      [422, { feature: 'account-owner' }],
      [422, { scopes: ['keyturn:keys:manage'] }],
      [422, { allowedControllers: ['Keyturn.Keys'] }],
      [422, { corsOrigins: ['https://example.com/path'] }],
      [422, { impersonationUser: 'Sitecore\\Admin ' }],
      [422, { claims: { sub: 'owner' } }],
      [422, { owner: 'nobody' }],
      [422, { expiresAt: '2020-01-01T00:00:00Z' }],
      [422, { expiresAt: '2999-01-01T00:00:00' }],
      [422, { expiresAt: '2999-06-30T23:59:60Z' }],
      [422, { expiresAt: 32_503_680_000 }],
      [422, { expiresAt: '2998-01-01T00:00:00Z', notBefore: '2999-01-01T00:00:00Z' }],
      [422, { tokenTtl: 1 }],
      [422, { doors: [] }],
      [400, '[{"name":"x"}]'],
      [400, '{"name":"x","name":"y"}'],
      [400, '{'],
      [415, '{"name":"x"}', { 'content-type': 'text/plain' }],
    ])('%i for %j', async (status, body, headers) => {
      const { key } = await create();
      const before = await read(key.id);
      expect((await patch(key.id, body, headers)).status).toBe(status);
      expect(await read(key.id)).toEqual(before);
    });

    test('with every fault at once, by JSON pointer', async () => {
      const { key } = await create();
      const answer = await patch(key.id, { corsOrigins: 'nonsense', impersonationUser: 'sitecore\\admin' });
      const { errors } = (await answer.json()) as { errors: { pointer: string }[] };
      expect(errors.map(({ pointer }) => pointer)).toEqual(['/corsOrigins', '/impersonationUser']);
    });

    test('a merge patch by its own media type is a patch', async () => {
      const { key } = await create();
      const answer = await patch(key.id, { name: 'New' }, { 'content-type': 'application/merge-patch+json' });
      expect((await keyOf(answer))['name']).toBe('New');
    });
  });

  describe('whoever read an older state', () => {
    test('is told so: of two with the same ETag one wins, the other gets 412', async () => {
      const { key } = await create();
      const etag = await etagOf(key.id);
      const answers = await Promise.all(
        ['one', 'other'].map(name => patch(key.id, { name }, { 'if-match': etag })),
      );
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
      const winner = await keyOf(answers.find(({ status }) => status === 200)!);
      expect((await read(key.id))['name']).toBe(winner['name']);
      const loser = answers.find(({ status }) => status === 412)!;
      expect(await loser.json()).toMatchObject({ code: 'precondition_failed' });
    });

    test('changes nothing, and may not delete', async () => {
      const { key, apiKey } = await create();
      const etag = await etagOf(key.id);
      const changed = await patch(key.id, { name: 'New' }, { 'if-match': etag });
      expect(changed.headers.get('etag')).toBe(await etagOf(key.id));
      expect(changed.headers.get('etag')).not.toBe(etag);
      const before = await read(key.id);
      for (const [method, body] of [['PATCH', { name: 'Old' }], ['DELETE']] as const) {
        const answer = await send(method, `/admin/keys/${key.id}`, body, { 'if-match': etag });
        expect(answer.status).toBe(412);
      }
      expect({ ...(await read(key.id)) }).toEqual(before);
      expect((await service.exchange(apiKey)).status).toBe(200);
    });

    test.each<[string, (etag: string) => string, number]>([
      ['the ETag', etag => etag, 200],
      ['a list with it', etag => `"other", ${etag}`, 200],
      ['any', () => '*', 200],
      ['another', () => '"AAAAAAAAAAAAAAAAAAAAAA"', 412],
      ['a weak one', etag => `W/${etag}`, 412],
      ['the ETag without quotes', etag => etag.slice(1, -1), 412],
      ['nothing', () => '', 412],
    ])('If-Match with %s', async (_, headerOf, status) => {
      const { key } = await create();
      const answer = await patch(key.id, { name: 'New' }, { 'if-match': headerOf(await etagOf(key.id)) });
      expect(answer.status).toBe(status);
    });

    test('without If-Match nobody loses what another changed beside him', async () => {
      const { key } = await create();
      const changes: Fields[] = [
        { name: 'New' },
        { tokenTtl: 60 },
        { corsOrigins: [here] },
        { customData: { site: 'a' } },
        { impersonationUser: 'somebody' },
      ];
      const answers = await Promise.all(changes.map(change => patch(key.id, change)));
      expect(answers.map(({ status }) => status)).toEqual(changes.map(() => 200));
      expect(await read(key.id)).toMatchObject(Object.assign({}, ...changes) as Fields);
    });
  });

  describe('a step', () => {
    const none: [string[], string] = [[], ''];
    const ways: Record<string, [Fields, string[]]> = {
      draft: [{ draft: true }, []],
      active: [{}, []],
      disabled: [{}, ['disable']],
      revoked: [{}, ['revoke']],
    };
    test.each<[string, string, number, string, number]>([
      ['draft', 'publish', 200, 'active', 0],
      ['draft', 'disable', 409, 'draft', 0],
      ['draft', 'enable', 409, 'draft', 0],
      ['draft', 'revoke', 200, 'revoked', 1],
      ['active', 'publish', 200, 'active', 0],
      ['active', 'disable', 200, 'disabled', 1],
      ['active', 'enable', 200, 'active', 0],
      ['active', 'revoke', 200, 'revoked', 1],
      ['disabled', 'publish', 409, 'disabled', 0],
      ['disabled', 'disable', 200, 'disabled', 0],
      ['disabled', 'enable', 200, 'active', 0],
      ['disabled', 'revoke', 200, 'revoked', 1],
      ['revoked', 'publish', 409, 'revoked', 0],
      ['revoked', 'disable', 409, 'revoked', 0],
      ['revoked', 'enable', 409, 'revoked', 0],
      ['revoked', 'revoke', 200, 'revoked', 0],
    ])('from %s by %s: %i, then it is %s', async (from, name, status, to, raise) => {
      const [fields, steps] = ways[from] ?? none;
      const { key, apiKey } = await create(fields as Fields);
      for (const earlier of steps) await step(key.id, earlier);
      const before = await read(key.id);
      expect(before.status).toBe(from);
      expect((await step(key.id, name)).status).toBe(status);
      const after = await read(key.id);
      expect([after.status, after.keyVersion - before.keyVersion]).toEqual([to, raise]);
      expect((await service.exchange(apiKey)).ok).toBe(to === 'active');
      // Taken once more, it is either refused as before, or changes nothing.
      const etag = await etagOf(key.id);
      expect((await step(key.id, name)).status).toBe(status);
      expect(await etagOf(key.id)).toBe(etag);
    });

    test.each(['disable', 'revoke'])('%s ends every token at once', async name => {
      const { key, apiKey } = await create();
      const tokens = [await service.token(apiKey), await service.token(apiKey)];
      expect((await step(key.id, name)).status).toBe(200);
      for (const token of tokens) expect(await isRevoked(token)).toBe(true);
    });

    test('enable does not bring old tokens back', async () => {
      const { key, apiKey } = await create();
      const token = await service.token(apiKey);
      await step(key.id, 'disable');
      expect((await keyOf(await step(key.id, 'enable'))).status).toBe('active');
      expect(await isRevoked(token)).toBe(true);
      expect(await isRevoked(await service.token(apiKey))).toBe(false);
    });

    test('many at once leave one of the two states, and a version for each change', async () => {
      const { key, apiKey } = await create();
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, place) => step(key.id, place % 2 === 0 ? 'disable' : 'enable')),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      const { status } = await read(key.id);
      expect((await service.exchange(apiKey)).ok).toBe(status === 'active');
    });

    test('revoke is for good: no change, no step, no rotation', async () => {
      const { key, apiKey } = await create();
      await step(key.id, 'revoke');
      for (const [method, path, body] of [
        ['PATCH', '', { name: 'New' }],
        ['POST', '/enable', undefined],
        ['POST', '/publish', undefined],
        ['POST', '/rotations', { mode: 'now' }],
      ] as const) {
        expect((await send(method, `/admin/keys/${key.id}${path}`, body)).status).toBe(409);
      }
      expect(await read(key.id)).toMatchObject({ status: 'revoked', keyVersion: 2 });
      expect((await service.exchange(apiKey)).status).toBe(401);
    });

    test('POST /oauth/revoke with the key string is the same step', async () => {
      const { key, apiKey } = await create();
      const token = await service.token(apiKey);
      const revoke = () =>
        fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
          method: 'POST',
          body: new URLSearchParams({ token: apiKey }),
        });
      for (let time = 0; time < 2; time += 1) expect((await revoke()).status).toBe(200);
      expect(await read(key.id)).toMatchObject({ status: 'revoked', keyVersion: 2 });
      expect(await isRevoked(token)).toBe(true);
    });
  });

  describe('a deleted key', () => {
    test('is gone, and so are its secret and its tokens', async () => {
      const { key, apiKey } = await create();
      const token = await service.token(apiKey);
      const answer = await send('DELETE', `/admin/keys/${key.id}`);
      expect([answer.status, await answer.text()]).toEqual([204, '']);
      expect(await isRevoked(token)).toBe(true);
      expect((await service.exchange(apiKey)).status).toBe(401);
      for (const [method, path, body] of [
        ['GET', ''],
        ['PATCH', '', { name: 'New' }],
        ['DELETE', ''],
        ['POST', '/publish'],
        ['POST', '/disable'],
        ['POST', '/enable'],
        ['POST', '/revoke'],
        ['POST', '/rotations', { mode: 'now' }],
        ['DELETE', '/rotations/current'],
      ] as const) {
        const refused = await send(method, `/admin/keys/${key.id}${path}`, body);
        expect([method, path, refused.status]).toEqual([method, path, 404]);
      }
      const { items } = (await (await send('GET', '/admin/keys?limit=100')).json()) as { items: Key[] };
      expect(items.map(({ id }) => id)).not.toContain(key.id);
      const { items: entries } = (await (await send('GET', `/admin/audit?key=${key.id}`)).json()) as {
        items: { action: string }[];
      };
      expect(entries.map(({ action }) => action)).toEqual(['key.delete', 'key.create']);
    });

    test.each(['draft', 'disabled', 'revoked', 'expired'])('may have been %s before', async status => {
      const { key, apiKey } = await create(
        status === 'draft' ? { draft: true } : { expiresAt: inSeconds(60) },
      );
      if (status === 'disabled') await step(key.id, 'disable');
      if (status === 'revoked') await step(key.id, 'revoke');
      if (status === 'expired') service.clock.advance(61);
      expect((await read(key.id)).status).toBe(status);
      expect((await send('DELETE', `/admin/keys/${key.id}`)).status).toBe(204);
      expect((await service.exchange(apiKey)).status).toBe(401);
    });

    test('cannot be made again under its id', async () => {
      const { key } = await create();
      await send('DELETE', `/admin/keys/${key.id}`);
      const body = { id: key.id, name: 'Again', feature: 'connections' };
      expect((await send('POST', '/admin/keys', body)).status).toBe(422);
    });

    test('by two at once is deleted once', async () => {
      const { key } = await create();
      const answers = await Promise.all([1, 2, 3].map(() => send('DELETE', `/admin/keys/${key.id}`)));
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter(status => status === 204).length).toBeGreaterThanOrEqual(1);
      for (const status of statuses) expect([204, 404]).toContain(status);
      expect((await send('GET', `/admin/keys/${key.id}`)).status).toBe(404);
    });
  });

  describe('time', () => {
    test('a draft gets no token until it is published', async () => {
      const { key, apiKey } = await create({ draft: true });
      expect(key.status).toBe('draft');
      const refused = await service.exchange(apiKey);
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({
        error_description: expect.stringMatching(/draft/) as string,
      });
      await step(key.id, 'publish');
      expect((await service.exchange(apiKey)).status).toBe(200);
    });

    test('notBefore: refused until then', async () => {
      const { key, apiKey } = await create({ notBefore: inSeconds(60) });
      expect(key.status).toBe('active');
      expect((await service.exchange(apiKey)).status).toBe(401);
      service.clock.advance(61);
      expect((await service.exchange(apiKey)).status).toBe(200);
    });

    test('notBefore, moved into the future: refused again, and tokens that are out are dead', async () => {
      const { key, apiKey } = await create();
      const token = await service.token(apiKey);
      await patch(key.id, { notBefore: inSeconds(60) });
      expect((await service.exchange(apiKey)).status).toBe(401);
      expect(await isRevoked(token)).toBe(true);
    });

    test('expiresAt: tokens end with the key, and a later one makes it active again', async () => {
      const { key, apiKey } = await create({ expiresAt: inSeconds(100) });
      const { expires_in: life } = (await (await service.exchange(apiKey)).json()) as { expires_in: number };
      expect(life).toBeLessThanOrEqual(100);
      expect(life).toBeGreaterThan(90);
      service.clock.advance(101);
      expect((await read(key.id)).status).toBe('expired');
      const refused = await service.exchange(apiKey);
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({
        error_description: expect.stringMatching(/expired/) as string,
      });
      expect(await keyOf(await patch(key.id, { expiresAt: inSeconds(100) }))).toMatchObject({
        status: 'active',
        keyVersion: 1,
      });
      expect((await service.exchange(apiKey)).status).toBe(200);
    });

    test('an expired key may be renamed without a new expiry, and stays expired', async () => {
      const { key } = await create({ expiresAt: inSeconds(60) });
      service.clock.advance(61);
      expect(await keyOf(await patch(key.id, { name: 'New' }))).toMatchObject({
        status: 'expired',
        name: 'New',
      });
    });
  });
});
