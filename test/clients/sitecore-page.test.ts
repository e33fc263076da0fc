/** What docs/sitecore.md says of wrong keys, and of where Sitecore is, as it stands there. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';

const root = path.resolve(import.meta.dirname, '../..');
const page = await readFile(path.join(root, 'docs/sitecore.md'), 'utf8');
const layout = '/sitecore/api/layout/render/jss?item=%2F';

interface Row {
  readonly status: number;
  readonly code: string;
  readonly begin: string;
}

const rows: Row[] = [...page.matchAll(/^\|[^|]*\| (\d{3}) \| `(\w+)` \| `([^`]+)` \|$/gm)].map(
  ([, status, code = '', begin = '']) => ({ status: Number(status), code, begin }),
);

describeOnEmbeddedStore('a wrong key', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const keyOf = async (fields: Record<string, unknown> = {}) =>
    (await service.createKey({ feature: 'services-client', doors: ['sc_apikey'], ...fields })).key.id;
  const disabled = async () => {
    const id = await keyOf();
    await service.admin('POST', `/admin/keys/${id}/disable`);
    return id;
  };
  /** What is sent: the key in the query, and further headers. */
  const wrong: Record<string, () => Promise<[string, Record<string, string>?]>> = {
    api_key_missing: async () => [''],
    api_key_unknown: async () => [randomUUID()],
    api_key_unpublished: async () => [await keyOf({ draft: true })],
    api_key_unusable: async () => [await disabled()],
    api_keys_differ: async () => [await keyOf(), { sc_apikey: await keyOf() }],
    controller_not_allowed: async () => [await keyOf({ allowedControllers: '' })],
    audience_mismatch: async () => [await keyOf({ audiences: ['https://api.example'] })],
    several_credentials: async () => [await keyOf(), { 'x-sf-access-key': service.ownerKey }],
    origin_not_allowed: async () => [await keyOf(), { origin: 'https://other.example' }],
    insufficient_scope: async () => [await keyOf({ scopes: ['services:create'] })],
  };

  test.each(rows)('gets $status $code, as the page has it', async ({ status, code, begin }) => {
    const [key, headers = {}] = (await wrong[code]?.()) ?? ['no such row'];
    const response = await fetch(`${service.url}${layout}&sc_apikey=${key}`, { headers });
    const body = (await response.json()) as { code: string; detail: string };
    expect([response.status, body.code]).toEqual([status, code]);
    expect(body.detail.startsWith(begin.split('…')[0] ?? begin)).toBe(true);
  });

  test('is on the page, whatever is wrong with it', () => {
    expect(rows.map(({ code }) => code).sort()).toEqual(Object.keys(wrong).sort());
  });

  test('is not what a preflight is about: it allows the fields that the page lists', async () => {
    const [, list = ''] = /It allows the header fields ([^.]*?), and holds/.exec(page) ?? [];
    const fields = Array.from(list.matchAll(/`([^`]+)`/g), ([, field]) => field);
    const key = await keyOf({ corsOrigins: ['https://shop.example'] });
    const headers = { origin: 'https://shop.example', 'access-control-request-method': 'GET' };
    const response = await fetch(`${service.url}${layout}&sc_apikey=${key}`, { method: 'OPTIONS', headers });
    expect(response.headers.get('access-control-allow-headers')).toBe(fields.join(', '));
    expect(response.headers.get('access-control-max-age')).toBe('600');
  });
});

test('the entry on the page is that of the example, but for the address', async () => {
  const example = JSON.parse(
    await readFile(path.join(root, 'examples/sitecore-site/controllers.json'), 'utf8'),
  ) as { controllers: object[] };
  const entry = JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] ?? '') as object;
  expect({ ...entry, upstream: 'http://127.0.0.1:9100' }).toEqual(example.controllers[0]);
});
