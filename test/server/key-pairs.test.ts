/** Keys that hold a public JWK, at the admin API: made without a secret, changed, and never with anything private. */
import { randomUUID } from 'node:crypto';
import { exportJWK } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { assertionClaims, makeKeyPair, type KeyPair, signAssertion } from '../support/key-pairs.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

type Json = Record<string, unknown>;

describeOnEachStore('a key that signs for itself', store => {
  let service: TestService;
  let pair: KeyPair;
  beforeAll(async () => {
    service = await store.start();
    pair = await makeKeyPair();
  });
  const fields = (more: Json = {}) => ({
    name: 'Signs',
    feature: 'connections',
    publicJwk: pair.publicJwk,
    ...more,
  });
  const make = async (more?: Json) => {
    const response = await service.admin('POST', '/admin/keys', fields(more));
    return (await response.json()) as { key: Json & { id: string }; apiKey?: string };
  };
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await service.admin(method, path, body);
    return { status: response.status, body: (await response.json()) as Json };
  };

  test('is made without a secret, and shows its public key', async () => {
    const response = await service.admin('POST', '/admin/keys', fields());
    expect(response.status).toBe(201);
    const { key, ...rest } = (await response.json()) as { key: Json & { id: string } };
    expect(rest).toEqual({});
    expect(key).toMatchObject({
      publicJwk: pair.publicJwk,
      secrets: [],
      status: 'active',
      keyVersion: 1,
      lastAssertionAt: null,
      lastAssertionFrom: null,
    });
    expect(response.headers.get('location')).toBe(`/admin/keys/${key.id}`);
    expect((await call('GET', `/admin/keys/${key.id}`)).body).toEqual(key);
    const audit = await call('GET', `/admin/audit?key=${key.id}`);
    expect(audit.body['items']).toMatchObject([
      { action: 'key.create', after: { publicJwk: pair.publicJwk } },
    ]);
  });

  test('says nothing of assertions where it has no public key', async () => {
    const { key } = await service.createKey({});
    expect(key).not.toHaveProperty('lastAssertionAt');
    expect(key).not.toHaveProperty('publicJwk');
  });

  test('is made once for one Idempotency-Key', async () => {
    const headers = {
      authorization: `Bearer ${await service.token(service.ownerKey)}`,
      'content-type': 'application/json',
      'idempotency-key': randomUUID(),
    };
    const body = JSON.stringify(fields({ name: 'Once' }));
    const ask = async () =>
      (await fetch(`${service.url}/admin/keys`, { method: 'POST', headers, body })).text();
    const first = await ask();
    expect(JSON.parse(first)).toMatchObject({ key: { name: 'Once' } });
    expect(await ask()).toBe(first);
    expect((await call('GET', '/admin/keys?q=Once')).body['items']).toHaveLength(1);
  });

  test('has no secret to rotate, neither for others nor for itself', async () => {
    const { key } = await make();
    const rotation = { mode: 'overlap', grace: 0 };
    const byAdmin = await call('POST', `/admin/keys/${key.id}/rotations`, rotation);
    expect(byAdmin).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(byAdmin.body['detail']).toContain('no secret');
    const response = await fetch(`${service.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await signAssertion(
          pair,
          assertionClaims(key.id, service.url, service.clock.now()),
        ),
      }),
    });
    const { access_token } = (await response.json()) as { access_token: string };
    const byItself = await fetch(`${service.url}/keys/self/rotations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      body: JSON.stringify(rotation),
    });
    expect(byItself.status).toBe(409);
    expect((await call('GET', `/admin/keys/${key.id}`)).body['secrets']).toEqual([]);
  });

  describe('changed', () => {
    const version = async (id: string, patch: Json) =>
      (await call('PATCH', `/admin/keys/${id}`, patch)).body['keyVersion'];

    test('raises its version where its public key is another, or gone, and not where it is the same', async () => {
      const { key } = await service.createKey({});
      const { publicJwk } = pair;
      expect(await version(key.id, { publicJwk })).toBe(1);
      expect(await version(key.id, { publicJwk: { ...publicJwk, ext: true } })).toBe(1);
      expect(await version(key.id, { publicJwk: { ...publicJwk, kid: 'named' } })).toBe(2);
      expect(await version(key.id, { publicJwk: (await makeKeyPair()).publicJwk })).toBe(3);
      expect(await version(key.id, { publicJwk: null })).toBe(4);
      expect(await version(key.id, { publicJwk: null })).toBe(4);
    });

    test('keeps the public key where a change does not speak of it', async () => {
      const { key } = await make();
      const { body } = await call('PATCH', `/admin/keys/${key.id}`, { name: 'Renamed' });
      expect(body).toMatchObject({ name: 'Renamed', publicJwk: pair.publicJwk, keyVersion: 1 });
    });

    test('does not lose its public key while it has no secret', async () => {
      const { key } = await make();
      expect(await call('PATCH', `/admin/keys/${key.id}`, { publicJwk: null })).toMatchObject({
        status: 422,
        body: { code: 'validation_failed', errors: [{ pointer: '/publicJwk' }] },
      });
    });
  });

  describe('refused', () => {
    test.each<[string, () => Promise<unknown>, string[]]>([
      ['a text', async () => JSON.stringify(pair.publicJwk), ['/publicJwk']],
      ['a list', async () => [pair.publicJwk], ['/publicJwk']],
      ['null', async () => null, ['/publicJwk']],
      ['a private key', () => exportJWK(pair.privateKey), ['/publicJwk/d']],
      [
        'a symmetric key',
        async () => ({ kty: 'oct', k: 'AyM1SysPpbyDfgZld3umj1' }),
        ['/publicJwk/k', '/publicJwk/kty'],
      ],
      ['another algorithm', async () => ({ ...pair.publicJwk, alg: 'HS256' }), ['/publicJwk/alg']],
    ])('for %s in its place, named by its pointer', async (_, publicJwk, pointers) => {
      const { key } = await service.createKey({});
      const bodies = [
        await call('POST', '/admin/keys', fields({ publicJwk: await publicJwk() })),
        ...((await publicJwk()) === null
          ? []
          : [await call('PATCH', `/admin/keys/${key.id}`, { publicJwk: await publicJwk() })]),
      ];
      for (const { status, body } of bodies) {
        expect(status).toBe(422);
        const found = (body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);
        expect(new Set(found)).toEqual(new Set(pointers));
      }
    });

    test('shows and keeps nothing of a private key', async () => {
      const other = await makeKeyPair('RS256');
      const secrets = [await exportJWK(pair.privateKey), await exportJWK(other.privateKey)];
      const { key } = await service.createKey({});
      for (const publicJwk of secrets) {
        const texts = [
          await (await service.admin('POST', '/admin/keys', fields({ publicJwk }))).text(),
          await (await service.admin('PATCH', `/admin/keys/${key.id}`, { publicJwk })).text(),
          await (await service.admin('GET', '/admin/audit?limit=100')).text(),
          await (await service.admin('GET', `/admin/keys/${key.id}`)).text(),
          service.log.join('\n'),
        ];
        expect(texts.filter(text => text.includes(publicJwk.d ?? ''))).toEqual([]);
      }
    });
  });
});
