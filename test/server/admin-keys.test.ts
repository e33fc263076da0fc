/** `/admin/keys`: making, listing, showing and revoking keys; who may not; and what is refused with which words. */
import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

interface Key extends Record<string, unknown> {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

interface Page {
  readonly items: Key[];
  readonly next: string | null;
}

describeOnEachStore('/admin/keys', store => {
  let service: TestService;
  let authorization: string;
  beforeAll(async () => {
    service = await store.start();
    authorization = `Bearer ${await service.token(service.ownerKey)}`;
  });

  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(service.url + path, {
      method,
      headers: {
        authorization,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const create = (fields: Record<string, unknown>) =>
    call('POST', '/admin/keys', { name: 'A key', feature: 'connections', ...fields });
  const page = async (query: string) => (await (await call('GET', `/admin/keys${query}`)).json()) as Page;
  const show = async (id: string) => (await (await call('GET', `/admin/keys/${id}`)).json()) as Key;

  describe('making a key', () => {
    test('answers 201 with the key, where it is to be found, and its string once', async () => {
      const response = await create({ name: 'Zürich – 東京' });
      expect(response.status).toBe(201);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      const { key, apiKey } = (await response.json()) as { key: Key; apiKey: string };
      expect(response.headers.get('location')).toBe(`/admin/keys/${key.id}`);
      expect(key.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(apiKey).toMatch(/^kt_[0-9a-f]{32}_[0-9A-Za-z]{38}$/);
      expect(apiKey.slice(3, 35)).toBe(key.id.replaceAll('-', ''));
      expect(key).toMatchObject({
        name: 'Zürich – 東京',
        feature: 'connections',
        owner: 'owner',
        status: 'active',
        keyVersion: 1,
        corsOrigins: [],
        doors: ['token'],
        secrets: [{ state: 'active', last4: apiKey.slice(-4) }],
      });
      expect(await show(key.id)).toEqual(key);
      expect((await service.exchange(apiKey)).status).toBe(200);
    });

    const whole = {
      name: 'Everything',
      feature: 'multiple-resources',
      scopes: ['personalize.flows:read', 'personalize.templates:manage'],
      impersonationUser: 'extranet\\Visitor',
      customData: { Database: 'web', 'Search Filter': "Name eq 'x'" },
      customDataInToken: ['Database'],
      claims: { 'https://example.com/tenant': ['a', 1, null] },
      audiences: ['https://api.example.com', 'urn:example'],
      doors: ['token', 'sc_apikey'],
      owner: 'owner',
      tokenTtl: 120,
    };
    test.each<[string, Record<string, unknown>]>([
      [
        'lists',
        {
          allowedControllers: ['Personalize.Flows', 'Personalize.Templates'],
          corsOrigins: ['https://a.example', 'http://b.example:8080'],
        },
      ],
      [
        'texts with semicolons',
        {
          allowedControllers: ' Personalize.Flows ;\r\nPersonalize.Templates, Some.Assembly;;',
          corsOrigins: 'https://A.example/; http://b.example:8080;',
        },
      ],
    ])('keeps every field, with %s', async (_, lists) => {
      const notBefore = new Date(service.clock.now() - 60_000).toISOString();
      const expiresAt = new Date(service.clock.now() + 86_400_000).toISOString();
      const response = await create({ ...whole, ...lists, notBefore, expiresAt });
      expect(response.status).toBe(201);
      const { key, apiKey } = (await response.json()) as { key: Key; apiKey: string };
      expect(key).toMatchObject({
        ...whole,
        allowedControllers: ['Personalize.Flows', 'Personalize.Templates'],
        corsOrigins: ['https://a.example', 'http://b.example:8080'],
        notBefore,
        expiresAt,
        status: 'active',
      });
      expect(decodeJwt(await service.token(apiKey))).toMatchObject({
        sub: 'extranet\\Visitor',
        aud: 'https://api.example.com',
        scope: 'personalize.flows:read personalize.templates:manage',
      });
    });
    test('writes times in UTC, whatever their offset', async () => {
      const { key } = (await (await create({ expiresAt: '2099-06-01T12:00:00+02:00' })).json()) as {
        key: Key;
      };
      expect(key['expiresAt']).toBe('2099-06-01T10:00:00.000Z');
    });
    test('as a draft makes one that does not work yet', async () => {
      const { key, apiKey } = (await (await create({ draft: true })).json()) as { key: Key; apiKey: string };
      expect(key.status).toBe('draft');
      expect(key).not.toHaveProperty('draft');
      expect((await service.exchange(apiKey)).status).toBe(401);
    });
    test('gives two of one name different ids and strings', async () => {
      const made = await Promise.all(Array.from({ length: 10 }, () => create({ name: 'Twin' })));
      const keys = (await Promise.all(made.map(response => response.json()))) as {
        key: Key;
        apiKey: string;
      }[];
      expect(new Set(keys.map(({ key }) => key.id)).size).toBe(10);
      expect(new Set(keys.map(({ apiKey }) => apiKey.slice(36))).size).toBe(10);
    });
  });

  describe('a value that is not acceptable', () => {
    const faultsOf = async (response: Response) => {
      expect(response.status).toBe(422);
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      const problem = (await response.json()) as {
        code: string;
        detail: string;
        errors: { pointer: string; detail: string }[];
      };
      expect(problem.code).toBe('validation_failed');
      for (const { detail } of problem.errors) expect(detail.length).toBeGreaterThan(5);
      return [...new Set(problem.errors.map(({ pointer }) => pointer))];
    };
    const past = '2001-01-01T00:00:00Z';
    test.each<[string, Record<string, unknown>, string]>([
      ['no name', { name: undefined }, '/name'],
      ['an empty name', { name: '' }, '/name'],
      ['a name of a number', { name: 5 }, '/name'],
      ['a name of 201 characters', { name: 'a'.repeat(201) }, '/name'],
      ['a line end in a name', { name: 'a\nb' }, '/name'],
      ['no feature', { feature: undefined }, '/feature'],
      ['a feature that there is not', { feature: 'nonsense' }, '/feature'],
      ['a feature in another case', { feature: 'Connections' }, '/feature'],
      ['a feature of the prototype', { feature: '__proto__' }, '/feature'],
      ["an owner's role", { feature: 'account-owner' }, '/feature'],
      ["an admin's role", { feature: 'account-admin' }, '/feature'],
      ["a member's role", { feature: 'account-member' }, '/feature'],
      ['scopes that are a text', { scopes: 'personalize.external_webservices:read' }, '/scopes'],
      ['no scopes in a list', { scopes: [] }, '/scopes'],
      ['a scope of another feature', { scopes: ['personalize.flows:read'] }, '/scopes'],
      ['a scope of the admin API', { scopes: ['keyturn:keys:manage'] }, '/scopes'],
      ['a scope with a blank', { scopes: ['a b'] }, '/scopes'],
      ['a scope of everything', { scopes: ['*'] }, '/scopes'],
      [
        'a controller of another feature',
        { allowedControllers: ['Personalize.Flows'] },
        '/allowedControllers',
      ],
      [
        'a controller in another case',
        { allowedControllers: ['personalize.connections'] },
        '/allowedControllers',
      ],
      ['a controller of the admin API', { allowedControllers: ['Keyturn.Keys'] }, '/allowedControllers'],
      ['a pattern of controllers', { allowedControllers: ['Personalize.*'] }, '/allowedControllers'],
      ['a pattern of many stars', { allowedControllers: ['*'.repeat(20)] }, '/allowedControllers'],
      ['a GraphQL path without GraphQL', { allowedControllers: 'GraphQL:/api/app' }, '/allowedControllers'],
      ['controllers that are a number', { allowedControllers: 5 }, '/allowedControllers'],
      [
        '201 controllers',
        { allowedControllers: Array.from({ length: 201 }, () => 'Personalize.Connections') },
        '/allowedControllers',
      ],
      ['an origin with a path', { corsOrigins: 'https://a.example/x' }, '/corsOrigins'],
      [
        '101 origins',
        { corsOrigins: Array.from({ length: 101 }, (_, i) => `https://a${i}.example`) },
        '/corsOrigins',
      ],
      ['a forbidden user', { impersonationUser: 'sitecore\\admin' }, '/impersonationUser'],
      ['a forbidden user in another case', { impersonationUser: 'SiteCore\\ADMIN' }, '/impersonationUser'],
      ['a forbidden user among blanks', { impersonationUser: '  sitecore\\Admin ' }, '/impersonationUser'],
      ['an empty user', { impersonationUser: '' }, '/impersonationUser'],
      ['custom data that is a text', { customData: 'x' }, '/customData'],
      ['custom data of numbers', { customData: { a: 1 } }, '/customData/a'],
      ['nested custom data', { customData: { a: { b: 'c' } } }, '/customData/a'],
      ['a name with a line end in custom data', { customData: { 'a\nb': 'x' } }, '/customData/a\nb'],
      ['a name that is empty in custom data', { customData: { '': 'x' } }, '/customData/'],
      [
        'a mark for custom data that is not there',
        { customData: { a: 'b' }, customDataInToken: ['c'] },
        '/customDataInToken',
      ],
      [
        'a mark for what every object has',
        { customData: {}, customDataInToken: ['toString'] },
        '/customDataInToken',
      ],
      ['OData without its database', { feature: 'odata-items' }, '/customData/Database'],
      [
        'OData with an empty database',
        { feature: 'odata-items', customData: { Database: '' } },
        '/customData/Database',
      ],
      [
        'OData with its database in another case',
        { feature: 'odata-items', customData: { database: 'web' } },
        '/customData/Database',
      ],
      ['an extra claim without a URI for a name', { claims: { role: 'admin' } }, '/claims'],
      ['an extra claim that shadows', { claims: { sub: 'x' } }, '/claims'],
      ['claims in a list', { claims: [] }, '/claims'],
      ['no audiences in a list', { audiences: [] }, '/audiences'],
      ['an audience with a blank', { audiences: ['a b'] }, '/audiences/0'],
      ['an audience twice', { audiences: ['a', 'a'] }, '/audiences'],
      ['11 audiences', { audiences: Array.from({ length: 11 }, (_, i) => `a${i}`) }, '/audiences'],
      ['no doors in a list', { doors: [] }, '/doors'],
      ['a door that there is not', { doors: ['window'] }, '/doors/0'],
      ['an owner who is not there', { owner: 'nobody' }, '/owner'],
      ['an owner of the prototype', { owner: '__proto__' }, '/owner'],
      ['draft in quotes', { draft: 'true' }, '/draft'],
      ['an end that is past', { expiresAt: past }, '/expiresAt'],
      ['an end without an offset', { expiresAt: '2099-01-01T00:00:00' }, '/expiresAt'],
      ['an end that is a day', { expiresAt: '2099-01-01' }, '/expiresAt'],
      ['an end that is a number', { expiresAt: 4_102_444_800_000 }, '/expiresAt'],
      ['an end on the 30th of February', { expiresAt: '2099-02-30T00:00:00Z' }, '/expiresAt'],
      ['an end in the year 10 000', { expiresAt: '+010000-01-01T00:00:00Z' }, '/expiresAt'],
      [
        'an end before its beginning',
        { notBefore: '2099-01-02T00:00:00Z', expiresAt: '2099-01-01T00:00:00Z' },
        '/expiresAt',
      ],
      ['a beginning that is a word', { notBefore: 'tomorrow' }, '/notBefore'],
      ['a life of a second', { tokenTtl: 1 }, '/tokenTtl'],
      ['a life of more than a day', { tokenTtl: 86_401 }, '/tokenTtl'],
      ['a broken life', { tokenTtl: 60.5 }, '/tokenTtl'],
      ['a life in quotes', { tokenTtl: '60' }, '/tokenTtl'],
      ['a member that nobody knows', { nonsense: 1 }, '/nonsense'],
      ['a member with a slash and a tilde in its name', { 'a/b~c': 1 }, '/a~1b~0c'],
      ['an id of its own', { id: randomUUID() }, '/id'],
      ['a secret of its own', { secrets: [] }, '/secrets'],
      ['a version of its own', { version: 9 }, '/version'],
      ['a status of its own', { status: 'active' }, '/status'],
      ['an account', { account: 'owner' }, '/account'],
    ])('is named by its place: %s', async (_, fields, pointer) => {
      expect(await faultsOf(await create(fields))).toEqual([pointer]);
    });
    test('is named with all others, of form and of sense', async () => {
      expect(await faultsOf(await create({ name: 5, tokenTtl: 'x', nonsense: 1, doors: [] }))).toEqual(
        expect.arrayContaining(['/name', '/tokenTtl', '/nonsense', '/doors']),
      );
      const sense = {
        scopes: ['personalize.flows:read'],
        allowedControllers: ['Personalize.Flows'],
        corsOrigins: 'null',
        impersonationUser: 'sitecore\\admin',
        customDataInToken: ['x'],
        claims: { x: 1 },
        expiresAt: past,
      };
      expect((await faultsOf(await create(sense))).sort()).toEqual([
        '/allowedControllers',
        '/claims',
        '/corsOrigins',
        '/customDataInToken',
        '/expiresAt',
        '/impersonationUser',
        '/scopes',
      ]);
    });
    test('makes no key', async () => {
      const before = (await page('?q=Nobody')).items.length;
      await create({ name: 'Nobody', tokenTtl: 1 });
      await create({ name: 'Nobody', expiresAt: past });
      await create({ name: 'Nobody', owner: 'nobody' });
      expect((await page('?q=Nobody')).items).toHaveLength(before);
    });
    test('is a token that would not fit into a header', async () => {
      const claims = { 'https://example.com/x': 'a'.repeat(6000) };
      expect((await create({ claims })).status).toBe(422);
    });
  });

  test.each<[string, string, Record<string, string>, number]>([
    ['no JSON', '{"name":', {}, 400],
    ['a list', '[]', {}, 400],
    ['null', 'null', {}, 400],
    ['a text', '"x"', {}, 400],
    ['a member twice', '{"name":"a","name":"b","feature":"connections"}', {}, 400],
    ['65 levels', `{"claims":${'['.repeat(65)}${']'.repeat(65)}}`, {}, 400],
    ['a form', 'name=x&feature=connections', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['text', '{"name":"x","feature":"connections"}', { 'content-type': 'text/plain' }, 415],
    ['several parts', '--x', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
    ['a coding', '{}', { 'content-encoding': 'gzip' }, 415],
  ])('a body of %s is refused', async (_, body, headers, status) => {
    const response = await call('POST', '/admin/keys', body, headers);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });

  describe('showing a key', () => {
    test('takes its id in every form', async () => {
      const { key } = (await (await create({})).json()) as { key: Key };
      const bare = key.id.replaceAll('-', '');
      for (const id of [
        key.id,
        bare,
        `{${key.id}}`,
        key.id.toUpperCase(),
        bare.toUpperCase(),
        `%7B${key.id}%7D`,
      ]) {
        expect(await show(id)).toEqual(key);
      }
    });
    test.each([randomUUID(), 'x', '0', '%20', '(x)', randomUUID().slice(1), `${randomUUID()}0`, '..%2fkeys'])(
      'is 404 for %s',
      async id => {
        const response = await call('GET', `/admin/keys/${id}`);
        expect(response.status).toBe(404);
        expect(await response.json()).toMatchObject({ code: 'not_found', status: 404 });
        expect((await call('POST', `/admin/keys/${id}/revoke`)).status).toBe(404);
      },
    );
    test('never shows an access key: it belongs to its account', async () => {
      const { client_id: id } = decodeJwt(await service.token(service.ownerKey)) as { client_id: string };
      expect((await call('GET', `/admin/keys/${id}`)).status).toBe(404);
      expect((await call('POST', `/admin/keys/${id}/revoke`)).status).toBe(404);
      expect((await page('?limit=100')).items.map(key => key.id)).not.toContain(id);
      expect((await service.exchange(service.ownerKey)).status).toBe(200);
    });
    test('never shows a secret, nor a hash of one', async () => {
      const { key, apiKey } = (await (await create({})).json()) as { key: Key; apiKey: string };
      const revoked = await call('POST', `/admin/keys/${key.id}/revoke`);
      const said = JSON.stringify([key, await show(key.id), await page('?limit=100'), await revoked.json()]);
      expect(said).not.toContain(apiKey.slice(36, 64));
      expect(said).not.toMatch(/hash|pepper|"secret"|kt_/);
    });
  });

  describe('listing keys', () => {
    const names = Array.from({ length: 12 }, (_, i) => `Listed ${i}`);
    let listed: TestService;
    let bearer: Record<string, string>;
    beforeAll(async () => {
      listed = await store.start();
      bearer = { authorization: `Bearer ${await listed.token(listed.ownerKey)}` };
      for (const [place, name] of names.entries()) {
        listed.clock.advance(1);
        await listed.createKey({
          name,
          feature: place % 3 === 0 ? 'developer-templates' : 'connections',
          draft: place === 5,
        });
      }
      const { key } = await listed.createKey({ name: 'Ended' });
      await listed.admin('POST', `/admin/keys/${key.id}/revoke`);
      await listed.createKey({ name: 'Over', expiresAt: new Date(listed.clock.now() + 2000).toISOString() });
      listed.clock.advance(3);
    }, 30_000);
    const ask = async (query: string) => {
      const response = await fetch(`${listed.url}/admin/keys${query}`, { headers: bearer });
      return { status: response.status, ...((await response.json()) as Page) };
    };
    const namesIn = ({ items }: Page) => items.map(({ name }) => name);
    const walk = async (query: string) => {
      const seen: string[] = [];
      let next: string | null = '';
      for (let pages = 0; next !== null && pages < 50; pages += 1) {
        const answer: Page = await ask(
          `?${query}${next === '' ? '' : `&cursor=${encodeURIComponent(next)}`}`,
        );
        seen.push(...namesIn(answer));
        ({ next } = answer);
      }
      return seen;
    };
    const newestFirst = [...names].toReversed();

    test('shows the newest first, each once, page by page', async () => {
      const all = await walk('limit=100');
      expect(all.filter(name => name.startsWith('Listed'))).toEqual(newestFirst);
      for (const limit of [1, 2, 3, 5, 14, 15, 16]) expect(await walk(`limit=${limit}`)).toEqual(all);
      expect((await ask('?limit=3')).items).toHaveLength(3);
      expect((await ask('?limit=100')).next).toBeNull();
    });
    test('goes on where it stood, though newer keys have come', async () => {
      const first = await ask('?limit=3&q=Listed');
      listed.clock.advance(1);
      await listed.createKey({ name: 'Newcomer' });
      const second = await ask(`?limit=3&q=Listed&cursor=${encodeURIComponent(first.next ?? '')}`);
      expect([...namesIn(first), ...namesIn(second)]).toEqual(newestFirst.slice(0, 6));
    });
    test.each<[string, (names: string[]) => boolean]>([
      [
        'feature=developer-templates',
        found => found.join() === ['Listed 9', 'Listed 6', 'Listed 3', 'Listed 0'].join(),
      ],
      ['feature=nonsense', found => found.length === 0],
      ['status=draft', found => found.join() === 'Listed 5'],
      ['status=revoked', found => found.join() === 'Ended'],
      ['status=expired', found => found.join() === 'Over'],
      ['status=active&q=listed', found => found.length === 11],
      ['q=LISTED%201', found => found.join() === ['Listed 11', 'Listed 10', 'Listed 1'].join()],
      ['q=nonsense', found => found.length === 0],
      ['owner=owner&q=listed', found => found.length === 12],
      ['owner=nobody', found => found.length === 0],
      ['feature=connections&status=active&q=listed', found => found.length === 7],
    ])('goes by %s, on pages of every size', async (query, isRight) => {
      for (const limit of [1, 4, 100]) expect(await walk(`${query}&limit=${limit}`)).toSatisfy(isRight);
    });
    test('finds a key by its id', async () => {
      const { items } = await ask('?q=Listed%207');
      expect(namesIn(await ask(`?q=${items[0]?.id}`))).toEqual(['Listed 7']);
      expect(namesIn(await ask(`?q=${items[0]?.id.toUpperCase()}`))).toEqual(['Listed 7']);
    });
    test.each([
      'limit=0',
      'limit=101',
      'limit=-1',
      'limit=x',
      'limit=1.5',
      'limit=',
      'status=nonsense',
      'status=',
      'cursor=x',
      'cursor=',
      'cursor=zzzzzzzzz/not-a-uuid',
      "cursor='%20OR%201=1",
      'nonsense=1',
      `q=${'a'.repeat(201)}`,
      'limit=1&limit=1',
      'status=active&status=revoked',
      'status=active&q=Listed&%73tatus=active',
    ])('refuses %s with 400', async query => {
      expect(await ask(`?${query}`)).toMatchObject({ status: 400, code: 'malformed_request' });
    });
    test('says which parameters stand twice', async () => {
      expect(await ask('?q=a&limit=x&q=b&q=c')).toMatchObject({
        detail: expect.stringContaining('/q: stands twice: send it once; /limit: ') as string,
        errors: [{ pointer: '/q' }, { pointer: '/limit' }],
      });
    });
    test('takes a made-up cursor for no more than a place', async () => {
      const { status, items } = await ask(`?cursor=000000000/${randomUUID()}`);
      expect({ status, items }).toEqual({ status: 200, items: [] });
    });
  });

  describe('revoking a key', () => {
    test('answers 200 with the key, as often as it is asked', async () => {
      const { key, apiKey } = (await (await create({})).json()) as { key: Key; apiKey: string };
      for (let time = 0; time < 3; time += 1) {
        const response = await call('POST', `/admin/keys/{${key.id.toUpperCase()}}/revoke`);
        expect(response.status).toBe(200);
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(await response.json()).toMatchObject({ id: key.id, status: 'revoked', keyVersion: 2 });
      }
      expect(await show(key.id)).toMatchObject({ status: 'revoked', keyVersion: 2 });
      expect((await service.exchange(apiKey)).status).toBe(401);
    });
    test('by many at once ends it once', async () => {
      const { key } = (await (await create({})).json()) as { key: Key };
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => call('POST', `/admin/keys/${key.id}/revoke`)),
      );
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      expect(await show(key.id)).toMatchObject({ keyVersion: 2 });
    });
  });

  describe('is closed', () => {
    const routes: [string, string][] = [
      ['POST', '/admin/keys'],
      ['GET', '/admin/keys'],
      ['HEAD', '/admin/keys'],
      ['GET', `/admin/keys/${randomUUID()}`],
      ['POST', `/admin/keys/${randomUUID()}/revoke`],
    ];
    test.each(routes)('to %s %s without a token', async (method, path) => {
      const common = [
        'admin:admin',
        'admin:password',
        'root:root',
        'admin:',
        ':',
        'owner:owner',
        'keyturn:keyturn',
        'sitecore\\admin:b',
      ];
      const attempts: Record<string, string>[] = [
        {},
        {
          'x-admin': 'true',
          'x-forwarded-for': '127.0.0.1',
          'x-real-ip': '127.0.0.1',
          'x-forwarded-user': 'owner',
        },
        { 'x-keyturn-user': 'owner', 'x-keyturn-scope': 'keyturn:keys:manage', 'x-original-url': '/livez' },
        { authorization: 'Bearer' },
        { authorization: 'Bearer undefined' },
        { authorization: `Bearer ${service.ownerKey}` },
        { cookie: 'admin=1; session=x' },
        ...common.map(pair => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })),
      ];
      for (const headers of attempts) {
        const response = await fetch(service.url + path, { method, headers });
        expect(response.status).toBe(401);
        expect(response.headers.get('www-authenticate')).toMatch(/^Bearer /);
        await response.text();
      }
    });
    test.each(routes)("to %s %s with an ordinary key's token", async (method, path) => {
      for (const feature of ['connections', 'multiple-resources', 'resource-server']) {
        const { apiKey } = await service.createKey({ feature });
        const headers = { authorization: `Bearer ${await service.token(apiKey)}` };
        expect((await fetch(service.url + path, { method, headers })).status).toBe(403);
      }
    });
    test("to the owner's token of a narrower scope", async () => {
      const reading = await service.token(service.ownerKey, { scope: 'keyturn:keys:read' });
      const headers = { authorization: `Bearer ${reading}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ name: 'x', feature: 'connections' });
      expect((await fetch(`${service.url}/admin/keys`, { headers })).status).toBe(200);
      expect((await fetch(`${service.url}/admin/keys`, { method: 'POST', headers, body })).status).toBe(403);
      expect(
        (await fetch(`${service.url}/admin/keys/${randomUUID()}/revoke`, { method: 'POST', headers })).status,
      ).toBe(403);
    });
    test('to other methods, which change nothing', async () => {
      const { key } = (await (await create({})).json()) as { key: Key };
      for (const [method, path] of [
        ['PUT', '/admin/keys'],
        ['DELETE', '/admin/keys'],
        ['PUT', `/admin/keys/${key.id}`],
        ['GET', `/admin/keys/${key.id}/revoke`],
      ] as const) {
        const response = await call(method, path, method === 'PUT' ? {} : undefined);
        expect(response.status).toBe(405);
        expect(response.headers.get('allow')).toBeTruthy();
      }
      expect(await show(key.id)).toEqual(key);
    });
    test('to pages of any origin', async () => {
      for (const origin of ['https://a.example', service.url, 'null']) {
        const response = await call('GET', '/admin/keys', undefined, { origin });
        expect([...response.headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([]);
        expect(response.status).toBe(403);
      }
    });
  });
});
