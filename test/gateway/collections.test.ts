/** The resources of the default catalogue, kept as documents: the shapes that their vendors document. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

interface Item {
  readonly ref: string;
  readonly href: string;
  readonly revision: number;
  readonly modifiedAt: string;
  readonly modifiedByRef: string;
  readonly archived: boolean;
  readonly [name: string]: unknown;
}

interface Caller {
  readonly id: string;
  call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown; headers: Headers }>;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function callerOf(service: TestService, fields: Record<string, unknown>): Promise<Caller> {
  const { apiKey, key } = await service.createKey(fields);
  const authorization = `Bearer ${await service.token(apiKey)}`;
  return {
    id: key.id,
    async call(method, path, body) {
      const response = await fetch(`http://127.0.0.1:${service.port}${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        body: text === '' ? undefined : JSON.parse(text),
        headers: response.headers,
      };
    },
  };
}

describeOnEachStore('Sitecore Personalize', store => {
  let service: TestService;
  let caller: Caller;
  beforeAll(async () => {
    service = await store.start();
    caller = await callerOf(service, { feature: 'multiple-resources' });
  });
  const create = async (path: string, body: unknown) => (await caller.call('POST', path, body)).body as Item;
  const list = async (path: string) =>
    (await caller.call('GET', path)).body as { href: string; items: Item[] };

  describe.each([
    [
      '/v2/connections',
      { name: 'A connection', type: 'HTTP', method: 'GET', requestUrl: 'https://example.com' },
    ],
    ['/v2/decisionModelDefinitions', { name: 'A model', type: 'CANVAS' }],
    [
      '/v3/flowDefinitions',
      { name: 'A flow', friendlyId: 'a_flow', subtype: 'EXPERIENCE', type: 'INTERACTIVE_API_FLOW' },
    ],
    ['/v3/templates', { name: 'A template', type: 'WEB', render: '<b>é</b>' }],
  ])('%s', (path, content) => {
    test('creates with 201 and the whole object', async () => {
      const before = service.clock.now();
      const { status, body, headers } = await caller.call('POST', path, content);
      expect(status).toBe(201);
      expect(headers.get('content-type')).toMatch(/^application\/json/);
      const item = body as Item;
      expect(item).toEqual({
        ...content,
        ref: expect.stringMatching(uuid) as string,
        href: `${service.url}${path}/${item.ref}`,
        revision: 1,
        modifiedAt: new Date(item.modifiedAt).toISOString(),
        modifiedByRef: `${caller.id}@clients`,
        archived: false,
      });
      expect(Math.abs(Date.parse(item.modifiedAt) - before)).toBeLessThan(10_000);
    });
    test('reads with 200 what was created', async () => {
      const made = await create(path, content);
      const { status, body, headers } = await caller.call('GET', `${path}/${made.ref}`);
      expect({ status, body }).toEqual({ status: 200, body: made });
      expect(headers.get('cache-control')).toMatch(/private, no-store/);
    });
    test('lists under its own address, newly created ones last', async () => {
      const one = await create(path, content);
      service.clock.advance(1);
      const other = await create(path, { ...content, name: 'Another' });
      const { href, items } = await list(path);
      expect(href).toBe(service.url + path);
      const refs = items.map(({ ref }) => ref);
      expect(refs.indexOf(one.ref)).toBeGreaterThanOrEqual(0);
      expect(refs.indexOf(other.ref)).toBeGreaterThan(refs.indexOf(one.ref));
      expect(items.find(({ ref }) => ref === other.ref)).toEqual(other);
    });
    test('updates with 200, counting revisions', async () => {
      const made = await create(path, content);
      service.clock.advance(60);
      const other = await callerOf(service, { feature: 'multiple-resources' });
      const { status, body } = await other.call('PUT', `${path}/${made.ref}`, {
        ...content,
        name: 'Changed',
        archived: true,
      });
      const changed = body as Item;
      expect(status).toBe(200);
      expect(changed).toEqual({
        ...made,
        name: 'Changed',
        archived: true,
        revision: 2,
        modifiedAt: changed.modifiedAt,
        modifiedByRef: `${other.id}@clients`,
      });
      expect(Date.parse(changed.modifiedAt) - Date.parse(made.modifiedAt)).toBeGreaterThanOrEqual(60_000);
      await caller.call('PUT', `${path}/${made.ref}`, content);
      const { body: third } = await caller.call('GET', `${path}/${made.ref}`);
      expect(third).toMatchObject({ ...content, revision: 3, ref: made.ref, href: made.href });
    });
    test('deletes with 200, and it is gone from everywhere', async () => {
      const made = await create(path, content);
      expect((await caller.call('DELETE', `${path}/${made.ref}`)).status).toBe(200);
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const { status } = await caller.call(
          method,
          `${path}/${made.ref}`,
          method === 'PUT' ? content : undefined,
        );
        expect(status).toBe(404);
      }
      expect((await list(`${path}?limit=1000`)).items.map(({ ref }) => ref)).not.toContain(made.ref);
    });
    test('is 404, in JSON, for what there is not', async () => {
      for (const ref of [
        randomUUID(),
        'x',
        '%20',
        randomUUID().toUpperCase(),
        '00000000000000000000000000000000',
      ]) {
        for (const method of ['GET', 'PUT', 'DELETE']) {
          const { status, body } = await caller.call(
            method,
            `${path}/${ref}`,
            method === 'PUT' ? content : undefined,
          );
          expect(status).toBe(404);
          expect(body).toMatchObject({ status: 404, code: 'not_found' });
        }
      }
    });
    test('writes its own members itself, whatever a caller says they are', async () => {
      const lies = {
        ref: randomUUID(),
        href: 'https://evil.example',
        revision: 99,
        modifiedAt: '1970-01-01T00:00:00.000Z',
        modifiedByRef: 'admin',
      };
      const made = await create(path, { ...content, ...lies });
      const changed = (await caller.call('PUT', `${path}/${made.ref}`, { ...content, ...lies })).body as Item;
      for (const [item, revision] of [
        [made, 1],
        [changed, 2],
      ] as const) {
        expect(item.ref).not.toBe(lies.ref);
        expect(item).toMatchObject({
          href: `${service.url}${path}/${made.ref}`,
          revision,
          modifiedByRef: `${caller.id}@clients`,
        });
        expect(item.modifiedAt > '2020').toBe(true);
      }
    });
    test('of two who change it at once loses nothing in silence', async () => {
      const made = await create(path, content);
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          caller.call('PUT', `${path}/${made.ref}`, { ...content, name: `Change ${i}` }),
        ),
      );
      const done = answers.filter(({ status }) => status === 200);
      expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
      const { body } = await caller.call('GET', `${path}/${made.ref}`);
      expect((body as Item).revision).toBe(1 + done.length);
    });
  });

  test('a list goes by limit and offset', async () => {
    const other = await store.start();
    const one = await callerOf(other, {});
    const refs: string[] = [];
    for (let place = 0; place < 7; place += 1) {
      other.clock.advance(1);
      refs.push(((await one.call('POST', '/v2/connections', { place })).body as Item).ref);
    }
    for (const [query, expected] of [
      ['', refs],
      ['?limit=3', refs.slice(0, 3)],
      ['?limit=3&offset=3', refs.slice(3, 6)],
      ['?limit=3&offset=6', refs.slice(6)],
      ['?offset=5', refs.slice(5)],
      ['?limit=3&offset=7', []],
      ['?limit=3&offset=9999', []],
      ['?limit=0', []],
      ['?limit=10&offset=0', refs],
      ['?limit=undefined&offset=undefined', refs],
      ['?type=WEB&limit=2&offset=1', refs.slice(1, 3)],
    ] as [string, string[]][]) {
      const { body } = await one.call('GET', `/v2/connections${query}`);
      expect((body as { items: Item[] }).items.map(({ ref }) => ref)).toEqual(expected);
    }
  });
  test('each resource has documents of its own', async () => {
    const made = await create('/v3/templates', { name: 'x' });
    for (const path of [
      '/v2/connections',
      '/v3/flowDefinitions',
      '/v2/decisionModelDefinitions',
      '/v2/decisionModelVariants',
    ]) {
      expect((await caller.call('GET', `${path}/${made.ref}`)).status).toBe(404);
    }
  });
  test('a connection is tested, and nothing is kept of it', async () => {
    const before = (await list('/v2/connections?limit=1000')).items.length;
    const { status } = await caller.call('POST', '/v2/connections/testConnection', {
      connection: { name: 'x' },
    });
    expect(status).toBe(200);
    expect((await list('/v2/connections?limit=1000')).items).toHaveLength(before);
  });

  describe('variants', () => {
    const models = '/v2/decisionModelDefinitions';
    test('are children of a decision model, and have an address of their own', async () => {
      const [one, other] = [await create(models, { name: 'One' }), await create(models, { name: 'Other' })];
      const { status, body } = await caller.call('POST', `${models}/${one.ref}/variants`, {
        name: 'A variant',
      });
      const variant = body as Item;
      expect(status).toBe(201);
      expect(variant).toMatchObject({
        name: 'A variant',
        revision: 1,
        href: `${service.url}/v2/decisionModelVariants/${variant.ref}`,
      });
      expect((await caller.call('GET', `/v2/decisionModelVariants/${variant.ref}`)).body).toEqual(variant);
      expect(await list(`${models}/${one.ref}/variants`)).toEqual({
        href: `${service.url}${models}/${one.ref}/variants`,
        items: [variant],
      });
      expect((await list(`${models}/${other.ref}/variants`)).items).toEqual([]);
      const changed = await caller.call('PUT', `/v2/decisionModelVariants/${variant.ref}`, {
        name: 'Changed',
      });
      expect(changed).toMatchObject({
        status: 200,
        body: { name: 'Changed', revision: 2, href: variant.href },
      });
      expect((await list(`${models}/${one.ref}/variants`)).items).toEqual([changed.body]);
    });
    test('are not made for a model that there is not', async () => {
      for (const ref of [randomUUID(), 'x', '%00']) {
        expect((await caller.call('POST', `${models}/${ref}/variants`, { name: 'x' })).status).toBe(404);
      }
    });
  });

  test('a decision model is tested by the key that is made for it', async () => {
    const tester = await callerOf(service, { feature: 'decision-model-testing' });
    const model = await create('/v2/decisionModelDefinitions', { name: 'x' });
    const body = { context: {}, decisionModelRef: model.ref, decisionModelVariantRef: randomUUID() };
    expect((await tester.call('POST', '/v2/testDecisionModel', body)).status).toBe(200);
    expect((await tester.call('GET', `/v2/decisionModelDefinitions/${model.ref}`)).status).toBe(200);
    expect((await tester.call('PUT', `/v2/decisionModelDefinitions/${model.ref}`, {})).status).toBe(403);
    expect((await caller.call('POST', '/v2/testDecisionModel', body)).status).toBe(403);
  });
  test('an issuer that is configured stands in every href', async () => {
    const other = await store.start({ env: { KEYTURN_ISSUER: 'https://api.example/base' } });
    const one = await callerOf(other, {});
    const { body } = await one.call('POST', '/v2/connections', {});
    expect((body as Item).href).toBe(`https://api.example/base/v2/connections/${(body as Item).ref}`);
    const listed = (await one.call('GET', '/v2/connections')).body as { href: string };
    expect(listed.href).toBe('https://api.example/base/v2/connections');
  });
});

describeOnEachStore('Sitecore services', store => {
  let service: TestService;
  let caller: Caller;
  beforeAll(async () => {
    service = await store.start();
    caller = await callerOf(service, { feature: 'services-client' });
  });

  test('a layout has a context and a route', async () => {
    const { status, body } = await caller.call(
      'GET',
      '/sitecore/api/layout/render/jss?item=%2F&sc_lang=da-DK&sc_site=x&tracking=true',
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({
      sitecore: { context: { language: 'da-DK', pageEditing: false }, route: { name: 'home' } },
    });
  });
  test('a layout of a missing item is 404 with a body that clients take for one', async () => {
    const { status, body } = await caller.call(
      'GET',
      '/sitecore/api/layout/render/jss?item=%2Fabout+us&sc_lang=en',
    );
    expect(status).toBe(404);
    expect(body).toEqual({ sitecore: { context: { pageEditing: false, language: 'en' }, route: null } });
  });
  test('a placeholder has elements', async () => {
    const { status, body } = await caller.call(
      'GET',
      '/sitecore/api/layout/placeholder/jss?placeholderName=x&item=%2F',
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ elements: [] });
  });
  test('a dictionary has phrases', async () => {
    const { status, body } = await caller.call('GET', '/sitecore/api/jss/dictionary/site/en');
    expect(status).toBe(200);
    expect(body).toMatchObject({ app: 'site', lang: 'en', phrases: {} });
  });
  test('GraphQL answers a query, and says what is missing where there is none', async () => {
    const query = { query: '{ layout { item { rendered } } }', variables: {} };
    expect(await caller.call('POST', '/sitecore/api/graph/edge', query)).toMatchObject({
      status: 200,
      body: { data: {} },
    });
    expect(await caller.call('POST', '/api/any-app', query)).toMatchObject({ status: 200 });
    expect(await caller.call('GET', '/sitecore/api/graph/edge?query=%7Ba%7D')).toMatchObject({ status: 200 });
    expect(await caller.call('POST', '/sitecore/api/graph/edge', {})).toMatchObject({
      status: 400,
      body: { errors: [{ message: expect.stringMatching(/query/i) as string }] },
    });
  });
  test('an event is taken as the tracker sends it: a list', async () => {
    const path = '/sitecore/api/jss/track/event';
    expect((await caller.call('POST', path, [{ eventId: 'x' }, { goalId: 'y' }])).status).toBe(200);
    expect((await caller.call('POST', path, { eventId: 'x' })).status).toBe(200);
    expect((await caller.call('POST', path, [])).status).toBe(200);
  });
  test('OData answers a list of values', async () => {
    const odata = await callerOf(service, { feature: 'odata-items', customData: { Database: 'web' } });
    const { status, body } = await odata.call(
      'GET',
      `/sitecore/api/ssc/aggregate/content/Items('${randomUUID()}')`,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ value: [] });
  });

  describe('a GraphQL endpoint', () => {
    const controller = 'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController';
    test.each<[string, string[], Record<string, number>]>([
      ['the controller alone', [controller], { '/sitecore/api/graph/edge': 403, '/api/app': 403 }],
      ['the entry alone', ['GraphQL:/api/app'], { '/sitecore/api/graph/edge': 403, '/api/app': 403 }],
      [
        'both',
        [controller, 'GraphQL:/api/app'],
        { '/sitecore/api/graph/edge': 403, '/api/app': 200, '/api/App': 403, '/api/app2': 403 },
      ],
      [
        'both, and another entry',
        [controller, 'GraphQL:/api/app', 'GraphQL:/sitecore/api/graph/edge'],
        { '/sitecore/api/graph/edge': 200, '/api/app': 200 },
      ],
      [
        'the controller and every entry',
        [controller, 'GraphQL:*'],
        { '/sitecore/api/graph/edge': 200, '/api/app': 200 },
      ],
      ['everything', ['*'], { '/sitecore/api/graph/edge': 200, '/api/app': 200 }],
      ['a prefix of the path', [controller, 'GraphQL:/api'], { '/api/app': 403 }],
      ['nothing', [], { '/api/app': 403 }],
    ])('takes its own entry beside the controller: %s', async (_, allowedControllers, statuses) => {
      const one = await callerOf(service, { feature: 'services-client', allowedControllers });
      for (const [path, status] of Object.entries(statuses)) {
        expect((await one.call('POST', path, { query: '{a}' })).status, path).toBe(status);
      }
    });
    test('is written as the vendor documents it, with assembly names, blanks and line ends', async () => {
      const one = await callerOf(service, {
        feature: 'services-client',
        allowedControllers: `Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController, Sitecore.LayoutService.Mvc; ${controller};\r\n GraphQL:/api/yourappname`,
      });
      expect((await one.call('POST', '/api/yourappname', { query: '{a}' })).status).toBe(200);
      expect((await one.call('GET', '/sitecore/api/layout/render/jss?item=/')).status).toBe(200);
      expect((await one.call('GET', '/sitecore/api/jss/dictionary/site/en')).status).toBe(403);
    });
  });
});

describeOnEachStore('Sitefinity content', store => {
  test('is for the scopes of content, and each type is a collection of its own', async () => {
    const { dataDir } = await store.place();
    const features = join(dataDir, 'features.json');
    await writeFile(features, await withContentFeature());
    const service = await store.start({ env: { KEYTURN_FEATURES: features } });
    const editor = await callerOf(service, { feature: 'content' });
    const reader = await callerOf(service, { feature: 'content', scopes: ['content:read'] });
    const base = '/api/default';
    const { status, body } = await editor.call('POST', `${base}/newsitems`, { Title: 'News' });
    const news = body as Item;
    expect({ status, Title: news['Title'] }).toEqual({ status: 201, Title: 'News' });
    const blog = (await editor.call('POST', `${base}/blogposts`, { Title: 'Blog' })).body as Item;
    expect(((await reader.call('GET', `${base}/newsitems`)).body as { items: Item[] }).items).toEqual([news]);
    expect(((await reader.call('GET', `${base}/blogposts`)).body as { items: Item[] }).items).toEqual([blog]);
    expect((await reader.call('GET', `${base}/newsitems/${news.ref}`)).body).toEqual(news);
    expect((await reader.call('GET', `${base}/blogposts/${news.ref}`)).status).toBe(404);
    for (const method of ['PUT', 'PATCH']) {
      expect((await reader.call(method, `${base}/newsitems/${news.ref}`, {})).status).toBe(403);
      expect((await editor.call(method, `${base}/newsitems/${news.ref}`, { Title: method })).status).toBe(
        200,
      );
      expect((await editor.call(method, `${base}/blogposts/${news.ref}`, {})).status).toBe(404);
    }
    expect((await reader.call('POST', `${base}/newsitems`, {})).status).toBe(403);
    expect((await reader.call('DELETE', `${base}/newsitems/${news.ref}`)).status).toBe(403);
    expect((await editor.call('DELETE', `${base}/newsitems/${news.ref}`)).status).toBe(200);
    expect((await reader.call('GET', `${base}/newsitems/${news.ref}`)).status).toBe(404);
    expect(((await reader.call('GET', `${base}/newsitems`)).body as { items: Item[] }).items).toEqual([]);
  });
});

/** The default features, and one for content: by default that is for accounts alone. */
async function withContentFeature(): Promise<string> {
  const { features } = JSON.parse(await readFile('config/features.json', 'utf8')) as { features: object[] };
  const content = { name: 'content', scopes: ['content:manage'], controllers: ['Sitefinity.Default'] };
  return JSON.stringify({ features: [...features, content] });
}
