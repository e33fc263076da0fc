/** What no request may be or do: ambiguous, endless, larger than it says, or a reason for the process to stumble. */
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore } from '../support/stores.ts';
import { naughtyStrings } from './naughty-strings.ts';

describeOnEmbeddedStore('the front door', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  afterEach(async () => {
    const response = await fetch(`${service.url}/livez`);
    if (!response.ok) throw new Error('the process has stumbled');
  });
  const lines = (...more: string[]) => requestText(['GET /livez HTTP/1.1', 'Host: x', ...more]);
  const statusOf = async (text: string | Buffer | (string | Buffer)[]) =>
    (await sendRaw(service.port, text))?.status ?? 'closed';

  test.each<[string, string | Buffer, (number | 'closed')[]]>([
    ['two hosts', lines('Host: y'), [400]],
    ['the same host twice', lines('host: x'), [400]],
    ['an empty host', requestText(['GET /livez HTTP/1.1', 'Host:']), [400]],
    ['a blank host', requestText(['GET /livez HTTP/1.1', 'Host:  ']), [400]],
    ['no host', requestText(['GET /livez HTTP/1.1']), [400]],
    ['HTTP/1.0', requestText(['GET /livez HTTP/1.0', 'Host: x', 'Connection: close']), [200]],
    ['HTTP/0.9', 'GET /livez\r\n\r\n', [200, 400]],
    ['HTTP/1.2', requestText(['GET /livez HTTP/1.2', 'Host: x']), [400]],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 'closed']],
    ['the greeting of TLS', Buffer.from('16030100c8010000c40303', 'hex'), [400, 'closed']],
    ['a method nobody knows', requestText(['FROBNICATE /livez HTTP/1.1', 'Host: x']), [400]],
    ['a method in small letters', requestText(['get /livez HTTP/1.1', 'Host: x']), [400]],
    ['a blank before the method', ` ${lines()}`, [400]],
    ['the absolute form', requestText(['GET http://x/livez HTTP/1.1', 'Host: x']), [400]],
    [
      'the absolute form of another host',
      requestText(['GET http://evil.example/livez HTTP/1.1', 'Host: x']),
      [400],
    ],
    [
      'the absolute form of another scheme',
      requestText(['GET file:///etc/passwd HTTP/1.1', 'Host: x']),
      [400],
    ],
    ['OPTIONS *', requestText(['OPTIONS * HTTP/1.1', 'Host: x']), [400]],
    ['GET *', requestText(['GET * HTTP/1.1', 'Host: x']), [400]],
    [
      'CONNECT',
      requestText(['CONNECT evil.example:443 HTTP/1.1', 'Host: evil.example:443']),
      [400, 404, 405, 'closed'],
    ],
    ['CONNECT to ourselves', requestText(['CONNECT /livez HTTP/1.1', 'Host: x']), [400, 404, 405, 'closed']],
    ['a target of an address alone', requestText(['GET x HTTP/1.1', 'Host: x']), [400]],
    ['a target with an @', requestText(['GET @evil.example HTTP/1.1', 'Host: x']), [400]],
    ['a fragment', requestText(['GET /livez#x HTTP/1.1', 'Host: x']), [400, 404, 200]],
    ['a tab in the target', requestText(['GET /livez\t HTTP/1.1', 'Host: x']), [400]],
    ['a NUL in the target', requestText(['GET /livez\0 HTTP/1.1', 'Host: x']), [400]],
    ['a byte beyond ASCII in the target', requestText(['GET /livez\xff HTTP/1.1', 'Host: x']), [400]],
    ['a NUL in a header', lines('X: a\0b'), [400]],
    ['a line end in a header name', lines('X\r: a'), [400]],
    ['a blank before the colon', lines('X-Y : a'), [400]],
    ['a folded header', lines('X: a', ' b'), [400]],
    ['a header without a colon', lines('nonsense'), [400]],
    ['a header without a name', lines(': a'), [400]],
    ['two lengths that differ', lines('Content-Length: 0', 'Content-Length: 5'), [400]],
    ['the same length twice', lines('Content-Length: 0', 'Content-Length: 0'), [400]],
    ['two lengths in one', lines('Content-Length: 0, 0'), [400]],
    ['a negative length', lines('Content-Length: -1'), [400]],
    ['a length with a plus', lines('Content-Length: +0'), [400]],
    ['a length in hexadecimal', lines('Content-Length: 0x0'), [400]],
    ['an endless length', lines('Content-Length: 99999999999999999999999'), [400, 413]],
    ['a length and chunks', lines('Content-Length: 5', 'Transfer-Encoding: chunked'), [400]],
    ['an encoding nobody knows', lines('Transfer-Encoding: xchunked'), [400, 501]],
    ['chunks encoded again', lines('Transfer-Encoding: chunked, identity'), [400]],
    ['chunks twice', lines('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), [400]],
    [
      'a chunk of a strange size',
      `${lines('Transfer-Encoding: chunked')}+5\r\nhello\r\n0\r\n\r\n`,
      [200, 400],
    ],
    ['an expectation nobody knows', lines('Expect: x'), [417]],
    ['one header of 15 KB', lines(`X: ${'a'.repeat(15_000)}`), [200]],
    ['one header of 17 KB', lines(`X: ${'a'.repeat(17_000)}`), [431]],
    ['a target of 17 KB', requestText([`GET /${'a'.repeat(17_000)} HTTP/1.1`, 'Host: x']), [431]],
    ['100 headers', lines(...many(99)), [200]],
    ['101 headers', lines(...many(100)), [431]],
    ['1200 headers, of which a server may drop some', lines(...many(1200)), [431]],
    ['2500 headers', lines(...Array.from({ length: 2500 }, () => 'a:')), [431]],
    [
      'an upgrade to WebSocket',
      lines('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'),
      [200, 400, 426],
    ],
    [
      'an upgrade to HTTP/2',
      lines('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: x'),
      [200, 400],
    ],
  ])('%s', async (_, request, statuses) => {
    expect(statuses).toContain(await statusOf(request));
  });

  test.each([
    'authorization',
    'origin',
    'host',
    'content-type',
    'content-encoding',
    'sc_apikey',
    'x-sf-access-key',
    'dpop',
    'forwarded',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-method',
    'x-forwarded-uri',
    'x-original-url',
    'access-control-request-method',
  ])('the header %s twice is 400 on every kind of route, in any case', async name => {
    for (const path of [
      '/livez',
      '/v2/connections',
      '/oauth/token',
      '/admin/keys',
      '/.well-known/jwks.json',
      '/nowhere',
    ]) {
      const own = name === 'host' ? [] : ['Host: x'];
      const request = requestText([`GET ${path} HTTP/1.1`, ...own, `${name}: x`, `${name.toUpperCase()}: y`]);
      expect(await statusOf(request)).toBe(400);
    }
  });

  test('a guarded route stays guarded when the connection is to be upgraded', async () => {
    for (const upgrade of ['websocket', 'h2c', 'TLS/1.0']) {
      const request = requestText([
        'GET /v2/connections HTTP/1.1',
        'Host: x',
        'Connection: Upgrade',
        `Upgrade: ${upgrade}`,
      ]);
      expect(await statusOf(request)).toBe(401);
    }
  });
  test('who expects to be told to go on is told so', async () => {
    const body = `grant_type=client_credentials&client_secret=${service.sampleKey}`;
    const head = [
      'POST /oauth/token HTTP/1.1',
      'Host: x',
      'Expect: 100-continue',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
    ];
    const answer = await sendRaw(service.port, [requestText(head), body]);
    expect(answer?.status).toBe(200);
  });
  test('a thousand requests in one piece are answered in order', async () => {
    const last = requestText(['GET /livez HTTP/1.1', 'Host: x', 'Connection: close']);
    const pieces = Array.from({ length: 999 }, (_, i) =>
      requestText([`GET /nowhere/${i} HTTP/1.1`, 'Host: x']),
    );
    const answers = await sendRaw(service.port, pieces.join('') + last, { until: 'close', timeout: 30_000 });
    expect(answers?.text.match(/HTTP\/1\.1 404/g)).toHaveLength(999);
    expect(answers?.text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  }, 30_000);

  test.each([
    'Accept',
    'Accept-Language',
    'Origin',
    'Content-Type',
    'Cookie',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'Forwarded',
    'Authorization',
    'If-None-Match',
    'Range',
    'Connection',
    'User-Agent',
    'sc_apikey',
    'Access-Control-Request-Headers',
  ])('fourteen kilobytes of nothing in %s take no time', async name => {
    const nothings = [' ', ',', ';', '"', '\\', 'a ', ', ,', 'Basic ', '=', '%', '(', '%25', 'a,'];
    const begun = performance.now();
    for (const nothing of nothings) {
      const value = `x${nothing.repeat(14_000 / nothing.length)}x`;
      for (const path of ['/v2/connections', '/livez']) {
        const status = await statusOf(
          requestText([`OPTIONS ${path} HTTP/1.1`, 'Host: x', `${name}: ${value}`]),
        );
        expect(status).toSatisfy((answered: number | 'closed') => answered === 'closed' || answered < 500);
        expect(
          await statusOf(requestText([`GET ${path} HTTP/1.1`, 'Host: x', `${name}: ${value}`])),
        ).not.toBe(500);
      }
    }
    expect(performance.now() - begun).toBeLessThan(4000);
  });

  test.each([
    '%',
    '%z',
    '%zz',
    '%2',
    '%ff',
    '%c0%af',
    '%c0%80',
    '%e0%80%af',
    '%ed%a0%80',
    '%f4%90%80%80',
    '%00',
    '%0d%0aX:%20y',
    '%2e%2e',
    '%2e%2e%2f',
    '%5c',
    '%25',
    '%u0041',
    '+',
    ';',
    ':',
    '@',
    '~',
    '*',
    '()',
    '{}',
    '[]',
    '|',
    '^',
    '`',
    '<>',
    '"',
  ])('%j in a path or a query is no fault of ours', async text => {
    const token = await service.token(service.sampleKey);
    for (const target of [
      `/${text}`,
      `/v2/connections/${text}`,
      `/v2/connections?limit=${text}&offset=${text}`,
      `/v2/decisionModelDefinitions/${text}/variants`,
      `/admin/keys/${text}`,
      `/admin/keys?q=${text}`,
      `/oauth/token?${text}`,
      `/api/default/${text}`,
      `/sitecore/api/layout/render/${text}?item=${text}`,
      `/.well-known/${text}`,
    ]) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const head = [
          `${method} ${target} HTTP/1.1`,
          'Host: x',
          `Authorization: Bearer ${token}`,
          'Content-Length: 0',
        ];
        const answer = await sendRaw(service.port, requestText(head));
        expect(answer?.status).toBeGreaterThanOrEqual(200);
        expect(answer?.status).toBeLessThan(500);
      }
    }
  });

  test.each([
    '//evil.example',
    '/\\evil.example',
    '/%5cevil.example',
    '//evil.example/%2e%2e',
    '/https://evil.example',
    '/.//evil.example',
    '///evil.example',
    '/%2f%2fevil.example',
    '/livez/',
    '/v2/connections/',
    '/oauth/token/',
    '/@evil.example',
    '/%0d%0aLocation:%20https://evil.example',
  ])('%s leads nowhere else', async target => {
    for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS']) {
      const head = [
        `${method} ${target} HTTP/1.1`,
        'Host: evil.example',
        'X-Forwarded-Host: evil.example',
        'Content-Length: 0',
      ];
      const answer = await sendRaw(
        service.port,
        method === 'HEAD' ? requestText([...head, 'Connection: close']) : requestText(head),
        method === 'HEAD' ? { until: 'close' } : {},
      );
      expect(answer?.status).toBeGreaterThanOrEqual(400);
      expect(answer?.header('location')).toBeUndefined();
      expect(answer?.header('refresh')).toBeUndefined();
      expect(answer?.text).not.toContain('evil.example');
    }
  });

  test('every answer says that its type is not to be guessed, and names no software', async () => {
    for (const path of [
      '/livez',
      '/readyz',
      '/nowhere',
      '/v2/connections',
      '/oauth/token',
      '/admin/keys',
      '/.well-known/jwks.json',
    ]) {
      const response = await fetch(service.url + path);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('x-powered-by')).toBeNull();
      expect(response.headers.get('server')).toBeNull();
      expect(response.headers.get('content-type')).toMatch(/json/);
    }
  });
  test('health says that it is well, and no more', async () => {
    expect(await (await fetch(`${service.url}/livez`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${service.url}/readyz`)).json()).toEqual({ status: 'ready' });
    for (const path of [
      '/health',
      '/version',
      '/debug',
      '/env',
      '/actuator',
      '/.env',
      '/server-status',
      '/graphql',
    ]) {
      expect((await fetch(service.url + path)).status).toBe(404);
    }
  });
});

describeOnEmbeddedStore('the body of a call to a resource', store => {
  let service: TestService;
  let authorization: string;
  beforeAll(async () => {
    service = await store.start();
    authorization = `Bearer ${await service.token(service.sampleKey)}`;
  });
  afterEach(async () => {
    const response = await fetch(`${service.url}/readyz`);
    if (!response.ok) throw new Error('the process has stumbled');
  });
  const create = (
    body: string | Buffer,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) =>
    fetch(`${service.url}/v2/connections`, { method: 'POST', headers: { authorization, ...headers }, body });
  const codeOf = async (response: Response) =>
    response.status < 300
      ? response.status
      : `${response.status} ${((await response.json()) as { code: string }).code}`;

  test.each<[string, Record<string, string>]>([
    ['as JSON', { 'content-type': 'application/json' }],
    ['with a charset', { 'content-type': 'application/json; charset=utf-8' }],
    ['as a kind of JSON', { 'content-type': 'application/vnd.example.v2+json' }],
    ['in capitals', { 'content-type': 'APPLICATION/JSON' }],
    ['as the form that documented commands call it', { 'content-type': 'application/x-www-form-urlencoded' }],
  ])('is read %s', async (_, headers) => {
    const response = await create('{"name":"Zürich – 東京"}', headers);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ name: 'Zürich – 東京' });
  });
  test('is read without a type', async () => {
    const body = '{"name":"x"}';
    const head = [
      'POST /v2/connections HTTP/1.1',
      'Host: x',
      `Authorization: ${authorization}`,
      `Content-Length: ${body.length}`,
    ];
    expect((await sendRaw(service.port, requestText(head, body)))?.status).toBe(201);
  });
  test.each([
    'text/plain',
    'text/json',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/octet-stream',
    'application/jsonp',
    'x',
    '',
  ])('of type %j is 415', async type => {
    const expected = type === '' ? [201, '415 unsupported_media_type'] : ['415 unsupported_media_type'];
    expect(expected).toContain(await codeOf(await create('{}', { 'content-type': type })));
  });
  test.each(['gzip', 'deflate', 'br', 'x', 'gzip, gzip'])('encoded as %s is 415, unread', async encoding => {
    const response = await create(gzipSync('{"name":"x"}'), {
      'content-type': 'application/json',
      'content-encoding': encoding,
    });
    expect(await codeOf(response)).toBe('415 unsupported_media_type');
  });
  test.each<[string, string | Buffer]>([
    ['half an object', '{"name":'],
    ['a text', '"x"'],
    ['a number', '5'],
    ['null', 'null'],
    ['a list', '[{"name":"x"}]'],
    ['a form', 'name=x&type=y'],
    ['a comment', '{"a":1/* */}'],
    ['a comma too many', '{"a":1,}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['two documents', '{}{}'],
    ['a member twice', '{"name":"a","name":"b"}'],
    ['a member twice, one escaped', '{"name":"a","\\u006eame":"b"}'],
    ['a member twice, deep down', '{"a":[{"b":{"c":1,"c":2}}]}'],
    ['65 levels', `{"a":${'['.repeat(65)}${']'.repeat(65)}}`],
    ['500 000 levels', '['.repeat(500_000)],
    ['250 000 whole levels', `{"a":${'['.repeat(250_000)}${']'.repeat(250_000)}}`],
    ['100 000 objects in each other', '{"a":'.repeat(100_000)],
    ['a control character in a text', '{"a":"\u0001"}'],
  ])('of %s is 400', async (_, body) => {
    const begun = performance.now();
    expect(await codeOf(await create(body))).toBe('400 malformed_json');
    expect(performance.now() - begun).toBeLessThan(2000);
  });
  test('that is not UTF-8 is 400', async () => {
    expect(await codeOf(await create(Buffer.from('{"name":"Zürich"}', 'latin1')))).toMatch(/^400 malformed_/);
    expect(await codeOf(await create(Buffer.from('{"name":"x"}', 'utf16le')))).toMatch(/^400 malformed_/);
  });
  test.each<[string, string]>([
    ['one text of nearly a megabyte', JSON.stringify({ name: 'a'.repeat(1_000_000) })],
    ['one text of half a million escapes', `{"name":"${'\\n'.repeat(500_000)}"}`],
    [
      '90 000 members with numbers for names',
      `{${Array.from({ length: 90_000 }, (_, i) => `"${i}":0`).join(',')}}`,
    ],
    ['many blanks', `{"name":${' '.repeat(1_000_000)}"x"}`],
    ['100 000 texts and blanks', `{"a":[${Array.from({ length: 100_000 }, () => '"x" ').join(',')}]}`],
    ['60 levels', `{"a":${'['.repeat(60)}${']'.repeat(60)}}`],
    [
      'names of the prototype',
      '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":1}',
    ],
    ['half a pair of surrogates', '{"name":"\\ud800"}'],
  ])('of %s is taken, and nobody else waits for it', async (_, body) => {
    const begun = performance.now();
    const response = await create(body);
    expect(response.status).toBe(201);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(await response.json()).toMatchObject({ revision: 1 });
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });
  test('beyond a megabyte is 413, whether it says so or not', async () => {
    const body = JSON.stringify({ name: 'a'.repeat(1_048_576) });
    const head = [
      'POST /v2/connections HTTP/1.1',
      'Host: x',
      `Authorization: ${authorization}`,
      'Content-Type: application/json',
    ];
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    for (const [more, parts] of [
      ['Content-Length: 2000000', ['{']],
      [`Content-Length: ${body.length}`, [body]],
      ['Transfer-Encoding: chunked', Array.from({ length: 20 }, () => chunk)],
    ] as const) {
      const answer = await sendRaw(service.port, [requestText([...head, more]), ...parts]);
      expect(answer?.status).toBe(413);
      expect(answer?.header('connection')).toBe('close');
      expect(answer?.body).toContain('"payload_too_large"');
    }
  });
  test('beyond its bound at /admin is 413 too', async () => {
    const response = await service.admin('POST', '/admin/keys', {
      name: 'a'.repeat(70_000),
      feature: 'connections',
    });
    expect(response.status).toBe(413);
  });
  test.each([
    '?limit=undefined&offset=undefined',
    '?limit=&offset=',
    '?limit=-1&offset=-1',
    '?limit=1e3',
    '?limit=NaN',
    '?limit=99999999999999999999',
    '?offset=999999999',
    '?limit=0',
    '?limit=1&limit=2',
    '?limit[]=1',
    '?limit=%00',
    '?limit=٣',
    '?a=b&c',
    '?&&&',
    '?=',
    '??',
  ])('is not needed for a list, whose query %s is 200', async query => {
    const response = await fetch(`${service.url}/v2/connections${query}`, { headers: { authorization } });
    expect(response.status).toBe(200);
    expect(((await response.json()) as { items: unknown[] }).items).toBeInstanceOf(Array);
  });
});

describeOnEachStore('naughty strings', store => {
  // Beyond these the stores see no difference.
  const texts = store.kind === 'embedded' ? naughtyStrings : naughtyStrings.slice(0, 19);
  let service: TestService;
  let authorization: string;
  let owner: string;
  beforeAll(async () => {
    service = await store.start();
    const { apiKey } = await service.createKey({ feature: 'multiple-resources' });
    authorization = `Bearer ${await service.token(apiKey)}`;
    owner = `Bearer ${await service.token(service.ownerKey)}`;
  });
  const call = (path: string, method = 'GET', body?: unknown, bearer = authorization) =>
    fetch(service.url + path, {
      method,
      headers: { authorization: bearer, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });

  test.each(texts)('%j is kept in a document as it is', async text => {
    const made = await call('/v2/connections', 'POST', {
      name: text,
      [text]: text,
      deep: { [text]: [text] },
    });
    expect(made.status).toBe(201);
    const { ref, name, deep } = (await made.json()) as { ref: string; name: string; deep: object };
    expect({ name, deep }).toEqual({ name: text, deep: { [text]: [text] } });
    const read = await call(`/v2/connections/${ref}`);
    expect(await read.json()).toMatchObject({ name: text, deep: { [text]: [text] } });
  });

  const encodable = texts.filter(text => isWellFormed(text) && text !== '' && text.length < 2000);
  test.each(encodable)('%j is nobody in a path, and no fault', async text => {
    const part = encodeURIComponent(text);
    for (const [method, path] of [
      ['GET', `/v2/connections/${part}`],
      ['PUT', `/v2/connections/${part}`],
      ['DELETE', `/v2/connections/${part}`],
      ['GET', `/v2/decisionModelDefinitions/${part}/variants`],
      ['POST', `/v2/decisionModelDefinitions/${part}/variants`],
      ['GET', `/v2/decisionModelVariants/${part}`],
      ['PUT', `/v2/decisionModelVariants/${part}`],
    ] as const) {
      const { status } = await call(path, method, method === 'GET' || method === 'DELETE' ? undefined : {});
      expect([404, ...(path.endsWith('/variants') && method === 'GET' ? [200] : [])]).toContain(status);
    }
    expect((await call(`/v2/connections?limit=${part}&offset=${part}&${part}=${part}`)).status).toBe(200);
  });
  test.each(encodable)('%j is nobody at /admin, and no fault', async text => {
    const part = encodeURIComponent(text);
    expect((await call(`/admin/keys/${part}`, 'GET', undefined, owner)).status).toBe(404);
    expect((await call(`/admin/keys/${part}/revoke`, 'POST', undefined, owner)).status).toBe(404);
    for (const name of ['q', 'owner', 'feature', 'status', 'cursor', 'limit', text]) {
      const { status } = await call(
        `/admin/keys?${encodeURIComponent(name)}=${part}`,
        'GET',
        undefined,
        owner,
      );
      expect([200, 400]).toContain(status);
    }
  });

  test.each(texts)(
    '%j is 201 or 422 in every field of a key',
    async text => {
      const plain = { name: 'x', feature: 'odata-items', customData: { Database: 'web' } };
      for (const fields of [
        { name: text, impersonationUser: text, claims: { 'https://example.com/x': text } },
        { customData: { Database: 'web', [text]: text }, customDataInToken: [text] },
        { customData: { Database: text } },
        { claims: { [text]: 1 } },
        { feature: text },
        { scopes: [text] },
        { allowedControllers: text },
        { allowedControllers: [text] },
        { corsOrigins: text },
        { corsOrigins: [text] },
        { audiences: [text] },
        { doors: [text] },
        { owner: text },
        { notBefore: text },
        { expiresAt: text },
        { tokenTtl: text },
        { [text]: text },
      ]) {
        const response = await call('/admin/keys', 'POST', { ...plain, ...fields }, owner);
        const answer = (await response.json()) as { apiKey?: string; key?: Record<string, unknown> };
        expect([201, 422], JSON.stringify(fields).slice(0, 200)).toContain(response.status);
        if (answer.apiKey === undefined) continue;
        expect([200, 400, 401]).toContain((await service.exchange(answer.apiKey)).status);
      }
    },
    20_000,
  );

  test.each(texts)('%j is refused as any parameter of the token endpoint, or ignored', async text => {
    const plain = { grant_type: 'client_credentials', client_secret: service.sampleKey };
    const names = [
      'grant_type',
      'client_id',
      'client_secret',
      'scope',
      'audience',
      'resource',
      'subject_token',
      'subject_token_type',
      text,
    ];
    for (const name of names) {
      const fields = { ...plain, [name]: text };
      for (const request of [
        { body: new URLSearchParams(fields) },
        { body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } },
      ]) {
        const response = await fetch(`${service.url}/oauth/token`, { method: 'POST', ...request });
        expect([200, 400, 401]).toContain(response.status);
        expect(response.headers.get('content-type')).toMatch(/^application\/json/);
        await response.text();
      }
    }
  });

  test.each(texts.filter(text => /^[\x20-\x7e\x80-\xff]*$/.test(text)))(
    '%j is no fault in a header',
    async text => {
      for (const name of [
        'authorization',
        'origin',
        'x-forwarded-for',
        'cookie',
        'user-agent',
        'sc_apikey',
        'accept',
        'x-request-id',
      ]) {
        for (const [method, path] of [
          ['GET', '/v2/connections'],
          ['OPTIONS', '/v2/connections'],
          ['POST', '/oauth/token'],
          ['GET', '/admin/keys'],
        ] as const) {
          const response = await fetch(service.url + path, { method, headers: { [name]: text } });
          expect(response.status).toBeLessThan(500);
          await response.text();
        }
      }
    },
  );
});

function many(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `X-${i}: a`);
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
