/** What a route asks is checked when the server starts: one that is mistyped would be guarded otherwise than it says. */
import { describe, expect, test } from 'vitest';
import { readDemand, type RouteDemand } from '../../src/middleware/guard-options.ts';
import { createGuard } from '../../src/middleware/koa.ts';

const demand: RouteDemand = { controller: 'Shop.Orders', scope: 'orders:read' };

describe('the demand of a route', () => {
  test('is for a token of the audience of the server, where it says nothing else', () => {
    expect(readDemand(demand, 'https://shop.example')).toEqual({
      audience: 'https://shop.example',
      controllers: ['Shop.Orders'],
      scope: 'orders:read',
      doors: ['bearer'],
      requireApiKey: false,
      isGraphql: false,
    });
  });

  test('of a GraphQL endpoint asks for its entry, too', () => {
    expect(readDemand({ ...demand, audience: 'other', graphqlPath: '/api/shop' }, 'x')).toMatchObject({
      audience: 'other',
      controllers: ['Shop.Orders', 'GraphQL:/api/shop'],
      isGraphql: true,
    });
  });

  test.each<[object | undefined, RegExp]>([
    [undefined, /^a route needs an object/],
    [{ ...demand, controller: undefined }, /^controller: /],
    [{ ...demand, controller: '' }, /^controller: /],
    [{ ...demand, controller: 'A;B' }, /^controller: /],
    [{ ...demand, controller: ' A' }, /^controller: /],
    [{ ...demand, scope: undefined }, /^scope: /],
    [{ ...demand, scope: 'orders' }, /^scope: /],
    [{ ...demand, scope: 'orders:write' }, /^scope: /],
    [{ ...demand, doors: [] }, /^doors: /],
    [{ ...demand, doors: ['bearer', 'cookie'] }, /^doors: /],
    [{ ...demand, requireApiKey: true }, /^requireApiKey: /],
    [{ ...demand, graphqlPath: 'api' }, /^graphqlPath: /],
    [{ ...demand, scopes: 'orders:read' }, /^a route has no scopes/],
  ])('%j is refused', (wrong, message) => {
    expect(() => readDemand(wrong as RouteDemand, 'x')).toThrow(TypeError);
    expect(() => readDemand(wrong as RouteDemand, 'x')).toThrow(message);
  });
});

test.each<[string, unknown]>([
  ['timeout', 1500.5],
  ['timeout', '1500'],
  ['timeout', 0],
  ['maxStaleness', '10'],
  ['maxStaleness', 2],
])('a guard takes no %s of %j', (name, value) => {
  const options = { issuer: 'https://keys.example', audience: 'x', apiKey: 'y', [name]: value };
  expect(() => createGuard(options)).toThrow(new RegExp(`^${name}: `));
});

test('a guard has no options but its own', () => {
  const options = { issuer: 'https://keys.example', audience: 'x', apiKey: 'y', maxStalenes: 60 };
  expect(() => createGuard(options)).toThrow(/^a guard has no maxStalenes;/);
});
