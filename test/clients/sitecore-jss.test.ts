/** Sitecore's JSS client, unchanged: what it gets with a right key, and what it reports with a wrong one. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSite, type SiteStage } from '../examples/site-stage.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEmbeddedStore } from '../support/stores.ts';
import { createJss, everythingOf, type JssSettings, reportOf, reportsOf } from './jss.ts';

/** The example of Sitecore's own documentation, with the controller of tracking. */
const documented = `Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController;
  Sitecore.JavaScriptServices.Globalization.Controllers.DictionaryServiceController;
  Sitecore.JavaScriptServices.Tracker.Mvc.Controllers.TrackingController, Sitecore.JavaScriptServices.Tracker;
  Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController; GraphQL:/api/app`;

const page = 'https://page.example';
const unusable = 'Provided SSC API keyData is not valid. ';
const services = ['layout', 'placeholder', 'dictionary', 'track', 'graphql', 'graphqlLayout'];

/** What both kinds of site say; the example site says more. */
const home = { sitecore: { context: { language: 'en' }, route: { name: 'home' } } };
const everything = {
  layout: home,
  graphqlLayout: home,
  placeholder: { sitecore: { context: { language: 'en' } } },
  dictionary: {},
  graphqlDictionary: {},
  track: {},
  graphql: {},
};

let service: TestService;
let id: string;

describeOnEmbeddedStore('the JSS client on the built-in collections', store => {
  beforeAll(async () => {
    service = await store.start();
    id = await keyOf({ allowedControllers: documented, corsOrigins: `${page}; http://localhost:3000` });
  });
  describeEveryKey();
});

describeOnEmbeddedStore('the JSS client through the gateway', store => {
  let site: SiteStage;
  beforeAll(async () => {
    site = await openSite();
    service = await store.start({ env: site.env });
    id = await keyOf({ allowedControllers: documented, corsOrigins: `${page}; http://localhost:3000` });
  });
  afterAll(() => site.close());
  describeEveryKey();

  test('gets what the site says', async () => {
    expect(await everythingOf(jssOf(id))).toMatchObject({
      layout: {
        sitecore: {
          context: { user: 'extranet\\Anonymous' },
          route: { fields: { title: { value: 'Welcome' } } },
        },
      },
      placeholder: { sitecore: { elements: [{ componentName: 'ContentBlock' }] } },
      dictionary: { search: 'Search', cart: 'Cart' },
      graphqlDictionary: { search: 'Search', cart: 'Cart' },
      track: { taken: 1 },
    });
  });

  test('shows the site who calls, and the visitor’s own token, and no key', async () => {
    site.requests.length = 0;
    await everythingOf(jssOf(`{${id}}`, { headers: { authorization: 'Bearer visitor' } }));
    expect(site.requests.length).toBeGreaterThan(6);
    for (const { url, headers } of site.requests) {
      expect(headers).toMatchObject({
        authorization: 'Bearer visitor',
        'x-keyturn-key-id': id,
        'x-keyturn-feature': 'services-client',
        'x-keyturn-user': 'extranet\\Anonymous',
      });
      expect(JSON.stringify([url, { ...headers, 'x-keyturn-key-id': '' }])).not.toMatch(/apikey/i);
      expect(url).not.toContain(id);
    }
  });

  test('takes a visitor’s cookies to the site and back', async () => {
    const visitor = (cookie?: string) =>
      ({
        headers: { cookie, 'user-agent': 'Visitor', referer: `${page}/` },
        connection: { remoteAddress: '203.0.113.9' },
      }) as unknown as IncomingMessage;
    const given: string[] = [];
    const response = {
      setHeader: (_: string, values: string[]) => given.push(...values),
    } as unknown as ServerResponse;
    await jssOf(id).layout('/', visitor(), response);
    expect(given).toEqual([expect.stringMatching(/^SC_ANALYTICS_GLOBAL_COOKIE=/)]);
    await jssOf(id).layout('/', visitor(given[0]?.split(';')[0]), response);
    expect(given).toHaveLength(1);
    expect(site.requests.at(-1)?.headers).toMatchObject({ 'user-agent': 'Visitor', referer: `${page}/` });
  });

  test('reports 502 when the site is away', async () => {
    await site.close();
    expect(await reportsOf(jssOf(id))).toMatchObject({
      layout: { status: 502, text: startingWith('Nothing is wrong with the credential') },
      graphql: { status: 502 },
    });
  });
});

function describeEveryKey(): void {
  test.each<[string, (guid: string) => string]>([
    ['dashed', guid => guid],
    ['in braces', guid => `{${guid}}`],
    ['in braces and upper case, as Sitecore shows it', guid => `{${guid.toUpperCase()}}`],
    ['of 32 digits', guid => guid.replaceAll('-', '')],
    ['of 32 upper-case digits', guid => guid.replaceAll('-', '').toUpperCase()],
  ])('gets everything with a key that is %s', async (_, spell) => {
    expect(await everythingOf(jssOf(spell(id)))).toMatchObject(everything);
  });

  test('takes a page that is not there for one, and for no error', async () => {
    const nothing = { sitecore: { context: { pageEditing: false, language: 'en' }, route: null } };
    expect(await jssOf(id).layout('/gone')).toMatchObject(nothing);
    expect(await jssOf(id).graphqlLayout('/gone')).toEqual(nothing);
  });

  test('gets everything for a page of the key’s origin', async () => {
    expect(await everythingOf(jssOf(id, { headers: { origin: page } }))).toMatchObject(everything);
  });

  test.each([
    'Bearer opaque',
    'Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2Vsc2V3aGVyZSJ9.x',
    'Basic eDp5',
  ])('gets everything for a visitor who bears “%s”', async authorization => {
    expect(await everythingOf(jssOf(id, { headers: { authorization } }))).toMatchObject(everything);
  });

  test.each<[string, () => Promise<string> | string, string]>([
    ['no key', () => '', "SSC API key is required. Pass with 'sc_apikey' query string or HTTP header."],
    ['an unknown key', () => randomUUID(), `${unusable}Send the id of a key`],
    ['a text that is no key', () => 'undefined', `${unusable}Send the id of a key`],
    ['a key of the token endpoint', () => keyOf({ doors: ['token'] }), `${unusable}Send the id of a key`],
    ['a draft', () => keyOf({ draft: true }), `${unusable}The key is a draft: publish it.`],
    ['a disabled key', () => keyThat('disable'), `${unusable}The API key is disabled`],
    ['a revoked key', () => keyThat('revoke'), `${unusable}The API key has been revoked`],
    ['a key without the controllers', () => keyOf({ allowedControllers: [] }), notAllowed],
    [
      'a key of another feature',
      () => keyOf({ feature: 'odata-items', customData: { Database: 'web' } }),
      notAllowed,
    ],
  ])('reports 400 of every service with %s', async (_, keyFor, text) => {
    expect(await reportsOf(jssOf(await keyFor()))).toEqual(everyReport(400, text));
  });

  test('reports 403 of every service for a page of another origin', async () => {
    const jss = jssOf(id, { headers: { origin: 'https://other.example' } });
    const text = "The request's origin is not among the CORS origins of the API key";
    expect(await reportsOf(jss)).toEqual(everyReport(403, text));
  });

  test('reports which entry is missing beside the GraphQL controller', async () => {
    const other = await reportOf(jssOf(id, { graphql: '/api/other' }).graphqlLayout());
    expect(other).toEqual({ status: 400, text: startingWith(`${notAllowed} "GraphQL:/api/other"`) });
    const key = await keyOf({
      allowedControllers: 'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController',
    });
    expect((await reportOf(jssOf(key).graphql())).text).toContain('"GraphQL:/api/app"');
  });

  describe('with a token', () => {
    let headers: { authorization: string };
    beforeAll(async () => {
      const { apiKey } = await service.createKey({ feature: 'services-client' });
      headers = { authorization: `Bearer ${await service.token(apiKey)}` };
    });

    test('gets everything, without a key and beside one', async () => {
      expect(await everythingOf(jssOf('', { headers }))).toMatchObject(everything);
      expect(await everythingOf(jssOf(id, { headers }))).toMatchObject(everything);
    });

    test('reports 401 of every service where it claims to be ours and is not', async () => {
      const authorization = `${headers.authorization.slice(0, -86)}${'A'.repeat(86)}`;
      const reports = await reportsOf(jssOf(id, { headers: { authorization } }));
      expect(Object.values(reports).map(({ status }) => status)).toEqual(services.map(() => 401));
    });
  });
}

const notAllowed = 'The API key may not use the controller';

async function keyOf(fields: Record<string, unknown> = {}): Promise<string> {
  const all = { feature: 'services-client', doors: ['sc_apikey'], ...fields };
  return (await service.createKey(all)).key.id;
}

async function keyThat(step: string): Promise<string> {
  const key = await keyOf();
  await service.admin('POST', `/admin/keys/${key}/${step}`);
  return key;
}

function jssOf(apiKey: string, more: Partial<JssSettings> = {}) {
  return createJss({ url: service.url, apiKey, ...more });
}

/** A REST service throws with the answer, a GraphQL one with a message that begins with our words. */
function everyReport(status: number, text: string): Record<string, unknown> {
  return Object.fromEntries(services.map(name => [name, { status, text: startingWith(text) }]));
}

function startingWith(begin: string): string {
  return expect.toSatisfy((text: string) => text.startsWith(begin)) as string;
}
