/**
 * What Sitefinity's own clients send, header for header, and whether they understand the answers. Their licence keeps them
 * out of this checkout.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startUpstream, type TestUpstream } from '../support/gateway.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Beside the access key. */
const clients: Record<string, Readonly<Record<string, string>>> = {
  'the Next.js SDK': {
    'X-Requested-With': 'react',
    'X-ORIGINAL-HOST': 'www.example.com',
    'X-SFRENDERER-PROXY': 'true',
    'X-SFRENDERER-PROXY-NAME': 'NextJS',
    'X-SF-WEBSERVICEPATH': 'api/default',
    'x-sf-correlation-id': 'k3J9xPq0aZ7LmN2b',
    'X-SF-APIKEY': 'the-key-of-the-service',
  },
  'the Next.js SDK on Sitefinity Cloud': {
    'X-Requested-With': 'react',
    'X-SF-BYPASS-HOST': 'www.example.com',
    'X-SF-BYPASS-HOST-VALIDATION-KEY': 'a-validation-key',
    'X-SFRENDERER-PROXY': 'true',
    'X-SFRENDERER-PROXY-NAME': 'NextJS',
    'X-SF-WEBSERVICEPATH': 'api/default',
    'x-sf-correlation-id': 'k3J9xPq0aZ7LmN2b',
  },
  'the .NET RestSdk': { Accept: 'application/json', 'X-SF-Service-Request': 'true' },
};

let service: TestService;

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

async function send(
  target: string,
  headers: Readonly<Record<string, string>>,
  method = 'GET',
  fields?: object,
): Promise<Answer> {
  const json = fields && { 'Content-Type': 'application/json; charset=utf-8' };
  const response = await fetch(service.url + target, {
    method,
    headers: { ...headers, ...json },
    ...(fields && { body: JSON.stringify(fields) }),
  });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
  };
}

async function accessKeyWith(permissions: readonly string[]): Promise<string> {
  const id = `account-${permissions.join('-').replaceAll(':', '-')}`;
  await service.admin('POST', '/admin/accounts', { id, role: 'member', permissions });
  const response = await service.admin('POST', `/admin/accounts/${id}/access-key`);
  return ((await response.json()) as { accessKey: string }).accessKey;
}

describeOnEmbeddedStore('with the built-in collections', store => {
  let accessKey: string;
  let reader: string;
  beforeAll(async () => {
    service = await store.start();
    [accessKey, reader] = [await accessKeyWith(['content:manage']), await accessKeyWith(['content:read'])];
  });

  describe.each(Object.entries(clients))('%s', (_, headers) => {
    const withKey = (key: string) => ({ ...headers, 'X-SF-Access-Key': key });

    test('creates, reads, changes and deletes', async () => {
      const created = await send('/api/default/newsitems', withKey(accessKey), 'POST', { Title: 'News' });
      expect([created.status, created.type]).toEqual([201, 'application/json; charset=utf-8']);
      const item = `/api/default/newsitems/${(JSON.parse(created.text) as { ref: string }).ref}`;
      for (const [method, fields] of [['GET'], ['PATCH', { Title: 'Old news' }], ['DELETE']] as const) {
        const { status, type, text } = await send(item, withKey(accessKey), method, fields);
        expect([status, type]).toEqual([200, 'application/json; charset=utf-8']);
        expect(JSON.parse(text)).toMatchObject({ Title: method === 'GET' ? 'News' : 'Old news' });
      }
      const list = await send('/api/default/newsitems', withKey(accessKey));
      expect(JSON.parse(list.text)).toMatchObject({ items: [] });
    });

    test.each<[string, () => Record<string, string>]>([
      ['no access key', () => headers],
      ['a cookie instead of one', () => ({ ...headers, Cookie: '.AspNet.Cookies=x' })],
      ['an access key that is none', () => withKey('0123456789abcdef')],
      ['an access key with a wrong secret', () => withKey(`${accessKey.slice(0, -38)}${'0'.repeat(38)}`)],
      ['an API key', () => withKey(service.sampleKey)],
    ])('understands the 401 for %s', async (_, sent) => {
      for (const method of ['GET', 'POST']) {
        const answer = await send('/api/default/users', sent(), method);
        expect(understood(answer)).toEqual({ status: 401, code: 'Unauthorized' });
      }
    });

    test('understands the 403 for a permission that is missing', async () => {
      const answer = await send('/api/default/newsitems', withKey(reader), 'POST', { Title: 'x' });
      expect(understood(answer)).toEqual({ status: 403, code: 'Forbidden' });
      expect(answer.text).toContain('content:create');
    });

    test('understands the 403 for an origin that is not the account’s', async () => {
      const sent = { ...withKey(accessKey), Origin: 'https://other.example' };
      expect(understood(await send('/api/default/newsitems', sent))).toEqual({
        status: 403,
        code: 'Forbidden',
      });
    });
  });
});

/** What such a client makes of a refusal: without JSON, and a type that says so, it makes nothing of it. */
function understood({ status, type, text }: Answer): object {
  expect(type).toBe('application/json');
  const { error } = JSON.parse(text) as { error: { code: string; message: string } };
  expect(error.message).toMatch(/\w{3}/);
  return { status, code: error.code };
}

describeOnEmbeddedStore('through the gateway, by the entry of docs/sitefinity.md', store => {
  let upstream: TestUpstream;
  let directory: string;
  let accessKey: string;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'keyturn-sitefinity-'));
    upstream = await startUpstream();
    const controllers = path.join(directory, 'controllers.json');
    await writeFile(controllers, await controllersWith(upstream.url));
    service = await store.start({ env: { KEYTURN_CONTROLLERS: controllers } });
    accessKey = await accessKeyWith(['content:read', 'content:update']);
  });
  afterAll(async () => {
    await upstream.close();
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    ['GET', '/api/default/users/current'],
    ['GET', '/api/default/sites'],
    ['GET', '/api/default/$metadata'],
    ['GET', '/api/default/newsitems(6d1cd897-1936-4a3a-a511-289a94c2a7b1)'],
    ['GET', '/api/default/newsitems?$filter=Title%20eq%20%27It%27%27s%27&$orderby=PublicationDate%20desc'],
    ['GET', '/api/default/pages/Default.Model(url=@param)?@param=%27%2Fabout%27&sf_culture=en'],
    ['PATCH', '/api/default/newsitems(6d1cd897-1936-4a3a-a511-289a94c2a7b1)'],
  ])('Sitefinity gets %s %s as it was sent', async (method, target) => {
    const headers = { ...clients['the Next.js SDK'], 'X-SF-Access-Key': accessKey, Cookie: 'a=1' };
    expect((await send(target, headers, method)).status).toBe(200);
    const asked = upstream.asked.at(-1);
    expect([asked?.method, asked?.url]).toEqual([method, target]);
    for (const [name, value] of Object.entries(clients['the Next.js SDK'] ?? {}))
      expect([name, asked?.headers[name.toLowerCase()]]).toEqual([name, value]);
    expect(asked?.headers['cookie']).toBe('a=1');
    expect(asked?.headers['x-keyturn-user']).toBe('account-content-read-content-update');
    expect(JSON.stringify(asked)).not.toContain(accessKey);
  });

  test('Sitefinity does not hear of a deletion that the account may not do', async () => {
    const before = upstream.asked.length;
    const answer = await send('/api/default/newsitems(1)', { 'X-SF-Access-Key': accessKey }, 'DELETE');
    expect(understood(answer)).toEqual({ status: 403, code: 'Forbidden' });
    expect(upstream.asked).toHaveLength(before);
  });
});

/** The default catalogue with the page's entry in place of its own. */
async function controllersWith(upstream: string): Promise<string> {
  const page = await readFile(path.join(root, 'docs/sitefinity.md'), 'utf8');
  const entry: unknown = JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] ?? '');
  const catalogue = JSON.parse(await readFile(path.join(root, 'config/controllers.json'), 'utf8')) as {
    controllers: { name: string }[];
  };
  const others = catalogue.controllers.filter(({ name }) => name !== 'Sitefinity.Default');
  const text = JSON.stringify({ ...catalogue, controllers: [...others, entry] });
  return text.replace('http://127.0.0.1:9200', upstream);
}
