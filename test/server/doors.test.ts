/** The other doors of resource routes: Sitecore's `sc_apikey` and Sitefinity's `X-SF-Access-Key`. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const layout = '/sitecore/api/layout/render/jss?item=%2F';
const graphql = '/api/app';
const allowed = [
  'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController, Sitecore.LayoutService.Mvc',
  'Sitecore.JavaScriptServices.Globalization.Controllers.DictionaryServiceController',
  'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController',
  'GraphQL:/api/app',
].join(';\n  ');

/** As far as the tests look into any of the shapes. */
interface Body {
  readonly status?: number;
  readonly code?: string;
  readonly detail?: string;
  readonly ref?: string;
  readonly sitecore?: { readonly route: unknown };
  readonly errors?: readonly { readonly message: string }[];
  readonly error?: { readonly code: string; readonly message: string };
}

interface Reply {
  readonly status: number;
  readonly body: Body;
  readonly headers: Headers;
}

type Send = (
  path: string,
  headers?: Record<string, string>,
  method?: string,
  body?: string,
) => Promise<Reply>;

function sender(service: () => TestService): Send {
  return async (path, headers = {}, method = 'GET', body) => {
    const response = await fetch(service().url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text), headers: response.headers };
  };
}

function withKey(path: string, key: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}sc_apikey=${encodeURIComponent(key)}`;
}

describeOnEachStore('sc_apikey', store => {
  let service: TestService;
  let id: string;
  const send = sender(() => service);
  const keyOf = async (fields: Record<string, unknown> = {}) =>
    (await service.createKey({ feature: 'services-client', doors: ['sc_apikey'], ...fields })).key.id;

  beforeAll(async () => {
    service = await store.start({ env: { KEYTURN_ANONYMOUS_USER: 'sitecore\\ServicesAPI' } });
    id = await keyOf({ allowedControllers: allowed });
  });

  describe('lets in', () => {
    const hex = (guid: string) => guid.replaceAll('-', '');
    test.each<[string, (guid: string) => string]>([
      ['dashed', guid => guid],
      ['braced', guid => `{${guid}}`],
      ['upper case, braced', guid => `{${guid.toUpperCase()}}`],
      ['32 digits', hex],
      ['32 upper-case digits', guid => hex(guid).toUpperCase()],
    ])('a key whose GUID is %s, in the query and in the header', async (_, spell) => {
      expect((await send(withKey(layout, spell(id)))).status).toBe(200);
      expect((await send(layout, { sc_apikey: spell(id) })).status).toBe(200);
    });

    test('a key that stands in both, spelt differently', async () => {
      expect((await send(withKey(layout, `{${id}}`), { sc_apikey: id.toUpperCase() })).status).toBe(200);
    });

    test('a parameter whose name is spelt otherwise', async () => {
      expect((await send(`${layout}&SC_ApiKey=${id}`)).status).toBe(200);
      expect((await send(`${layout}&sc%5Fapikey=${id}`)).status).toBe(200);
    });

    test('a key with every controller', async () => {
      const any = await keyOf({ allowedControllers: '*' });
      expect((await send(withKey(layout, any))).status).toBe(200);
      expect((await send(withKey('/api/another', any), {}, 'POST', '{"query":"{a}"}')).status).toBe(200);
    });

    test('a key as soon as it is published, and no longer when it is disabled', async () => {
      const draft = await keyOf({ draft: true });
      const statuses = [(await send(withKey(layout, draft))).status];
      for (const step of ['publish', 'disable', 'enable', 'revoke']) {
        await service.admin('POST', `/admin/keys/${draft}/${step}`);
        statuses.push((await send(withKey(layout, draft))).status);
      }
      expect(statuses).toEqual([400, 200, 400, 200, 400]);
    });
  });

  describe('says with 400 what is wrong', () => {
    test.each<[string, string, () => Promise<string> | string]>([
      ['api_key_unknown', 'no key', () => randomUUID()],
      ['api_key_unknown', 'all zeros', () => '00000000-0000-0000-0000-000000000000'],
      ['api_key_unknown', '31 digits', () => id.replaceAll('-', '').slice(1)],
      ['api_key_unknown', '33 digits', () => `${id.replaceAll('-', '')}0`],
      ['api_key_unknown', 'in parentheses', () => `(${id})`],
      ['api_key_unknown', 'with blanks in it', () => `${id.slice(0, 9)} ${id.slice(9)}`],
      ['api_key_unknown', 'with a zero byte', () => `${id}\0`],
      ['api_key_unknown', 'a key string', () => service.sampleKey],
      ['api_key_unknown', 'a key of the token door', () => keyOf({ doors: ['token'] })],
      ['api_key_unpublished', 'a draft', () => keyOf({ draft: true })],
      ['controller_not_allowed', 'of other controllers', () => keyOf({ allowedControllers: [] })],
    ])('%s: %s', async (code, _, keyFor) => {
      const answer = await send(withKey(layout, await keyFor()));
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ status: 400, code });
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.headers.get('www-authenticate')).toBeNull();
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    test('api_key_missing: nothing was sent, or nothing in it', async () => {
      for (const path of [layout, withKey(layout, '')]) {
        const answer = await send(path);
        expect([answer.status, answer.body.code]).toEqual([400, 'api_key_missing']);
      }
    });

    test('api_keys_differ: the header and the query are not the same', async () => {
      const other = await keyOf();
      expect((await send(withKey(layout, id), { sc_apikey: other })).body.code).toBe('api_keys_differ');
      expect((await send(withKey(withKey(layout, id), other))).body.code).toBe('api_keys_differ');
    });

    test('api_key_unusable: expired, and not valid yet', async () => {
      const soon = await keyOf({ notBefore: new Date(service.clock.now() + 3_600_000).toISOString() });
      const answer = await send(withKey(layout, soon));
      expect([answer.status, answer.body.code]).toEqual([400, 'api_key_unusable']);
      expect(answer.body.detail).toContain('not valid before');
    });

    test('in the shape that GraphQL clients read, on GraphQL routes', async () => {
      const missing = await send(graphql, {}, 'POST', '{"query":"{a}"}');
      expect(missing.status).toBe(400);
      expect(missing.headers.get('content-type')).toBe('application/json');
      expect(missing.body.errors?.[0]?.message).toBe(
        "SSC API key is required. Pass with 'sc_apikey' query string or HTTP header.",
      );
      const unknown = await send(graphql, { sc_apikey: randomUUID() }, 'POST', '{"query":"{a}"}');
      expect(unknown.body.errors?.[0]?.message).toMatch(/^Provided SSC API keyData is not valid\./);
    });

    test('where the GraphQL entry is missing beside the controller', async () => {
      expect((await send(withKey(graphql, id), {}, 'POST', '{"query":"{a}"}')).status).toBe(200);
      const other = await send(withKey('/api/other', id), {}, 'POST', '{"query":"{a}"}');
      expect(other.status).toBe(400);
      expect(other.body.errors?.[0]?.message).toContain('GraphQL:/api/other');
    });

    test('and never with 404, which clients take for data', async () => {
      const answer = await send(withKey('/sitecore/api/layout/render/jss?item=%2Fgone', randomUUID()));
      expect(answer.status).toBe(400);
      const missing = await send(withKey('/sitecore/api/layout/render/jss?item=%2Fgone', id));
      expect([missing.status, missing.body.sitecore?.route]).toEqual([404, null]);
    });
  });

  describe('from a browser', () => {
    const page = 'https://page.example';
    let own: string;
    beforeAll(async () => {
      own = await keyOf({ corsOrigins: `${page}; http://localhost:3000` });
    });

    test('is let in from its own origins, which may read the answer', async () => {
      const answer = await send(withKey(layout, own), { origin: page });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(page);
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      expect(answer.headers.get('vary')).toMatch(/Origin/);
      expect(answer.headers.get('cache-control')).toBe('private, no-store');
    });

    test.each(['https://other.example', 'null', 'http://page.example'])(
      'is refused from %s',
      async origin => {
        const answer = await send(withKey(layout, own), { origin });
        expect([answer.status, answer.body.code]).toEqual([403, 'origin_not_allowed']);
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      },
    );

    test('may read why it was refused', async () => {
      const narrow = await keyOf({ corsOrigins: [page], allowedControllers: [] });
      const answer = await send(withKey(layout, narrow), { origin: page });
      expect(answer.status).toBe(400);
      expect(answer.headers.get('access-control-allow-origin')).toBe(page);
    });
  });

  describe('beside a token', () => {
    let token: string;
    beforeAll(async () => {
      const { apiKey } = await service.createKey({
        feature: 'services-client',
        corsOrigins: ['https://a.example'],
      });
      token = await service.token(apiKey);
    });
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

    test('of ours, one without anything in it is as good as none', async () => {
      expect((await send(withKey(layout, ''), bearer(token))).status).toBe(200);
    });

    test('of ours, both bind', async () => {
      expect((await send(withKey(layout, id), bearer(token))).status).toBe(200);
      const narrow = await keyOf({ allowedControllers: [] });
      const refused = await send(withKey(layout, narrow), bearer(token));
      expect([refused.status, refused.body.code]).toEqual([400, 'controller_not_allowed']);
      const { apiKey } = await service.createKey({ feature: 'connections' });
      const foreign = await send(withKey(layout, id), bearer(await service.token(apiKey)));
      expect([foreign.status, foreign.body.code]).toEqual([403, 'controller_not_allowed']);
    });

    test('of ours, the origins of both bind', async () => {
      const both = await keyOf({ corsOrigins: ['https://a.example', 'https://b.example'] });
      const from = (origin: string) => send(withKey(layout, both), { ...bearer(token), origin });
      expect((await from('https://a.example')).status).toBe(200);
      expect((await from('https://b.example')).status).toBe(403);
      expect(
        (await send(withKey(layout, id), { ...bearer(token), origin: 'https://a.example' })).status,
      ).toBe(403);
    });

    test('of another issuer, the token is a visitor’s and no error', async () => {
      const visitor = ['{"alg":"none"}', '{"iss":"https://elsewhere"}'].map(part =>
        Buffer.from(part).toString('base64url'),
      );
      for (const text of [`${visitor.join('.')}.x`, 'opaque', 'a.b.c', '%%%'])
        expect((await send(withKey(layout, id), bearer(text))).status).toBe(200);
      expect((await send(withKey(layout, id), { authorization: 'Basic eDp5' })).status).toBe(200);
    });

    test.each([
      ['a tab behind the scheme', (text: string) => `Bearer\t${text}`],
      ['another scheme', (text: string) => `DPoP ${text}`],
      ['quotes', (text: string) => `Bearer "${text}"`],
      ['a word before it', (text: string) => `Bearer x ${text}`],
      ['padding', (text: string) => `Bearer ${text}==`],
    ])('of ours with %s is no visitor’s: 401', async (_, dress) => {
      const answer = await send(withKey(layout, id), { authorization: dress(token) });
      expect([answer.status, answer.body.code]).toEqual([401, 'token_invalid']);
    });

    test('that claims our issuer and is not genuine: 401', async () => {
      const [header, payload] = token.split('.');
      const answer = await send(withKey(layout, id), bearer(`${header}.${payload}.${'A'.repeat(86)}`));
      expect([answer.status, answer.body.code]).toEqual([401, 'token_invalid']);
    });

    test('that is revoked: 401', async () => {
      const { apiKey } = await service.createKey({ feature: 'services-client' });
      const revoked = await service.token(apiKey);
      await fetch(`${service.url}/oauth/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token: revoked }),
      });
      const answer = await send(withKey(layout, id), bearer(revoked));
      expect([answer.status, answer.body.code]).toEqual([401, 'token_revoked']);
    });
  });

  test.each<[string, string, RequestInit, number]>([
    [
      'the token endpoint',
      '/oauth/token',
      {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'client_credentials', client_secret: 'KEY' }),
      },
      401,
    ],
    ['a Bearer token', layout, { headers: { authorization: 'Bearer KEY' } }, 401],
    ['the admin API', '/admin/keys?sc_apikey=KEY', {}, 401],
    ['a route without this door', '/v2/connections?sc_apikey=KEY', {}, 401],
    ['X-SF-Access-Key', '/api/default/news', { headers: { 'x-sf-access-key': 'KEY' } }, 401],
    ['a cookie', layout, { headers: { cookie: 'sc_apikey=KEY' } }, 400],
  ])('is nothing as %s', async (_, path, init, status) => {
    const insert = JSON.parse(JSON.stringify({ path, headers: init.headers ?? {} }).replaceAll('KEY', id));
    const body =
      init.body === undefined ? {} : { body: String(init.body as URLSearchParams).replace('KEY', id) };
    const headers =
      init.body === undefined ? insert.headers : { 'content-type': 'application/x-www-form-urlencoded' };
    const response = await fetch(service.url + insert.path, {
      method: init.method ?? 'GET',
      headers,
      ...body,
    });
    expect(response.status).toBe(status);
  });

  test('two header fields are refused', async () => {
    const answer = await sendRaw(
      service.port,
      `GET ${layout} HTTP/1.1\r\nHost: x\r\nsc_apikey: ${id}\r\nSC_APIKEY: ${id}\r\n\r\n`,
    );
    expect(answer?.status).toBe(400);
  });

  test('appears in no line of the log', () => {
    expect(
      service.log.filter(line => line.includes('"url"') && line.includes(id) && /apikey=[^[]/.test(line)),
    ).toEqual([]);
  });
});

describeOnEachStore('a controller that requires an API key', store => {
  test('takes a token beside one, and none in its place', async () => {
    const file = path.join(await mkdtemp(path.join(tmpdir(), 'keyturn-doors-')), 'controllers.json');
    const catalogue = JSON.parse(await readFile('config/controllers.json', 'utf8')) as {
      controllers: { name: string; requireApiKey?: boolean }[];
    };
    for (const controller of catalogue.controllers)
      controller.requireApiKey = controller.name.endsWith('LayoutServiceController');
    await writeFile(file, JSON.stringify(catalogue));
    const service = await store.start({ env: { KEYTURN_CONTROLLERS: file } });
    const send = sender(() => service);
    const { key, apiKey } = await service.createKey({
      feature: 'services-client',
      doors: ['sc_apikey', 'token'],
    });
    const authorization = `Bearer ${await service.token(apiKey)}`;
    const tries: Record<string, string>[] = [{}, { authorization }, { authorization: 'Bearer x.y.z' }];
    for (const headers of tries) {
      const answer = await send(layout, headers);
      expect([answer.status, answer.body.code]).toEqual([400, 'api_key_missing']);
    }
    expect((await send(withKey(layout, key.id))).status).toBe(200);
    expect((await send(withKey(layout, key.id), { authorization })).status).toBe(200);
    expect((await send('/sitecore/api/jss/dictionary/app/en', { authorization })).status).toBe(200);
    await rm(path.dirname(file), { recursive: true });
  });
});

describeOnEachStore('sc_apikey that is guessed', store => {
  test('is slowed down by address, while a valid one is served', async () => {
    const service = await store.start({ failuresPerMinute: 300 });
    const send = sender(() => service);
    const { key } = await service.createKey({ feature: 'services-client', doors: ['sc_apikey'] });
    const guesses = async (count: number) =>
      Promise.all(
        Array.from({ length: count }, async () => (await send(withKey(layout, randomUUID()))).status),
      );
    const statuses = new Set<number>();
    for (let round = 0; round < 10 && !statuses.has(429); round += 1)
      for (const status of await guesses(100)) statuses.add(status);
    expect(statuses).toEqual(new Set([400, 429]));
    expect((await send(withKey(layout, key.id))).status).toBe(200);
  }, 60_000);
});

describeOnEachStore('X-SF-Access-Key', store => {
  let service: TestService;
  let accessKey: string;
  const send = sender(() => service);
  const news = '/api/default/news';
  const use = (key: string, headers: Record<string, string> = {}, method = 'GET', body?: string) =>
    send(news, { 'x-sf-access-key': key, ...headers }, method, body);

  async function accountWith(fields: Record<string, unknown>): Promise<string> {
    const id = `user-${randomUUID()}`;
    await service.admin('POST', '/admin/accounts', { id, role: 'member', ...fields });
    const response = await service.admin('POST', `/admin/accounts/${id}/access-key`);
    return ((await response.json()) as { accessKey: string }).accessKey;
  }

  beforeAll(async () => {
    service = await store.start();
    accessKey = await accountWith({
      permissions: ['content:read', 'content:create'],
      corsOrigins: ['https://a.example'],
    });
  });

  test('acts with the permissions of its account', async () => {
    expect((await use(accessKey)).status).toBe(200);
    const created = await use(accessKey, { 'content-type': 'application/json' }, 'POST', '{"title":"x"}');
    expect(created.status).toBe(201);
    const path = `${news}/${created.body.ref}`;
    const refused = await send(path, { 'x-sf-access-key': accessKey }, 'DELETE');
    expect(refused.status).toBe(403);
    expect(refused.body).toEqual({
      error: { code: 'Forbidden', message: expect.stringContaining('content:delete') },
    });
    expect(refused.headers.get('content-type')).toBe('application/json');
  });

  test('so does a token for it', async () => {
    const authorization = `Bearer ${await service.token(accessKey)}`;
    expect((await send(news, { authorization })).status).toBe(200);
    expect((await send(news, { authorization }, 'DELETE')).status).toBe(405);
  });

  test.each<[string, () => string]>([
    ['nothing', () => ''],
    ['a wrong one', () => `${accessKey.slice(0, -38)}${'0'.repeat(38)}`],
    ['a shorter one', () => accessKey.slice(0, -1)],
    ['two', () => `${accessKey}, ${accessKey}`],
    ['8 KB', () => 'k'.repeat(8000)],
    ['not ASCII', () => 'kt_é'],
    ['an API key', () => service.sampleKey],
  ])('answers %s with 401 and words', async (_, key) => {
    const answer = await use(key());
    expect(answer.status).toBe(401);
    expect(answer.body).toEqual({ error: { code: 'Unauthorized', message: expect.any(String) } });
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="keyturn", resource_metadata=/);
  });

  test('answers no credential in the same way', async () => {
    const answer = await send(news, { 'x-sf-service-request': 'true' });
    expect([answer.status, answer.body.error?.code]).toEqual([401, 'Unauthorized']);
  });

  test('is used from the account’s own origins alone', async () => {
    expect((await use(accessKey, { origin: 'https://a.example' })).status).toBe(200);
    const refused = await use(accessKey, { origin: 'https://b.example' });
    expect([refused.status, refused.body.error?.code]).toEqual([403, 'Forbidden']);
    const none = await accountWith({ permissions: ['content:read'] });
    expect((await use(none)).status).toBe(200);
    expect((await use(none, { origin: 'https://a.example' })).status).toBe(403);
  });

  test('with a token of ours is one credential too many; a visitor’s token, and a cookie, are not', async () => {
    const authorization = `Bearer ${await service.token(accessKey)}`;
    expect((await use(accessKey, { authorization })).status).toBe(400);
    expect((await use(accessKey, { authorization: 'Bearer visitor' })).status).toBe(200);
    expect((await use(accessKey, { cookie: 'session=1' })).status).toBe(200);
  });

  test('is dead when a new one replaces it, when it is taken away, and when its account is', async () => {
    const id = `user-${randomUUID()}`;
    await service.admin('POST', '/admin/accounts', { id, role: 'member', permissions: ['content:read'] });
    const make = async () =>
      (
        (await (await service.admin('POST', `/admin/accounts/${id}/access-key`)).json()) as {
          accessKey: string;
        }
      ).accessKey;
    const first = await make();
    expect((await use(first)).status).toBe(200);
    const second = await make();
    expect([(await use(first)).status, (await use(second)).status]).toEqual([401, 200]);
    await service.admin('PATCH', `/admin/accounts/${id}`, { permissions: [] });
    expect((await use(second)).status).toBe(403);
    await service.admin('DELETE', `/admin/accounts/${id}`);
    expect((await use(second)).status).toBe(401);
  });

  test('is no credential for the admin API', async () => {
    expect((await send('/admin/keys', { 'x-sf-access-key': service.ownerKey })).status).toBe(401);
  });
});
