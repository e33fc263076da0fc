/** `/openapi.json` is valid, whole and true to the router; `/docs` shows all of it, and runs nothing. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Router from '@koa/router';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';
import { hostileName, writeCatalogue } from './openapi-catalogue.ts';
import {
  createValidator,
  fetchDocument,
  localise,
  operationsOf,
  readDocument,
  type ReadDocument,
  type ReadOperation,
} from './openapi-reading.ts';

const upstream = 'http://hidden.internal.example:8123/base';

describeOnEmbeddedStore('/openapi.json', store => {
  let directory: string;
  let service: TestService;
  let document: ReadDocument;
  let operations: ReadOperation[];
  let router: Router;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyturn-openapi-'));
    const routes = vi.spyOn(Router.prototype, 'routes');
    service = await store.start({
      env: { ...(await writeCatalogue(directory, upstream)), KEYTURN_TRUSTED_PROXIES: '127.0.0.1' },
    });
    router = routes.mock.contexts.at(-1) as Router;
    routes.mockRestore();
    document = await fetchDocument(service.url);
    operations = operationsOf(document);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  test('is what the specification of OpenAPI 3.1 asks', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(document['openapi']).toBe('3.1.0');
  });

  test('says the version of the package, and the issuer', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(document['info']).toMatchObject({ title: 'Keyturn', version });
    expect(document.servers).toEqual([{ url: service.url }]);
  });

  test('has schemas that all compile, and examples that they accept', () => {
    const ajv = createValidator(document, schema => schema);
    for (const name of Object.keys(document.components.schemas)) expect(ajv.getSchema(name)).toBeDefined();
    for (const { operationId, responses, parameters, requestBody } of operations) {
      const contents = [requestBody, ...Object.values(responses)].flatMap(part =>
        Object.values(part?.content ?? {}),
      );
      for (const { schema } of [...contents, ...parameters]) ajv.compile(localise(schema));
      const wrong = Object.values(requestBody?.content ?? {}).filter(
        ({ schema, example }) => example !== undefined && !ajv.validate(localise(schema), example),
      );
      expect([operationId, wrong]).toEqual([operationId, []]);
    }
  });

  test('refers to nothing that is not there, and holds nothing that nobody refers to but events and claims', () => {
    const text = JSON.stringify(document);
    const references = new Set(
      [...text.matchAll(/"\$ref":"(#[^"]+)"/g)].map(([, reference = '']) => reference),
    );
    for (const reference of references) {
      const [, ...way] = reference.split('/');
      const found = way.reduce<unknown>(
        (at, name) => (at as Record<string, unknown> | undefined)?.[name],
        document,
      );
      expect([reference, typeof found]).toEqual([reference, 'object']);
    }
    const unused = Object.keys(document.components.schemas).filter(
      name => !references.has(`#/components/schemas/${name}`),
    );
    expect(unused).toEqual(['AccessTokenClaims', 'RevocationSnapshot', 'Revocation', 'RevocationHeartbeat']);
  });

  test('names each operation once, in camel case, with a summary, a tag and an answer that is none of an error', () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(ids.filter((id, place) => ids.indexOf(id) !== place)).toEqual([]);
    expect(ids.filter(id => !/^[a-z][A-Za-z0-9]*$/.test(id))).toEqual([]);
    for (const operation of operations) {
      expect(operation).toMatchObject({
        summary: expect.stringMatching(/./),
        tags: [expect.stringMatching(/./)],
      });
      expect(Object.keys(operation.responses)).toContainEqual(expect.stringMatching(/^2\d\d$|^default$/));
    }
    expect(ids).toContain('getRangeList');
    expect(ids).toContain('getRangeList2');
  });

  test('names every parameter of a path', () => {
    for (const { operationId, path, parameters } of operations) {
      const names = parameters.filter(parameter => parameter.in === 'path').map(({ name }) => name);
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      expect([operationId, names]).toEqual([operationId, inPath]);
    }
  });

  describe('is true to the router', () => {
    const templateOf = (path: string | RegExp) =>
      typeof path === 'string' ? path.replaceAll(/\/[:*][^/]+/g, '/{}') : '/auth/verify/envoy/{}';
    const shapeOf = (method: string, path: string) => `${method} ${path.replaceAll(/\{[^}]+\}/g, '{}')}`;

    test('has no operation that it has not', () => {
      const routed = new Set(
        router.stack.flatMap(({ methods, path }) => methods.map(method => shapeOf(method, templateOf(path)))),
      );
      const documented = operations.map(({ method, path }) => shapeOf(method, path));
      expect(documented.filter(shape => !routed.has(shape))).toEqual([]);
    });

    test('has every operation that it has: what is missing is refused as none', async () => {
      const { find } = readDocument(document);
      const missing = router.stack.flatMap(({ methods, path }) => {
        const example = typeof path === 'string' ? path.replaceAll(/[:*]/g, '') : '/auth/verify/envoy/x';
        const left = methods.filter(method => method !== 'HEAD' && find(method, example) === undefined);
        // What takes any method at all is documented with one of them.
        const isDocumentedOnce = methods.includes('PROPFIND') && left.length < methods.length - 1;
        return isDocumentedOnce ? [] : left.map(method => ({ method, path: example }));
      });
      expect(missing.length).toBeGreaterThan(50);
      const served: string[] = [];
      for (const { method, path } of missing) {
        const { status, headers } = await fetch(service.url + path, { method });
        const isRefused = status === (method === 'OPTIONS' ? 204 : 405) && headers.get('allow') !== null;
        if (!isRefused) served.push(`${method} ${path} ${status}`);
      }
      expect(served).toEqual([]);
    });
  });

  test('has the further addresses of an issuer with a path, at its host', async () => {
    const other = await store.start({ env: { KEYTURN_ISSUER: 'https://id.example/auth' } });
    const response = await fetch(`http://127.0.0.1:${other.port}/openapi.json`);
    const { paths, servers } = (await response.json()) as ReadDocument;
    expect(servers).toEqual([{ url: 'https://id.example/auth' }]);
    for (const path of [
      '/.well-known/oauth-authorization-server/auth',
      '/.well-known/openid-configuration/auth',
      '/auth/.well-known/openid-configuration',
    ]) {
      expect(paths[path]?.['get']).toMatchObject({ servers: [{ url: 'https://id.example' }] });
      expect((await fetch(`http://127.0.0.1:${other.port}${path}`)).status).toBe(200);
    }
  });

  test('says of each admin operation which scope it needs: with every other one it is refused for that', async () => {
    const scopesOf = ({ security }: ReadOperation) => security[0]?.['accessToken'] ?? [];
    const admin = operations.filter(({ path }) => path.startsWith('/admin/'));
    expect(admin.length).toBeGreaterThan(20);
    for (const operation of admin) {
      const [needed = ''] = scopesOf(operation);
      const others = needed.startsWith('keyturn:audit:') ? 'keyturn:catalogue:read' : 'keyturn:audit:read';
      const token = await service.token(service.ownerKey, { scope: others });
      const response = await send(operation, { authorization: `Bearer ${token}` });
      expect([operation.operationId, response.status]).toEqual([operation.operationId, 403]);
      expect(response.headers.get('www-authenticate')).toContain(`scope="${needed}"`);
    }
  });

  test('names a credential for all that is not open to everybody, and without it the answer is 401, or 400 of Sitecore', async () => {
    const guarded = operations.filter(
      ({ security }) => security.length > 0 && security.every(way => Object.keys(way).length > 0),
    );
    expect(guarded.length).toBeGreaterThan(60);
    for (const operation of guarded) {
      const isOfSitecore = operation.security.some(way => 'scApiKeyQuery' in way);
      const isForProxies = operation.path.startsWith('/auth/');
      const forwarded = { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/v2/connections' };
      const { status } = await send(operation, isForProxies ? forwarded : {});
      const wanted = isOfSitecore && !isForProxies ? 400 : 401;
      expect([operation.operationId, status]).toEqual([operation.operationId, wanted]);
    }
  });

  test('is open to everybody in nothing but what is meant to be', () => {
    const open = operations.filter(({ security }) => security.every(way => Object.keys(way).length === 0));
    expect(open.map(({ operationId }) => operationId)).toEqual([
      'showServerMetadata',
      'showOpenidConfiguration',
      'showResourceMetadata',
      'showKeySet',
      'showOpenapiDocument',
      'showDocumentation',
      'checkLife',
      'checkReadiness',
      'readMetrics',
    ]);
  });

  test('tells nothing of what is behind', async () => {
    const page = await (await fetch(`${service.url}/docs`)).text();
    for (const text of [JSON.stringify(document), page]) {
      expect(text).not.toContain('hidden.internal.example');
      expect(text).not.toContain(service.ownerKey);
    }
  });

  describe.each(['/openapi.json', '/docs'])('%s', path => {
    const type = path === '/docs' ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8';
    test('is for every page, and kept for a while', async () => {
      const response = await fetch(service.url + path);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(type);
      expect(response.headers.get('cache-control')).toBe('public, max-age=300');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      const etag = response.headers.get('etag') ?? '';
      const again = await fetch(service.url + path, { headers: { 'if-none-match': etag } });
      expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([304, etag, '']);
    });
    test('answers HEAD, and no other method', async () => {
      const head = await fetch(service.url + path, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, type, '']);
      expect((await fetch(service.url + path, { method: 'POST' })).status).toBe(405);
    });
  });

  describe('/docs', () => {
    let page: string;
    let policy: string | null;
    beforeAll(async () => {
      const response = await fetch(`${service.url}/docs`);
      page = await response.text();
      policy = response.headers.get('content-security-policy');
    });

    test('allows its own style by its digest, and nothing else', () => {
      const style = /<style>([^]*?)<\/style>/.exec(page)?.[1] ?? '';
      const digest = createHash('sha256').update(style).digest('base64');
      expect(style.length).toBeGreaterThan(500);
      expect(policy).toBe(
        `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      );
    });

    test('has no script, and nothing that loads, is sent or runs', () => {
      const tags = new Set([...page.matchAll(/<([a-z][a-z0-9]*)/g)].map(([, name]) => name));
      for (const tag of ['script', 'img', 'iframe', 'link', 'object', 'form', 'base', 'svg', 'b'])
        expect(tags).not.toContain(tag);
      expect(page).not.toMatch(/<[^>]*\s(?:on\w+|style|src)=/);
      const addresses = [...page.matchAll(/href="([^"]*)"/g)].map(([, address]) => address ?? '');
      expect(addresses.filter(address => !/^#[\w-]+$/.test(address))).toEqual(['openapi.json']);
    });

    test('has an anchor for every operation and schema, and no link that leads nowhere', () => {
      const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const wanted = [
        ...operations.map(({ operationId }) => operationId),
        ...Object.keys(document.components.schemas).map(name => `schema-${name}`),
      ];
      expect(wanted.filter(id => !ids.includes(id))).toEqual([]);
      const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
      expect(links.filter(id => !ids.includes(id))).toEqual([]);
      for (const { operationId } of operations) expect(links).toContain(operationId);
    });

    test('shows hostile names as text', () => {
      const escaped = [...hostileName]
        .map(sign => (/[&<>"']/.test(sign) ? `&#${sign.codePointAt(0)};` : sign))
        .join('');
      expect(page).toContain(escaped);
      expect(page).not.toContain(hostileName);
      expect(page).toContain('/shop&#38;co/it&#39;s/');
    });

    test('shows a line for the shell that holds together whatever the path has in it', () => {
      const line = /<pre><code>(curl [^<]*shop&#38;co[^<]*)<\/code>/.exec(page)?.[1] ?? '';
      expect(line).toContain(`&#39;${service.url}/shop&#38;co/it&#39;\\&#39;&#39;s/a&#39;`);
    });
  });

  const send = ({ method, path, requestBody }: ReadOperation, headers: Record<string, string>) =>
    fetch(service.url + path.replace('{path}', 'v2/connections').replaceAll(/[{}]/g, ''), {
      method,
      headers,
      ...('application/x-www-form-urlencoded' in (requestBody?.content ?? {}) && {
        body: new URLSearchParams({ token: 'x' }),
      }),
    });
});
