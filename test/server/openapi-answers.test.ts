/**
 * Every answer is one that `/openapi.json` names: status, fields and body, with every object closed. Each operation is
 * asked for each of its answers, and what no test here brings about is said at the end.
 */
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../../src/server/http-server.ts';
import { createLogger } from '../../src/server/logger.ts';
import { createWaitingApp } from '../../src/server/waiting-app.ts';
import { openEvents } from '../support/event-reader.ts';
import { startUpstream, type TestUpstream } from '../support/gateway.ts';
import { sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';
import { writeCatalogue } from './openapi-catalogue.ts';
import {
  fetchDocument,
  type HeldAnswer,
  type JsonObject,
  type ReadDocument,
  readDocument,
  type Reading,
  type ReadOperation,
} from './openapi-reading.ts';

interface Call {
  readonly headers?: Record<string, string>;
  /** JSON, where it is no text and no form. */
  readonly body?: unknown;
  /** Another service than the main one. */
  readonly at?: string;
}

describeOnEmbeddedStore('every answer', store => {
  let directory: string;
  let upstream: TestUpstream;
  let service: TestService;
  let document: ReadDocument;
  let reading: Reading;
  let owner: Record<string, string>;
  /** A key and a token of it that open everything there is, and a token that opens nothing. */
  let all: { readonly id: string; readonly apiKey: string };
  let bearer: Record<string, string>;
  let powerless: Record<string, string>;
  /** `operation status`. */
  const seen = new Set<string>();
  /** In which an answer was not what the document says: each test has to find none. */
  const faults: string[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyturn-answers-'));
    upstream = await startUpstream((req, res) => {
      if (req.url?.endsWith('/gone') === true) req.socket.destroy();
      else if (req.url?.endsWith('/silent') !== true)
        res.writeHead(418, { 'content-type': 'text/x-tea' }).end('short');
    });
    const env = { ...(await writeCatalogue(directory, upstream.url)), KEYTURN_TRUSTED_PROXIES: '127.0.0.1' };
    service = await store.start({ env });
    document = await fetchDocument(service.url);
    reading = readDocument(document);
    owner = authorize(await service.token(service.ownerKey));
    const { key, apiKey } = await service.createKey({ feature: 'everything', doors: ['token', 'sc_apikey'] });
    all = { id: key.id, apiKey };
    bearer = authorize(await service.token(apiKey));
    powerless = authorize(await service.token((await service.createKey({ feature: 'nothing' })).apiKey));
  });
  afterAll(async () => {
    await upstream.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** Holds an answer against the document, and notes that it was seen. */
  const hold = (method: string, path: string, answer: HeldAnswer): void => {
    const operation = reading.find(method, path.split('?', 1)[0] ?? '');
    const name = operation?.operationId ?? `${method} ${path}`;
    const found = operation === undefined ? ['it is not documented'] : reading.faultsOf(operation, answer);
    faults.push(...found.map(fault => `${name} ${answer.status}: ${fault}`));
    seen.add(`${name} ${answer.status}`);
  };

  /** Calls, holds the answer, and hands it back. */
  const call = async (method: string, path: string, { headers = {}, body, at = service.url }: Call = {}) => {
    const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof URLSearchParams);
    const response = await fetch(at + path, {
      method,
      redirect: 'manual',
      headers: { ...(isJson && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : body }),
    });
    const text = await response.text();
    hold(method, path, { status: response.status, headers: response.headers, body: text });
    const isText = !(response.headers.get('content-type') ?? '').includes('json');
    return {
      status: response.status,
      headers: response.headers,
      body: (isText ? {} : JSON.parse(text)) as Record<string, unknown>,
    };
  };
  const asOwner = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    call(method, path, { headers: { ...owner, ...headers }, body });

  /** The path of an operation, where it does not matter of what. */
  const pathOf = ({ path }: ReadOperation) =>
    path.replace('/envoy/{path}', '/envoy/v2/connections').replaceAll(/[{}]/g, '');
  /** Of an operation that asks who calls, one who may do everything. */
  const welcome = ({ path, security }: ReadOperation): Record<string, string> => {
    if (path.startsWith('/admin/')) return owner;
    if (path === '/keys/self/rotations') return { authorization: basic(all.apiKey) };
    const forwarded = path.startsWith('/auth/') ? askedAbout('/v2/connections') : {};
    const needsKey = security.length > 0 && security.every(way => /scApiKey/.test(Object.keys(way).join()));
    return { ...(security.length > 0 && bearer), ...(needsKey && { sc_apikey: all.id }), ...forwarded };
  };
  const whose = (wanted: (operation: ReadOperation) => boolean) => reading.operations.filter(wanted);
  const names = (status: number) => (operation: ReadOperation) => String(status) in operation.responses;

  test('to a request that could be read in two ways', async () => {
    for (const operation of whose(names(400)))
      await expectStatus(
        call(operation.method, `${pathOf(operation)}?x=%zz`, { headers: welcome(operation) }),
        400,
      );
    await expectStatus(call('GET', '/auth/verify/nginx?x=%zz'), 403);
    expect(faults.splice(0)).toEqual([]);
  });

  test('to one with too many fields', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, place) => [`x-${place}`, '1']));
    for (const operation of whose(names(431)))
      await expectStatus(call(operation.method, pathOf(operation), { headers: many }), 431);
    expect(faults.splice(0)).toEqual([]);
  });

  test('to nobody', async () => {
    for (const operation of whose(({ security }) => security.length > 0)) {
      const forwarded = operation.path.startsWith('/auth/') ? askedAbout('/v2/connections') : {};
      await call(operation.method, pathOf(operation), { headers: forwarded });
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('to a token that is none, and to Basic that is none', async () => {
    for (const operation of whose(names(401))) {
      const { method, path, requestBody } = operation;
      const isForm = 'application/x-www-form-urlencoded' in (requestBody?.content ?? {});
      const credential = isForm ? basic('kt_none') : `Bearer ${forgedToken(service.url)}`;
      await expectStatus(
        call(method, pathOf(operation), {
          headers: { ...welcome(operation), authorization: credential },
          ...(isForm && { body: form({ grant_type: 'client_credentials', token: 'x' }) }),
        }),
        401,
      );
      if (path === '/keys/self/rotations')
        await expectStatus(call(method, path, { headers: { authorization: basic('kt_none') } }), 401);
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('to a token that may do something else', async () => {
    const narrowed = authorize(await service.token(service.ownerKey, { scope: 'keyturn:keys:read' }));
    const other = authorize(await service.token(service.ownerKey, { scope: 'keyturn:audit:read' }));
    const own = authorize(await service.token(all.apiKey, { scope: 'items:read' }));
    for (const operation of whose(names(403))) {
      const { method, path, security } = operation;
      const isAdmin = path.startsWith('/admin/');
      const mayReadKeys = security[0]?.['accessToken']?.[0]?.startsWith('keyturn:keys:') === true;
      const token = isAdmin
        ? mayReadKeys
          ? other
          : narrowed
        : path === '/keys/self/rotations'
          ? own
          : powerless;
      await expectStatus(
        call(method, pathOf(operation), { headers: { ...welcome(operation), ...token } }),
        403,
      );
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('to a body that is too large', async () => {
    for (const operation of whose(names(413))) {
      const path = pathOf(operation);
      const fields = Object.entries({ ...welcome(operation), 'content-type': 'application/json' });
      const head = [
        `${operation.method} ${path} HTTP/1.1`,
        'Host: x',
        ...fields.map(([name, value]) => `${name}: ${value}`),
        'Content-Length: 2000000',
      ];
      const answer = await sendRaw(service.port, `${head.join('\r\n')}\r\n\r\n`);
      const status = answer?.status ?? 0;
      expect([operation.operationId, status]).toEqual([operation.operationId, 413]);
      hold(operation.method, path, {
        status,
        headers: new Headers(answer?.headers.map(([name, value]): [string, string] => [name, value])),
        body: answer?.body ?? '',
      });
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('to a body of another type', async () => {
    for (const operation of whose(names(415)))
      await expectStatus(
        call(operation.method, pathOf(operation), {
          headers: { ...welcome(operation), 'content-type': 'text/plain' },
          body: 'x',
        }),
        415,
      );
    await expectStatus(
      call('POST', '/oauth/token', { headers: { 'content-type': 'text/plain' }, body: 'x' }),
      400,
    );
    expect(faults.splice(0)).toEqual([]);
  });

  test('to somebody who guesses', async () => {
    const env = { ...(await writeCatalogue(directory, upstream.url)), KEYTURN_TRUSTED_PROXIES: '127.0.0.1' };
    const { url } = await store.start({ env, failuresPerMinute: 1 });
    for (const operation of whose(names(429))) {
      const { method, path, security } = operation;
      const isVerify = path.startsWith('/auth/');
      const ofKey = security.some(way => 'scApiKeyQuery' in way) && !isVerify;
      const guess: Record<string, string> = isVerify
        ? askedAbout(`/sitecore/api/layout/render/jss?sc_apikey=${randomUUID()}`)
        : ofKey
          ? { sc_apikey: randomUUID() }
          : security.some(way => 'sfAccessKey' in way)
            ? { 'x-sf-access-key': strangeKey() }
            : { authorization: basic(strangeKey()) };
      const target = path.replace(
        '/envoy/{path}',
        `/envoy/sitecore/api/layout/render/jss?sc_apikey=${randomUUID()}`,
      );
      const isForm = 'application/x-www-form-urlencoded' in (operation.requestBody?.content ?? {});
      const request = {
        at: url,
        headers: guess,
        ...(isForm && { body: form({ grant_type: 'client_credentials', token: 'x' }) }),
      };
      for (let count = 0; count < 3; count += 1) await call(method, target.replaceAll(/[{}]/g, ''), request);
      await expectStatus(call(method, target.replaceAll(/[{}]/g, ''), request), 429);
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('while the store is away', async () => {
    const app = createWaitingApp('store_unavailable', {
      logger: createLogger('silent', { write: () => undefined }),
      settings: { trustedProxies: [] },
      metrics: { count: () => undefined },
      metricsRoute: undefined,
    });
    const waiting = await listen({ host: '127.0.0.1', port: 0 }, async (_port, answerWith) => {
      answerWith(app.callback());
    });
    const at = `http://127.0.0.1:${waiting.port}`;
    for (const operation of whose(names(503)))
      await expectStatus(call(operation.method, pathOf(operation), { at }), 503);
    await expectStatus(call('GET', '/livez', { at }), 200);
    await waiting.close(100);
    expect(faults.splice(0)).toEqual([]);
  });

  test('of discovery, health and the document itself', async () => {
    for (const operation of whose(({ security }) => security.length === 0))
      await expectStatus(call('GET', operation.path), 200);
    for (const operation of whose(names(304)))
      await expectStatus(call('GET', operation.path, { headers: { 'if-none-match': '*' } }), 304);
    expect(faults.splice(0)).toEqual([]);
  });

  test('of the token endpoints', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signing = await service.createKey({
      publicJwk: pair.publicKey.export({ format: 'jwk' }),
    });
    const disabled = await service.createKey({});
    await asOwner('POST', `/admin/keys/${disabled.key.id}/disable`);
    const assertion = () =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(signing.key.id)
        .setSubject(signing.key.id)
        .setAudience(service.url)
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(pair.privateKey);
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    const grant = { grant_type: 'client_credentials' };
    for (const path of ['/oauth/token', '/v2/oauth/token']) {
      const ask = (body: unknown, headers = {}) => call('POST', path, { body, headers });
      await expectStatus(ask(form({ ...grant, client_secret: all.apiKey })), 200);
      await expectStatus(ask({ ...grant, client_secret: all.apiKey, scope: 'items:read' }), 200);
      await expectStatus(ask(form(grant), { authorization: basic(all.apiKey) }), 200);
      await expectStatus(
        ask(form({ ...grant, client_assertion_type: type, client_assertion: await assertion() })),
        200,
      );
      const subject = {
        subject_token: all.apiKey,
        subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
      };
      const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', ...subject };
      expect((await ask(form(exchange))).body).toHaveProperty('issued_token_type');
      await expectStatus(ask(form({ ...exchange, subject_token: 'kt_none' })), 400);
      await expectStatus(ask(form({ ...grant, client_secret: all.apiKey, scope: 'more:read' })), 400);
      await expectStatus(ask(form({ ...grant, client_secret: all.apiKey, audience: 'urn:other' })), 400);
      await expectStatus(ask(form({ grant_type: 'password' })), 400);
      await expectStatus(ask(form({ ...grant, client_secret: disabled.apiKey })), 401);
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('of revocation and introspection', async () => {
    const { apiKey } = await service.createKey({
      claims: { 'https://example.com/tenant': 'a' },
      customData: { a: 'b' },
      customDataInToken: ['a'],
    });
    const token = await service.token(apiKey);
    const ask = (body: Record<string, string>, headers = bearer) =>
      call('POST', '/oauth/introspect', { body: form(body), headers });
    expect((await ask({ token })).body).toMatchObject({ active: true, 'https://example.com/tenant': 'a' });
    expect((await ask({ token: apiKey })).body).toMatchObject({ active: true });
    expect((await ask({ token }, { authorization: basic(all.apiKey) })).body).toMatchObject({ active: true });
    expect((await ask({ token: 'none' })).body).toEqual({ active: false });
    const door = (token: string, name: string) =>
      ask({ token, token_type_hint: `urn:keyturn:params:oauth:token-type:${name}` });
    expect((await door(all.id, 'sc-apikey')).body).toMatchObject({ active: true, client_id: all.id });
    expect((await door(service.ownerKey, 'x-sf-access-key')).body).toMatchObject({ active: true });
    const draft = await service.createKey({ doors: ['sc_apikey'], draft: true });
    const gone = await service.createKey({ doors: ['sc_apikey'] });
    await asOwner('POST', `/admin/keys/${gone.key.id}/revoke`);
    for (const [token, name, code] of [
      [randomUUID(), 'sc-apikey', 'api_key_unknown'],
      [draft.key.id, 'sc-apikey', 'api_key_unpublished'],
      [gone.key.id, 'sc-apikey', 'api_key_unusable'],
      [strangeKey(), 'x-sf-access-key', 'access_key_invalid'],
    ] as const)
      expect((await door(token, name)).body).toMatchObject({ active: false, code });
    await expectStatus(ask({}), 400);
    await expectStatus(ask({ token }, { authorization: basic(apiKey) }), 403);
    await expectStatus(call('POST', '/oauth/revoke', { body: form({ token }) }), 200);
    await expectStatus(call('POST', '/oauth/revoke', { body: { token: apiKey } }), 200);
    await expectStatus(call('POST', '/oauth/revoke', { body: form({}) }), 400);
    expect((await ask({ token })).body).toEqual({ active: false });
    expect(faults.splice(0)).toEqual([]);
  });

  test('of the stream of revocations, event by event', async () => {
    const { key } = await service.createKey({});
    const reader = await openEvents(`${service.url}/oauth/revocations`, bearer);
    const headers = new Headers({ 'content-type': String(reader.headers['content-type']) });
    hold('GET', '/oauth/revocations', { status: reader.status, headers, body: '' });
    const snapshot = await reader.next('snapshot');
    await asOwner('POST', `/admin/keys/${key.id}/revoke`);
    const revocation = await reader.next('revocation');
    const heartbeat = await reader.next('heartbeat');
    reader.close();
    for (const [name, { data }] of [
      ['RevocationSnapshot', snapshot],
      ['Revocation', revocation],
      ['RevocationHeartbeat', heartbeat],
    ] as const)
      expect([name, reading.faultsIn(document.components.schemas[name] ?? {}, data)]).toEqual([name, []]);
    await expectStatus(
      call('GET', '/oauth/revocations', { headers: { authorization: basic(strangeKey()) } }),
      401,
    );
    expect(faults.splice(0)).toEqual([]);
  });

  test('of the life of a key', async () => {
    const whole = {
      name: 'Everything',
      feature: 'everything',
      scopes: ['items:read'],
      allowedControllers: ['Shop.Guarded'],
      corsOrigins: 'https://a.example; https://b.example',
      impersonationUser: 'extranet\\Visitor',
      customData: { Database: 'web' },
      customDataInToken: ['Database'],
      claims: { 'https://example.com/tenant': ['a', 1, null] },
      audiences: ['https://api.example.com'],
      doors: ['token', 'sc_apikey'],
      owner: 'owner',
      draft: true,
      notBefore: '2020-01-31T12:00:00Z',
      expiresAt: '2040-01-31T12:00:00Z',
      tokenTtl: 120,
      publicJwk: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
    };
    await expectStatus(asOwner('POST', '/admin/keys', { ...whole, name: '' }), 422);
    await expectStatus(asOwner('POST', '/admin/keys', whole), 201);
    const { publicJwk: _, ...secretive } = whole;
    const created = await asOwner('POST', '/admin/keys', secretive);
    const { id } = created.body['key'] as { id: string };
    const path = `/admin/keys/${id}`;
    const none = `/admin/keys/${randomUUID()}`;
    const stale = { 'if-match': '"stale"' };
    await expectStatus(asOwner('GET', '/admin/keys?limit=1'), 200);
    await expectStatus(asOwner('GET', '/admin/keys?limit=0'), 400);
    await expectStatus(asOwner('GET', path), 200);
    await expectStatus(asOwner('GET', none), 404);
    await expectStatus(asOwner('PATCH', path, { name: 'Other' }), 200);
    await expectStatus(asOwner('PATCH', path, { name: 1 }), 422);
    await expectStatus(asOwner('PATCH', path, { name: 'x' }, stale), 412);
    await expectStatus(asOwner('PATCH', none, { name: 'x' }), 404);
    for (const step of ['enable', 'publish', 'disable', 'enable', 'revoke', 'disable', 'publish'])
      await asOwner('POST', `${path}/${step}`);
    await expectStatus(asOwner('PATCH', path, { name: 'x' }), 409);
    for (const step of ['publish', 'disable', 'enable', 'revoke']) {
      await expectStatus(asOwner('POST', `${none}/${step}`), 404);
      await expectStatus(asOwner('POST', `${path}/${step}`, undefined, stale), 412);
    }
    await expectStatus(asOwner('DELETE', path, undefined, stale), 412);
    await expectStatus(asOwner('DELETE', path), 204);
    await expectStatus(asOwner('DELETE', path), 404);
    expect(faults.splice(0)).toEqual([]);
  });

  test('of its rotations', async () => {
    const { key } = await service.createKey({});
    const path = `/admin/keys/${key.id}/rotations`;
    const overlap = { mode: 'overlap', grace: 60 };
    await expectStatus(asOwner('DELETE', `${path}/current`), 409);
    await expectStatus(asOwner('POST', path, { mode: 'never' }), 422);
    await expectStatus(asOwner('POST', path, { mode: 'first-use' }), 201);
    await expectStatus(asOwner('POST', path, overlap), 409);
    await expectStatus(asOwner('GET', `/admin/keys/${key.id}`), 200);
    await expectStatus(asOwner('DELETE', `${path}/current`, undefined, { 'if-match': '"stale"' }), 412);
    await expectStatus(asOwner('DELETE', `${path}/current`), 200);
    await expectStatus(asOwner('POST', `/admin/keys/${randomUUID()}/rotations`, overlap), 404);
    await expectStatus(asOwner('DELETE', `/admin/keys/${randomUUID()}/rotations/current`), 404);
    await asOwner('POST', '/admin/accounts', { id: 'rotator', role: 'member' });
    const { body } = await asOwner('POST', '/admin/accounts/rotator/access-key');
    const member = authorize(await service.token(String(body['accessKey'])));
    expect((await call('POST', path, { headers: member, body: overlap })).body).toMatchObject({
      code: 'role_not_allowed',
    });
    await expectStatus(call('DELETE', `${path}/current`, { headers: member }), 403);
    const self = { authorization: basic((await service.createKey({})).apiKey) };
    const rotate = (rotation: unknown, headers: Record<string, string>) =>
      call('POST', '/keys/self/rotations', { headers, body: rotation });
    await expectStatus(rotate({}, self), 422);
    await expectStatus(rotate(overlap, self), 201);
    await expectStatus(rotate(overlap, self), 409);
    await expectStatus(
      rotate({ mode: 'now' }, authorize(await service.token(String(body['accessKey'])))),
      201,
    );
    expect(faults.splice(0)).toEqual([]);
  });

  test('of accounts', async () => {
    const stale = { 'if-match': '"stale"' };
    const account = {
      id: 'extranet\\anonymous',
      role: 'admin',
      permissions: ['content:read'],
      corsOrigins: ['https://a.example'],
    };
    const path = `/admin/accounts/${encodeURIComponent(account.id)}`;
    await expectStatus(asOwner('POST', '/admin/accounts', account), 201);
    await expectStatus(asOwner('POST', '/admin/accounts', account), 409);
    await expectStatus(asOwner('POST', '/admin/accounts', {}), 422);
    await expectStatus(asOwner('GET', '/admin/accounts?limit=1'), 200);
    await expectStatus(asOwner('POST', `${path}/access-key`), 201);
    await expectStatus(asOwner('GET', path), 200);
    await expectStatus(asOwner('PATCH', path, { role: 'member' }), 200);
    await expectStatus(asOwner('PATCH', path, { role: 'king' }), 422);
    await expectStatus(asOwner('PATCH', path, {}, stale), 412);
    await expectStatus(asOwner('PATCH', '/admin/accounts/owner', { role: 'member' }), 409);
    await expectStatus(asOwner('DELETE', '/admin/accounts/owner'), 409);
    await expectStatus(asOwner('DELETE', '/admin/accounts/owner/access-key'), 409);
    await expectStatus(asOwner('DELETE', `${path}/access-key`), 204);
    await expectStatus(asOwner('PATCH', path, { provider: 'external' }), 200);
    await expectStatus(asOwner('POST', `${path}/access-key`), 409);
    await expectStatus(asOwner('DELETE', path, undefined, stale), 412);
    await expectStatus(asOwner('DELETE', path), 204);
    for (const method of ['GET', 'PATCH', 'DELETE'])
      await expectStatus(asOwner(method, path, method === 'PATCH' ? {} : undefined), 404);
    for (const method of ['POST', 'DELETE']) await expectStatus(asOwner(method, `${path}/access-key`), 404);
    expect(faults.splice(0)).toEqual([]);
  });

  test('of signing keys, and of what is only told', async () => {
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
    const path = '/admin/signing-keys';
    await expectStatus(asOwner('POST', path, { jwk, activate: false }), 201);
    await expectStatus(asOwner('POST', path, { jwk }), 409);
    await expectStatus(asOwner('POST', path, { jwk: {} }), 422);
    await expectStatus(asOwner('POST', `${path}/rotate`), 409);
    await expectStatus(asOwner('POST', `${path}/rotate`, { alg: 'none' }), 422);
    await expectStatus(asOwner('POST', `${path}/rotate`, { now: true }), 201);
    const { body } = await asOwner('GET', path);
    const [first] = body['items'] as { kid: string }[];
    await expectStatus(asOwner('POST', `${path}/none/revoke`), 404);
    await expectStatus(asOwner('POST', `${path}/${first?.kid}/revoke`), 200);
    owner = authorize(await service.token(service.ownerKey));
    bearer = authorize(await service.token(all.apiKey));
    powerless = authorize(await service.token((await service.createKey({ feature: 'nothing' })).apiKey));
    for (const told of ['peppers', 'features', 'controllers', 'audit?limit=100', 'audit/verification'])
      await expectStatus(asOwner('GET', `/admin/${told}`), 200);
    await expectStatus(asOwner('GET', '/admin/audit?limit=0'), 400);
    expect(faults.splice(0)).toEqual([]);
  });

  test('to a request that is repeated, and to one that is not the same', async () => {
    const isPost = ({ method, path }: ReadOperation) =>
      method === 'POST' && (path.startsWith('/admin/') || path === '/keys/self/rotations');
    for (const operation of whose(isPost)) {
      const headers = { ...welcome(operation), 'idempotency-key': randomUUID() };
      const isSent = (request: unknown) =>
        call('POST', '/admin/keys', { headers: { ...owner, ...headers }, body: request });
      // The key is the caller's: what was answered to one address of his is not answered to another.
      if (operation.path === '/keys/self/rotations') continue;
      await expectStatus(isSent({ name: 'Once', feature: 'connections' }), 201);
      await expectStatus(call('POST', pathOf(operation), { headers, body: {} }), 422);
    }
    const { key } = await service.createKey({});
    for (const [path, request] of [
      ['/admin/keys', { name: 'At once', feature: 'connections' }],
      [`/admin/keys/${key.id}/revoke`, {}],
      ['/admin/signing-keys/none/revoke', {}],
    ] as const)
      await expectSometime(409, async () => {
        const headers = { 'idempotency-key': randomUUID() };
        return [1, 2, 3].map(() => asOwner('POST', path, request, headers));
      });
    expect(faults.splice(0)).toEqual([]);
  });

  test('of the resource routes', async () => {
    const get = (path: string, headers = bearer) => call('GET', path, { headers });
    const lists: [string, string][] = [
      ['/v2/connections', '/v2/connections'],
      ['/v2/decisionModelDefinitions', '/v2/decisionModelDefinitions'],
      ['/v3/flowDefinitions', '/v3/flowDefinitions'],
      ['/v3/templates', '/v3/templates'],
      ['/api/default/news', '/api/default/news'],
    ];
    for (const [list, item] of lists) await expectDocuments(list, item);
    const { body } = await call('POST', '/v2/decisionModelDefinitions', {
      headers: bearer,
      body: { name: 'Model' },
    });
    await expectDocuments(
      `/v2/decisionModelDefinitions/${String(body['ref'])}/variants`,
      '/v2/decisionModelVariants',
    );
    await expectStatus(
      call('POST', `/v2/decisionModelDefinitions/${randomUUID()}/variants`, { headers: bearer, body: {} }),
      404,
    );
    for (const path of ['/v2/connections/testConnection', '/v2/testDecisionModel'])
      await expectStatus(call('POST', path, { headers: bearer, body: { context: {} } }), 200);
    await expectStatus(get('/sitecore/api/layout/render/jss?item=/'), 200);
    await expectStatus(get('/sitecore/api/layout/render/jss?item=/none'), 404);
    await expectStatus(get('/sitecore/api/layout/placeholder/jss'), 200);
    await expectStatus(get('/sitecore/api/jss/dictionary/app/en'), 200);
    await expectStatus(get('/sitecore/api/ssc/aggregate/content/Items'), 200);
    await expectStatus(
      call('POST', '/sitecore/api/jss/track/event', { headers: bearer, body: [{ type: 'x' }] }),
      200,
    );
    for (const path of ['/sitecore/api/graph/edge', '/api/app']) {
      await expectStatus(get(`${path}?query=${encodeURIComponent('{ layout(routePath: "/") }')}`), 200);
      await expectStatus(get(path), 400);
      await expectStatus(
        call('POST', path, { headers: bearer, body: { query: '{ search(where: {}) }' } }),
        200,
      );
      await expectStatus(call('POST', path, { headers: bearer, body: {} }), 400);
    }
    await expectStatus(get('/range-list', { ...bearer, sc_apikey: all.id }), 200);
    await expectStatus(get('/range/list', { sc_apikey: all.id }), 200);
    await expectDocuments('/guarded', '/guarded', { ...bearer, sc_apikey: all.id });
    expect(faults.splice(0)).toEqual([]);
  });

  test('of the doors of Sitecore and of Sitefinity', async () => {
    const draft = await service.createKey({ feature: 'everything', doors: ['sc_apikey'], draft: true });
    const poor = await service.createKey({
      feature: 'nothing',
      doors: ['sc_apikey'],
      allowedControllers: [],
    });
    const gone = await service.createKey({ feature: 'everything', doors: ['sc_apikey'] });
    await asOwner('POST', `/admin/keys/${gone.key.id}/revoke`);
    const routes = ['/sitecore/api/layout/render/jss', '/sitecore/api/graph/edge', '/guarded/x'];
    for (const path of routes) {
      const ask = (headers: Record<string, string>, query = '') => call('GET', path + query, { headers });
      for (const id of [draft.key.id, poor.key.id, gone.key.id, randomUUID()])
        await expectStatus(ask({ sc_apikey: id }), 400);
      await expectStatus(ask({ sc_apikey: all.id }, `?sc_apikey=${randomUUID()}`), 400);
      await expectStatus(ask({ sc_apikey: all.id, origin: 'https://evil.example' }), 403);
    }
    await asOwner('POST', '/admin/accounts', { id: 'editor', role: 'member', permissions: ['content:read'] });
    const { body } = await asOwner('POST', '/admin/accounts/editor/access-key');
    const key = { 'x-sf-access-key': String(body['accessKey']) };
    await expectStatus(call('GET', '/api/default/news', { headers: key }), 200);
    await expectStatus(call('POST', '/api/default/news', { headers: key, body: {} }), 403);
    await expectStatus(call('GET', '/api/default/news', { headers: { ...key, ...bearer } }), 400);
    await expectStatus(
      call('GET', '/api/default/news', { headers: { 'x-sf-access-key': strangeKey() } }),
      401,
    );
    expect(faults.splice(0)).toEqual([]);
  });

  test('of upstreams', async () => {
    for (const [method, path] of [
      ['GET', '/shop/'],
      ['POST', '/shop/'],
      ['DELETE', "/shop&co/it's/"],
    ] as const) {
      await expectStatus(call(method, `${path}orders`, { headers: bearer }), 418);
      await expectStatus(call(method, `${path}gone`, { headers: bearer }), 502);
      await expectStatus(call(method, `${path}silent`, { headers: bearer }), 504);
    }
    expect(faults.splice(0)).toEqual([]);
  });

  test('to proxies that ask', async () => {
    const headers = { ...askedAbout('/v2/connections'), ...bearer };
    await expectStatus(call('GET', '/auth/verify', { headers }), 200);
    await expectStatus(call('GET', '/auth/verify/nginx', { headers }), 204);
    await expectStatus(call('GET', '/auth/verify/envoy/v2/connections', { headers: bearer }), 200);
    await expectStatus(call('GET', '/auth/verify', { headers: { ...bearer, ...askedAbout('/none') } }), 404);
    await expectStatus(call('GET', '/auth/verify/envoy/none', { headers: bearer }), 404);
    await expectStatus(call('GET', '/auth/verify', { headers: bearer }), 400);
    for (const path of ['/sitecore/api/graph/edge', '/sitecore/api/layout/render/jss', '/api/default/news']) {
      await call('GET', '/auth/verify', { headers: askedAbout(path) });
      await call('GET', `/auth/verify/envoy${path}`);
    }
    const { url } = await store.start();
    for (const path of ['/auth/verify', '/auth/verify/nginx', '/auth/verify/envoy/v2/connections'])
      await expectStatus(call('GET', path, { at: url, headers }), 403);
    expect(faults.splice(0)).toEqual([]);
  });

  test('was brought about, but for these', () => {
    const documented = reading.operations.flatMap(({ operationId, responses }) =>
      Object.keys(responses).map(status => `${operationId} ${status}`),
    );
    const unseen = documented.filter(pair => !seen.has(pair));
    // A fault of ours (500), a body that takes 15 seconds (408: body-deadline.test.ts), and what else an upstream may say.
    const rare = unseen.filter(pair => !/ (?:500|408|default)$/.test(pair));
    // A key that is deleted in the very moment in which it rotates itself.
    expect(rare).toEqual(['rotateOwnKey 404']);
  });

  /** Makes a document, and does with it whatever its route offers: alone, with others at once, and when it is gone. */
  async function expectDocuments(list: string, item: string, headers = bearer): Promise<void> {
    const make = async () => {
      const answer = call('POST', list, { headers, body: { name: 'Document', archived: false } });
      await expectStatus(answer, 201);
      return `${item}/${String((await answer).body['ref'])}`;
    };
    const ask = (method: string, path: string) =>
      call(method, path, { headers, ...(method.startsWith('P') && { body: { name: 'New' } }) });
    const offered = ['GET', 'PUT', 'PATCH', 'DELETE'].filter(
      method => reading.find(method, `${item}/x`) !== undefined,
    );
    const path = await make();
    if (reading.find('GET', list) !== undefined)
      await expectStatus(call('GET', `${list}?limit=1`, { headers }), 200);
    for (const method of offered) {
      await expectStatus(ask(method, path), 200);
      await expectStatus(ask(method, `${item}/${randomUUID()}`), 404);
      if (method === 'GET') continue;
      await expectSometime(409, async () => {
        const shared = await make();
        return [1, 2, 3, 4].map(() => ask(method, shared));
      });
    }
  }
});

/** Of requests at once, one is too late: again and again, until that has come about. */
async function expectSometime(
  status: number,
  begin: () => Promise<Promise<{ status: number }>[]>,
): Promise<void> {
  for (let count = 0; count < 50; count += 1) {
    const answers = await Promise.all(await begin());
    if (answers.some(answer => answer.status === status)) return;
  }
  throw new Error(`in vain we waited for a ${status}`);
}

async function expectStatus(
  answer: Promise<{ status: number; body: JsonObject }>,
  status: number,
): Promise<void> {
  const given = await answer;
  expect([given.status, given.body]).toEqual([status, given.body]);
}

function authorize(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

function basic(apiKey: string): string {
  return `Basic ${Buffer.from(`:${apiKey}`).toString('base64')}`;
}

function form(parameters: Record<string, string>): URLSearchParams {
  return new URLSearchParams(parameters);
}

function askedAbout(uri: string): Record<string, string> {
  return { 'x-forwarded-method': 'GET', 'x-forwarded-uri': uri };
}

/** One that says it is of the issuer: no visitor's. */
function forgedToken(issuer: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'none' })}.${part({ iss: issuer })}.${part({})}`;
}

/** The string of no key. */
function strangeKey(): string {
  return `kt_${createHash('md5').update(randomUUID()).digest('hex')}_none`;
}
