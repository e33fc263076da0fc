/** Forward authentication: a proxy asks about a request, and hears what the request itself would have heard here. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';

const layout = '/sitecore/api/layout/render/jss?item=%2F';

describeOnEachStore('/auth/verify', store => {
  let service: TestService;
  let token: string;
  let keyId: string;
  let siteKey: string;

  beforeAll(async () => {
    service = await store.start({ env: { KEYTURN_TRUSTED_PROXIES: '127.0.0.1' } });
    const { apiKey, key } = await service.createKey({ corsOrigins: ['https://page.example'] });
    keyId = key.id;
    token = await service.token(apiKey);
    const site = await service.createKey({
      feature: 'services-client',
      doors: ['sc_apikey'],
      impersonationUser: 'extranet\\Ané',
      customData: { note: 'ü' },
    });
    siteKey = site.key.id;
  });

  const ask = (method: string, uri: string, headers: Record<string, string> = {}, path = '/auth/verify') =>
    fetch(service.url + path, {
      headers: { 'x-forwarded-method': method, 'x-forwarded-uri': uri, ...headers },
    });
  const bearer = () => ({ authorization: `Bearer ${token}` });

  test('lets a request pass, and says who asks', async () => {
    const answer = await ask('GET', '/v2/connections', bearer());
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe('');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(identityOf(answer)).toEqual({
      'x-keyturn-key-id': keyId,
      'x-keyturn-feature': 'connections',
      'x-keyturn-scope': 'personalize.external_webservices:manage',
      'x-keyturn-controller': 'Personalize.Connections',
      'x-keyturn-user': '',
      'x-keyturn-custom-data': '',
    });
  });

  test('says whom a key acts as, and its custom data', async () => {
    const answer = await ask('GET', `${layout}&sc_apikey=${siteKey}`);
    const identity = identityOf(answer);
    expect(decodeURIComponent(identity['x-keyturn-user'] ?? '')).toBe('extranet\\Ané');
    const data = Buffer.from(identity['x-keyturn-custom-data'] ?? '', 'base64url').toString();
    expect(JSON.parse(data)).toEqual({ note: 'ü' });
  });

  describe('decides as the route itself', () => {
    const cases: [string, string, string, () => Record<string, string>][] = [
      ['a good token', 'GET', '/v2/connections', bearer],
      ['HEAD for GET', 'HEAD', '/v2/connections', bearer],
      ['no credential', 'GET', '/v2/connections', () => ({})],
      ['a bad token', 'GET', '/v2/connections', () => ({ authorization: 'Bearer x.y.z' })],
      ['another controller', 'GET', '/v3/templates', bearer],
      ['its own origin', 'GET', '/v2/connections', () => ({ ...bearer(), origin: 'https://page.example' })],
      ['another origin', 'GET', '/v2/connections', () => ({ ...bearer(), origin: 'https://other.example' })],
      ['two credentials', 'GET', '/v2/connections?access_token=x', bearer],
      ['no sc_apikey', 'GET', layout, () => ({})],
      ['an unknown sc_apikey', 'GET', `${layout}&sc_apikey=${randomUUID()}`, () => ({})],
      ['GraphQL without a key', 'GET', '/api/app?query=x', () => ({})],
      ['no access key', 'GET', '/api/default/news', () => ({})],
      ['a wrong access key', 'GET', '/api/default/news', () => ({ 'x-sf-access-key': 'x' })],
    ];
    test.each(cases)('on %s', async (_, method, uri, headers) => {
      const [asked, itself] = await Promise.all([
        ask(method, uri, headers()),
        fetch(service.url + uri, { method, headers: headers() }),
      ]);
      expect(asked.status).toBe(itself.status);
      const compared = ['www-authenticate', 'access-control-allow-origin', 'vary'];
      for (const name of compared)
        expect([name, asked.headers.get(name)]).toEqual([name, itself.headers.get(name)]);
      if (itself.status === 200 || method === 'HEAD') return;
      expect(asked.headers.get('content-type')).toBe(itself.headers.get('content-type'));
      expect(await asked.json()).toEqual(await itself.json());
    });
  });

  test('reads the credential from the forwarded query, and never from its own', async () => {
    const own = `/auth/verify?sc_apikey=${siteKey}`;
    expect((await ask('GET', layout, {}, own)).status).toBe(400);
    expect((await ask('GET', `${layout}&sc_apikey=${siteKey}`, {}, own)).status).toBe(200);
    expect(
      (await ask('GET', `${layout}&sc_apikey=${siteKey}`, {}, `/auth/verify?sc_apikey=${randomUUID()}`))
        .status,
    ).toBe(200);
  });

  test.each([
    ['no forwarded header', {}],
    ['a method alone', { 'x-forwarded-method': 'GET' }],
    ['a URI alone', { 'x-original-uri': '/v2/connections' }],
    [
      'two that disagree',
      { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/v2/connections', 'x-original-uri': '/livez' },
    ],
    [
      'a path that can be read in two ways',
      { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/v2/x/../connections' },
    ],
    ['a fragment', { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/v2/connections#/..' }],
    ['a method in lower case', { 'x-forwarded-method': 'get', 'x-forwarded-uri': '/v2/connections' }],
  ])('refuses %s', async (_, headers) => {
    const answer = await fetch(`${service.url}/auth/verify`, { headers: { ...bearer(), ...headers } });
    expect(answer.status).toBe(400);
    const nginx = await fetch(`${service.url}/auth/verify/nginx`, { headers: { ...bearer(), ...headers } });
    expect(nginx.status).toBe(403);
  });

  test.each([
    ['an unknown method', 'BREW', '/v2/connections'],
    ['a preflight', 'OPTIONS', '/v2/connections'],
    ['a path that is no route', 'GET', '/admin/keys'],
    ['a path that only looks like a health check', 'GET', '/ping'],
  ])('lets %s pass nowhere', async (_, method, uri) => {
    const answer = await ask(method, uri, { ...bearer(), 'user-agent': 'kube-probe/1.30' });
    expect(answer.status).toBe(404);
  });

  test('refuses a header that stands twice', async () => {
    const answer = await sendRaw(
      service.port,
      `GET /auth/verify HTTP/1.1\r\nHost: x\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\nX-Forwarded-Uri: /b\r\n\r\n`,
    );
    expect(answer?.status).toBe(400);
  });

  test.each([
    ['a credential that stands twice', 'sc_apikey: a\r\nsc_apikey: b'],
    ['more fields than may be', Array.from({ length: 120 }, (_, place) => `x-${place}: 1`).join('\r\n')],
  ])('answers nginx with 403 where the front door refuses: %s', async (_, fields) => {
    const answer = await sendRaw(
      service.port,
      `GET /auth/verify/nginx HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nX-Original-Uri: ${layout}\r\n${fields}\r\n\r\n`,
    );
    expect(answer?.status).toBe(403);
    expect(answer?.body).toBe('');
  });

  test.each(['/api/default/news', '/api/app', layout, '/v2/connections', '/nowhere'])(
    'answers nginx without a body, whatever the manners of the route: %s',
    async uri => {
      const ask = (target: string) =>
        `GET /auth/verify/nginx HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nX-Original-Uri: ${target}\r\n`;
      const close = 'Connection: close\r\n\r\n';
      const answer = await sendRaw(service.port, `${ask(uri)}\r\n${ask(uri)}${close}`, { until: 'close' });
      const [first = '', second = '', ...more] = answer?.text.split(/(?=HTTP\/1\.1 )/) ?? [];
      expect(more).toEqual([]);
      for (const text of [first, second]) expect(text).toMatch(/\r\n\r\n$/);
      expect(first).toMatch(/^content-length: 0\r$/im);
    },
  );

  test('answers nginx with 204, 401 and 403 alone', async () => {
    const statuses = async (...cases: [string, string, Record<string, string>][]) => {
      const answers = await Promise.all(
        cases.map(([method, uri, headers]) => ask(method, uri, headers, '/auth/verify/nginx')),
      );
      return answers.map(({ status }) => status);
    };
    expect(
      await statuses(
        ['GET', '/v2/connections', bearer()],
        ['GET', '/v2/connections', {}],
        ['GET', '/v3/templates', bearer()],
        ['GET', layout, {}],
        ['GET', '/v2/connections?access_token=x', bearer()],
        ['GET', '/nowhere', bearer()],
      ),
    ).toEqual([204, 401, 403, 403, 403, 403]);
    const [passed, refused] = [
      await ask('GET', '/v2/connections', bearer(), '/auth/verify/nginx'),
      await ask('GET', '/v2/connections', {}, '/auth/verify/nginx'),
    ];
    expect(identityOf(passed)['x-keyturn-key-id']).toBe(keyId);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm="keyturn"/);
    expect(identityOf(refused)).toEqual({});
  });

  test('answers Envoy, which asks with the method and the path themselves', async () => {
    const envoy = (method: string, path: string, headers = {}) =>
      fetch(`${service.url}/auth/verify/envoy${path}`, { method, headers });
    expect((await envoy('GET', '/v2/connections', bearer())).status).toBe(200);
    expect((await envoy('POST', '/v2/connections', bearer())).status).toBe(200);
    expect((await envoy('GET', '/v3/templates', bearer())).status).toBe(403);
    expect((await envoy('GET', `${layout}&sc_apikey=${siteKey}`)).status).toBe(200);
    expect((await envoy('GET', '//v2/connections', bearer())).status).toBe(400);
    expect((await fetch(`${service.url}/auth/verify/envoy`, { headers: bearer() })).status).toBe(404);
  });

  test('writes no credential into the log, wherever the proxy repeats it', () => {
    expect(service.log.filter(line => line.includes(`sc_apikey=${siteKey}`))).toEqual([]);
  });

  test('hears whoever is no trusted proxy not at all', async () => {
    const open = await store.start();
    const headers = {
      authorization: `Bearer ${await open.token(open.sampleKey)}`,
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/v2/connections',
    };
    for (const path of ['/auth/verify', '/auth/verify/nginx', '/auth/verify/envoy/v2/connections'])
      expect((await fetch(open.url + path, { headers })).status).toBe(403);
    const refused = await fetch(`${open.url}/auth/verify`, { headers });
    expect(await refused.json()).toMatchObject({ code: 'proxy_not_trusted' });
  });
});

function identityOf({ headers }: Response): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-keyturn-')));
}
