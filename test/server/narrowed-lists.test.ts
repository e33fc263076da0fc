/** `controllers` and `origins` at the token endpoint: a token of a part of the key's lists, and never of more. */
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

const layout = 'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController';
const graphql = 'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController';

type Fields = Record<string, string>;

describeOnEmbeddedStore('a token narrowed by lists', store => {
  let service: TestService;
  const keys: Record<string, string> = {};
  beforeAll(async () => {
    service = await store.start();
    const lists = {
      all: { feature: 'services-client' },
      wild: { feature: 'services-client', allowedControllers: '*', corsOrigins: '*' },
      some: {
        feature: 'services-client',
        allowedControllers: [layout, graphql, 'GraphQL:/api/one'],
        corsOrigins: ['https://one.example', 'https://two.example:8443'],
      },
      none: { feature: 'services-client', allowedControllers: [] },
    };
    for (const [name, fields] of Object.entries(lists)) keys[name] = (await service.createKey(fields)).apiKey;
  });
  const ask = (key: string, fields: Fields) => service.exchange(keys[key] ?? '', fields);
  const listsOf = async (response: Response) => {
    const { access_token } = (await response.json()) as { access_token: string };
    const { allowed_controllers, allowed_origins } = decodeJwt(access_token);
    return { allowed_controllers, allowed_origins };
  };

  test.each<[string, string, Fields, string[], string[]]>([
    [
      'one controller',
      'some',
      { controllers: layout },
      [layout],
      ['https://one.example', 'https://two.example:8443'],
    ],
    [
      'lists as Sitecore writes them',
      'some',
      { controllers: ` ${layout}, Sitecore.LayoutService ;\n;GraphQL:/api/one;${layout}` },
      [layout, 'GraphQL:/api/one'],
      ['https://one.example', 'https://two.example:8443'],
    ],
    [
      'one origin, however it is spelled',
      'some',
      { controllers: graphql, origins: 'HTTPS://One.example:443/' },
      [graphql],
      ['https://one.example'],
    ],
    [
      'all controllers, by a star',
      'some',
      { controllers: '*', origins: 'https://two.example:8443' },
      [layout, graphql, 'GraphQL:/api/one'],
      ['https://two.example:8443'],
    ],
    [
      'a path, of a key that has every one',
      'all',
      { controllers: 'GraphQL:/any/path' },
      ['GraphQL:/any/path'],
      [],
    ],
    ['the pattern itself', 'all', { controllers: `GraphQL:*;${graphql}` }, ['GraphQL:*', graphql], []],
    [
      'anything of the feature, of a key with stars',
      'wild',
      { controllers: layout, origins: 'https://any.example; http://localhost:3000' },
      [layout],
      ['https://any.example', 'http://localhost:3000'],
    ],
    ['nothing less, by stars', 'wild', { controllers: layout, origins: '*' }, [layout], ['*']],
    [
      'nothing less, by empty parameters',
      'some',
      { controllers: '', origins: '' },
      [layout, graphql, 'GraphQL:/api/one'],
      ['https://one.example', 'https://two.example:8443'],
    ],
    ['nothing less, by a star for a key without controllers', 'none', { controllers: '*' }, [], []],
  ])('to %s', async (_, key, fields, allowed_controllers, allowed_origins) => {
    expect(await listsOf(await ask(key, fields))).toEqual({ allowed_controllers, allowed_origins });
  });

  test.each<[string, string, Fields, string]>([
    [
      'a controller of another feature',
      'all',
      { controllers: 'Personalize.Connections' },
      'Personalize.Connections',
    ],
    [
      'a controller that its own list leaves out',
      'some',
      { controllers: `${layout};GraphQL:/api/two` },
      '/api/two',
    ],
    ['every path, where it has one', 'some', { controllers: 'GraphQL:*' }, 'GraphQL:*'],
    ['a controller in another case', 'some', { controllers: layout.toLowerCase() }, layout.toLowerCase()],
    ['a controller beside a star', 'some', { controllers: '*;Personalize.Flows' }, 'Personalize.Flows'],
    ['any controller, where it has none', 'none', { controllers: layout }, layout],
    ['semicolons alone', 'some', { controllers: ' ; ;' }, 'controllers names nothing'],
    [
      'an origin that it does not have',
      'some',
      { origins: 'https://three.example' },
      'https://three.example',
    ],
    ['an origin of another port', 'some', { origins: 'https://two.example' }, 'https://two.example'],
    ['an origin of another scheme', 'some', { origins: 'http://one.example' }, 'http://one.example'],
    ['any origin, where it has some', 'some', { origins: '*' }, 'origins *'],
    ['an origin, where it has none', 'all', { origins: 'https://one.example' }, 'https://one.example'],
    ['what is no origin', 'wild', { origins: 'https://one.example/path' }, 'https://one.example/path'],
    ['null', 'wild', { origins: 'null' }, 'null'],
    ['no origin', 'wild', { origins: ';' }, 'origins names nothing'],
  ])('is invalid_request for %s', async (_, key, fields, named) => {
    const response = await ask(key, fields);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: 'invalid_request',
      error_description: expect.stringContaining(named) as string,
    });
  });

  test('is invalid_request where it would be too long for a header, and one that just fits is let in', async () => {
    const paths = (count: number) =>
      Array.from({ length: count }, (_, place) => `GraphQL:/a/rather/long/path/${place}`).join(';');
    const response = await ask('all', { controllers: paths(300) });
    expect(await response.json()).toMatchObject({ error: 'invalid_request' });
    expect((await ask('all', { controllers: paths(100) })).status).toBe(200);
  });

  test('asked for twice, in the query or as an array is invalid_request', async () => {
    const form = `grant_type=client_credentials&client_secret=${keys['all']}`;
    const post = (query: string, body: string, type = 'application/x-www-form-urlencoded') =>
      fetch(`${service.url}/oauth/token${query}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
    const json = (lists: object) =>
      JSON.stringify({ grant_type: 'client_credentials', client_secret: keys['all'], ...lists });
    const answers = await Promise.all([
      post('', `${form}&controllers=${layout}&controllers=${layout}`),
      post('', `${form}&origins=&origins=`),
      post(`?controllers=${layout}`, form),
      post('?x=y&origins=https://one.example', form),
      post('', json({ controllers: [layout] }), 'application/json'),
      post('', json({ origins: null }), 'application/json'),
    ]);
    for (const answer of answers) expect(await answer.json()).toMatchObject({ error: 'invalid_request' });
    const narrowed = await post('', json({ controllers: layout }), 'application/json');
    expect(await listsOf(narrowed)).toEqual({ allowed_controllers: [layout], allowed_origins: [] });
  });

  test('is narrowed in a token exchange, too', async () => {
    const response = await fetch(`${service.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: keys['some'] ?? '',
        subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
        controllers: layout,
        origins: 'https://one.example',
      }),
    });
    expect(await listsOf(response)).toEqual({
      allowed_controllers: [layout],
      allowed_origins: ['https://one.example'],
    });
  });

  test('opens what it names and nothing else, from where it says', async () => {
    const { apiKey } = await service.createKey({
      feature: 'multiple-resources',
      corsOrigins: ['https://one.example', 'https://two.example'],
    });
    const token = await service.token(apiKey, {
      controllers: 'Personalize.Connections',
      origins: 'https://one.example',
    });
    const status = async (path: string, headers: Fields = {}) =>
      (await fetch(service.url + path, { headers: { authorization: `Bearer ${token}`, ...headers } })).status;
    expect(await status('/v2/connections')).toBe(200);
    expect(await status('/v2/connections', { origin: 'https://one.example' })).toBe(200);
    expect(await status('/v2/connections', { origin: 'https://two.example' })).toBe(403);
    expect(await status('/v3/templates')).toBe(403);
  });

  describe('asked for by the key itself', () => {
    const rotate = async (fields: Fields, key: Fields = {}) => {
      const { apiKey } = await service.createKey({
        feature: 'multiple-resources',
        corsOrigins: 'https://one.example;https://two.example',
        ...key,
      });
      const response = await fetch(`${service.url}/keys/self/rotations`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await service.token(apiKey, fields)}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ mode: 'now' }),
      });
      return response.status;
    };
    test.each<[string, Fields, Fields?]>([
      ['controllers', { controllers: 'Personalize.Connections' }],
      ['origins', { origins: 'https://one.example' }],
      ['origins out of all', { origins: 'https://one.example' }, { corsOrigins: '*' }],
      ['one path out of all', { controllers: 'GraphQL:/api' }, { feature: 'services-client' }],
    ])('is no way to a new secret where it lacks %s', async (_, fields, key) => {
      expect(await rotate(fields, key)).toBe(403);
    });
    test('is one where it lacks nothing', async () => {
      expect(await rotate({ controllers: '*', origins: 'https://two.example;https://one.example' })).toBe(
        201,
      );
      expect(await rotate({ controllers: 'GraphQL:*;*' }, { feature: 'services-client' })).toBe(201);
    });
  });
});
