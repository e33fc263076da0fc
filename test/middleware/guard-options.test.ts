/** What a guard is given, and what a route asks, is checked when the server starts: mistyped, it would be guarded otherwise than it says. */
import { describe, expect, test } from 'vitest';
import { type GuardOptions, readDemand, type RouteDemand } from '../../src/middleware/guard-options.ts';
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

test.each<[string, object]>([
  ['issuer', { issuer: 'keys.example' }],
  ['issuer', { issuer: 'https://user:pass@keys.example' }],
  ['issuer', { issuer: 'file:///keys' }],
  ['issuer', { issuer: 'https://keys.example/' }],
  ['issuer', { issuer: 'https://keys.example/path/' }],
  ['issuer', { issuer: 'https://KEYS.example' }],
  ['issuer', { issuer: undefined }],
  ['url', { url: 'https://keys.example?x=1' }],
  ['url', { url: 'keys' }],
  ['url', { url: 'https://keys.example/ ' }],
  ['audience', { audience: '' }],
  ['apiKey', { apiKey: ' ' }],
  ['apiKey', { apiKey: undefined }],
  ['maxStaleness', { maxStaleness: 2 }],
  ['maxStaleness', { maxStaleness: Number.NaN }],
  ['maxStaleness', { maxStaleness: '10' }],
  ['timeout', { timeout: 0 }],
  ['timeout', { timeout: 1500.5 }],
  ['timeout', { timeout: '1500' }],
  ['stale', { stale: 'ignore' }],
  ['listen', { listen: false }],
  ['tokenType', { tokenType: 'jwt' }],
  ['resourceMetadata', { resourceMetadata: '/.well-known/oauth-protected-resource' }],
  ['resourceMetadata', { resourceMetadata: 'file:///metadata' }],
  ['resourceMetadata', { resourceMetadata: 'https://shop.example/"' }],
  ['resourceMetadata', { resourceMetadata: 'https://shop.example/\\' }],
  ['resourceMetadata', { resourceMetadata: 'https://shop.example/\r\nX: y' }],
  ['resourceMetadata', { resourceMetadata: 'https://shöp.example' }],
  ['resourceMetadata', { resourceMetadata: 5 }],
])('a wrong %s is told where it stands: %o', (name, wrong) => {
  const options = { issuer: 'https://keys.example', audience: 'a', apiKey: 'a key', ...wrong };
  expect(() => createGuard(options as GuardOptions)).toThrow(
    expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`${name}:`) }),
  );
});

test('a guard has no options but its own', () => {
  const options = { issuer: 'https://keys.example', audience: 'x', apiKey: 'y', maxStalenes: 60 };
  expect(() => createGuard(options)).toThrow(/^a guard has no maxStalenes;/);
});
