import { describe, expect, it } from 'vitest';
import { inferOperation, type Method } from '../../src/config/catalogue.ts';
import { loadSettings } from '../../src/config/load.ts';
import { parseCatalogue } from '../../src/config/parse-catalogue.ts';

const { catalogue } = loadSettings({});
const layout = 'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController';
const dictionary = 'Sitecore.JavaScriptServices.Globalization.Controllers.DictionaryServiceController';
const graphql = 'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController';
const tracking = 'Sitecore.JavaScriptServices.Tracker.Mvc.Controllers.TrackingController';

describe('the default features', () => {
  const table: [name: string, scopes: string, controllers: string[]][] = [
    ['connections', 'personalize.external_webservices:manage', ['Personalize.Connections']],
    [
      'decision-model-testing',
      'personalize.decision_models:read personalize.decision_model_tests:read',
      ['Personalize.DecisionModels', 'Personalize.DecisionModelTests'],
    ],
    ['developer-templates', 'personalize.templates:manage', ['Personalize.Templates']],
    [
      'multiple-resources',
      'personalize.decision_models:manage personalize.templates:manage personalize.external_webservices:manage personalize.flows:manage',
      ['Personalize.Connections', 'Personalize.DecisionModels', 'Personalize.Flows', 'Personalize.Templates'],
    ],
    ['services-client', 'services:manage', [layout, dictionary, graphql, tracking, 'GraphQL:*']],
    ['odata-items', 'items:read', ['Sitecore.Services.OData.ItemsController']],
    ['resource-server', 'keyturn:introspect', ['Keyturn.Introspection']],
  ];

  it.each(table)('%s', (name, scopes, controllers) => {
    const feature = catalogue.features.get(name);
    expect(feature?.scopes.join(' ')).toBe(scopes);
    expect(feature?.controllers).toEqual(controllers);
    expect(feature?.role).toBeUndefined();
  });

  it('are these, and one for each role', () => {
    const roles = [...catalogue.features.values()].flatMap(({ name, role }) => (role ? [[role, name]] : []));
    expect(roles).toEqual([
      ['owner', 'account-owner'],
      ['admin', 'account-admin'],
      ['member', 'account-member'],
    ]);
    expect(catalogue.features.size).toBe(table.length + roles.length);
  });

  it('ask for a database where items are read, and nowhere else', () => {
    const asking = [...catalogue.features.values()].filter(feature => feature.requiredCustomData.length > 0);
    expect(asking.map(({ name, requiredCustomData }) => [name, requiredCustomData])).toEqual([
      ['odata-items', ['Database']],
    ]);
  });
});

describe('the default controllers', () => {
  const lines = [...catalogue.controllers.values()].flatMap(({ name, doors, routes }) =>
    routes.map(route => [
      route.methods.join(),
      route.path,
      route.scope,
      name,
      doors.join(),
      route.collection,
      route.operation,
    ]),
  );
  const lineOf = (method: string, path: string) =>
    lines
      .find(([methods, pattern]) => String(methods).split(',').includes(method) && pattern === path)
      ?.slice(2);

  it.each([
    [
      'GET',
      '/v2/connections',
      'personalize.external_webservices:read',
      'Personalize.Connections',
      'bearer',
      'connections',
      'list',
    ],
    [
      'POST',
      '/v2/connections',
      'personalize.external_webservices:create',
      'Personalize.Connections',
      'bearer',
      'connections',
      'create',
    ],
    [
      'POST',
      '/v2/connections/testConnection',
      'personalize.external_webservices:read',
      'Personalize.Connections',
      'bearer',
      'connections',
      'test',
    ],
    [
      'GET',
      '/v2/decisionModelDefinitions/:ref',
      'personalize.decision_models:read',
      'Personalize.DecisionModels',
      'bearer',
      'decisionModels',
      'read',
    ],
    [
      'GET',
      '/v2/decisionModelDefinitions/:ref/variants',
      'personalize.decision_models:read',
      'Personalize.DecisionModels',
      'bearer',
      'decisionModelVariants',
      'list-children',
    ],
    [
      'POST',
      '/v2/decisionModelDefinitions/:ref/variants',
      'personalize.decision_models:create',
      'Personalize.DecisionModels',
      'bearer',
      'decisionModelVariants',
      'create-child',
    ],
    [
      'PUT',
      '/v2/decisionModelVariants/:ref',
      'personalize.decision_models:update',
      'Personalize.DecisionModels',
      'bearer',
      'decisionModelVariants',
      'update',
    ],
    [
      'POST',
      '/v2/testDecisionModel',
      'personalize.decision_model_tests:read',
      'Personalize.DecisionModelTests',
      'bearer',
      'decisionModels',
      'test',
    ],
    [
      'PUT',
      '/v3/flowDefinitions/:ref',
      'personalize.flows:update',
      'Personalize.Flows',
      'bearer',
      'flows',
      'update',
    ],
    [
      'DELETE',
      '/v3/templates/:ref',
      'personalize.templates:delete',
      'Personalize.Templates',
      'bearer',
      'templates',
      'delete',
    ],
    [
      'GET',
      '/sitecore/api/layout/render/:configuration',
      'services:read',
      layout,
      'bearer,sc_apikey',
      'layouts',
      'layout',
    ],
    [
      'GET',
      '/sitecore/api/layout/placeholder/:configuration',
      'services:read',
      layout,
      'bearer,sc_apikey',
      'layouts',
      'placeholder',
    ],
    [
      'GET',
      '/sitecore/api/jss/dictionary/:app/:language',
      'services:read',
      dictionary,
      'bearer,sc_apikey',
      'dictionaries',
      'dictionary',
    ],
    ['POST', '/sitecore/api/graph/edge', 'services:read', graphql, 'bearer,sc_apikey', 'graphql', 'graphql'],
    ['GET', '/api/:app', 'services:read', graphql, 'bearer,sc_apikey', 'graphql', 'graphql'],
    [
      'POST',
      '/sitecore/api/jss/track/event',
      'services:create',
      tracking,
      'bearer,sc_apikey',
      'events',
      'event',
    ],
    [
      'GET',
      '/sitecore/api/ssc/aggregate/content/:resource',
      'items:read',
      'Sitecore.Services.OData.ItemsController',
      'bearer,sc_apikey',
      'items',
      'odata-item',
    ],
    [
      'GET',
      '/api/default/:type',
      'content:read',
      'Sitefinity.Default',
      'bearer,x-sf-access-key',
      'content',
      'list',
    ],
    [
      'POST',
      '/api/default/:type',
      'content:create',
      'Sitefinity.Default',
      'bearer,x-sf-access-key',
      'content',
      'create',
    ],
    [
      'PATCH',
      '/api/default/:type/:id',
      'content:update',
      'Sitefinity.Default',
      'bearer,x-sf-access-key',
      'content',
      'update',
    ],
  ])('%s %s asks for %s', (method, path, ...rest) => expect(lineOf(method, path)).toEqual(rest));

  it('serve every personalize resource for every action, and tell GraphQL paths from others', () => {
    const scopes = new Set(lines.map(([, , scope]) => scope));
    for (const resource of ['external_webservices', 'decision_models', 'flows', 'templates']) {
      for (const action of ['create', 'read', 'update', 'delete'])
        expect(scopes).toContain(`personalize.${resource}:${action}`);
    }
    const marked = [...catalogue.controllers.values()].filter(({ routes }) =>
      routes.some(route => route.graphqlPath),
    );
    expect(marked.map(({ name }) => name)).toEqual([graphql]);
  });
});

describe('an operation that is not named', () => {
  it.each<[Method[], string, string | undefined]>([
    [['GET'], '/things', 'list'],
    [['POST'], '/things', 'create'],
    [['GET'], '/things/:id', 'read'],
    [['PUT', 'PATCH'], '/things/:id', 'update'],
    [['DELETE'], '/a/:b/:c', 'delete'],
    [['GET', 'POST'], '/things', undefined],
    [['GET', 'DELETE'], '/things/:id', undefined],
    [['POST'], '/things/:id', undefined],
    [['PUT'], '/things', undefined],
    [['GET'], '/things/:id/parts', undefined],
    [['GET'], '/things/*rest', undefined],
  ])('of %j %s is %s', (methods, path, operation) => expect(inferOperation(methods, path)).toBe(operation));
});

const goodFeatures = { features: [...catalogue.features.values()] };
const goodRoute = { methods: ['GET'], path: '/x', scope: 'x:read' };
const goodController = { name: 'X', collection: 'x', routes: [goodRoute] };

describe('a wrong features file', () => {
  const parse = (value: unknown) => problemsIn(value, undefined);
  const withFeature = (feature: unknown) => parse({ features: [...goodFeatures.features, feature] });
  const good = { name: 'new', scopes: ['x:read'], controllers: ['Keyturn.Keys'] };

  it.each<[Record<string, unknown>, string]>([
    [{ name: 'Upper' }, '/name'],
    [{ name: '' }, '/name'],
    [{ name: undefined }, '/name'],
    [{ name: 'connections' }, '/name'],
    [{ title: '' }, '/title'],
    [{ scopes: undefined }, '/scopes'],
    [{ scopes: [] }, '/scopes'],
    [{ scopes: 'x:read' }, '/scopes'],
    [{ scopes: ['x:raed'] }, '/scopes/0'],
    [{ scopes: ['x'] }, '/scopes/0'],
    [{ scopes: ['x y:read'] }, '/scopes/0'],
    [{ scopes: ['x:read', 'x:read'] }, '/scopes'],
    [{ controllers: undefined }, '/controllers'],
    [{ controllers: ['*'] }, '/controllers/0'],
    [{ controllers: ['GraphQL:nowhere'] }, '/controllers/0'],
    [{ controllers: ['A; B'] }, '/controllers/0'],
    [{ role: 'owner' }, '/role'],
    [{ role: 'root' }, '/role'],
    [{ requiredCustomData: [''] }, '/requiredCustomData/0'],
    [{ scope: ['x:read'] }, '/scope'],
  ])('%j', (change, place) => {
    const index = goodFeatures.features.length;
    const places = withFeature({ ...good, ...change }).map(problem => problem.where);
    expect(places).toContain(`features.json#/features/${index}${place}`);
  });

  it.each<[unknown, string]>([
    [{}, 'features.json#/features'],
    [{ features: {} }, 'features.json#/features'],
    [{ features: [], feature: [] }, 'features.json#/feature'],
    [[], 'features.json#'],
    [null, 'features.json#'],
    [{ features: [null] }, 'features.json#/features/0'],
    [{ features: goodFeatures.features.filter(({ role }) => role !== 'admin') }, 'features.json#/features'],
  ])('%j', (value, place) => expect(parse(value).map(problem => problem.where)).toContain(place));

  it('is checked against the controllers', () => {
    const named = {
      ...good,
      controllers: ['X', 'x', 'GraphQL:*', 'GraphQL:/api/app', 'Keyturn.Audit', 'Keyturn.Nothing'],
    };
    const problems = problemsIn({ features: [named] }, { controllers: [goodController] });
    const places = problems.map(problem => problem.where).filter(where => where.includes('/controllers/'));
    expect(places).toEqual([
      'features.json#/features/0/controllers/1',
      'features.json#/features/0/controllers/5',
    ]);
  });
});

describe('a wrong controllers file', () => {
  const withController = (change: Record<string, unknown>) =>
    problemsIn(undefined, { controllers: [{ ...goodController, ...change }] }).map(problem => problem.where);

  it.each<[Record<string, unknown>, string]>([
    [{ name: 'a;b' }, '/name'],
    [{ name: 'a, b' }, '/name'],
    [{ name: ' a' }, '/name'],
    [{ name: 'GraphQL:/x' }, '/name'],
    [{ name: 'Keyturn.Keys' }, '/name'],
    [{ name: 'keyturn.keys' }, '/name'],
    [{ audience: 'a b' }, '/audience'],
    [{ doors: [] }, '/doors'],
    [{ doors: ['cookie'] }, '/doors/0'],
    [{ requireApiKey: true }, '/requireApiKey'],
    [{ requireApiKey: 'yes' }, '/requireApiKey'],
    [{ collection: undefined }, ''],
    [{ upstream: 'http://x' }, ''],
    [{ elsewhere: true }, ''],
    [{ collection: undefined, elsewhere: false }, '/elsewhere'],
    [{ collection: undefined, elsewhere: true, forward: 'jwt' }, '/forward'],
    [{ collection: undefined, elsewhere: true, routes: [] }, '/routes'],
    [
      { collection: undefined, elsewhere: true, routes: [{ ...goodRoute, operation: 'list' }] },
      '/routes/0/operation',
    ],
    [{ collection: undefined, upstream: 'https://me:secret@x' }, '/upstream'],
    [{ collection: undefined, upstream: 'https://x?y=z' }, '/upstream'],
    [{ collection: undefined, upstream: 'ftp://x' }, '/upstream'],
    [{ collection: undefined, upstream: 'x' }, '/upstream'],
    [{ collection: 'a b' }, '/collection'],
    [{ forward: 'jwt' }, '/forward'],
    [{ collection: undefined, upstream: 'http://x', forward: 'key' }, '/forward'],
    [{ timeout: 5 }, '/timeout'],
    [{ collection: undefined, upstream: 'http://x', timeout: 0 }, '/timeout'],
    [{ routes: [] }, '/routes'],
    [{ routes: undefined }, '/routes'],
    [{ route: [] }, '/route'],
  ])('%j', (change, place) =>
    expect(withController(change)).toEqual([`controllers.json#/controllers/0${place}`]),
  );

  const withRoutes = (...changes: Record<string, unknown>[]) =>
    withController({ routes: changes.map(change => Object.assign({}, goodRoute, change)) });

  it.each<[Record<string, unknown>, string]>([
    [{ methods: [] }, '/methods'],
    [{ methods: ['HEAD'] }, '/methods/0'],
    [{ methods: ['get'] }, '/methods/0'],
    [{ methods: 'GET' }, '/methods'],
    [{ methods: ['GET', 'POST'] }, '/operation'],
    [{ methods: ['PUT'] }, '/operation'],
    [{ methods: ['GET'], operation: 'create' }, '/methods'],
    [{ methods: ['GET', 'POST'], operation: 'event' }, '/methods'],
    [{ operation: 'read' }, '/path'],
    [{ operation: 'drop' }, '/operation'],
    [{ path: 'x' }, '/path'],
    [{ path: '' }, '/path'],
    [{ path: '/x/' }, '/path'],
    [{ path: '//x' }, '/path'],
    [{ path: '/x?y' }, '/path'],
    [{ path: '/x/:' }, '/path'],
    [{ path: '/x/(.*)' }, '/path'],
    [{ path: '/x/{:y}' }, '/path'],
    [{ path: '/x/%2e%2e/admin' }, '/path'],
    [{ path: '/*rest/x' }, '/path'],
    [{ path: '/x/../admin' }, '/path'],
    [{ path: '/:a/:a' }, '/path'],
    [{ path: '/admin/keys' }, '/path'],
    [{ path: '/ADMIN' }, '/path'],
    [{ path: '/oauth/token' }, '/path'],
    [{ path: '/v2/oauth/token' }, '/path'],
    [{ path: '/.well-known/x' }, '/path'],
    [{ path: '/auth/verify' }, '/path'],
    [{ path: '/keys/:id' }, '/path'],
    [{ path: '/livez' }, '/path'],
    [{ path: '/readyz' }, '/path'],
    [{ path: '/metrics' }, '/path'],
    [{ path: '/docs' }, '/path'],
    [{ path: '/openapi.json' }, '/path'],
    [{ path: '/console/x' }, '/path'],
    [{ scope: 'x' }, '/scope'],
    [{ scope: undefined }, '/scope'],
    [{ collection: '/' }, '/collection'],
    [{ graphqlPath: 1 }, '/graphqlPath'],
    [{ guard: 'none' }, '/guard'],
  ])('route %j', (change, place) => {
    expect(withRoutes(change)).toEqual([`controllers.json#/controllers/0/routes/0${place}`]);
  });

  it.each([
    ['/authors'],
    ['/administration'],
    ['/v2/x'],
    ['/'],
    ["/x/$metadata/items'"],
    ['/keyring'],
    ['/x.y/z_~-'],
  ])('but not for the path %s', path => expect(withRoutes({ path })).toEqual([]));

  it.each([
    ['/x', '/x'],
    ['/x', '/X'],
    ['/x/:a', '/x/:b'],
    ['/x/:a', '/x/y'],
    ['/*all', '/x/:a/y'],
  ])('%s hides %s after it', (first, second) => {
    const operation = 'layout';
    expect(withRoutes({ path: first, operation }, { path: second, operation })).toEqual([
      'controllers.json#/controllers/0/routes/1/path',
    ]);
  });

  it.each([
    ['/x/y', '/x/:a'],
    ['/x/:a', '/x/:a/y'],
    ['/x/y', '/x/*all'],
    ['/x/:a/y', '/x/b/:c'],
  ])('%s does not hide %s after it', (first, second) => {
    const operation = 'layout';
    expect(withRoutes({ path: first, operation }, { path: second, operation })).toEqual([]);
  });

  it('hides no other method', () => {
    expect(withRoutes({ path: '/x/:a' }, { path: '/x/:a', methods: ['DELETE'] })).toEqual([]);
  });

  it('names a controller or a path twice', () => {
    const again = { ...goodController, name: 'x' };
    expect(
      problemsIn(undefined, { controllers: [goodController, again] }).map(problem => problem.where),
    ).toEqual(['controllers.json#/controllers/1/name', 'controllers.json#/controllers/1/routes/0/path']);
  });

  it('has no routes, and is not guarded elsewhere', () => {
    expect(withController({ collection: undefined, elsewhere: true, routes: undefined })).toEqual([]);
    expect(withController({ collection: undefined, elsewhere: true })).toEqual([]);
  });

  it('gives an operation or a collection to an upstream', () => {
    const upstream = {
      collection: undefined,
      upstream: 'http://127.0.0.1:9000/base',
      forward: 'jwt',
      timeout: 5,
    };
    expect(withController(upstream)).toEqual([]);
    expect(
      withController({ ...upstream, routes: [{ ...goodRoute, operation: 'list', collection: 'x' }] }),
    ).toEqual([
      'controllers.json#/controllers/0/routes/0/operation',
      'controllers.json#/controllers/0/routes/0/collection',
    ]);
  });

  it('is checked beyond the entry that is wrong, and reported in one go', () => {
    const controllers = [
      { ...goodController, routes: [{ path: 5 }, { ...goodRoute, path: '/admin' }] },
      null,
      { name: 'Y', routes: [{ ...goodRoute, path: '/docs' }] },
    ];
    expect(problemsIn(undefined, { controllers }).map(problem => problem.where)).toEqual([
      'controllers.json#/controllers/0/routes/0/methods',
      'controllers.json#/controllers/0/routes/0/scope',
      'controllers.json#/controllers/0/routes/0/path',
      'controllers.json#/controllers/1',
      'controllers.json#/controllers/2',
      'controllers.json#/controllers/0/routes/1/path',
      'controllers.json#/controllers/2/routes/0/path',
    ]);
  });
});

describe('wrong audiences', () => {
  it.each<[unknown, string, RegExp]>([
    ['https://old.example', '', /a list/],
    [[{ audience: 'https://old.example' }], '/0', /alg or typ or both/],
    [[{ alg: 'RS256', typ: 'JWT' }], '/0/audience', /without white space/],
    [[{ audience: 'two words', typ: 'JWT' }], '/0/audience', /without white space/],
    [[{ audience: 'a', alg: 'HS256' }], '/0/alg', /one of ES256, RS256, EdDSA/],
    [[{ audience: 'a', alg: 'none' }], '/0/alg', /one of ES256, RS256, EdDSA/],
    [[{ audience: 'a', typ: 'jwt' }], '/0/typ', /one of at\+jwt, JWT/],
    [[{ audience: 'a', type: 'JWT' }], '/0/type', /did you mean typ\?/],
    [
      [
        { audience: 'a', typ: 'JWT' },
        { audience: 'a', typ: 'JWT' },
      ],
      '/1/audience',
      /not stand above/,
    ],
  ])('%j are reported at %s', (audiences, place, expected) => {
    const problems = problemsIn(undefined, { controllers: [goodController], audiences });
    expect(problems).toEqual([
      expect.objectContaining({
        where: `controllers.json#/audiences${place}`,
        expected: expect.stringMatching(expected) as string,
      }),
    ]);
  });
});

describe('what is parsed', () => {
  it('has every default', () => {
    const upstream = { name: 'Y', upstream: 'http://127.0.0.1:9000', routes: [{ ...goodRoute, path: '/y' }] };
    const parsed = parseCatalogue(
      { path: 'features.json', value: goodFeaturesWith('X') },
      { path: 'controllers.json', value: { controllers: [goodController, upstream] } },
    );
    expect(parsed.problems).toEqual([]);
    expect([...parsed.catalogue!.controllers.values()]).toEqual([
      {
        name: 'X',
        doors: ['bearer'],
        requireApiKey: false,
        collection: 'x',
        routes: [{ ...goodRoute, graphqlPath: false, collection: 'x', operation: 'list' }],
      },
      {
        name: 'Y',
        doors: ['bearer'],
        requireApiKey: false,
        upstream: 'http://127.0.0.1:9000',
        routes: [{ ...goodRoute, path: '/y', graphqlPath: false }],
      },
    ]);
    expect(parsed.catalogue!.audiences.size).toBe(0);
  });

  it('has the audiences that want their tokens otherwise', () => {
    const audiences = [
      { audience: 'https://old.example', alg: 'RS256', typ: 'JWT' },
      { audience: 'https://OLD.example', alg: 'EdDSA' },
    ];
    const { catalogue, problems } = parseCatalogue(
      { path: 'features.json', value: goodFeaturesWith('X') },
      { path: 'controllers.json', value: { controllers: [goodController], audiences } },
    );
    expect(problems).toEqual([]);
    expect([...catalogue!.audiences]).toEqual(audiences.map(rule => [rule.audience, rule]));
  });
});

function goodFeaturesWith(controller: string): unknown {
  const roles = ['owner', 'admin', 'member'];
  return {
    features: roles.map(role => ({ name: role, role, scopes: ['x:read'], controllers: [controller] })),
  };
}

function problemsIn(features: unknown, controllers: unknown) {
  return parseCatalogue(
    features === undefined ? undefined : { path: 'features.json', value: features },
    controllers === undefined ? undefined : { path: 'controllers.json', value: controllers },
  ).problems;
}
