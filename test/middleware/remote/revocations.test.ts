/**
 * What a guard elsewhere knows of revocations: none is missed, whatever becomes of the connection, and where it cannot know,
 * it does not let in.
 */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import type { TestService } from '../../support/service.ts';
import { describeOnEmbeddedStore } from '../../support/stores.ts';
import { until } from '../../support/until.ts';
import { guardInTest } from './guarded.ts';
import {
  answerEvents,
  answerJson,
  answerText,
  event,
  heartbeat,
  type ScriptedService,
  snapshot,
  startScriptedService,
} from './scripted-service.ts';

const path = '/oauth/revocations';

describeOnEmbeddedStore('the revocations of a service', store => {
  let service: TestService;
  let apiKey: string;
  let proxy: FaultProxy;
  beforeAll(async () => {
    service = await store.start();
    ({ apiKey } = await service.createKey({ feature: 'resource-server' }));
  });
  beforeEach(async () => {
    proxy = await startFaultProxy(service.port);
    return () => proxy.close();
  });
  const open = (options: object = {}) =>
    guardInTest({
      issuer: service.url,
      audience: service.url,
      apiKey,
      url: `http://127.0.0.1:${proxy.port}`,
      timeout: 500,
      ...options,
    });
  const revoke = async (token: string) => {
    const body = new URLSearchParams({ token });
    const response = await fetch(`${service.url}/oauth/revoke`, { method: 'POST', body });
    expect(response.status).toBe(200);
  };
  const fresh = () => service.token(service.sampleKey);

  test('are known from before the guard came, and heard while it is there', async () => {
    const [early, late, kept] = [await fresh(), await fresh(), await fresh()];
    await revoke(early);
    const guarded = open();
    // The first call waits for what there is to know.
    expect(await guarded.askWith(early)).toBe('401 token_revoked');
    expect(await guarded.askWith(late)).toBe('200');
    await revoke(late);
    await until('it is refused', async () => (await guarded.askWith(late)) === '401 token_revoked', 1000);
    expect(await guarded.askWith(kept)).toBe('200');
    expect(guarded.warnings).toEqual([]);
  });

  test.each<[string, (proxy: FaultProxy) => Promise<void> | void]>([
    ['reset', ({ reset }) => reset()],
    ['refused', ({ refuse }) => refuse()],
    ['losing all bytes', ({ drop }) => drop()],
    ['losing what comes back', ({ half }) => half()],
  ])('are made up for after a connection that was %s, with the last id', async (_, cut) => {
    const guarded = open();
    await guarded.ready();
    const [gone, kept] = [await fresh(), await fresh()];
    expect(await guarded.askWith(gone)).toBe('200');
    await cut(proxy);
    await revoke(gone);
    await until('it has been noticed', () => guarded.warnings.length === 1);
    expect(await guarded.askWith(kept)).toBe('200');
    await proxy.heal();
    await until('it is refused', async () => (await guarded.askWith(gone)) === '401 token_revoked');
    expect(await guarded.askWith(kept)).toBe('200');
    await until('that is told', () => guarded.warnings.length === 2);
    expect(guarded.warnings[1]).toContain('heard again');
  });

  test('that nobody can know of any more let nothing in, until they are heard again', async () => {
    const guarded = open({ maxStaleness: 3 });
    await guarded.ready();
    const [gone, kept] = [await fresh(), await fresh()];
    expect(await guarded.askWith(gone)).toBe('200');
    const cut = performance.now();
    proxy.drop();
    await revoke(gone);
    const outcomes: [number, string][] = [];
    await until('nothing is let in', async () => {
      const asked = performance.now() - cut;
      const outcome = await guarded.askWith(kept);
      outcomes.push([asked, outcome]);
      return outcome === '503 revocation_state_stale';
    });
    expect(outcomes.at(-1)![0]).toBeLessThan(3200);
    expect(new Set(outcomes.map(([, outcome]) => outcome)).size).toBe(2);
    expect(await guarded.askWith(gone)).toBe('503 revocation_state_stale');
    await proxy.heal();
    const seen = new Set<string>();
    await until('it lets in', async () => {
      seen.add(await guarded.askWith(gone));
      return (await guarded.askWith(kept)) === '200';
    });
    expect([...seen].filter(outcome => outcome === '200')).toEqual([]);
    expect(await guarded.askWith(gone)).toBe('401 token_revoked');
  });

  test('are heard with a key that was changed meanwhile, where a function gives it', async () => {
    const first = await service.createKey({ feature: 'resource-server' });
    let current = first.apiKey;
    const streamsEnded = () => service.log.filter(line => line.includes('"/oauth/revocations"')).length;
    const guarded = open({ apiKey: async () => current });
    await guarded.ready();
    const next = await service.createKey({ feature: 'resource-server' });
    current = next.apiKey;
    const before = streamsEnded();
    expect((await service.admin('POST', `/admin/keys/${first.key.id}/revoke`)).status).toBe(200);
    await until('the old key is out', () => streamsEnded() > before);
    const token = await fresh();
    await revoke(token);
    await until('it is heard', async () => (await guarded.askWith(token)) === '401 token_revoked');
    expect(guarded.warnings).toEqual([]);
  });

  test('are heard once a function gives a key for this in place of one that is for something else', async () => {
    const keys = [(await service.createKey({})).apiKey];
    const guarded = open({ apiKey: () => keys.at(-1) ?? '' });
    await expect(guarded.ready()).rejects.toThrow(/answered with 403/);
    keys.push(apiKey);
    await until('it is heard', async () => (await guarded.askWith(await fresh())) === '200');
  });

  test('are not to be had with a key that is none, which shows where nothing is listened to as well', async () => {
    const guarded = open({ apiKey: 'kt_no', listen: false, stale: 'introspect' });
    await expect(guarded.ready()).rejects.toThrow(/does not accept this server's API key/);
    expect(guarded.warnings).toHaveLength(1);
  });

  test.each<[string, string, () => Promise<string>]>([
    ['none', 'answered with 401', async () => 'kt_no'],
    ['not ASCII', 'the API key is none', async () => 'schlüssel'],
    [
      'disabled',
      'answered with 401',
      async () => {
        const made = await service.createKey({ feature: 'resource-server' });
        await service.admin('POST', `/admin/keys/${made.key.id}/disable`);
        return made.apiKey;
      },
    ],
    ['of another feature', 'answered with 403', async () => (await service.createKey({})).apiKey],
  ])('are not for a key that is %s: said once, and by ready()', async (_, reason, make) => {
    const key = await make();
    const guarded = open({ apiKey: key });
    const error = await guarded.ready().then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).toMatch(/does not accept this server's API key .*"resource-server"/);
    expect(error?.message).toContain(reason);
    expect(await guarded.askWith(await fresh())).toBe('503 revocation_state_stale');
    expect(guarded.warnings).toHaveLength(1);
    expect(`${error?.stack} ${guarded.warnings.join()}`).not.toContain(key);
  });
});

describe('a stream', () => {
  let service: ScriptedService;
  beforeEach(async () => {
    service = await startScriptedService();
    return () => service.close();
  });
  const open = (options: object = {}) =>
    guardInTest({ issuer: service.url, audience: service.url, apiKey: 'a key', timeout: 500, ...options });
  const client = '0195c2f0-0000-7000-8000-000000000001';
  const exp = Math.ceil(Date.now() / 1000) + 600;

  test('with an event that cannot be read is begun anew from the one before, and nothing is lost', async () => {
    const guarded = open();
    await guarded.ready();
    const [first, second] = [service.mint({ jti: 'first' }), service.mint({ jti: 'second' })];
    service.answers[path] = answerEvents(event('revocation', { jti: 'second', exp }, 8));
    service.say(event('revocation', { jti: 'first', exp }, 7));
    service.say(`id: 8\nevent: revocation\ndata: {"jti":"sec\n\n${heartbeat(8)}`);
    await until('it is heard', async () => (await guarded.askWith(second)) === '401 token_revoked');
    expect(await guarded.askWith(first)).toBe('401 token_revoked');
    expect(service.asked(path).map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '7']);
    expect(guarded.warnings).toHaveLength(2);
  });

  test.each<[string, string]>([
    ['a version that is no number', event('revocation', { client_id: client, min_key_version: '2' }, 8)],
    ['a negative version', event('revocation', { client_id: client, min_key_version: -1 }, 8)],
    ['no version', event('revocation', { client_id: client }, 8)],
    ['a version beyond all', `id: 8\nevent: revocation\ndata: {"client_id":"x","min_key_version":1e999}\n\n`],
    ['a version between two', event('revocation', { client_id: client, min_key_version: 1.5 }, 8)],
    ['no end', event('revocation', { jti: 'x' }, 8)],
    ['nothing that is revoked', event('revocation', {}, 8)],
    ['null', 'id: 8\nevent: revocation\ndata: null\n\n'],
    ['no JSON', 'id: 8\nevent: revocation\ndata: NaN\n\n'],
    ['no id', `event: revocation\ndata: ${JSON.stringify({ jti: 'x', exp })}\n\n`],
    ['an id that no field may hold', event('revocation', { jti: 'x', exp }, '8\r\u{1F600}')],
    ['a snapshot of something else', event('snapshot', { signing_keys: 'none' }, 8)],
  ])('with %s is begun anew, and what it said is unknown until then', async (_, text) => {
    const guarded = open({ maxStaleness: 3 });
    await guarded.ready();
    service.answers[path] = answerText('{}', 503);
    const from = service.questions.length;
    service.say(text + heartbeat(9));
    await until('it comes again', () => service.asked(path, from).length > 0);
    expect(service.asked(path, from)[0]?.headers['last-event-id']).toBe('1');
    guarded.time.advance(3);
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
    service.answers[path] = answerEvents('');
    await until('it lets in', async () => (await guarded.askWith(service.mint())) === '200');
  });

  test('may say what it likes beside, in any order, twice, and under any name', async () => {
    const guarded = open();
    await guarded.ready();
    const names = ['__proto__', 'constructor', 'toString', ''];
    const tokens = names.map(jti => service.mint({ jti: jti || 'none', client_id: jti || client }));
    expect(await guarded.askWith(tokens[0]!)).toBe('200');
    service.say(': a comment\n\nevent: later\ndata: who knows\n\nretry: 5\n\nid: 99\n\ndata\n\n');
    service.say(event('revocation', { client_id: client, min_key_version: 9 }, 20));
    service.say(event('revocation', { client_id: client, min_key_version: 2 }, 19));
    service.say(event('revocation', { client_id: client, min_key_version: 2 }, 19).replaceAll('\n', '\r\n'));
    service.say(
      `id: 21\nevent: snapshot\ndata: {"keys":{"__proto__":2,"constructor":2},"tokens":{"toString":${exp}},\ndata: "signing_keys":[]}\n\n`,
    );
    service.say(heartbeat(21));
    await until('it is heard', async () => (await guarded.askWith(tokens[0]!)) === '401 token_revoked');
    const outcomes = await Promise.all(tokens.map(token => guarded.askWith(token)));
    expect(outcomes).toEqual(tokens.map(() => '401 token_revoked'));
    expect(await guarded.askWith(service.mint({ client_id: client, key_version: 8 }))).toBe(
      '401 token_revoked',
    );
    expect(await guarded.askWith(service.mint({ client_id: client, key_version: 9 }))).toBe('200');
    expect(await guarded.askWith(service.mint())).toBe('200');
    expect(service.asked(path)).toHaveLength(1);
  });

  test('that vouches before it has said what is revoked vouches for nothing', async () => {
    service.answers[path] = answerEvents('');
    const guarded = open();
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
  });

  test('that ends is begun again: in silence where it was of use, and else that is told', async () => {
    service.answers[path] = answerText(snapshot() + heartbeat(), 200);
    const guarded = open();
    await guarded.ready();
    await until('it has begun again', () => service.asked(path).length > 2);
    expect(guarded.warnings).toEqual([]);
    service.answers[path] = answerText('', 200);
    await until('it is told', () => guarded.warnings.length === 1);
  });

  test('that is refused for a time is left alone for as long as it asks', async () => {
    const guarded = open();
    await guarded.ready();
    const times: number[] = [];
    service.answers[path] = (res, question) => {
      times.push(question.at);
      const fault = times.length < 3 ? answerText('{}', 503, { 'retry-after': '1' }) : answerEvents('');
      fault(res, question);
    };
    service.say('id: 1\nevent: revocation\ndata: {}\n\n');
    await until('it is heard again', () => guarded.warnings.length === 2);
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeGreaterThan(950);
    expect(times[2]! - times[1]!).toBeGreaterThan(950);
  });

  test('that asks to be left alone for years is left alone for a while, and is not asked in a loop', async () => {
    const guarded = open();
    await guarded.ready();
    const from = service.questions.length;
    service.answers[path] = answerText('{}', 503, { 'retry-after': '9999999999' });
    service.say('id: 1\nevent: revocation\ndata: {}\n\n');
    await until('it is asked', () => service.asked(path, from).length > 0);
    const { at } = service.asked(path, from)[0]!;
    await until('two seconds have passed', () => performance.now() - at > 2000);
    expect(service.asked(path, from)).toHaveLength(1);
  });

  test('that is held up does not pass for fresh, however it arrives', async () => {
    service.answers[path] = answerEvents(snapshot());
    const guarded = open({ maxStaleness: 10 });
    await guarded.ready();
    const from = service.questions.length;
    // This process, or the way, stood still for nine seconds, and of what was sent meanwhile three heartbeats arrive.
    service.answers[path] = answerText('{}', 503);
    guarded.time.advance(9);
    service.say(heartbeat() + heartbeat() + heartbeat());
    await until('another connection is asked for', () => service.asked(path, from).length > 0);
    guarded.time.advance(5);
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
  });

  test('that is held up more and more does not pass for fresh either', async () => {
    const guarded = open({ maxStaleness: 10 });
    await guarded.ready();
    const from = service.questions.length;
    service.answers[path] = answerText('{}', 503);
    for (const jti of ['a', 'b', 'c']) {
      guarded.time.advance(2.9);
      service.say(heartbeat() + event('revocation', { jti, exp }, 2));
      await until('it is read', async () => (await guarded.askWith(service.mint({ jti }))) !== '200');
    }
    await until('another connection is asked for', () => service.asked(path, from).length > 0);
    guarded.time.advance(6);
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
  });

  test('that was quiet because the machine slept is old when it wakes', async () => {
    const guarded = open();
    await guarded.ready();
    expect(await guarded.askWith(service.mint())).toBe('200');
    service.answers[path] = answerText('{}', 503);
    // A clock that is corrected is no sleep.
    guarded.time.sleep(0.9);
    expect(await guarded.askWith(service.mint())).toBe('200');
    guarded.time.sleep(600);
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
    service.answers[path] = answerEvents('');
    await until('it lets in', async () => (await guarded.askWith(service.mint())) === '200');
  });

  test('that lags a little is believed as far as it goes, and not given up', async () => {
    const guarded = open({ maxStaleness: 10 });
    await guarded.ready();
    guarded.time.advance(2);
    service.say(heartbeat() + heartbeat());
    await until('heartbeats are heard', async () => (await guarded.askWith(service.mint())) === '200');
    expect(service.asked(path)).toHaveLength(1);
  });

  test('is begun a hundred times, and leaves nothing behind', async () => {
    const guarded = open();
    await guarded.ready();
    const once = answerText(snapshot() + heartbeat(), 200, { 'content-type': 'text/event-stream' });
    service.answers[path] = once;
    service.say('event: revocation\ndata: {}\n\n');
    const counted = () => process.getActiveResourcesInfo().length;
    await until('it has begun ten times', () => service.asked(path).length > 10, 30_000);
    const before = counted();
    await until('it has begun a hundred times', () => service.asked(path).length > 110, 60_000);
    expect(counted()).toBeLessThan(before + 10);
    expect(service.listeners()).toBeLessThan(3);
    expect(guarded.warnings.length).toBeLessThan(5);
  }, 90_000);

  test('is heard until the guard is closed; then ready() says so', async () => {
    service.answers['/.well-known/jwks.json'] = answerJson({}, 500);
    const guarded = open();
    await until('it listens', () => service.listeners() === 1);
    const ready = guarded.ready();
    guarded.close();
    await expect(ready).rejects.toThrow('closed');
    await until('nobody listens', () => service.listeners() === 0);
    const from = service.questions.length;
    guarded.close();
    await expect(guarded.ready()).rejects.toThrow('closed');
    expect(service.asked(path, from)).toEqual([]);
  });
});
