/** What reaches an upstream, and what of its answer reaches the caller. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  startGateway,
  startRawUpstream,
  startUpstream,
  type TestGateway,
  type TestGatewayOptions,
  type TestUpstream,
} from '../support/gateway.ts';
import { keep } from '../support/kept.ts';
import { until } from '../support/until.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';

describe('an upstream', () => {
  let upstream: TestUpstream;
  beforeAll(async () => {
    upstream = await startUpstream();
  });
  afterAll(() => upstream.close());
  const gateway = (options: Partial<TestGatewayOptions> = {}) =>
    keep(startGateway({ upstream: upstream.url, ...options }));
  const ask = async (
    target: string,
    headers: readonly string[],
    options?: Partial<TestGatewayOptions>,
    method = 'GET',
    body = '',
  ) => {
    const { port } = await gateway(options);
    upstream.asked.length = 0;
    const answer = await sendRaw(port, requestText([`${method} ${target} HTTP/1.1`, ...headers], body));
    return { answer, asked: upstream.asked[0] };
  };

  test('gets the six fields, always all six, each once', async () => {
    const { asked } = await ask('/orders', ['Host: x']);
    const own = named(asked?.rawHeaders, /^x-keyturn-/i);
    expect(own).toEqual([
      ['X-Keyturn-Key-Id', '0195c2f0-0000-7000-8000-000000000000'],
      ['X-Keyturn-Feature', 'orders'],
      ['X-Keyturn-Scope', 'orders:read orders:update'],
      ['X-Keyturn-Controller', 'Shop.Orders'],
      ['X-Keyturn-User', ''],
      ['X-Keyturn-Custom-Data', ''],
    ]);
  });
  test('can read back every name and value of them', async () => {
    const user = 'extranet\\Ané 50% 日本';
    const customData = { Database: 'web', 'größe\r\nX': '"1"' };
    const caller = { keyId: 'a', feature: 'b', scope: 'c:read', user, customData };
    const { asked } = await ask('/', ['Host: x'], { caller });
    const text = asked?.headers['x-keyturn-user'] as string;
    expect(text).toMatch(/^extranet\\An%C3%A9 50%25 /);
    expect(decodeURIComponent(text)).toBe(user);
    const data = Buffer.from(asked?.headers['x-keyturn-custom-data'] as string, 'base64url').toString();
    expect(JSON.parse(data)).toEqual(customData);
  });
  test.each([
    'X-Keyturn-Key-Id',
    'x-keyturn-user',
    'X-KEYTURN-SCOPE',
    'X_Keyturn_Key_Id',
    'x_keyturn_feature',
    'X-Keyturn_Scope',
    'X.Keyturn.Scope',
    'X-Keyturn-Anything',
  ])("never gets the caller's own %s", async name => {
    const { asked } = await ask('/', ['Host: x', `${name}: forged`]);
    expect(asked?.rawHeaders).not.toContain('forged');
  });
  test.each<[string, string[]]>([
    ['Authorization', ['Authorization: Bearer s3cret']],
    ['sc_apikey', ['sc_apikey: s3cret']],
    ['SC-ApiKey', ['SC-ApiKey: s3cret']],
    ['X-SF-Access-Key', ['X-SF-Access-Key: s3cret']],
    ['X_SF_Access_Key', ['x_sf_access_key: s3cret']],
    ['Proxy-Authorization', ['Proxy-Authorization: Basic s3cret']],
    ['a cookie of ours', ['Cookie: __Host-keyturn_session=s3cret; a=b']],
  ])('never gets the credential in %s', async (_, headers) => {
    const { asked } = await ask('/', ['Host: x', ...headers]);
    expect(JSON.stringify(asked)).not.toContain('s3cret');
  });
  test('gets the cookies of others, and what else there is, doubled fields too', async () => {
    const { asked } = await ask('/', [
      'Host: x',
      'Cookie: keyturn=1; a=b',
      'X-A: 1',
      'x-a: 2',
      'Accept: */*',
    ]);
    expect(named(asked?.rawHeaders, /^(?:cookie|x-a|accept)$/i)).toEqual([
      ['Cookie', 'a=b'],
      ['X-A', '1'],
      ['x-a', '2'],
      ['Accept', '*/*'],
    ]);
  });
  test("gets a visitor's Authorization where it is to be passed, or a token of ours in its place", async () => {
    const headers = ['Host: x', 'Authorization: Bearer visitor'];
    const passed = await ask('/', headers, { authorization: 'pass' });
    expect(named(passed.asked?.rawHeaders, /^authorization$/i)).toEqual([
      ['Authorization', 'Bearer visitor'],
    ]);
    const fresh = await ask('/', headers, { authorization: { bearer: 'fresh' } });
    expect(named(fresh.asked?.rawHeaders, /^authorization$/i)).toEqual([['Authorization', 'Bearer fresh']]);
  });

  test.each<[string, string]>([
    ['sc_apikey=s', ''],
    ['sc_apikey=s&a=1', '?a=1'],
    ['a=1&SC_APIKEY=s&b=%2F', '?a=1&b=%2F'],
    ['a=1&sc%5fapikey=s', '?a=1'],
    ['%73%63_apikey=s&a=1', '?a=1'],
    ['a=1;sc_apikey=s;b=2', '?a=1;b=2'],
    ['+sc_apikey=s&a', '?a'],
    ['sc_apikey&a', '?a'],
    ['access_token=s&a=+%2b', '?a=+%2b'],
    ['a=sc_apikey=1&&b', '?a=sc_apikey=1&&b'],
    ['item=%2Fabout+us&x=%C3%A9', '?item=%2Fabout+us&x=%C3%A9'],
    ['?', '??'],
  ])('is asked for ?%s without the credential: %s', async (query, expected) => {
    const { asked } = await ask(`/orders?${query}`, ['Host: x']);
    expect(asked?.url).toBe(`/orders${expected}`);
  });
  test('is asked for the query as it was edited', async () => {
    const editQuery = (query: string) => `${query}&$filter=x`;
    const { asked } = await ask('/orders?a=1&sc_apikey=s', ['Host: x'], { editQuery });
    expect(asked?.url).toBe('/orders?a=1&$filter=x');
  });

  test.each([
    ['', '/x', '/x'],
    ['/', '/x', '/x'],
    ['/base', '/x', '/base/x'],
    ['/base/', '/x/', '/base/x/'],
    ['/base', '/', '/base/'],
    ['/b%20c', '/%C3%A9/a+b@c:d!$&()*,;=~', '/b%20c/%C3%A9/a+b@c:d!$&()*,;=~'],
    ['', '/%7e', '/%7e'],
    ['', '/a%2Fb', '/a%2Fb'],
    ['', '/@evil.example/', '/@evil.example/'],
    ['', '/https://evil.example', '/https://evil.example'],
  ])('behind %s is asked for %s as %s', async (base, path, expected) => {
    const { asked } = await ask(path, ['Host: evil.example'], { upstream: upstream.url + base });
    expect(asked?.url).toBe(expected);
    expect(asked?.headers.host).toBe(`127.0.0.1:${upstream.port}`);
  });
  test.each([
    '/a/../../b',
    '/..',
    '/a/%2e%2e/b',
    '/a/.%2E/b',
    '/a/..%2fb',
    '/a/..%5cb',
    '/a\\..\\b',
    '/a/..;x=1/b',
    '/./a',
    '/a/%2e',
    '/a%00',
    '/a%0d%0aX:%20y',
    '//evil.example/a',
    '//evil.example/%2e%2e',
    '/%2e%2e%2f%2e%2e%2fetc',
    'http://evil.example/a',
    '@evil.example',
    '*',
  ])('is never asked for %s', async target => {
    const { answer, asked } = await ask(target, ['Host: x'], { upstream: `${upstream.url}/base` });
    expect(answer?.status).toBe(400);
    expect(asked).toBeUndefined();
  });
  test('is the same whatever a request says', async () => {
    const other = await keep(startUpstream());
    for (const header of [
      `Host: 127.0.0.1:${other.port}`,
      `X-Forwarded-Host: 127.0.0.1:${other.port}\r\nHost: x`,
      `Forwarded: host=127.0.0.1:${other.port}\r\nHost: x`,
      `X-Original-URL: ${other.url}/a\r\nHost: x`,
    ]) {
      const { answer, asked } = await ask('/a', [header]);
      expect(answer?.status).toBe(200);
      expect(asked?.headers.host).toBe(`127.0.0.1:${upstream.port}`);
    }
    expect(other.connections()).toBe(0);
  });

  describe('of several routes', () => {
    const route = (path: string, scope: string) => ({
      methods: ['GET' as const],
      path,
      scope,
      graphqlPath: false,
    });
    const routes = [
      route('/shop/secret/:id', 'secrets:read'),
      route('/shop/:id', 'orders:read'),
      route('/shop/*rest', 'orders:read'),
    ];
    test.each([
      '/shop/secret/1',
      '/shop/1',
      '/shop/a/b',
      '/shop/a%2Fb',
      '/shop/%41',
      '/shop/A/B/',
      '/shop/SECRET',
    ])('is asked for %s', async path => {
      const { asked } = await ask(path, ['Host: x'], { routes });
      expect(asked?.url).toBe(path);
    });
    test.each([
      '/shop//secret/1',
      '/shop/secret%2F1',
      '/shop/secret%5C1',
      '/shop/%73ecret/1',
      '/shop/SECRET/1',
      '/shop/secret;a=b/1',
      '/shop/secret/1/',
    ])('is not asked for %s, which another server could take for a route of another scope', async path => {
      const { answer, asked } = await ask(path, ['Host: x'], { routes });
      expect(answer?.status).toBe(400);
      expect(asked).toBeUndefined();
    });
  });

  test.each<[string, string[]]>([
    ['the caller alone', []],
    [
      'the caller alone, whatever it says',
      [
        'X-Forwarded-For: 1.2.3.4',
        'X_Forwarded_For: 1.2.3.4',
        'X-Forwarded-Host: evil.example',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Port: 1',
        'Forwarded: for=1.2.3.4',
        'X-Real-IP: 1.2.3.4',
        'True-Client-IP: 1.2.3.4',
      ],
    ],
  ])('is told of %s', async (_, headers) => {
    const { asked } = await ask('/', ['Host: shop.example', ...headers]);
    expect(named(asked?.rawHeaders, /forward|-ip$|^via$/i)).toEqual([
      ['X-Forwarded-For', '127.0.0.1'],
      ['Via', '1.1 keyturn'],
      ['X-Forwarded-Host', 'shop.example'],
      ['X-Forwarded-Proto', 'http'],
    ]);
  });
  test('is told what a trusted proxy says', async () => {
    const headers = [
      'Host: inside',
      'X-Forwarded-For: 6.6.6.6, 1.2.3.4',
      'X-Forwarded-Host: shop.example',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Prefix: /a',
      'Forwarded: for=1.2.3.4',
    ];
    const { asked } = await ask('/', headers, { trustedProxies: ['127.0.0.1'] });
    expect(named(asked?.rawHeaders, /forward/i)).toEqual([
      ['X-Forwarded-Host', 'shop.example'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Prefix', '/a'],
      ['Forwarded', 'for=1.2.3.4'],
      ['X-Forwarded-For', '1.2.3.4'],
    ]);
  });
  test.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'x_method_override'])(
    'never learns by %s of another method than was guarded',
    async name => {
      const { answer, asked } = await ask(
        '/',
        ['Host: x', `${name}: DELETE`, 'Content-Length: 0'],
        {},
        'POST',
      );
      expect(answer?.status).toBe(400);
      expect(asked).toBeUndefined();
      expect((await ask('/', ['Host: x', `${name}: get`])).asked?.method).toBe('GET');
    },
  );

  test.each([
    'Connection: close, X-Keyturn-Scope, X-Secret',
    'Connection: X-Secret\r\nConnection: x-keyturn-key-id, Content-Length, Host, Via, X-Forwarded-For',
  ])(
    'gets none of the fields of the connection, nor those it lists, and all of ours: %s',
    async connection => {
      const { asked } = await ask('/', [
        'Host: x',
        connection,
        'Keep-Alive: timeout=5',
        'TE: trailers',
        'Trailer: X-T',
        'Proxy-Connection: keep-alive',
        'Proxy-Anything: x',
        'X-Secret: x',
        'Upgrade: h2c',
        'HTTP2-Settings: x',
      ]);
      const names = asked?.rawHeaders.filter((_, place) => place % 2 === 0).map(name => name.toLowerCase());
      expect(names).toEqual([
        'host',
        'x-forwarded-for',
        'via',
        'x-forwarded-host',
        'x-forwarded-proto',
        'x-keyturn-key-id',
        'x-keyturn-feature',
        'x-keyturn-scope',
        'x-keyturn-controller',
        'x-keyturn-user',
        'x-keyturn-custom-data',
        'connection',
      ]);
    },
  );
  test.each([
    ['GET', [], ''],
    ['POST', [], ''],
    ['POST', ['Content-Length: 5'], 'hello'],
    ['PUT', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    [
      'PATCH',
      ['Transfer-Encoding: chunked'],
      '5;ext=1\r\nhello\r\n0\r\nX-Keyturn-Scope: all\r\nX-T: 1\r\n\r\n',
    ],
    ['DELETE', ['Content-Length: 5'], 'hello'],
    ['GET', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
    ['POST', ['Expect: 100-continue', 'Content-Length: 5'], 'hello'],
  ])('is asked once, with the same body: %s %j', async (method, headers, body) => {
    const { answer, asked } = await ask('/', ['Host: x', ...headers], {}, method, body);
    expect(answer?.status).toBe(200);
    expect(upstream.asked).toHaveLength(1);
    expect(asked?.method).toBe(method);
    expect(asked?.body).toBe(headers.length === 0 ? '' : 'hello');
    expect(asked?.headers['expect']).toBeUndefined();
    expect(asked?.headers['x-t']).toBeUndefined();
    expect(asked?.headers['x-keyturn-scope']).toBe('orders:read orders:update');
  });
});

describe('an answer', () => {
  const answerTo = async (lines: readonly string[], body = '', method = 'GET') => {
    const upstream = await keep(
      startRawUpstream(socket => {
        socket.once('data', () => socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`));
      }),
    );
    const { port } = await keep(startGateway({ upstream: upstream.url, timeout: 1 }));
    const request = requestText([`${method} / HTTP/1.1`, 'Host: x', 'Connection: close']);
    return sendRaw(port, request, { until: 'close' });
  };
  const ok = ['HTTP/1.1 200 OK', 'Content-Length: 2'];

  test.each([200, 201, 206, 299, 301, 302, 307, 400, 401, 404, 418, 429, 500, 503, 599])(
    'of %i stays what it is',
    async status => {
      const answer = await answerTo([`HTTP/1.1 ${status} X`, 'Content-Length: 2', 'X-A: b'], 'ok');
      expect(answer).toMatchObject({ status, body: 'ok' });
      expect(answer?.header('x-a')).toBe('b');
      expect(answer?.header('content-length')).toBe('2');
      expect(answer?.header('content-type')).toBeUndefined();
    },
  );
  test('that leads elsewhere is the caller’s to follow, as it stands', async () => {
    const other = await keep(startUpstream());
    const answer = await answerTo(['HTTP/1.1 302 Found', `Location: ${other.url}/x`, 'Content-Length: 0']);
    expect(answer?.status).toBe(302);
    expect(answer?.header('location')).toBe(`${other.url}/x`);
    expect(other.connections()).toBe(0);
  });
  test.each([204, 205, 304])('of %i has no body', async status => {
    const answer = await answerTo([
      `HTTP/1.1 ${status} X`,
      'ETag: "a"',
      ...(status === 205 ? ['Content-Length: 0'] : []),
    ]);
    expect(answer?.status).toBe(status);
    expect(answer?.body).toBe('');
    expect(answer?.header('etag')).toBe('"a"');
  });
  test('to HEAD has the length of the body that it lacks', async () => {
    const answer = await answerTo(
      ['HTTP/1.1 200 OK', 'Content-Length: 500', 'Content-Type: a/b'],
      '',
      'HEAD',
    );
    expect(answer?.header('content-length')).toBe('500');
    expect(answer?.header('content-type')).toBe('a/b');
    expect(answer?.body).toBe('');
  });
  test('loses what belongs to the connection, to CORS, to us and to shared caches', async () => {
    const answer = await answerTo(
      [
        ...ok,
        'Connection: close, X-Hop',
        'X-Hop: x',
        'Keep-Alive: timeout=9',
        'Proxy-Authenticate: Basic',
        'Trailer: X',
        'Access-Control-Allow-Origin: *',
        'Access-Control-Allow-Credentials: true',
        'X-Keyturn-User: root',
        'X_Keyturn_User: root',
        'Surrogate-Control: max-age=9',
        'CDN-Cache-Control: max-age=9',
        'Alt-Svc: h3=":443"',
        'Set-Cookie: a=1; Path=/',
        'Set-Cookie: b=2',
        'Set-Cookie: __Host-keyturn_session=x',
        'X-Stays: 1',
      ],
      'ok',
    );
    expect(answer?.headers.filter(([name]) => name !== 'date')).toEqual([
      ['content-length', '2'],
      ['set-cookie', 'a=1; Path=/'],
      ['set-cookie', 'b=2'],
      ['x-stays', '1'],
      ['cache-control', 'private, no-store'],
      ['connection', 'close'],
    ]);
  });
  test.each([
    [[], 'private, no-store'],
    [['Expires: Thu, 01 Jan 2037 00:00:00 GMT'], 'private'],
    [['Cache-Control: public, max-age=60'], 'private, max-age=60'],
    [['Cache-Control: max-age=60, s-maxage=600, Public'], 'private, max-age=60'],
    [['Cache-Control: no-store'], 'private, no-store'],
    [['Cache-Control: private="X-A, X-B", no-cache="Set-Cookie"'], 'private, no-cache="Set-Cookie"'],
    [['Cache-Control: public', 'Cache-Control: immutable'], 'private, immutable'],
    [['Cache-Control: '], 'private'],
  ])('marked %j is for no shared cache: %s', async (lines, expected) => {
    const answer = await answerTo([...ok, ...lines], 'ok');
    expect(answer?.headers.filter(([name]) => name === 'cache-control')).toEqual([
      ['cache-control', expected],
    ]);
  });
  test('in chunks stays whole, without its trailers', async () => {
    const answer = await answerTo(
      ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'],
      '2\r\nok\r\n0\r\nX-Keyturn-User: x\r\n\r\n',
    );
    expect(answer?.body).toBe('2\r\nok\r\n0\r\n\r\n');
  });
  test('that only the end of the connection ends stays whole', async () => {
    const upstream = await keep(
      startRawUpstream(socket => {
        socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
      }),
    );
    const { url } = await keep(startGateway({ upstream: upstream.url }));
    expect(await (await fetch(url)).text()).toBe('hello');
  });
  test('of 100 or 103 is not the answer yet', async () => {
    const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
    const answer = await answerTo([early + ok[0], ok[1]!], 'ok');
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
  });

  test.each([
    ['no HTTP', ['SSH-2.0-x']],
    ['a version nobody knows', ['HTTP/9.9 200 OK', 'Content-Length: 0']],
    ['two lengths', [...ok, 'Content-Length: 3']],
    ['a length and chunks', [...ok, 'Transfer-Encoding: chunked']],
    ['a split header', [...ok, 'X-A: a\rSet-Cookie: b']],
    ['a NUL', [...ok, 'X-A: a\0b']],
    [
      'a protocol nobody asked for',
      ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'],
    ],
    ['a header without end', [...ok, `X-A: ${'a'.repeat(20_000)}`]],
  ])('that is %s is 502', async (_, lines) => {
    const answer = await answerTo(lines, 'ok');
    expect(answer?.status).toBe(502);
    expect(answer?.header('content-type')).toBe('application/problem+json');
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ code: 'upstream_unreachable', status: 502 });
  });
});

test('the log tells status, duration and the upstream’s time, and no credential', async () => {
  const upstream = await keep(
    startUpstream((_req, res) => {
      setTimeout(() => res.writeHead(201).end('x'), 120);
    }),
  );
  const gateway = await keep(startGateway({ upstream: upstream.url }));
  const response = await fetch(`${gateway.url}/a?sc_apikey=s3cret`, {
    headers: { authorization: 'Bearer s3cret' },
  });
  await response.text();
  await until('it has come about', () => gateway.log.length > 0);
  const line = JSON.parse(gateway.log[0]!) as Record<string, unknown>;
  expect(line).toMatchObject({ method: 'GET', url: '/a?sc_apikey=[redacted]', status: 201 });
  expect(line['upstreamMs']).toBeGreaterThan(100);
  expect(line['ms']).toBeGreaterThanOrEqual(line['upstreamMs'] as number);
  expect(gateway.log.join('')).not.toContain('s3cret');
});

test('connections are kept, and closed when the gateway ends', async () => {
  const upstream = await keep(startUpstream());
  const gateway: TestGateway = await startGateway({ upstream: upstream.url });
  for (let i = 0; i < 5; i += 1) await (await fetch(gateway.url)).text();
  expect(upstream.connections()).toBe(1);
  expect(await countConnections(upstream)).toBe(1);
  await gateway.close();
  await until('it has come about', async () => (await countConnections(upstream)) === 0);
});

function countConnections({ server }: TestUpstream): Promise<number> {
  return new Promise(resolve => {
    server.getConnections((_error, count) => resolve(count));
  });
}

function named(raw: readonly string[] = [], pattern: RegExp): [string, string][] {
  const fields: [string, string][] = [];
  for (let place = 0; place < raw.length; place += 2) {
    if (pattern.test(raw[place]!)) fields.push([raw[place]!, raw[place + 1]!]);
  }
  return fields;
}
