/** Keys that callers send as themselves to a guarded server elsewhere: an answer of the service holds for as long as it is true. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/access/doors.ts';
import {
  createRemoteDoorKeys,
  type RemoteDoorKeysOptions,
} from '../../../src/middleware/remote/door-keys.ts';
import { IssuerUnreachable } from '../../../src/middleware/remote/service-calls.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import type { TestService } from '../../support/service.ts';
import { describeOnEmbeddedStore } from '../../support/stores.ts';
import { until } from '../../support/until.ts';
import { type Guarded, guardInTest } from './guarded.ts';
import { answerJson, event, type ScriptedService, startScriptedService } from './scripted-service.ts';

const layout = {
  controller: 'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController',
  scope: 'services:read',
  doors: ['sc_apikey'],
} as const;
const content = {
  controller: 'Sitefinity.Default',
  scope: 'content:read',
  doors: ['x-sf-access-key'],
} as const;

describeOnEmbeddedStore('a key at the door', store => {
  let service: TestService;
  let apiKey: string;
  let proxy: FaultProxy;
  let guarded: Guarded;
  beforeAll(async () => {
    service = await store.start();
    ({ apiKey } = await service.createKey({ feature: 'resource-server' }));
  });
  beforeEach(async () => {
    proxy = await startFaultProxy(service.port);
    guarded = open({ maxStaleness: 60 });
    await guarded.ready();
    return () => proxy.close();
  });
  const open = (options: object = {}) =>
    guardInTest({
      issuer: service.url,
      audience: service.url,
      apiKey,
      url: `http://127.0.0.1:${proxy.port}`,
      timeout: 1000,
      ...options,
    });
  const siteKey = async (fields: object = {}) =>
    (await service.createKey({ feature: 'services-client', doors: ['token', 'sc_apikey'], ...fields })).key
      .id;
  const use = (id: string, at = guarded) => at.ask({ sc_apikey: id }, layout);
  const change = async (method: string, path: string, body?: object) => {
    const response = await service.admin(method, path, body);
    expect(response.status, await response.text()).toBeLessThan(300);
  };

  test('is let in, whichever form its id has, and asked about once in ten seconds', async () => {
    const id = await siteKey();
    const asked = () => service.log.filter(line => line.includes('"/oauth/introspect"')).length;
    expect(await use(id)).toBe('200');
    await until('that is written', () => asked() > 0);
    const before = asked();
    for (const form of [id.toUpperCase(), id.replaceAll('-', ''), `{${id}}`])
      expect(await use(form)).toBe('200');
    expect(asked()).toBe(before);
    guarded.time.advance(10);
    expect(await use(id)).toBe('200');
    await until('it is asked about again', () => asked() === before + 1);
  });

  test.each<[string, (id: string) => Promise<void>]>([
    ['revoked', id => change('POST', `/admin/keys/${id}/revoke`)],
    ['disabled', id => change('POST', `/admin/keys/${id}/disable`)],
    ['deleted', id => change('DELETE', `/admin/keys/${id}`)],
    ['narrowed', id => change('PATCH', `/admin/keys/${id}`, { allowedControllers: [] })],
  ])('is refused within moments once it is %s, though it was known a moment ago', async (_, end) => {
    const id = await siteKey();
    expect(await use(id)).toBe('200');
    await end(id);
    const outcomes = new Set<string>();
    await until(
      'it is refused',
      async () => {
        const outcome = await use(id);
        outcomes.add(outcome);
        return outcome !== '200';
      },
      1500,
    );
    expect(outcomes.size).toBeLessThanOrEqual(2);
    expect([...outcomes].at(-1)).toMatch(/^(?:400 api_key_|403 controller_not_allowed|400 controller)/);
  });

  test('is refused at the end of its life, though it was known a moment before', async () => {
    const id = await siteKey({ expiresAt: new Date(service.clock.now() + 5000).toISOString() });
    expect(await use(id)).toBe('200');
    service.clock.advance(6);
    guarded.time.advance(6);
    expect(await use(id)).toBe('400 api_key_unusable');
    service.clock.advance(-6);
  });

  test('is let in within a second of its publication, and within ten of being given more', async () => {
    const draft = await siteKey({ draft: true });
    expect(await use(draft)).toBe('400 api_key_unpublished');
    await change('POST', `/admin/keys/${draft}/publish`);
    expect(await use(draft)).toBe('400 api_key_unpublished');
    guarded.time.advance(1);
    expect(await use(draft)).toBe('200');
    const narrow = await siteKey({ allowedControllers: [] });
    expect(await use(narrow)).toBe('400 controller_not_allowed');
    await change('PATCH', `/admin/keys/${narrow}`, { allowedControllers: [layout.controller] });
    guarded.time.advance(10);
    expect(await use(narrow)).toBe('200');
  });

  test('that is none costs no request, whatever it looks like', async () => {
    await proxy.refuse();
    for (const text of ['x', `${await siteKey()}0`, '7'.repeat(33), '\u{1F600}', 'a'.repeat(10_000)])
      expect(await use(text)).toBe('400 api_key_unknown');
    expect(await guarded.ask({ 'x-sf-access-key': 'k'.repeat(10_000) }, content)).toBe('401 Unauthorized');
  });

  test('is 503 while nobody can be asked, and with accept what it was before', async () => {
    const accepting = open({ stale: 'accept' });
    await accepting.ready();
    const [known, dead, unknown] = [await siteKey(), await siteKey(), await siteKey()];
    for (const id of [known, dead]) expect(await use(id, accepting)).toBe('200');
    expect(await use(known)).toBe('200');
    await change('POST', `/admin/keys/${dead}/revoke`);
    await until('it is heard', async () => (await use(dead, accepting)) !== '200');
    await proxy.refuse();
    // What is known is true for as long as the stream would have told of an end of it.
    expect(await use(known)).toBe('200');
    for (const each of [guarded, accepting]) each.time.advance(11);
    expect(await use(known)).toBe('503 issuer_unreachable');
    expect(await use(unknown)).toBe('503 issuer_unreachable');
    expect(await use(known, accepting)).toBe('200');
    expect(await use(dead, accepting)).toBe('400 api_key_unusable');
    expect(await use(unknown, accepting)).toBe('503 issuer_unreachable');
    await proxy.heal();
    for (const each of [guarded, accepting]) each.time.advance(30);
    await until('it is asked about', async () => (await use(unknown)) === '200');
  });
});

describe('an answer about a key', () => {
  const path = '/oauth/introspect';
  const client = '0195c2f0-0000-7000-8000-000000000001';
  let service: ScriptedService;
  let guarded: Guarded;
  beforeEach(async () => {
    service = await startScriptedService();
    guarded = guardInTest({ issuer: service.url, audience: service.url, apiKey: 'a key' });
    await guarded.ready();
    return () => service.close();
  });
  const use = () => guarded.ask({ sc_apikey: client }, layout);
  const answer = (members: object = {}) =>
    answerJson({
      active: true,
      token_type: 'urn:keyturn:params:oauth:token-type:sc-apikey',
      client_id: client,
      sub: client,
      key_version: 1,
      feature: 'services-client',
      scope: 'services:manage',
      aud: [service.url],
      allowed_controllers: [layout.controller],
      allowed_origins: [],
      custom_data: {},
      ...members,
    });

  test('is one for a thousand who ask at once', async () => {
    service.answers[path] = answer();
    const outcomes = await Promise.all(Array.from({ length: 1000 }, use));
    expect(new Set(outcomes)).toEqual(new Set(['200']));
    expect(service.asked(path)).toHaveLength(1);
  });

  test('that was overtaken by a revocation on its way lets nobody in', async () => {
    let release = () => {};
    service.answers[path] = (res, question) => {
      release = () => answer()(res, question);
    };
    const first = use();
    await until('it is asked', () => service.asked(path).length === 1);
    service.say(event('revocation', { client_id: client, min_key_version: 2 }, 5));
    const token = service.mint({ client_id: client });
    await until('it is heard', async () => (await guarded.askWith(token)) === '401 token_revoked');
    service.answers[path] = answer({ key_version: 2, allowed_controllers: [] });
    const second = use();
    release();
    // Narrowed: the answer from before would have let both in.
    expect(await Promise.all([first, second])).toEqual([
      '400 controller_not_allowed',
      '400 controller_not_allowed',
    ]);
    // One that keeps saying what has been revoked is not believed, and is no reason to refuse.
    guarded.time.advance(10.1);
    service.answers[path] = answer();
    expect(await use()).toBe('503 issuer_unreachable');
  });

  test.each<[string, object]>([
    ['of another kind', { token_type: 'urn:keyturn:params:oauth:token-type:api-key' }],
    ['without lists', { allowed_controllers: undefined }],
    ['with a scope that is a list', { scope: ['services:manage'] }],
    ['without a version', { key_version: undefined }],
    ['with an end that is a text', { exp: 'never' }],
  ])('%s is none', async (_, members) => {
    service.answers[path] = answer(members);
    expect(await use()).toBe('503 issuer_unreachable');
  });

  test.each<[string, string]>([
    ['api_key_unusable', '400 api_key_unusable'],
    ['token_invalid', '400 api_key_unknown'],
    ['__proto__', '400 api_key_unknown'],
    ['api_key_of_tomorrow', '400 api_key_unknown'],
  ])('that refuses it by the code %s is told as %s', async (code, outcome) => {
    service.answers[path] = answerJson({ active: false, code, detail: 'x' });
    expect(await use()).toBe(outcome);
    await use();
    expect(service.asked(path)).toHaveLength(1);
    guarded.time.advance(1);
    await use();
    expect(service.asked(path)).toHaveLength(2);
  });
});

describe('what is remembered', () => {
  const caller = { clientId: 'a', keyVersion: 1, expiresAt: undefined } as Caller;
  /** The service as it is now, and what it was asked. */
  const open = (options: Partial<RemoteDoorKeysOptions> = {}) => {
    const asked: string[] = [];
    const service = { isAway: false, good: new Set(['good']) };
    const time = { now: 0 };
    const keys = createRemoteDoorKeys({
      introspection: {
        async findKey(text) {
          asked.push(text);
          if (service.isAway) throw new IssuerUnreachable('away');
          return service.good.has(text) ? { caller } : { code: 'access_key_invalid' };
        },
      },
      revocations: { isKeyRevoked: () => false, isStale: () => false },
      isLastAnswerEnough: false,
      now: () => time.now,
      monotonic: () => time.now,
      ...options,
    });
    const find = (text: string) => keys.findByAccessKey(text, '');
    return { asked, service, time, find };
  };
  const sendMadeUpKeys = async (find: (text: string) => Promise<unknown>) => {
    for (let i = 0; i < 20_000; i += 1) await find(`made-up-${i}`);
  };

  test('of a good key, is not pushed out by keys that somebody makes up', async () => {
    const { asked, find } = open();
    await find('good');
    await sendMadeUpKeys(find);
    expect(await find('good')).toEqual({ caller });
    expect(asked.filter(text => text === 'good')).toHaveLength(1);
  });

  test('of a key that was good once, is not pushed out either, and is what was said last', async () => {
    const { service, time, find } = open({ isLastAnswerEnough: true });
    await find('good');
    service.good.clear();
    time.now = 10_000;
    expect(await find('good')).toEqual({ code: 'access_key_invalid' });
    await sendMadeUpKeys(find);
    service.isAway = true;
    time.now = 20_000;
    expect(await find('good')).toEqual({ code: 'access_key_invalid' });
  });

  test('of a key that has become good, is the good of it', async () => {
    const { service, time, find } = open({ isLastAnswerEnough: true });
    expect(await find('new')).toEqual({ code: 'access_key_invalid' });
    service.good.add('new');
    time.now = 1000;
    expect(await find('new')).toEqual({ caller });
    service.isAway = true;
    time.now = 20_000;
    expect(await find('new')).toEqual({ caller });
  });
});
