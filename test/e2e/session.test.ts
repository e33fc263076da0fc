/** What the service answers, over each store: one session, held three times, and what it has to say. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type RedisGroup,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '../support/redis-servers.ts';
import { startService, TestClock } from '../support/service.ts';
import { holdSession, shop } from './session.ts';
import type { Entry, Transcript } from './transcript.ts';

const stores = ['the embedded store', 'Redis', 'Redis Cluster'] as const;

let redis: RedisServer;
let cluster: RedisGroup;
let transcripts: Record<(typeof stores)[number], Transcript>;

beforeAll(async () => {
  [redis, cluster] = await Promise.all([startRedis(), startRedisCluster()]);
  const [embedded, ...others] = await Promise.all([undefined, redis.url, cluster.url].map(recordOver));
  const [overRedis, overCluster] = others;
  transcripts = { 'the embedded store': embedded!, Redis: overRedis!, 'Redis Cluster': overCluster! };
}, 120_000);

afterAll(() => Promise.all([redis.stop(), cluster.stop()]));

/** It moves when told to, and never by itself: what is slower on one store is not later. */
class StillClock extends TestClock {
  #now = Date.now();
  override readonly now = (): number => this.#now;

  override advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
}

async function recordOver(redisUrl: string | undefined): Promise<Transcript> {
  const service = await startService({ redisUrl, clock: new StillClock() });
  try {
    return await holdSession(service);
  } finally {
    await service.stop();
  }
}

describe('one session', () => {
  it.each(['Redis', 'Redis Cluster'] as const)('is answered over %s as over the embedded store', store => {
    const [expected, actual] = [transcripts['the embedded store'], transcripts[store]];
    const order = expected.entries.map(({ step }) => step);
    expect(new Set(order).size).toBe(order.length);
    expect(actual.entries.map(({ step }) => step)).toEqual(order);
    for (const step of order) expect(actual.get(step)).toEqual(expected.get(step));
  });
});

describe.each(stores)('over %s', store => {
  const get = (step: string): Entry => transcripts[store].get(step);
  const bodyOf = (step: string) => get(step).body as Record<string, unknown>;
  const answers = (pattern: RegExp) =>
    transcripts[store].entries
      .filter(({ step }) => pattern.test(step))
      .map(({ step, status, body }) => [step.replace(pattern, ''), status, (body as { code?: string }).code]);

  it('makes keys of every feature, each shown once', () => {
    const made = transcripts[store].entries.filter(({ step }) => step.startsWith('create the key '));
    expect(made).toHaveLength(9);
    for (const { status, body, headers } of made) {
      expect(status).toBe(201);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        location: expect.stringMatching(/^\/admin\/keys\//),
      });
      expect(body).toMatchObject({
        apiKey: expect.stringMatching(/^<key /),
        key: { owner: 'owner', keyVersion: 1 },
      });
      expect(JSON.stringify((body as { key: unknown }).key)).not.toMatch(/hash|<key /);
    }
  });

  it('refuses keys that cannot be, and says of each why', () => {
    const refused = transcripts[store].entries.filter(({ step }) => step.startsWith('create a key '));
    const statuses = Object.fromEntries(
      refused.map(({ step, status }) => [step.replace('create a key ', ''), status]),
    );
    expect(statuses).toEqual({
      'of no feature': 422,
      'without a name': 422,
      'with more scope than its feature': 422,
      'with a controller outside its feature': 422,
      'with an origin that is none': 422,
      'that acts as the administrator': 422,
      'with a claim that is no URI': 422,
      'with a member that is not known': 422,
      'without a token': 401,
      'from text': 415,
      'from broken JSON': 400,
    });
    for (const { headers, body } of refused) {
      expect(headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({
        title: expect.any(String),
        detail: expect.any(String),
        code: expect.any(String),
      });
    }
  });

  it('gives the same token through every door', () => {
    const doors = [
      'exchange by form',
      'exchange with a dashed client id',
      'exchange with a bare client id',
      'exchange with a braced client id',
      'exchange by Basic',
      'exchange by Basic without an id',
      'exchange by JSON',
      'exchange by RFC 8693',
      'exchange at the older address',
      'exchange with empty and unknown parameters',
    ];
    const { id } = (bodyOf('create the key connections') as { key: { id: string } }).key;
    for (const door of doors) {
      const { status, headers, body } = get(door);
      expect([door, status]).toEqual([door, 200]);
      expect(headers).toMatchObject({ 'cache-control': 'no-store' });
      expect(headers['content-type']).toMatch(/^application\/json/);
      expect(body).toMatchObject({
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'personalize.external_webservices:manage',
        access_token: {
          header: { typ: 'at+jwt', alg: 'ES256' },
          claims: {
            iss: 'https://keyturn',
            aud: 'https://keyturn',
            sub: id,
            client_id: id,
            feature: 'connections',
            allowed_controllers: ['Personalize.Connections'],
            allowed_origins: [shop],
            key_version: 1,
            life: 900,
          },
        },
      });
    }
    expect(bodyOf('exchange by RFC 8693')['issued_token_type']).toBe(
      'urn:ietf:params:oauth:token-type:access_token',
    );
  });

  it('writes into the token what stands on the key', () => {
    expect(bodyOf('exchange the key reader')).toMatchObject({
      expires_in: 120,
      scope: 'personalize.external_webservices:read',
      access_token: {
        claims: {
          life: 120,
          custom_data: { Database: 'web' },
          'https://shop.example/claims/tenant': 'a',
        },
      },
    });
    const { client_id, sub, act } = (
      bodyOf('exchange the key templates')['access_token'] as { claims: Record<string, unknown> }
    ).claims;
    expect(sub).toBe('sitecore\\editor');
    expect(act).toEqual({ sub: client_id });
  });

  it('refuses exchanges as OAuth has it', () => {
    const refusals = {
      'exchange a mistyped key': [401, 'invalid_client'],
      'exchange a mistyped key by Basic': [401, 'invalid_client'],
      'exchange a mistyped key by RFC 8693': [400, 'invalid_request'],
      'exchange an identifier': [401, 'invalid_client'],
      "exchange with another key's id": [401, 'invalid_client'],
      'exchange a draft': [401, 'invalid_client'],
      'exchange an expired key': [401, 'invalid_client'],
      'exchange a revoked key': [401, 'invalid_client'],
      'exchange without a secret': [401, 'invalid_client'],
      'exchange without a grant': [400, 'invalid_request'],
      'exchange by password': [400, 'unsupported_grant_type'],
      'exchange for more scope': [400, 'invalid_scope'],
      'exchange for another audience': [400, 'invalid_target'],
      'exchange in two ways at once': [400, 'invalid_request'],
      'exchange with a secret twice': [400, 'invalid_request'],
      'exchange by query': [400, 'invalid_request'],
      'exchange by text': [400, 'invalid_request'],
    };
    for (const [step, [status, error]] of Object.entries(refusals)) {
      const entry = get(step);
      expect([step, entry.status, entry.body]).toEqual([
        step,
        status,
        { error, error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) },
      ]);
      const challenge = entry.headers['www-authenticate']?.includes('error="invalid_client"');
      expect([step, challenge]).toEqual([step, step.endsWith('by Basic') || undefined]);
    }
    expect(get('exchange by GET').status).toBe(405);
    expect(get('exchange by GET').headers['allow']).toMatch(/POST/);
    expect(bodyOf('exchange a mistyped key')).toEqual(bodyOf('exchange an identifier'));
    expect(bodyOf('exchange a draft')['error_description']).toMatch(/draft/);
    expect(bodyOf('exchange an expired key')['error_description']).toMatch(/expired/);
    expect(bodyOf('exchange a revoked key')['error_description']).toMatch(/revoked/);
  });

  it('lets a key for connections create, read, update and delete connections, and nothing else', () => {
    expect([
      get('list no connections').status,
      get('create a connection').status,
      get('read the connection').status,
      get('update the connection').status,
      get('test a connection').status,
      get('delete the connection').status,
      get('read the deleted connection').status,
    ]).toEqual([200, 201, 200, 200, 200, 200, 404]);
    expect(bodyOf('create a connection')).toMatchObject({ name: 'Weather', revision: 1, archived: false });
    expect(bodyOf('create a connection')['ref']).toMatch(/^<id /);
    expect(bodyOf('update the connection')).toMatchObject({ name: 'Wind', revision: 2 });
    expect(answers(/^connections, refused: /)).toEqual([
      ['list decision models', 403, 'controller_not_allowed'],
      ['test a decision model', 403, 'controller_not_allowed'],
      ['list flows', 403, 'controller_not_allowed'],
      ['create a flow', 403, 'controller_not_allowed'],
      ['list templates', 403, 'controller_not_allowed'],
      ['list keys', 403, 'controller_not_allowed'],
      ['create a key', 403, 'controller_not_allowed'],
    ]);
  });

  it('lists documents in the shape of Sitecore Personalize, in pages', () => {
    const names = (step: string) => (bodyOf(step)['items'] as { name: string }[]).map(({ name }) => name);
    expect(bodyOf('list connections')['href']).toBe('https://keyturn/v2/connections');
    expect(names('list connections')).toEqual(['Wind', 'Second', 'Third']);
    expect(names('list one connection')).toEqual(['Second']);
    expect(names('list connections as a careless client does')).toEqual(['Wind', 'Second', 'Third']);
    expect(names('list the connections that are left')).toEqual(['Second', 'Third']);
  });

  it('lets a key for testing read and test decision models, and says why it may do nothing else', () => {
    expect(answers(/^testing: /)).toEqual([
      ['list decision models', 200, undefined],
      ['read a decision model', 404, 'not_found'],
      ['list variants', 200, undefined],
      ['test a decision model', 200, undefined],
    ]);
    expect(answers(/^testing, refused: /)).toEqual([
      ['create a decision model', 403, 'insufficient_scope'],
      ['update a decision model', 403, 'insufficient_scope'],
      ['delete a decision model', 403, 'insufficient_scope'],
      ['create a variant', 403, 'insufficient_scope'],
      ['update a variant', 403, 'insufficient_scope'],
      ['list connections', 403, 'controller_not_allowed'],
      ['create a connection', 403, 'controller_not_allowed'],
      ['list flows', 403, 'controller_not_allowed'],
      ['list templates', 403, 'controller_not_allowed'],
      ['list keys', 403, 'controller_not_allowed'],
    ]);
    const { headers, body } = get('testing, refused: create a decision model');
    expect(headers['www-authenticate']).toMatch(
      /^Bearer .*error="insufficient_scope".*scope="personalize\.decision_models:create"/,
    );
    expect(body).toMatchObject({ detail: expect.stringContaining('personalize.decision_models:create') });
  });

  it('refuses a key whose controllers leave out the route, though its scope fits', () => {
    expect(bodyOf('exchange the key no connections')['scope']).toContain('external_webservices:manage');
    const refused = get('without its controller, refused: list connections');
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject({
      code: 'controller_not_allowed',
      detail: expect.stringContaining('Personalize.Connections'),
    });
    expect(get('without its controller: list templates').status).toBe(200);
    expect(bodyOf('without any controller, refused: list connections')['code']).toBe(
      'controller_not_allowed',
    );
  });

  it('refuses an action that the scope leaves out, a stranger, and nobody', () => {
    expect(get('reader: list connections').status).toBe(200);
    expect(get('reader, refused: create a connection').body).toMatchObject({ code: 'insufficient_scope' });
    const nobody = get('nobody: list connections');
    expect(nobody.status).toBe(401);
    expect(nobody.headers['www-authenticate']).toContain('resource_metadata=');
    expect(nobody.headers['www-authenticate']).not.toContain('error=');
    const stranger = get('a stranger: list connections');
    expect(stranger.status).toBe(401);
    expect(stranger.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(get('two credentials: list connections').status).toBe(400);
  });

  it('refuses a browser origin that the key does not list, though controller and scope fit', () => {
    const letIn = get('from the shop: list connections');
    expect(letIn.status).toBe(200);
    expect(letIn.headers).toMatchObject({
      'access-control-allow-origin': shop,
      'access-control-allow-credentials': 'true',
    });
    for (const from of ['elsewhere', 'another port', 'nowhere']) {
      const { status, body, headers } = get(`from ${from}, refused: list connections`);
      expect(status).toBe(403);
      expect(body).toMatchObject({ code: 'origin_not_allowed' });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
    expect(get('from the shop, with a key for no origin, refused').body).toMatchObject({
      code: 'origin_not_allowed',
    });
    expect(get('from elsewhere, with a key for every origin')).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': 'https://elsewhere.example' },
    });
  });

  it('lets a page that is allowed read the refusals too', () => {
    for (const step of ['from the shop, refused: list flows', 'from the shop, with a token that is none']) {
      expect(get(step).status).toBeGreaterThanOrEqual(400);
      expect(get(step).headers['access-control-allow-origin']).toBe(shop);
    }
  });

  it('answers preflights by what the keys allow', () => {
    const origins = (step: string) => [get(step).status, get(step).headers['access-control-allow-origin']];
    expect(origins('preflight from the shop')).toEqual([204, shop]);
    expect(origins('preflight from elsewhere')).toEqual([204, undefined]);
    expect(origins('preflight from nowhere')).toEqual([204, undefined]);
    expect(origins('preflight with the key in the query')).toEqual([204, shop]);
    expect(origins('preflight with an unknown key in the query')).toEqual([204, undefined]);
    expect(origins('preflight for templates from elsewhere')).toEqual([204, 'https://elsewhere.example']);
    const { headers } = get('preflight from the shop');
    expect(headers).toMatchObject({
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'Authorization, Content-Type, sc_apikey, X-SF-Access-Key',
      'access-control-allow-methods': expect.stringMatching(/GET.*POST|POST.*GET/),
      vary: expect.stringContaining('Origin'),
    });
    expect(Number(headers['access-control-max-age'])).toBeLessThanOrEqual(600);
  });

  it('lists keys newest first, page by page', () => {
    const pages = transcripts[store].entries.filter(({ step }) => step.startsWith('list keys, page '));
    const names = pages.flatMap(({ body }) =>
      (body as { items: { name: string }[] }).items.map(({ name }) => name),
    );
    expect(names.map(name => name.replace('Session: ', ''))).toEqual([
      'brief',
      'draft',
      'everywhere',
      'nowhere',
      'reader',
      'no connections',
      'templates',
      'testing',
      'connections',
    ]);
    expect(pages).toHaveLength(3);
    expect(get('list keys, with a wrong limit').status).toBe(400);
    expect(get('list keys, with a wrong cursor').status).toBe(400);
    expect(get('show no key').status).toBe(404);
  });

  it('revokes one token, and leaves the key and its other tokens', () => {
    expect(get('not revoked: list decision models').status).toBe(200);
    expect(get('revoke with wrong credentials').status).toBe(401);
    expect([get('revoke a token').status, get('revoke a token again').status]).toEqual([200, 200]);
    expect(get('revoke what is not known').status).toBe(200);
    expect(get('revoke nothing').status).toBe(400);
    expect(get('revoked: list decision models')).toMatchObject({
      status: 401,
      body: { code: 'token_revoked' },
    });
    expect(get('exchange after the token is revoked').status).toBe(200);
    expect(get('with another token: list decision models').status).toBe(200);
  });

  it('revokes a key with all its tokens, and nobody else', () => {
    expect(get('revoke a key by its holder').status).toBe(200);
    expect(get('key revoked: list decision models').body).toMatchObject({ code: 'token_revoked' });
    expect(bodyOf('revoke a key by its administrator')).toMatchObject({ status: 'revoked', keyVersion: 2 });
    expect(bodyOf('revoke it again')).toMatchObject({ status: 'revoked', keyVersion: 2 });
    expect(get('key revoked: list templates').body).toMatchObject({ code: 'token_revoked' });
    expect((bodyOf('list revoked keys')['items'] as unknown[]).length).toBe(2);
    expect(get('not touched: list connections').status).toBe(200);
  });

  it('lets no token outlive its time, or its key', () => {
    expect(bodyOf('exchange the key brief')['expires_in']).toBe(59);
    for (const step of ['list connections with a token of an expired key', 'expired: list connections']) {
      expect(get(step)).toMatchObject({ status: 401, body: { code: 'token_expired' } });
    }
  });
});
