/** What the service says of itself: RFC 8414, its OpenID twin, RFC 7517 and RFC 9728. */
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

type Metadata = Record<string, unknown>;

const paths = {
  server: '/.well-known/oauth-authorization-server',
  openid: '/.well-known/openid-configuration',
  keys: '/.well-known/jwks.json',
  resource: '/.well-known/oauth-protected-resource',
};

describeOnEmbeddedStore('discovery', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const read = async (path: string) => (await (await fetch(service.url + path)).json()) as Metadata;

  describe.each(Object.values(paths))('%s', path => {
    test('is JSON for every page, to be kept for a while', async () => {
      for (const headers of [{}, { origin: 'https://app.example' }, { authorization: 'Bearer x' }] as Record<
        string,
        string
      >[]) {
        const response = await fetch(service.url + path, { headers, redirect: 'manual' });
        expect(response.status).toBe(200);
        expect(response.headers.get('content-type')).toMatch(
          /^application\/(?:json|jwk-set\+json)(?:; charset=utf-8)?$/,
        );
        expect(response.headers.get('cache-control')).toBe('public, max-age=300');
        expect(response.headers.get('access-control-allow-origin')).toBe('*');
        expect(response.headers.get('access-control-allow-credentials')).toBeNull();
        expect(response.headers.get('set-cookie')).toBeNull();
      }
    });
    test('tells pages of any origin that they may ask with whatever they like', async () => {
      const headers = {
        origin: 'https://app.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'x-anything',
      };
      const response = await fetch(service.url + path, { method: 'OPTIONS', headers });
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('access-control-allow-headers')).toBe('*');
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    });
    test('is sent once to those who keep it', async () => {
      const etag = (await fetch(service.url + path)).headers.get('etag') ?? '';
      expect(etag).toMatch(/^"[\w-]{43}"$/);
      for (const [match, status] of [
        [etag, 304],
        [`W/${etag}`, 304],
        [`"other", ${etag}`, 304],
        ['*', 304],
        ['"other"', 200],
      ] as const) {
        const response = await fetch(service.url + path, { headers: { 'if-none-match': match } });
        expect([match, response.status]).toEqual([match, status]);
        expect(response.headers.get('etag')).toBe(etag);
        expect(response.headers.get('cache-control')).toBe('public, max-age=300');
        expect(response.headers.get('access-control-allow-origin')).toBe('*');
        expect(await response.text()).toHaveLength(
          status === 304 ? 0 : Number(response.headers.get('content-length')),
        );
      }
    });
    test('answers HEAD as GET, and no other method', async () => {
      const head = await fetch(service.url + path, { method: 'HEAD' });
      expect(head.status).toBe(200);
      expect(await head.text()).toBe('');
      for (const method of ['POST', 'PUT', 'DELETE']) {
        const response = await fetch(service.url + path, { method });
        expect(response.status).toBe(405);
        expect(response.headers.get('allow')).toContain('GET');
      }
    });
    test('has no member without a value', async () => {
      const empty = Object.entries(await read(path)).filter(([, value]) => value === null || value === '');
      expect(empty).toEqual([]);
    });
    test('does not heed the host that it is asked by', async () => {
      const plain = await (await fetch(service.url + path)).text();
      const asked = await fetch(service.url + path, {
        headers: {
          'x-forwarded-host': 'evil.example',
          'x-forwarded-proto': 'https',
          forwarded: 'host=evil.example',
        },
      });
      expect(await asked.text()).toBe(plain);
    });
    test('is nowhere else', async () => {
      for (const other of [`${path}/`, `${path}/x`, path.toUpperCase(), `/x${path}`]) {
        const response = await fetch(service.url + other, { redirect: 'manual' });
        expect(response.status).toBe(404);
        expect(response.headers.get('content-type')).toMatch(/json/);
      }
    });
  });

  test('the two documents of the server are the same facts', async () => {
    expect(await read(paths.openid)).toEqual(await read(paths.server));
  });
  test('they name what works', async () => {
    expect(await read(paths.server)).toMatchObject({
      issuer: service.url,
      token_endpoint: `${service.url}/oauth/token`,
      jwks_uri: `${service.url}/.well-known/jwks.json`,
      revocation_endpoint: `${service.url}/oauth/revoke`,
    });
    const { grant_types_supported, token_endpoint_auth_methods_supported } = await read(paths.server);
    expect(grant_types_supported).toEqual(
      expect.arrayContaining(['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange']),
    );
    expect(token_endpoint_auth_methods_supported).toEqual(
      expect.arrayContaining(['client_secret_basic', 'client_secret_post']),
    );
  });
  test('they satisfy the parsers of OpenID Connect', async () => {
    const metadata = await read(paths.openid);
    expect(metadata['subject_types_supported']).toEqual(['public']);
    expect(metadata['response_types_supported']).toBeInstanceOf(Array);
    expect(metadata['id_token_signing_alg_values_supported']).toEqual(['ES256']);
    for (const [name, value] of Object.entries(metadata)) {
      const isList = name.endsWith('_supported');
      expect(Array.isArray(value), name).toBe(isList);
      expect(
        [value].flat().every(item => typeof item === 'string'),
        name,
      ).toBe(true);
    }
  });
  test('every address that they name answers', async () => {
    const metadata = await read(paths.server);
    const addresses = Object.entries(metadata).filter(([name]) => /_(?:endpoint|uri)$/.test(name));
    expect(addresses.length).toBeGreaterThanOrEqual(3);
    for (const [name, address] of addresses) {
      const method = name.endsWith('_endpoint') ? 'POST' : 'GET';
      const response = await fetch(String(address), { method, redirect: 'manual' });
      expect([200, 400, 401], name).toContain(response.status);
    }
  });
  test('the scopes are those of the features, and what routes ask of accounts besides, each once', async () => {
    const { scopes_supported: scopes } = (await read(paths.server)) as { scopes_supported: string[] };
    expect(scopes).toEqual(
      expect.arrayContaining([
        'personalize.flows:manage',
        'services:manage',
        'items:read',
        'keyturn:introspect',
        'content:read',
        'content:delete',
      ]),
    );
    expect(new Set(scopes).size).toBe(scopes.length);
  });
  test('the claims are those that a token may have, whatever extra ones its key gives it', async () => {
    const { apiKey } = await service.createKey({
      impersonationUser: 'extranet\\Visitor',
      customData: { site: 'main' },
      customDataInToken: ['site'],
    });
    const { claims_supported: claims } = (await read(paths.server)) as { claims_supported: string[] };
    expect(claims.toSorted()).toEqual(Object.keys(decodeJwt(await service.token(apiKey))).toSorted());
  });
  test('the document of the resource names the server and how a token is sent', async () => {
    expect(await read(paths.resource)).toMatchObject({
      resource: service.url,
      authorization_servers: [service.url],
      bearer_methods_supported: ['header'],
    });
  });
  test('the challenge of a guarded route leads there', async () => {
    const response = await fetch(`${service.url}/v2/connections`);
    const address = /resource_metadata="([^"]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
    expect(address).toBe(service.url + paths.resource);
  });
  test('the set of keys is at the top level, each key with a name of its own and nothing private', async () => {
    const { keys } = (await read(paths.keys)) as { keys: Record<string, unknown>[] };
    expect(keys.length).toBeGreaterThan(0);
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
    for (const key of keys) {
      expect(key).toMatchObject({ use: 'sig', alg: 'ES256', kty: 'EC', crv: 'P-256' });
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }
  });
});

describeOnEmbeddedStore('an issuer with a path', store => {
  const issuer = 'https://id.example/tenants/one';
  let service: TestService;
  beforeAll(async () => {
    service = await store.start({ env: { KEYTURN_ISSUER: issuer, KEYTURN_AUDIENCE: 'https://api.example' } });
  });
  test.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/tenants/one',
    '/.well-known/openid-configuration',
    '/.well-known/openid-configuration/tenants/one',
    '/tenants/one/.well-known/openid-configuration',
  ])('is described at %s', async path => {
    const response = await fetch(`http://127.0.0.1:${service.port}${path}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      issuer,
      token_endpoint: `${issuer}/oauth/token`,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
    });
  });
  test('is not described under other paths', async () => {
    for (const path of [
      '/.well-known/oauth-authorization-server/tenants/two',
      '/tenants/two/.well-known/openid-configuration',
    ]) {
      expect((await fetch(`http://127.0.0.1:${service.port}${path}`)).status).toBe(404);
    }
  });
  test('names the audience as the resource', async () => {
    const response = await fetch(`http://127.0.0.1:${service.port}/.well-known/oauth-protected-resource`);
    expect(await response.json()).toMatchObject({
      resource: 'https://api.example',
      authorization_servers: [issuer],
    });
  });
});
