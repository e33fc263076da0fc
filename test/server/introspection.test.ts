/** `POST /oauth/introspect` (RFC 7662): what tokens and keys are worth, for resource servers, and never a guess. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { beforeAll, describe, expect, test } from 'vitest';
import { startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { startService, type TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore } from '../support/stores.ts';
import { signParts } from './forged-tokens.ts';

const inactive = { active: false };
const apiKeyType = 'urn:keyturn:params:oauth:token-type:api-key';

interface Key {
  readonly id: string;
  readonly apiKey: string;
}

async function createKey(service: TestService, fields: Record<string, unknown> = {}): Promise<Key> {
  const { key, apiKey } = await service.createKey(fields);
  return { id: key.id, apiKey };
}

function basic({ id, apiKey }: Key): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${apiKey}`).toString('base64')}` };
}

function post(
  service: TestService,
  fields: Record<string, string>,
  headers: Record<string, string>,
): Promise<Response> {
  const url = `http://127.0.0.1:${service.port}/oauth/introspect`;
  return fetch(url, { method: 'POST', headers, body: new URLSearchParams(fields) });
}

/** Holds an answer to what is common to all of this endpoint; its body. */
async function answered(response: Response): Promise<Record<string, unknown>> {
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return (await response.json()) as Record<string, unknown>;
}

/** What the guard of a resource route says of the token. */
async function isLetIn(service: TestService, token: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${service.port}/v2/connections`, { headers });
  await response.text();
  return response.status === 200;
}

describeOnEachStore('introspection', store => {
  let service: TestService;
  let caller: Key;
  const ask = async (token: string, at = service) => answered(await post(at, { token }, basic(caller)));
  const fresh = () => service.token(service.sampleKey);
  beforeAll(async () => {
    service = await store.start();
    caller = await createKey(service, { feature: 'resource-server' });
  });

  describe('of a token', () => {
    test('that is good says so, and all that it claims', async () => {
      const token = await fresh();
      expect(await ask(token)).toEqual({ ...decodeJwt(token), active: true, token_type: 'Bearer' });
    });
    test('of a key with claims and data of its own says them too', async () => {
      const { apiKey } = await createKey(service, {
        impersonationUser: 'extranet\\editor',
        customData: { Database: 'web' },
        customDataInToken: ['Database'],
        claims: { 'https://example.com/team': 'blue' },
        corsOrigins: ['https://app.example'],
      });
      const token = await service.token(apiKey);
      const answer = await ask(token);
      expect(answer).toEqual({ ...decodeJwt(token), active: true, token_type: 'Bearer' });
      expect(answer).toMatchObject({ sub: 'extranet\\editor', custom_data: { Database: 'web' } });
    });
    test('that was revoked says that it is not active, and nothing else', async () => {
      const token = await fresh();
      await fetch(`${service.url}/oauth/revoke`, { method: 'POST', body: new URLSearchParams({ token }) });
      expect(await ask(token)).toEqual(inactive);
    });
    test.each<[what: string, end: (id: string) => Promise<Response>]>([
      ['revoked', id => service.admin('POST', `/admin/keys/${id}/revoke`)],
      ['disabled', id => service.admin('POST', `/admin/keys/${id}/disable`)],
      ['narrowed', id => service.admin('PATCH', `/admin/keys/${id}`, { allowedControllers: [] })],
      ['deleted', id => service.admin('DELETE', `/admin/keys/${id}`)],
    ])('whose key was %s is not active', async (_, end) => {
      const { id, apiKey } = await createKey(service);
      const token = await service.token(apiKey);
      expect(await ask(token)).toMatchObject({ active: true });
      expect((await end(id)).ok).toBe(true);
      expect(await ask(token)).toEqual(inactive);
    });
    test('says what the guard says, before the token expires and after', async () => {
      const own = await store.start();
      const asking = basic(await createKey(own, { feature: 'resource-server' }));
      const token = await own.token(own.sampleKey);
      for (const seconds of [0, 890, 9, 2]) {
        own.clock.advance(seconds);
        const { active } = await answered(await post(own, { token }, asking));
        expect(active).toBe(await isLetIn(own, token));
      }
      expect(await isLetIn(own, token)).toBe(false);
    });
    test('that another has forged is not active', async () => {
      const token = await fresh();
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const [header, payload] = token.split('.');
      const forged = signParts(privateKey, decodeProtectedHeader(token), decodeJwt(token));
      for (const bad of [forged, `${header}.${payload}.${'A'.repeat(86)}`, `${token}=`, ` ${token}`])
        expect(await ask(bad)).toEqual(inactive);
    });
    test('of any audience is told, with the audience', async () => {
      const { apiKey } = await createKey(service, { audiences: ['https://one', 'https://two'] });
      const token = await service.token(apiKey, { audience: 'https://two' });
      expect(await ask(token)).toMatchObject({ active: true, aud: 'https://two' });
    });
    test('that another instance has revoked is not active, soon after', async () => {
      const place = await store.place();
      const one = await store.start({ env: { KEYTURN_ISSUER: 'https://issuer.example' } }, place);
      const other = await store.start({ env: { KEYTURN_ISSUER: 'https://issuer.example' } }, place);
      const asking = basic(await createKey(one, { feature: 'resource-server' }));
      const token = await one.token((await createKey(one)).apiKey);
      expect(await answered(await post(other, { token }, asking))).toMatchObject({ active: true });
      const body = new URLSearchParams({ token });
      await fetch(`http://127.0.0.1:${one.port}/oauth/revoke`, { method: 'POST', body });
      expect(await answered(await post(other, { token }, asking))).toEqual(inactive);
    });
  });

  describe('of a key string', () => {
    test('that is good says what it may, and until when', async () => {
      const expiresAt = new Date(Math.ceil(service.clock.now() / 1000) * 1000 + 3_600_000);
      const key = await createKey(service, {
        feature: 'multiple-resources',
        scopes: ['personalize.flows:read', 'personalize.templates:manage'],
        allowedControllers: ['Personalize.Flows'],
        corsOrigins: ['https://app.example'],
        expiresAt: expiresAt.toISOString(),
      });
      expect(await ask(key.apiKey)).toEqual({
        active: true,
        token_type: apiKeyType,
        client_id: key.id,
        sub: key.id,
        iss: service.url,
        aud: service.url,
        exp: expiresAt.getTime() / 1000,
        iat: expect.closeTo(service.clock.now() / 1000, -2) as number,
        scope: 'personalize.flows:read personalize.templates:manage',
        feature: 'multiple-resources',
        allowed_controllers: ['Personalize.Flows'],
        allowed_origins: ['https://app.example'],
        key_version: 1,
      });
    });
    test('says what a token of it says', async () => {
      const { apiKey } = await createKey(service, {
        impersonationUser: 'extranet\\editor',
        customData: { Database: 'web' },
        customDataInToken: ['Database'],
        claims: { 'https://example.com/team': 'blue' },
        audiences: ['https://one', 'https://two'],
      });
      const { jti: _, exp: _exp, iat: _iat, aud: _aud, ...claims } = decodeJwt(await service.token(apiKey));
      const answer = await ask(apiKey);
      expect(answer).toMatchObject({ ...claims, aud: ['https://one', 'https://two'] });
      expect(answer).not.toHaveProperty('exp');
      expect(answer).not.toHaveProperty('jti');
    });
    test('of an account says whom it acts as', async () => {
      const answer = await ask(service.ownerKey);
      expect(answer).toMatchObject({ active: true, sub: 'owner', aud: service.url, token_type: apiKeyType });
      expect(answer['act']).toEqual({ sub: answer['client_id'] });
    });
    test.each<[what: string, prepare: () => Promise<string>]>([
      ['is a draft', async () => (await createKey(service, { draft: true })).apiKey],
      [
        'is not valid yet',
        async () => {
          const notBefore = new Date(service.clock.now() + 60_000).toISOString();
          return (await createKey(service, { notBefore })).apiKey;
        },
      ],
      ['is for other doors', async () => (await createKey(service, { doors: ['sc_apikey'] })).apiKey],
      [
        'is disabled',
        async () => {
          const { id, apiKey } = await createKey(service);
          await service.admin('POST', `/admin/keys/${id}/disable`);
          return apiKey;
        },
      ],
      [
        'is revoked',
        async () => {
          const { id, apiKey } = await createKey(service);
          await service.admin('POST', `/admin/keys/${id}/revoke`);
          return apiKey;
        },
      ],
      [
        'is deleted',
        async () => {
          const { id, apiKey } = await createKey(service);
          await service.admin('DELETE', `/admin/keys/${id}`);
          return apiKey;
        },
      ],
      [
        'has another secret',
        async () => {
          const [one, other] = [await createKey(service), await createKey(service)];
          return one.apiKey.slice(0, 36) + other.apiKey.slice(36);
        },
      ],
      ['is its id alone', async () => (await createKey(service)).id],
    ])('that %s is not active, and nothing else', async (_, prepare) => {
      expect(await ask(await prepare())).toEqual(inactive);
    });
    test('that has expired is not active', async () => {
      const own = await store.start();
      const expiresAt = new Date(own.clock.now() + 60_000).toISOString();
      const { apiKey } = await createKey(own, { expiresAt });
      const asking = basic(await createKey(own, { feature: 'resource-server' }));
      expect(await answered(await post(own, { token: apiKey }, asking))).toMatchObject({ active: true });
      own.clock.advance(61);
      expect(await answered(await post(own, { token: apiKey }, asking))).toEqual(inactive);
    });
    test('is no use of it: no time is noted, and no clock of a rotation starts', async () => {
      const { id, apiKey } = await createKey(service);
      const rotated = await service.admin('POST', `/admin/keys/${id}/rotations`, {
        mode: 'first-use',
        grace: 60,
      });
      const { apiKey: next } = (await rotated.json()) as Key;
      for (const text of [apiKey, next]) expect(await ask(text)).toMatchObject({ active: true });
      const shown = (await (await service.admin('GET', `/admin/keys/${id}`)).json()) as {
        secrets: { state: string; lastUsedAt: string | null }[];
      };
      expect(shown.secrets.map(({ state, lastUsedAt }) => [state, lastUsedAt])).toEqual([
        ['active', null],
        ['pending', null],
      ]);
    });
    test('ends with its secret, where that is to retire', async () => {
      const { id, apiKey } = await createKey(service);
      await service.admin('POST', `/admin/keys/${id}/rotations`, { mode: 'overlap', grace: 600 });
      const { exp, active } = await ask(apiKey);
      expect(active).toBe(true);
      expect(exp).toBeCloseTo(service.clock.now() / 1000 + 600, -2);
    });
  });

  test.each([
    'x',
    'x.y.z',
    '..',
    'null',
    '{}',
    'ü',
    '\u0000',
    'kt_',
    `kt_${'0'.repeat(32)}_${'0'.repeat(38)}`,
  ])('of %j, which is nothing, says that it is not active', async text => {
    expect(await ask(text)).toEqual(inactive);
  });
  test.each(['access_token', 'refresh_token', 'api_key', 'nonsense', ''])(
    'takes the hint %j for no more than a hint',
    async token_type_hint => {
      for (const token of [await fresh(), service.sampleKey]) {
        const response = await post(service, { token, token_type_hint }, basic(caller));
        expect(await answered(response)).toMatchObject({ active: true });
      }
    },
  );
  test.each<[what: string, fields: Record<string, string>]>([
    ['no token', {}],
    ['an empty token', { token: '' }],
  ])('with %s is 400', async (_, fields) => {
    const response = await post(service, fields, basic(caller));
    expect(response.status).toBe(400);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(await response.json()).toMatchObject({ error: 'invalid_request' });
  });
  test.each(['GET', 'PUT', 'DELETE'])('by %s is 405', async method => {
    const response = await fetch(`${service.url}/oauth/introspect`, { method, headers: basic(caller) });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toContain('POST');
  });

  describe('of a key as its door takes it', () => {
    const hints = 'urn:keyturn:params:oauth:token-type:';
    const askAs = async (token: string, door: 'sc-apikey' | 'x-sf-access-key') =>
      answered(await post(service, { token, token_type_hint: hints + door }, basic(caller)));
    const siteKey = (fields: Record<string, unknown> = {}) =>
      createKey(service, { feature: 'services-client', doors: ['sc_apikey'], ...fields });

    test('says what an sc_apikey allows, whom it acts as, and all of its data', async () => {
      const expiresAt = new Date(Math.ceil(service.clock.now() / 1000) * 1000 + 600_000).toISOString();
      const { id } = await siteKey({
        impersonationUser: 'extranet\\Anna',
        customData: { note: 'ü' },
        corsOrigins: ['https://page.example'],
        expiresAt,
      });
      expect(await askAs(`{${id.toUpperCase()}}`, 'sc-apikey')).toMatchObject({
        active: true,
        token_type: `${hints}sc-apikey`,
        client_id: id,
        sub: 'extranet\\Anna',
        feature: 'services-client',
        scope: 'services:manage',
        key_version: 1,
        allowed_origins: ['https://page.example'],
        custom_data: { note: 'ü' },
        exp: Date.parse(expiresAt) / 1000,
      });
    });

    test.each<[string, string, () => Promise<string>]>([
      ['unknown', 'api_key_unknown', async () => randomUUID()],
      ['made for tokens', 'api_key_unknown', async () => (await createKey(service)).id],
      ['sent with its secret', 'api_key_unknown', async () => (await siteKey()).apiKey],
      ['a draft', 'api_key_unpublished', async () => (await siteKey({ draft: true })).id],
      [
        'revoked',
        'api_key_unusable',
        async () => {
          const { id } = await siteKey();
          await service.admin('POST', `/admin/keys/${id}/revoke`);
          return id;
        },
      ],
    ])('says which fault it is where one is %s', async (_, code, prepare) => {
      expect(await askAs(await prepare(), 'sc-apikey')).toMatchObject({ active: false, code });
    });

    test('says whose an access key is, until when, and counts it as used', async () => {
      await service.admin('POST', '/admin/accounts', {
        id: 'editor',
        role: 'member',
        permissions: ['content:read'],
      });
      const made = await service.admin('POST', '/admin/accounts/editor/access-key');
      const { accessKey } = (await made.json()) as { accessKey: string };
      expect(await askAs(accessKey, 'x-sf-access-key')).toMatchObject({
        active: true,
        sub: 'editor',
        scope: expect.stringContaining('content:read'),
      });
      expect(await askAs(service.sampleKey, 'x-sf-access-key')).toEqual({
        active: false,
        code: 'access_key_invalid',
      });
    });
  });

  describe('is for resource servers', () => {
    test('with their key, in every way of sending it, and with a token', async () => {
      const token = await fresh();
      for (const [fields, headers] of [
        [{}, basic(caller)],
        [{}, basic({ ...caller, id: '' })],
        [{ client_secret: caller.apiKey }, {}],
        [{ client_id: caller.id, client_secret: caller.apiKey }, {}],
        [{ client_id: caller.id }, basic(caller)],
        [{}, { authorization: `Bearer ${await service.token(caller.apiKey)}` }],
        [{}, { authorization: `bearer ${await service.token(caller.apiKey)}` }],
      ] as [Record<string, string>, Record<string, string>][]) {
        const response = await post(service, { token, ...fields }, headers);
        expect(await answered(response)).toMatchObject({ active: true });
      }
    });
    test('whose use of their key is one', async () => {
      const own = await createKey(service, { feature: 'resource-server' });
      const { apiKey: next } = (await (
        await service.admin('POST', `/admin/keys/${own.id}/rotations`, { mode: 'first-use', grace: 60 })
      ).json()) as Key;
      await post(service, { token: 'x' }, basic({ ...own, apiKey: next }));
      const shown = (await (await service.admin('GET', `/admin/keys/${own.id}`)).json()) as {
        secrets: { state: string }[];
      };
      expect(shown.secrets.map(({ state }) => state)).toEqual(['retiring', 'active']);
    });
    test('and refuses wrong keys as the token endpoint does', async () => {
      const draft = await createKey(service, { feature: 'resource-server', draft: true });
      for (const [fields, headers] of [
        [{}, basic({ id: caller.id, apiKey: 'wrong' })],
        [{}, basic({ ...caller, id: 'other' })],
        [{}, basic(draft)],
        [{}, { authorization: 'Basic %%%' }],
        [{ client_secret: 'wrong' }, {}],
      ] as [Record<string, string>, Record<string, string>][]) {
        const response = await post(service, { token: 'x', ...fields }, headers);
        expect(response.status).toBe(401);
        const challenge = response.headers.get('www-authenticate');
        expect(challenge !== null).toBe('authorization' in headers);
        expect(challenge ?? 'Basic error="invalid_client"').toMatch(/^Basic .*error="invalid_client"/);
        expect(await response.json()).toMatchObject({ error: 'invalid_client' });
      }
    });
    test.each<[what: string, needed: string, fields: Record<string, unknown>, headers: object]>([
      ['of another feature', 'Keyturn.Introspection', { feature: 'connections' }, {}],
      [
        'without the controller',
        'Keyturn.Introspection',
        { feature: 'resource-server', allowedControllers: [] },
        {},
      ],
      ['of another origin', 'origin', { feature: 'resource-server' }, { origin: 'https://page.example' }],
    ])('and refuses a good key %s, saying what is needed', async (_, needed, fields, headers) => {
      const key = await createKey(service, fields);
      const response = await post(service, { token: 'x' }, { ...basic(key), ...headers });
      expect(response.status).toBe(403);
      expect(response.headers.get('www-authenticate')).toBeNull();
      const { error, error_description } = (await response.json()) as Record<string, string>;
      expect(error).toBe('insufficient_scope');
      expect(error_description).toContain(needed);
    });
    test('from the origins of the key, where there is one', async () => {
      const origin = 'https://page.example';
      const key = await createKey(service, { feature: 'resource-server', corsOrigins: [origin] });
      const response = await post(service, { token: 'x' }, { ...basic(key), origin });
      expect(await answered(response)).toEqual(inactive);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
    });
    test('and asks everybody else for a token, as every guarded route does', async () => {
      const response = await post(service, { token: 'x' }, {});
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="keyturn", resource_metadata=/);
      expect(await response.json()).toMatchObject({ code: 'credential_missing' });
    });
    test.each<[what: string, prepare: () => Promise<string>, outcome: string]>([
      ['that is none', async () => 'x.y.z', '401 token_invalid'],
      ['of another feature', fresh, '403 controller_not_allowed'],
      [
        'for another audience',
        async () => {
          const { apiKey } = await createKey(service, {
            feature: 'resource-server',
            audiences: ['https://other'],
          });
          return service.token(apiKey);
        },
        '401 audience_mismatch',
      ],
    ])('and refuses a token %s as every guarded route does', async (_, prepare, outcome) => {
      const response = await post(service, { token: 'x' }, { authorization: `Bearer ${await prepare()}` });
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer .*error=/);
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(`${response.status} ${((await response.json()) as { code: string }).code}`).toBe(outcome);
    });
    test('and refuses two ways at once', async () => {
      const two = { token: 'x', client_secret: caller.apiKey };
      for (const authorization of [
        basic(caller).authorization,
        `Bearer ${await service.token(caller.apiKey)}`,
      ]) {
        const response = await post(service, two, { authorization });
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({ error: 'invalid_request' });
      }
    });
  });
});

describeOnEmbeddedStore('introspection by real clients', store => {
  let service: TestService;
  let caller: Key;
  beforeAll(async () => {
    service = await store.start();
    caller = await createKey(service, { feature: 'resource-server' });
  });

  test('is found, and understood, by oauth4webapi', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(service.url);
    const found = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const client = { client_id: caller.id };
    const token = await service.token(service.sampleKey);
    for (const authentication of [
      oauth.ClientSecretBasic(caller.apiKey),
      oauth.ClientSecretPost(caller.apiKey),
    ]) {
      for (const [text, active] of [
        [token, true],
        [service.sampleKey, true],
        ['x', false],
      ] as const) {
        const response = await oauth.introspectionRequest(server, client, authentication, text, insecure);
        expect((await oauth.processIntrospectionResponse(server, client, response)).active).toBe(active);
      }
    }
  });
  test('is understood by openid-client', async () => {
    const config = await openid.discovery(new URL(service.url), caller.id, caller.apiKey, undefined, {
      execute: [openid.allowInsecureRequests],
    });
    const token = await service.token(service.sampleKey);
    const answer = await openid.tokenIntrospection(config, token, { token_type_hint: 'access_token' });
    expect(answer).toMatchObject({ active: true, scope: decodeJwt(token)['scope'] });
    expect(await openid.tokenIntrospection(config, 'x')).toEqual(inactive);
  });
  test('takes the form that Authlib and Spring send', async () => {
    const token = await service.token(service.sampleKey);
    const response = await fetch(`${service.url}/oauth/introspect`, {
      method: 'POST',
      headers: {
        ...basic(caller),
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      },
      body: `token=${token}&token_type_hint=access_token`,
    });
    expect(await answered(response)).toMatchObject({ active: true });
  });
  test('slows down whoever guesses keys, and nobody else', async () => {
    const own = await store.start({ failuresPerMinute: 300 });
    const asking = basic(await createKey(own, { feature: 'resource-server' }));
    const wrong = basic({ id: '', apiKey: 'wrong' });
    let status = 0;
    for (let tries = 0; status !== 429 && tries < 1000; tries += 100) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => post(own, { token: 'x' }, wrong)));
      await Promise.all(answers.map(answer => answer.text()));
      status = answers.at(-1)!.status;
    }
    const refused = await post(own, { token: 'x' }, wrong);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await answered(await post(own, { token: 'x' }, asking))).toEqual(inactive);
  }, 60_000);
});

describe('introspection while the store is away', () => {
  test('is 503, and never a guess', async () => {
    const redis = await startRedis();
    const service = await startService({ redisUrl: redis.url, env: { KEYTURN_MAX_STALENESS: '1' } });
    try {
      const caller = await createKey(service, { feature: 'resource-server' });
      const asking = [basic(caller), { authorization: `Bearer ${await service.token(caller.apiKey)}` }];
      const tokens = [await service.token(service.sampleKey), service.sampleKey];
      for (const token of tokens) expect((await post(service, { token }, asking[1]!)).status).toBe(200);
      redis.freeze();
      for (const headers of asking) {
        for (const token of tokens) {
          await until('it is 503', async () => {
            const response = await post(service, { token }, headers);
            const answer = (await response.json()) as { active?: boolean };
            expect(answer.active).not.toBe(false);
            return response.status === 503 && response.headers.get('retry-after') === '1';
          });
        }
      }
    } finally {
      redis.thaw();
      await service.stop();
      await redis.stop();
    }
  }, 60_000);
});
