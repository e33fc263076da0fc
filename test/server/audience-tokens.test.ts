/** An audience that asks for another algorithm, or for tokens of the type JWT: who signs, and what a guard then accepts. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  decodeProtectedHeader,
  importJWK,
  jwtVerify,
  createLocalJWKSet,
  type JSONWebKeySet,
  SignJWT,
} from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';
import { stealSigningKey } from './forged-tokens.ts';

const [old, older, modern, plain] = [
  'https://old.example',
  'https://older.example',
  'https://modern.example',
  'https://plain.example',
];

/** Beside the default controllers one for an audience of the old form; its answers come from a collection. */
async function writeControllers(directory: string): Promise<Record<string, string>> {
  const [controllers, features] = await Promise.all(
    ['controllers', 'features'].map(
      async name => JSON.parse(await readFile(`config/${name}.json`, 'utf8')) as Record<string, object[]>,
    ),
  );
  const own = (name: string, audience: string) => ({
    name,
    audience,
    collection: 'connections',
    routes: [{ methods: ['GET'], path: `/${name}`, scope: 'shop:read' }],
  });
  controllers?.['controllers']?.push(own('Old', old), own('Modern', modern));
  const audiences = [
    { audience: old, alg: 'RS256', typ: 'JWT' },
    { audience: older, alg: 'RS256', typ: 'JWT' },
    { audience: modern, alg: 'EdDSA' },
    { audience: plain, typ: 'JWT' },
  ];
  features?.['features']?.push({ name: 'shop', scopes: ['shop:read'], controllers: ['Old', 'Modern'] });
  const files = [
    ['controllers.json', { ...controllers, audiences }],
    ['features.json', features],
  ] as const;
  for (const [name, value] of files) await writeFile(join(directory, name), JSON.stringify(value));
  return {
    KEYTURN_CONTROLLERS: join(directory, 'controllers.json'),
    KEYTURN_FEATURES: join(directory, 'features.json'),
  };
}

describeOnEachStore('an audience of its own form', store => {
  let place: StorePlace;
  let service: TestService;
  let directory: string;
  let apiKey: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyturn-audiences-'));
    place = await store.place();
    service = await store.start({ env: await writeControllers(directory) }, place);
    const audiences = [old, older, modern, plain, service.url];
    ({ apiKey } = await service.createKey({ feature: 'shop', audiences }));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const tokenFor = (...audiences: string[]) =>
    requestToken(audiences).then(({ access_token }) => access_token!);
  async function requestToken(audiences: readonly string[]) {
    const body = new URLSearchParams([
      ['grant_type', 'client_credentials'],
      ['client_secret', apiKey],
      ...audiences.map((audience): [string, string] => ['audience', audience]),
    ]);
    const response = await fetch(`${service.url}/oauth/token`, { method: 'POST', body });
    return (await response.json()) as { access_token?: string; error?: string; error_description?: string };
  }
  const get = async (path: string, token: string) => {
    const response = await fetch(service.url + path, { headers: { authorization: `Bearer ${token}` } });
    const { code } = (await response.json()) as { code?: string };
    return code === undefined ? String(response.status) : `${response.status} ${code}`;
  };
  const readKeys = async () =>
    (await (await fetch(`${service.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet;

  test.each([
    [[old], 'RS256', 'JWT'],
    [[modern], 'EdDSA', 'at+jwt'],
    [[plain], 'ES256', 'JWT'],
    [[old, older], 'RS256', 'JWT'],
    [[], 'ES256', 'at+jwt'],
  ])(
    '%j gets a token by %s of the type %s, which verifies by the published keys',
    async (audiences, alg, typ) => {
      const token = await tokenFor(...audiences);
      expect(decodeProtectedHeader(token)).toMatchObject({ alg, typ });
      const keys = createLocalJWKSet(await readKeys());
      const audience = audiences[0] ?? service.url;
      const { payload } = await jwtVerify(token, keys, { issuer: service.url, audience, typ });
      expect(payload.aud).toEqual(audiences.length > 1 ? audiences : audience);
    },
  );

  test.each([[[old, modern]], [[old, plain]], [[plain, modern]]])(
    '%j share no token: the answer says what to do',
    async audiences => {
      const { error, error_description } = await requestToken(audiences);
      expect(error).toBe('invalid_target');
      expect(error_description).toContain('ask for a token for each');
    },
  );

  test('each is accepted at its own resource, and at no other', async () => {
    const [forOld, forModern, forPlain] = [
      await tokenFor(old),
      await tokenFor(modern),
      await tokenFor(plain),
    ];
    expect(await get('/Old', forOld)).toBe('200');
    expect(await get('/Old', await tokenFor(old, older))).toBe('200');
    expect(await get('/Modern', forModern)).toBe('200');
    expect(await get('/Old', forModern)).toBe('401 audience_mismatch');
    expect(await get('/Modern', forOld)).toBe('401 audience_mismatch');
    expect(await get('/Modern', forPlain)).toBe('401 audience_mismatch');
  });

  test('a token of the type JWT is genuine for such an audience alone, whoever signs it', async () => {
    const genuine = await tokenFor(old);
    const { kid, alg, privateJwk } = await stealSigningKey(place, 'ES256');
    const key = await importJWK(privateJwk as Parameters<typeof importJWK>[0], alg);
    const claims = JSON.parse(Buffer.from(genuine.split('.')[1]!, 'base64url').toString()) as object;
    const forge = (typ: string | undefined, aud: string | string[]) =>
      new SignJWT({ ...claims, aud })
        .setProtectedHeader({ alg, kid, ...(typ !== undefined && { typ }) })
        .sign(key);
    for (const [typ, aud, verdict] of [
      ['JWT', old, '200'],
      ['jwt', old, '200'],
      ['at+jwt', old, '200'],
      ['JWT', [old, plain], '200'],
      ['JWT', [old, modern], '401 token_invalid'],
      ['JWT', [old, service.url], '401 token_invalid'],
      ['JWT', modern, '401 token_invalid'],
      ['JWT', [], '401 token_invalid'],
      ['JOSE', old, '401 token_invalid'],
      ['', old, '401 token_invalid'],
      [undefined, old, '401 token_invalid'],
    ] as [string | undefined, string | string[], string][]) {
      expect([typ, aud, await get('/Old', await forge(typ, aud))]).toEqual([typ, aud, verdict]);
    }
  });

  test('keyturn check decides on each as a guard of that audience would', async () => {
    for (const audience of [old, modern, plain]) {
      const said = await run(['check', await tokenFor(audience), '--audience', audience], {
        KEYTURN_URL: service.url,
      });
      expect([audience, said.code, said.stdout.split('\n', 1)[0]]).toEqual([audience, 0, 'allowed: true']);
    }
    const said = await run(['check', await tokenFor(old), '--audience', modern], {
      KEYTURN_URL: service.url,
    });
    expect(said.code).toBe(1);
  });

  test('every algorithm in use has a key, and discovery names them, the usual one first', async () => {
    const { keys } = await readKeys();
    expect(keys.map(({ alg }) => alg)).toEqual(['ES256', 'RS256', 'EdDSA']);
    const metadata = await fetch(`${service.url}/.well-known/openid-configuration`);
    expect(await metadata.json()).toMatchObject({
      id_token_signing_alg_values_supported: ['ES256', 'RS256', 'EdDSA'],
    });
  });

  describe.each(['RS256', 'EdDSA', 'ES256'])('the keys of %s', alg => {
    test('rotate and are revoked by themselves', async () => {
      const audience = { RS256: old, EdDSA: modern, ES256: service.url }[alg]!;
      const before = await tokenFor(audience);
      const others = async () => (await readKeys()).keys.filter(key => key.alg !== alg);
      const rest = await others();
      const rotated = await service.admin('POST', '/admin/signing-keys/rotate', { alg, now: true });
      const { kid } = (await rotated.json()) as { kid: string };
      const after = await tokenFor(audience);
      expect(decodeProtectedHeader(after)).toMatchObject({ alg, kid });
      expect(await others()).toEqual(rest);
      const keys = createLocalJWKSet(await readKeys());
      for (const token of [before, after]) await jwtVerify(token, keys, { audience });
      expect((await service.admin('POST', `/admin/signing-keys/${kid}/revoke`)).status).toBe(200);
      expect(decodeProtectedHeader(await tokenFor(audience)).kid).not.toBe(kid);
      expect(await others()).toEqual(rest);
    });
  });
});
