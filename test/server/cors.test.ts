/** CORS: what a browser may send to guarded routes, and what its pages may read. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const route = '/v2/connections';
const allowedOrigin = 'https://app.example.com';

describeOnEachStore('CORS', store => {
  let service: TestService;
  let token: string;

  beforeAll(async () => {
    service = await store.start();
    token = await tokenFor({
      corsOrigins: [allowedOrigin, 'http://localhost:3000', 'https://[2001:db8::1]:8443'],
    });
  });
  async function tokenFor(fields: Record<string, unknown>): Promise<string> {
    return service.token((await service.createKey(fields)).apiKey);
  }
  const call = (
    origin: string | undefined,
    bearer: string | undefined = token,
    path = route,
    method = 'GET',
  ) =>
    fetch(service.url + path, {
      method,
      headers: {
        ...(origin !== undefined && { origin }),
        ...(bearer !== '' && { authorization: `Bearer ${bearer}` }),
        ...(method === 'POST' && { 'content-type': 'application/json' }),
      },
      ...(method === 'POST' && { body: '{}' }),
    });
  const preflight = (origin: string, path = route, headers: Record<string, string> = {}) =>
    fetch(service.url + path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'GET', ...headers },
    });
  const corsOf = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));
  const isOpenTo = (response: Response, origin: string) => {
    const { 'access-control-allow-origin': allowed, 'access-control-allow-credentials': credentials } =
      corsOf(response);
    return allowed === origin && credentials === 'true';
  };
  const isClosed = (response: Response) => Object.keys(corsOf(response)).length === 0;
  const unusedOrigin = () => `https://${randomUUID()}.example`;

  describe('an answer', () => {
    test('to an allowed origin names it exactly, with credentials, and says what may be read', async () => {
      const response = await call(allowedOrigin);
      expect(response.status).toBe(200);
      expect(corsOf(response)).toMatchObject({
        'access-control-allow-origin': allowedOrigin,
        'access-control-allow-credentials': 'true',
      });
      const exposed = response.headers.get('access-control-expose-headers')?.toLowerCase().split(/, */);
      expect(exposed).toEqual(expect.arrayContaining(['www-authenticate', 'retry-after']));
      expect(exposed).not.toContain('*');
    });
    test('without an origin has no CORS headers', async () => {
      const response = await call(undefined);
      expect(response.status).toBe(200);
      expect(isClosed(response)).toBe(true);
    });

    test.each([
      allowedOrigin,
      'https://app.example.com:443',
      'HTTPS://APP.EXAMPLE.COM',
      'https://App.Example.com',
      'http://localhost:3000',
      'https://[2001:db8::1]:8443',
      'https://[2001:0DB8:0:0:0:0:0:1]:8443',
    ])('lets %s in', async origin => {
      const response = await call(origin);
      expect(response.status).toBe(200);
      expect(isOpenTo(response, origin)).toBe(true);
    });
    test.each([
      'http://app.example.com',
      'https://app.example.com:8443',
      'https://app.example.com:80',
      'http://app.example.com:443',
      'https://example.com',
      'https://x.app.example.com',
      'https://app.example.com.evil.example',
      'https://app.example.comevil.example',
      'https://evil-app.example.com',
      'https://evilapp.example.com',
      'https://appxexample.com',
      'https://app.example.com.',
      'https://app.example.com/',
      'https://app.example.com/path',
      'https://app.example.com?x',
      'https://app.example.com#x',
      'https://app.example.com@evil.example',
      'https://evil.example@app.example.com',
      'https://app.example.com\\@evil.example',
      'https://app.example.com evil.example',
      'https://app.example.com, https://evil.example',
      'https://evil.example, https://app.example.com',
      'https://app.example.com`.evil.example',
      'https://app.example.com_.evil.example',
      'https://app.example.com%00.evil.example',
      'https://app%2eexample.com',
      'https://*.example.com',
      'https://*',
      'https:app.example.com',
      'https:/app.example.com',
      'https:///app.example.com',
      '//app.example.com',
      'app.example.com',
      'http://localhost',
      'http://localhost:3001',
      'http://localhost:30000',
      'http://127.0.0.1:3000',
      'https://[2001:db8::2]:8443',
      'https://[2001:db8::1]',
      'file://',
      'chrome-extension://app.example.com',
      'null',
      'NULL',
      '*',
      '',
      ' ',
      'undefined',
    ])('is 403 to a page of %j, which may not read it', async origin => {
      const response = await call(origin);
      expect(response.status).toBe(403);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    });
    test('to a key without origins is for no page at all', async () => {
      const closed = await tokenFor({});
      expect((await call(undefined, closed)).status).toBe(200);
      for (const origin of [allowedOrigin, service.url, 'null']) {
        const response = await call(origin, closed);
        expect(response.status).toBe(403);
        expect(response.headers.get('access-control-allow-origin')).toBeNull();
      }
    });
    test('to a key with an empty list is for no page either', async () => {
      const closed = await tokenFor({ corsOrigins: [] });
      expect((await call(allowedOrigin, closed)).status).toBe(403);
    });
    test('to a key that allows all names the origin, never a star', async () => {
      const open = await tokenFor({ corsOrigins: '*', feature: 'decision-model-testing' });
      for (const origin of [allowedOrigin, 'http://anything.example:81']) {
        const response = await call(origin, open, '/v2/decisionModelDefinitions');
        expect(response.status).toBe(200);
        expect(isOpenTo(response, origin)).toBe(true);
      }
    });
    test('to null is let in where all are, and may be read by no page even then', async () => {
      const open = await tokenFor({ corsOrigins: ['*'], feature: 'decision-model-testing' });
      const response = await call('null', open, '/v2/decisionModelDefinitions');
      expect(response.status).toBe(200);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    });
    test('compares names beyond ASCII in their ASCII form', async () => {
      const idn = await tokenFor({
        corsOrigins: ['https://bücher.example', 'https://xn--mnchen-3ya.example'],
      });
      for (const origin of ['https://xn--bcher-kva.example', 'https://xn--mnchen-3ya.example']) {
        const response = await call(origin, idn);
        expect(response.status).toBe(200);
        expect(isOpenTo(response, origin)).toBe(true);
      }
      for (const origin of [
        'https://bucher.example',
        'https://xn--bcher-kvb.example',
        'https://xn--bcher-kva.example.evil.example',
      ]) {
        expect((await call(origin, idn)).status).toBe(403);
      }
    });

    test.each<[string, number, (service: TestService) => Promise<[string, string, string]>]>([
      [
        '403 for a scope',
        403,
        async s => [
          await s.token((await s.createKey({ corsOrigins: allowedOrigin })).apiKey, {
            scope: 'personalize.external_webservices:create',
          }),
          route,
          'GET',
        ],
      ],
      [
        '403 for a controller',
        403,
        async s => [
          await s.token(
            (await s.createKey({ corsOrigins: allowedOrigin, feature: 'developer-templates' })).apiKey,
          ),
          route,
          'GET',
        ],
      ],
      [
        '404',
        404,
        async s => [
          await s.token((await s.createKey({ corsOrigins: allowedOrigin })).apiKey),
          `${route}/${randomUUID()}`,
          'GET',
        ],
      ],
      [
        '415 or 201 of a body',
        201,
        async s => [await s.token((await s.createKey({ corsOrigins: allowedOrigin })).apiKey), route, 'POST'],
      ],
      ['401 for a bad token', 401, () => Promise.resolve(['x.y.z', route, 'GET'])],
      ['401 without a token', 401, () => Promise.resolve(['', route, 'GET'])],
    ])('%s may be read by a page that would have been allowed', async (_, status, prepare) => {
      const [bearer, path, method] = await prepare(service);
      const response = await call(allowedOrigin, bearer, path, method);
      expect(response.status).toBe(status);
      expect(isOpenTo(response, allowedOrigin)).toBe(true);
    });
    test('401 may be read by no page that nobody allows', async () => {
      for (const bearer of ['', 'x.y.z']) {
        const response = await call(unusedOrigin(), bearer);
        expect(response.status).toBe(401);
        expect(response.headers.get('access-control-allow-origin')).toBeNull();
      }
    });
    test('of a revoked key may be read by its pages: they have to learn that it is', async () => {
      const { apiKey, key } = await service.createKey({ corsOrigins: allowedOrigin });
      const dead = await service.token(apiKey);
      await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      const response = await call(allowedOrigin, dead);
      expect(response.status).toBe(401);
      expect(isOpenTo(response, allowedOrigin)).toBe(true);
    });

    test('varies by origin and credential, whatever it says', async () => {
      const answers = [
        await call(undefined),
        await call(allowedOrigin),
        await call('https://evil.example'),
        await call(undefined, ''),
        await call(allowedOrigin, ''),
        await call('https://evil.example', ''),
        await call(allowedOrigin, 'x.y.z'),
        await call(allowedOrigin, token, `${route}/${randomUUID()}`),
        await call(undefined, token, route, 'HEAD'),
        await call(allowedOrigin, token, route, 'HEAD'),
        await call(allowedOrigin, token, route, 'POST'),
        await preflight(allowedOrigin),
        await preflight('https://evil.example'),
        await fetch(service.url + route, { method: 'OPTIONS' }),
      ];
      for (const response of answers) {
        const varying = response.headers.get('vary')?.toLowerCase().split(/, */) ?? [];
        expect(varying).toEqual(expect.arrayContaining(['origin', 'authorization', 'sc_apikey']));
      }
    });
  });

  describe('a preflight', () => {
    test('from an allowed origin is 204 and lists methods and headers by name', async () => {
      const response = await preflight(allowedOrigin);
      expect(response.status).toBe(204);
      expect(await response.text()).toBe('');
      expect(isOpenTo(response, allowedOrigin)).toBe(true);
      expect(response.headers.get('cache-control')).toBe('no-store');
      const listed = (name: string) => response.headers.get(name)?.split(/, */) ?? [];
      expect(
        listed('access-control-allow-headers')
          .map(name => name.toLowerCase())
          .sort(),
      ).toEqual(['authorization', 'content-type', 'sc_apikey', 'x-sf-access-key']);
      expect(listed('access-control-allow-methods').sort()).toEqual(['GET', 'POST']);
      const age = Number(response.headers.get('access-control-max-age'));
      expect(age).toBeGreaterThan(0);
      expect(age).toBeLessThanOrEqual(600);
    });
    test('lists the methods of the address that was asked about', async () => {
      const response = await preflight(allowedOrigin, `${route}/${randomUUID()}`);
      expect(response.headers.get('access-control-allow-methods')?.split(/, */).sort()).toEqual([
        'DELETE',
        'GET',
        'PUT',
      ]);
    });
    test('never echoes what it is asked', async () => {
      const response = await preflight(allowedOrigin, route, {
        'access-control-request-method': 'FROBNICATE',
        'access-control-request-headers': 'x-evil, cookie, *',
        'access-control-request-private-network': 'true',
      });
      expect(response.status).toBe(204);
      const said = JSON.stringify(corsOf(response)).toLowerCase();
      expect(said).not.toMatch(/frobnicate|x-evil|cookie|\*|private-network/);
    });
    test('from an origin that no key allows is 204 and allows nothing', async () => {
      const response = await preflight(unusedOrigin());
      expect(response.status).toBe(204);
      expect(isClosed(response)).toBe(true);
    });
    test('that asks for no method, or comes from no origin, is told the methods alone', async () => {
      for (const headers of [{ origin: allowedOrigin }, { 'access-control-request-method': 'GET' }] as Record<
        string,
        string
      >[]) {
        const response = await fetch(service.url + route, { method: 'OPTIONS', headers });
        expect(response.status).toBe(204);
        expect(isClosed(response)).toBe(true);
        expect(response.headers.get('allow')).toContain('POST');
      }
    });
    test('looks at no token: it never carries one', async () => {
      const response = await preflight(unusedOrigin(), route, { authorization: `Bearer ${token}` });
      expect(isClosed(response)).toBe(true);
    });
    test.each([
      'null',
      'https://evil.example, https://app.example.com',
      'https://app.example.com/',
      '*',
      'file://',
    ])('from %j allows nothing', async origin => {
      const response = await preflight(origin);
      expect(response.status).toBe(204);
      expect(isClosed(response)).toBe(true);
    });

    test('without a key is answered from the keys that may use the controller asked about', async () => {
      const origin = unusedOrigin();
      await service.createKey({ corsOrigins: [origin], feature: 'developer-templates' });
      expect(isOpenTo(await preflight(origin, '/v3/templates'), origin)).toBe(true);
      expect(isClosed(await preflight(origin, route))).toBe(true);
      expect(isClosed(await preflight(origin, '/v3/flowDefinitions'))).toBe(true);
    });
    test('without a key heeds accounts that have an access key, where their door is open, as they are now', async () => {
      const [origin, other] = [unusedOrigin(), unusedOrigin()];
      const [news, id] = ['/api/default/newsitems', `page-${randomUUID()}`];
      const isOpen = async (from: string, path = news) => isOpenTo(await preflight(from, path), from);
      expect(await isOpen(origin)).toBe(false);
      await service.admin('POST', '/admin/accounts', { id, role: 'member', corsOrigins: [origin] });
      expect(await isOpen(origin)).toBe(false);
      await service.admin('POST', `/admin/accounts/${id}/access-key`);
      expect([await isOpen(origin), await isOpen(origin, route), await isOpen(other)]).toEqual([
        true,
        false,
        false,
      ]);
      await service.admin('PATCH', `/admin/accounts/${id}`, { corsOrigins: [other] });
      expect([await isOpen(origin), await isOpen(other)]).toEqual([false, true]);
      await service.admin('DELETE', `/admin/accounts/${id}`);
      expect(await isOpen(other)).toBe(false);
    });
    test('without a key heeds a key from the moment it is there to the moment it is not', async () => {
      const origin = unusedOrigin();
      const isOpen = async () => isOpenTo(await preflight(origin), origin);
      const seen = [await isOpen()];
      const { key } = await service.createKey({ corsOrigins: [origin] });
      seen.push(await isOpen());
      await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      expect([...seen, await isOpen()]).toEqual([false, true, false]);
    });
    test('without a key heeds a key that allows some controllers alone', async () => {
      const origin = unusedOrigin();
      await service.createKey({
        corsOrigins: [origin],
        feature: 'multiple-resources',
        allowedControllers: ['Personalize.Flows'],
      });
      expect(isOpenTo(await preflight(origin, '/v3/flowDefinitions'), origin)).toBe(true);
      expect(isClosed(await preflight(origin, '/v3/templates'))).toBe(true);
    });
    test.each<[string, Record<string, unknown>]>([
      ['a draft', { draft: true }],
      ['not valid yet', { notBefore: '2099-01-01T00:00:00Z' }],
    ])('without a key counts no key that is %s', async (_, fields) => {
      const origin = unusedOrigin();
      await service.createKey({ corsOrigins: [origin], ...fields });
      expect(isClosed(await preflight(origin))).toBe(true);
    });
    test('without a key counts no key that is revoked or has expired', async () => {
      const [revoked, expired] = [unusedOrigin(), unusedOrigin()];
      const { key } = await service.createKey({ corsOrigins: [revoked] });
      await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      await service.createKey({
        corsOrigins: [expired],
        expiresAt: new Date(service.clock.now() + 2000).toISOString(),
      });
      service.clock.advance(3);
      expect(isClosed(await preflight(revoked))).toBe(true);
      expect(isClosed(await preflight(expired))).toBe(true);
    });
    test('without a key counts a key that allows all', async () => {
      const other = await store.start();
      const origin = unusedOrigin();
      const ask = () =>
        fetch(other.url + route, {
          method: 'OPTIONS',
          headers: { origin, 'access-control-request-method': 'GET' },
        });
      expect(isClosed(await ask())).toBe(true);
      await other.createKey({ corsOrigins: '*', feature: 'developer-templates' });
      const elsewhere = await fetch(`${other.url}/v3/templates`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'GET' },
      });
      expect(isOpenTo(elsewhere, origin)).toBe(true);
      expect(isClosed(await ask())).toBe(true);
      const nobody = await fetch(`${other.url}/v3/templates`, {
        method: 'OPTIONS',
        headers: { origin: 'null', 'access-control-request-method': 'GET' },
      });
      expect(isClosed(nobody)).toBe(true);
    });

    test("with a key in the query is answered by that key's origins alone, in every form of its id", async () => {
      const [origin, other] = [unusedOrigin(), unusedOrigin()];
      const { key } = await service.createKey({ corsOrigins: [origin], doors: ['token', 'sc_apikey'] });
      await service.createKey({ corsOrigins: [other] });
      const bare = key.id.replaceAll('-', '');
      for (const id of [key.id, bare, `{${key.id}}`, key.id.toUpperCase(), `{${key.id.toUpperCase()}}`]) {
        const path = `${route}?sc_apikey=${encodeURIComponent(id)}`;
        expect(isOpenTo(await preflight(origin, path), origin)).toBe(true);
        expect(isClosed(await preflight(other, path))).toBe(true);
      }
    });
    test('with a key in the query that there is not is 204 and allows nothing, as a draft does', async () => {
      const origin = unusedOrigin();
      await service.createKey({ corsOrigins: [origin] });
      const draft = await service.createKey({ corsOrigins: [origin], draft: true });
      const early = await service.createKey({ corsOrigins: [origin], notBefore: '2099-01-01T00:00:00Z' });
      for (const id of [randomUUID(), draft.key.id, early.key.id, 'garbage', '%00', `${draft.key.id}x`]) {
        const response = await preflight(origin, `${route}?sc_apikey=${id}`);
        expect(response.status).toBe(204);
        expect(isClosed(response)).toBe(true);
      }
    });
    test('with an empty key in the query is one without: clients send it that were given none', async () => {
      const origin = unusedOrigin();
      await service.createKey({ corsOrigins: [origin] });
      expect(isOpenTo(await preflight(origin, `${route}?sc_apikey=`), origin)).toBe(true);
    });
    test('with the same key twice in the query, spelt otherwise, is one key; with two keys is none', async () => {
      const origin = unusedOrigin();
      const [one, two] = [
        await service.createKey({ corsOrigins: [origin] }),
        await service.createKey({ corsOrigins: [origin] }),
      ];
      const path = (other: string) => `${route}?sc_apikey=${one.key.id}&SC_APIKEY=${other}`;
      expect(isOpenTo(await preflight(origin, path(`{${one.key.id.toUpperCase()}}`)), origin)).toBe(true);
      expect(isClosed(await preflight(origin, path(two.key.id)))).toBe(true);
    });
    test('with a key in the query tells who does not name its origin nothing of the key', async () => {
      const { key } = await service.createKey({ corsOrigins: [unusedOrigin()] });
      const describeAnswer = async (id: string) => {
        const response = await preflight('https://stranger.example', `${route}?sc_apikey=${id}`);
        return JSON.stringify([response.status, [...response.headers].filter(([name]) => name !== 'date')]);
      };
      expect(await describeAnswer(key.id)).toBe(await describeAnswer(randomUUID()));
    });
  });

  describe('never opens', () => {
    test.each([
      '/admin/keys',
      `/admin/keys/${randomUUID()}`,
      '/admin/keys/x/revoke',
      '/admin',
      '/oauth/token',
      '/oauth/revoke',
      '/v2/oauth/token',
    ])('%s to a page', async path => {
      await service.createKey({ corsOrigins: '*', feature: 'decision-model-testing' });
      const owner = await service.token(service.ownerKey);
      for (const origin of [allowedOrigin, service.url, 'null', 'https://evil.example']) {
        for (const [method, headers] of [
          ['OPTIONS', { 'access-control-request-method': 'POST' }],
          ['GET', {}],
          ['GET', { authorization: `Bearer ${owner}` }],
          ['POST', { authorization: `Bearer ${owner}` }],
        ] as [string, Record<string, string>][]) {
          const response = await fetch(service.url + path, { method, headers: { origin, ...headers } });
          expect(isClosed(response)).toBe(true);
          await response.text();
        }
      }
    });
    test("/admin to a page that bears the owner's token: it has no origins", async () => {
      const owner = await service.token(service.ownerKey);
      const response = await fetch(`${service.url}/admin/keys`, {
        headers: { origin: allowedOrigin, authorization: `Bearer ${owner}` },
      });
      expect(response.status).toBe(403);
    });
  });

  describe('origins of a new key', () => {
    test.each<[unknown, string[]]>([
      [
        'https://a.example; https://b.example;http://c.example:8080',
        ['https://a.example', 'https://b.example', 'http://c.example:8080'],
      ],
      [' https://a.example ;;\n https://a.example; ', ['https://a.example']],
      [['https://a.example/'], ['https://a.example']],
      [
        ['HTTPS://A.Example:443', 'http://a.example:80'],
        ['https://a.example', 'http://a.example'],
      ],
      [['https://bücher.example'], ['https://xn--bcher-kva.example']],
      [['https://[2001:DB8:0::1]'], ['https://[2001:db8::1]']],
      ['*', ['*']],
      [[], []],
      ['', []],
    ])('%j are kept as %j', async (corsOrigins, kept) => {
      expect((await service.createKey({ corsOrigins })).key['corsOrigins']).toEqual(kept);
    });
    test.each([
      'https://a.example/path',
      'https://a.example?x',
      'https://a.example#x',
      'https://user@a.example',
      'https://user:pw@a.example',
      'https://*.example',
      'https://a.example:*',
      'https://a.example:99999',
      'https://a.example:x',
      'https://a.example\r\nX: y',
      'https://a.example\0',
      'https://a b.example',
      'https://a.example https://b.example',
      'https://a.example, https://b.example',
      'a.example',
      '//a.example',
      'ftp://a.example',
      'file://',
      'null',
      '**',
      'javascript:alert(1)',
    ])('%j are 422', async origin => {
      const response = await service.admin('POST', '/admin/keys', {
        name: 'x',
        feature: 'connections',
        corsOrigins: ['https://good.example', origin],
      });
      expect(response.status).toBe(422);
      const { errors } = (await response.json()) as { errors: { pointer: string }[] };
      expect(errors.every(({ pointer }) => pointer.startsWith('/corsOrigins'))).toBe(true);
    });
  });
});
