/** GUIDs, scopes, controllers, origins, authorization headers and strict JSON: one table each. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBasic, parseBearer } from '../../src/protocol/authorization.ts';
import { isExtraClaimName } from '../../src/protocol/claims.ts';
import {
  allowsController,
  controllersBeyond,
  effectiveControllers,
  parseControllerList,
} from '../../src/protocol/controllers.ts';
import { parseGuid } from '../../src/protocol/guid.ts';
import { parseStrictJson } from '../../src/protocol/json.ts';
import { allowsOrigin, parseOrigin, parseOriginList } from '../../src/protocol/origin.ts';
import { containsScope, intersectScopes, parseScope, scopesBeyond } from '../../src/protocol/scope.ts';

const guid = 'dce1069b-36e8-4a66-946e-c1b07071c38c';

describe('a GUID', () => {
  it.each([guid, guid.toUpperCase(), guid.replaceAll('-', ''), `{${guid}}`, `{${guid.toUpperCase()}}`])(
    'is read from %s',
    text => {
      expect(parseGuid(text)).toBe(guid);
    },
  );

  it.each([
    '',
    ` ${guid}`,
    `${guid}\n`,
    `(${guid})`,
    `{${guid}`,
    `${guid}}`,
    guid.slice(1),
    `${guid}0`,
    guid.replace('d', 'g'),
    `{${guid.replaceAll('-', '')}}`,
    guid.replace('-', ''),
    `${guid}\u0000`,
  ])('is not read from %j', text => {
    expect(parseGuid(text)).toBeUndefined();
  });
});

describe('a scope', () => {
  it('is contained where it is held, or where manage of its resource is', () => {
    const held = new Set(['a:manage', 'b:read', 'keyturn:keys:manage', 'c:rotate']);
    for (const scope of [
      'a:create',
      'a:read',
      'a:update',
      'a:delete',
      'a:manage',
      'b:read',
      'keyturn:keys:delete',
      'c:rotate',
    ]) {
      expect(containsScope(held, scope), scope).toBe(true);
    }
    for (const scope of [
      'b:create',
      'b:manage',
      'a:rotate',
      'A:read',
      'ab:read',
      'keyturn:read',
      'c:read',
      '',
      ':read',
    ]) {
      expect(containsScope(held, scope), scope).toBe(false);
    }
  });

  it('list is read from single or several spaces, and not with other blanks or quotes', () => {
    expect(parseScope('a:read  b:read a:read')).toEqual(['a:read', 'b:read']);
    for (const text of ['a:read\tb:read', 'a"b', 'a\\b', 'ä:read'])
      expect(parseScope(text), text).toBeUndefined();
  });

  it('intersects to the narrower of two, whichever side it stands on', () => {
    expect(intersectScopes(['a:manage'], ['a:read', 'b:read'])).toEqual(['a:read']);
    expect(intersectScopes(['a:read', 'b:read'], ['a:manage'])).toEqual(['a:read']);
    expect(scopesBeyond(['a:manage'], ['a:read', 'b:read'])).toEqual(['b:read']);
  });

  it('never comes out of an intersection wider than either side', () => {
    const scope = fc.constantFrom('a:manage', 'a:read', 'a:create', 'b:manage', 'b:delete');
    fc.assert(
      fc.property(fc.array(scope), fc.array(scope), (one, other) => {
        const common = intersectScopes(one, other);
        expect(scopesBeyond(one, common)).toEqual([]);
        expect(scopesBeyond(other, common)).toEqual([]);
      }),
    );
  });
});

describe('a list of controllers', () => {
  it('is read from the text that Sitecore documents', () => {
    const documented = `Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController, Sitecore.LayoutService.Mvc;
      Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController;;
      GraphQL:/api/a,b ; `;
    expect(parseControllerList(documented)).toEqual([
      'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController',
      'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController',
      'GraphQL:/api/a,b',
    ]);
  });

  it.each([
    ['Foo', 'Foo', true],
    ['Foo', 'FooBar', false],
    ['Foo', 'Foo.Bar', false],
    ['Foo', 'XFoo', false],
    ['Foo', 'foo', false],
    ['*', 'Foo', true],
    ['F*', 'Foo', false],
    ['*o', 'Foo', false],
    ['GraphQL:*', 'GraphQL:/api/x', true],
    ['GraphQL:*', 'Foo', false],
    ['GraphQL:/api', 'GraphQL:/api/x', false],
    ['Foo', '*', false],
  ])('%s allows %s: %s', (entry, controller, allowed) => {
    expect(allowsController(new Set([entry]), controller)).toBe(allowed);
  });

  it('of a key is its own within its feature, the whole feature where it says nothing or *, and none where empty', () => {
    const feature = ['A', 'B', 'GraphQL:*'];
    expect(effectiveControllers(undefined, feature)).toEqual(feature);
    expect(effectiveControllers(['*'], feature)).toEqual(feature);
    expect(effectiveControllers([], feature)).toEqual([]);
    expect(effectiveControllers(['A', 'C', 'GraphQL:/x'], feature)).toEqual(['A', 'GraphQL:/x']);
    expect(controllersBeyond(feature, ['A', 'C', '*', 'GraphQL:/x'])).toEqual(['C']);
  });
});

describe('an origin', () => {
  it.each([
    ['https://www.example.com', 'https://www.example.com'],
    ['https://www.example.com:443', 'https://www.example.com'],
    ['https://WWW.Example.com', 'https://www.example.com'],
    ['HTTP://a:80', 'http://a'],
    ['http://a:8080', 'http://a:8080'],
    ['http://a:0443', 'http://a:443'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
  ])('%s is written %s', (text, origin) => {
    expect(parseOrigin(text)).toBe(origin);
  });

  it.each([
    'null',
    '*',
    '',
    'a',
    'https://',
    'https://a/',
    'https://a/b',
    'https://u@a',
    'https://a?b',
    'https://a#b',
    'ftp://a',
    'https://a:99999',
    'https://a b',
    'https://a\r\nX: y',
    'https://*.a',
    'https://a:*',
    'https://a\\b',
    'http://a, http://b',
    'file://',
  ])('%j is none', text => {
    expect(parseOrigin(text)).toBeUndefined();
  });

  it('list is split at semicolons; entries that are none are handed back', () => {
    expect(parseOriginList('http://a; http://b/ ;;https://c/x; *')).toEqual({
      origins: ['http://a', 'http://b', '*'],
      invalid: ['https://c/x'],
    });
  });

  it.each([
    ['https://a', 'https://a', true],
    ['https://a', 'https://a:443', true],
    ['https://a', 'http://a', false],
    ['https://a', 'https://a:8443', false],
    ['https://a', 'https://xa', false],
    ['https://a', 'https://a.evil', false],
    ['https://a', 'null', false],
    ['*', 'null', true],
    ['*', 'https://anything', true],
    ['https://a', '*', false],
  ])('list of %s allows %s: %s', (entry, header, allowed) => {
    expect(allowsOrigin(new Set([entry]), header)).toBe(allowed);
  });
});

describe('an Authorization header', () => {
  it.each([
    [undefined, { kind: 'none' }],
    ['Bearer', { kind: 'none' }],
    ['Bearer ', { kind: 'none' }],
    ['Basic abc', { kind: 'none' }],
    ['Token x', { kind: 'none' }],
    ['DPoP x', { kind: 'none' }],
    ['bearer a.b.c', { kind: 'bearer', token: 'a.b.c' }],
    ['BEARER a.b.c', { kind: 'bearer', token: 'a.b.c' }],
    ['Bearer a b', { kind: 'malformed' }],
    ['Bearer a,b', { kind: 'malformed' }],
    ['Bearer,a', { kind: 'none' }],
    ['Bearer {"a":1}', { kind: 'malformed' }],
    ['Bearer\ta', { kind: 'none' }],
  ])('%j is read as %j', (header, credential) => {
    expect(parseBearer(header)).toEqual(credential);
  });

  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

  it.each([
    [basic('id:secret'), { kind: 'basic', id: 'id', secret: 'secret' }],
    [basic('i%2Dd:s%5Fx'), { kind: 'basic', id: 'i-d', secret: 's_x' }],
    [basic('id:s+e%2Bc%26'), { kind: 'basic', id: 'id', secret: 's e+c&' }],
    [basic('id:100%'), { kind: 'basic', id: 'id', secret: '100%' }],
    [basic('id:%zz'), { kind: 'basic', id: 'id', secret: '%zz' }],
    [basic(':secret'), { kind: 'basic', id: '', secret: 'secret' }],
    [basic('a:b:c'), { kind: 'basic', id: 'a', secret: 'b:c' }],
    [basic('no colon'), { kind: 'malformed' }],
    ['Basic', { kind: 'malformed' }],
    ['Basic !!!', { kind: 'malformed' }],
    ['Bearer x', { kind: 'none' }],
  ])('%j is read as Basic %j', (header, credential) => {
    expect(parseBasic(header)).toEqual(credential);
  });
});

describe('strict JSON', () => {
  it('reads whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 20 }), text => {
        expect(parseStrictJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":{"b":1,"b":2}}',
    '[{"a":1,"\\u0061":2}]',
    '{"__proto__":1,"__proto__":2}',
    '{"a":1 , "b":2, "a" :3}',
    '[',
    '',
    `${'['.repeat(65)}${']'.repeat(65)}`,
  ])('refuses %s', text => {
    expect(() => parseStrictJson(text)).toThrow(SyntaxError);
  });

  it('is not misled by colons and braces inside strings', () => {
    const text = '{"a":"\\"b\\": {","c":["d: e","f"],"{":1}';
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });
});

describe('an extra claim', () => {
  it.each(['https://auth.example/claims/tenant_id', 'urn:example:x'])('may be called %s', name => {
    expect(isExtraClaimName(name)).toBe(true);
  });

  it.each(['sub', 'tenant', 'iss', 'a b:c', ':x', 'https://a b', '__proto__'])(
    'may not be called %s',
    name => {
      expect(isExtraClaimName(name)).toBe(false);
    },
  );
});
