/** What stands in an access token, and that others can verify it (RFC 9068). */
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore } from '../support/stores.ts';

describeOnEachStore('an access token', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const claimsOf = async (fields: Record<string, unknown>, parameters?: Record<string, string>) => {
    const { apiKey, key } = await service.createKey(fields);
    return { key, apiKey, claims: decodeJwt(await service.token(apiKey, parameters)) };
  };

  test('of a plain key says just what it has to', async () => {
    const before = Math.floor(service.clock.now() / 1000);
    const { key, claims } = await claimsOf({ feature: 'developer-templates' });
    expect(claims).toEqual({
      iss: service.url,
      sub: key.id,
      aud: service.url,
      iat: expect.any(Number) as number,
      exp: claims.iat! + 900,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      client_id: key.id,
      scope: 'personalize.templates:manage',
      feature: 'developer-templates',
      allowed_controllers: ['Personalize.Templates'],
      allowed_origins: [],
      key_version: 1,
    });
    expect(claims.iat).toBeGreaterThanOrEqual(before);
    expect(claims.iat).toBeLessThanOrEqual(before + 5);
  });
  test('of a key with lists has them', async () => {
    const { claims } = await claimsOf({
      feature: 'multiple-resources',
      scopes: ['personalize.flows:read', 'personalize.templates:manage'],
      allowedControllers: 'Personalize.Flows;Personalize.Templates',
      corsOrigins: 'https://a.example;HTTP://B.Example:80',
    });
    expect(claims).toMatchObject({
      scope: 'personalize.flows:read personalize.templates:manage',
      allowed_controllers: ['Personalize.Flows', 'Personalize.Templates'],
      allowed_origins: ['https://a.example', 'http://b.example'],
    });
  });
  test('of a key whose list of controllers is empty allows none', async () => {
    expect((await claimsOf({ allowedControllers: [] })).claims['allowed_controllers']).toEqual([]);
  });
  test("of a key that allows every controller allows its feature's, no more", async () => {
    const { claims } = await claimsOf({ feature: 'developer-templates', allowedControllers: '*' });
    expect(claims['allowed_controllers']).toEqual(['Personalize.Templates']);
  });
  test('of a key that acts as somebody names both', async () => {
    const { key, claims } = await claimsOf({ impersonationUser: 'extranet\\Visitor' });
    expect(claims).toMatchObject({ sub: 'extranet\\Visitor', client_id: key.id, act: { sub: key.id } });
  });
  test('holds the custom data that is marked for it, and no other', async () => {
    const { claims, apiKey } = await claimsOf({
      customData: { Database: 'web', 'Search Filter': "Name eq 'x'", Private: 'for-nobody-else' },
      customDataInToken: ['Database', 'Search Filter'],
    });
    expect(claims['custom_data']).toEqual({ Database: 'web', 'Search Filter': "Name eq 'x'" });
    expect(JSON.stringify(claims)).not.toContain('for-nobody-else');
    expect(JSON.stringify(claims)).not.toContain(apiKey.slice(36));
    expect((await claimsOf({ customData: { Database: 'web' } })).claims).not.toHaveProperty('custom_data');
  });
  test('holds extra claims under their URI names, of any JSON type', async () => {
    const extra = {
      'https://auth.sitecorecloud.io/claims/tenant_id': 'tenant',
      'https://auth.sitecorecloud.io/claims/org_id': 'org',
      'urn:example:roles': ['a', { b: [1, null, true] }],
    };
    expect((await claimsOf({ claims: extra })).claims).toMatchObject(extra);
  });
  test.each([
    'iss',
    'sub',
    'aud',
    'exp',
    'scope',
    'feature',
    'key_version',
    'client_id',
    'act',
    'roles',
    '__proto__',
    'x y:z',
    ':',
    'https://',
  ])('takes no extra claim by the name of %j', async name => {
    const claims = JSON.parse(`{${JSON.stringify(name)}: "x"}`) as object;
    const response = await service.admin('POST', '/admin/keys', {
      name: 'x',
      feature: 'connections',
      claims,
    });
    expect(response.status).toBe(422);
  });
  test('is for one audience as a text, for several as a list', async () => {
    const audiences = ['urn:example:a', 'urn:example:b', 'urn:example:c'];
    const { apiKey, claims } = await claimsOf({ audiences });
    expect(claims.aud).toBe('urn:example:a');
    const response = await fetch(`${service.url}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        grant_type: 'client_credentials',
        client_secret: apiKey,
        audience: audiences.slice(1),
      }),
    });
    const { access_token } = (await response.json()) as { access_token: string };
    expect(decodeJwt(access_token).aud).toEqual(['urn:example:b', 'urn:example:c']);
  });
  test.each([2, 60, 86_400])('lives %i seconds where its key says so', async tokenTtl => {
    const { claims } = await claimsOf({ tokenTtl });
    expect(claims.exp! - claims.iat!).toBe(tokenTtl);
  });
  test("of the owner's access key is for the service itself, and acts as the account", async () => {
    const claims = decodeJwt(await service.token(service.ownerKey));
    expect(claims).toMatchObject({
      sub: 'owner',
      aud: service.url,
      act: { sub: claims['client_id'] },
      feature: 'account-owner',
      allowed_origins: [],
    });
    expect(claims['allowed_controllers']).toContain('Keyturn.Keys');
    expect(String(claims['scope']).split(' ')).toContain('keyturn:keys:manage');
  });
});

describeOnEmbeddedStore('the life of a token by setting', store => {
  test.each(['2', '3600', '86400'])('is %s seconds where KEYTURN_TOKEN_TTL says so', async ttl => {
    const service = await store.start({ env: { KEYTURN_TOKEN_TTL: ttl } });
    const { exp, iat } = decodeJwt(await service.token(service.sampleKey));
    expect(exp! - iat!).toBe(Number(ttl));
  });
});

describe.each([
  ['ES256', { kty: 'EC', crv: 'P-256' }],
  ['RS256', { kty: 'RSA' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }],
])('signed with %s', (alg, kind) => {
  describeOnEachStore('a token', store => {
    let service: TestService;
    let token: string;
    beforeAll(async () => {
      service = await store.start({ env: { KEYTURN_SIGNING_ALG: alg } });
      token = await service.token(service.sampleKey);
    }, 30_000);

    test('names its type, its algorithm and its key in the header, and nothing else', () => {
      expect(decodeProtectedHeader(token)).toEqual({
        typ: 'at+jwt',
        alg,
        kid: expect.stringMatching(/^[\w-]{43}$/) as string,
      });
    });
    test('is verified by the published keys', async () => {
      const keys = createRemoteJWKSet(new URL(`${service.url}/.well-known/jwks.json`));
      const { payload } = await jwtVerify(token, keys, {
        issuer: service.url,
        audience: service.url,
        typ: 'at+jwt',
        algorithms: [alg],
      });
      expect(payload.iss).toBe(service.url);
    });
    test('is let in', async () => {
      const response = await fetch(`${service.url}/v2/connections`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(200);
    });
    test('has one published key, with public members alone', async () => {
      const { keys } = (await (await fetch(`${service.url}/.well-known/jwks.json`)).json()) as {
        keys: Record<string, string>[];
      };
      expect(keys).toHaveLength(1);
      expect(keys[0]).toMatchObject({ ...kind, alg, use: 'sig', kid: decodeProtectedHeader(token).kid });
      const open = new Set(['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use']);
      expect(Object.keys(keys[0]!).filter(name => !open.has(name))).toEqual([]);
      expect(Buffer.from(keys[0]!['n'] ?? 'A'.repeat(342), 'base64url').length).toBeGreaterThanOrEqual(256);
    });
    test('is announced in the metadata', async () => {
      const response = await fetch(`${service.url}/.well-known/openid-configuration`);
      const metadata = (await response.json()) as { id_token_signing_alg_values_supported: string[] };
      expect(metadata.id_token_signing_alg_values_supported).toEqual([alg]);
    });
  });
});

describeOnEachStore('another algorithm on an old store', store => {
  test('signs from then on, and tokens of the old one live on', async () => {
    const place = await store.place();
    const env = { KEYTURN_ISSUER: 'https://issuer.example' };
    const first = await store.start({ env }, place);
    const old = await first.token(first.sampleKey);
    await first.stop();
    const second = await store.start(
      { env: { ...env, KEYTURN_SIGNING_ALG: 'EdDSA' }, clock: first.clock },
      place,
    );
    const fresh = await second.token(first.sampleKey);
    expect(decodeProtectedHeader(fresh).alg).toBe('EdDSA');
    for (const token of [old, fresh]) {
      const response = await fetch(`http://127.0.0.1:${second.port}/v2/connections`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(200);
    }
    const response = await fetch(`http://127.0.0.1:${second.port}/.well-known/jwks.json`);
    const { keys } = (await response.json()) as { keys: { kid: string; alg: string }[] };
    expect(keys.map(({ alg }) => alg).sort()).toEqual(['ES256', 'EdDSA']);
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(2);
  });
});
