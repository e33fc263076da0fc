/** `GET /oauth/revocations`: how resource servers elsewhere learn of revocations, and that they miss none. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createRevocationLog, type RevocationLog } from '../../src/issuer/revocation-log.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { Store } from '../../src/store/store.ts';
import { type EventReader, openEvents, type ServerEvent } from '../support/event-reader.ts';
import { requestText } from '../support/raw-http.ts';
import { startRedis } from '../support/redis-servers.ts';
import { until } from '../support/until.ts';
import { startService, type TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore, type StorePlace } from '../support/stores.ts';

const path = '/oauth/revocations';

interface Caller {
  readonly id: string;
  readonly apiKey: string;
}

async function createCaller(service: TestService, fields: Record<string, unknown> = {}): Promise<Caller> {
  const { key, apiKey } = await service.createKey({ feature: 'resource-server', ...fields });
  return { id: key.id, apiKey };
}

function basic({ id, apiKey }: Caller): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${apiKey}`).toString('base64')}` };
}

async function bearer(service: TestService, { apiKey }: Caller): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${await service.token(apiKey)}` };
}

async function revoke(service: TestService, token: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token }),
  });
  await response.text();
  if (response.status !== 200) throw new Error(`not revoked: ${response.status}`);
}

/** Revokes a new token. */
async function revokeOne(service: TestService): Promise<{ jti: string; exp: number }> {
  const token = await service.token(service.sampleKey);
  await revoke(service, token);
  const { jti = '', exp = 0 } = decodeJwt(token);
  return { jti, exp };
}

function numbers(events: readonly ServerEvent[]): number[] {
  return events.map(({ id }) => Number(id));
}

/** The tokens of that many revocations. */
async function hearTokens(reader: EventReader, count: number): Promise<Set<unknown>> {
  const heard = new Set<unknown>();
  for (let i = 0; i < count; i += 1) heard.add((await reader.next('revocation')).data['jti']);
  return heard;
}

/** That each event's two ids agree, are integers, and never go back; those of revocations go on. */
function expectOrder(events: readonly ServerEvent[]): void {
  for (const { id, data } of events) {
    expect(id).toMatch(/^(?:0|[1-9]\d{0,15})$/);
    expect(data.id).toBe(id);
  }
  expect(numbers(events)).toEqual(numbers(events).toSorted((a, b) => a - b));
  const revocations = numbers(events.filter(({ event }) => event === 'revocation'));
  expect(new Set(revocations).size).toBe(revocations.length);
}

describeOnEachStore('the events of revocations', store => {
  let service: TestService;
  let caller: Caller;
  const open: EventReader[] = [];
  const listen = async (headers: Record<string, string> = {}, at = service) => {
    const reader = await openEvents(`http://127.0.0.1:${at.port}${path}`, { ...basic(caller), ...headers });
    open.push(reader);
    return reader;
  };
  beforeAll(async () => {
    service = await store.start();
    caller = await createCaller(service);
  });
  afterEach(() => {
    for (const reader of open.splice(0)) {
      expectOrder(reader.events);
      reader.close();
    }
  });

  describe('begin', () => {
    test('with their headers and the time after which to come back', async () => {
      const reader = await listen();
      expect(reader.status).toBe(200);
      expect(reader.headers).toMatchObject({
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      expect(reader.headers).not.toHaveProperty('content-encoding');
      expect(reader.headers).not.toHaveProperty('access-control-allow-origin');
      await reader.next('snapshot');
      expect(reader.text()).toMatch(/^retry: 1000\n\nid: \d+\nevent: snapshot\ndata: \{.*\}\n\n/);
    });
    test('with a snapshot of all that is revoked: keys, tokens and signing keys', async () => {
      const { jti, exp } = await revokeOne(service);
      const dead = await service.createKey({});
      await revoke(service, dead.apiKey);
      const { data } = await (await listen()).next('snapshot');
      expect(data).toMatchObject({ tokens: { [jti]: exp }, keys: { [dead.key.id]: 2 } });
      expect(Object.keys(data).sort()).toEqual(['id', 'keys', 'signing_keys', 'tokens']);
      expect(data['signing_keys']).toBeInstanceOf(Array);
    });
    test('with a token just as with a key', async () => {
      const reader = await listen(await bearer(service, caller));
      expect(reader.status).toBe(200);
      await reader.next('snapshot');
    });
    test('at 0 on a log that has no entries yet', async () => {
      const empty = await store.start();
      const reader = await listen(basic(await createCaller(empty)), empty);
      const { id, data } = await reader.next('snapshot');
      expect({ id, data }).toEqual({ id: '0', data: { id: '0', keys: {}, tokens: {}, signing_keys: [] } });
      const { jti } = await revokeOne(empty);
      expect((await reader.next('revocation')).data['jti']).toBe(jti);
    });
    test('for HEAD with the headers alone', async () => {
      const response = await fetch(service.url + path, { method: 'HEAD', headers: basic(caller) });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      expect(await response.text()).toBe('');
    });
    test('for a client of HTTP/1.0', async () => {
      const { authorization } = basic(caller);
      const socket = connect({ port: service.port, host: '127.0.0.1' });
      socket.write(requestText([`GET ${path} HTTP/1.0`, 'Host: x', `Authorization: ${authorization}`]));
      let heard = '';
      socket.on('data', chunk => {
        heard += chunk.toString('latin1');
      });
      await until('there is a snapshot', () => heard.includes('event: snapshot'));
      socket.destroy();
      expect(heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(heard).not.toMatch(/transfer-encoding/i);
    });
  });

  describe('go on', () => {
    test('with each revocation, soon after it', async () => {
      const reader = await listen();
      await reader.next('snapshot');
      const { jti, exp } = await revokeOne(service);
      const { id, data } = await reader.next('revocation');
      expect(data).toEqual({ id, jti, exp });
    });
    test.each<[what: string, change: (id: string, apiKey: string) => Promise<unknown>]>([
      ['revoked', (_, apiKey) => revoke(service, apiKey)],
      ['disabled', id => service.admin('POST', `/admin/keys/${id}/disable`)],
      ['narrowed', id => service.admin('PATCH', `/admin/keys/${id}`, { corsOrigins: [] })],
      ['deleted', id => service.admin('DELETE', `/admin/keys/${id}`)],
      ['rotated now', id => service.admin('POST', `/admin/keys/${id}/rotations`, { mode: 'now' })],
    ])('with the least version of a key that was %s', async (_, change) => {
      const { key, apiKey } = await service.createKey({ corsOrigins: ['https://app.example'] });
      const reader = await listen();
      await reader.next('snapshot');
      await change(key.id, apiKey);
      const { id, data } = await reader.next('revocation');
      expect(data).toEqual({ id, client_id: key.id, min_key_version: 2 });
    });
    test('in the order of the log, with ids that increase', async () => {
      const reader = await listen();
      await reader.next('snapshot');
      const revoked = await Promise.all(Array.from({ length: 40 }, () => revokeOne(service)));
      expect(await hearTokens(reader, revoked.length)).toEqual(new Set(revoked.map(({ jti }) => jti)));
    });
    test('with a heartbeat each second, whose id is that of the last event', async () => {
      const reader = await listen();
      const { id } = await reader.next('snapshot');
      await reader.next('heartbeat');
      const since = performance.now();
      const { data } = await reader.next('heartbeat');
      expect(data).toEqual({ id });
      expect(performance.now() - since).toBeGreaterThan(500);
      expect(performance.now() - since).toBeLessThan(2500);
      await revokeOne(service);
      const revocation = await reader.next('revocation');
      expect((await reader.next('heartbeat')).id).toBe(revocation.id);
    });
    test('for many who listen, all alike', async () => {
      const readers = await Promise.all(Array.from({ length: 250 }, () => listen()));
      await Promise.all(readers.map(reader => reader.next('snapshot')));
      const { jti } = await revokeOne(service);
      const heard = await Promise.all(readers.map(reader => reader.next('revocation')));
      expect(new Set(heard.map(({ data }) => data['jti']))).toEqual(new Set([jti]));
      await Promise.all(readers.map(reader => reader.next('heartbeat')));
    });
  });

  describe('are resumed', () => {
    test('after the event that was the last to be heard, without a snapshot', async () => {
      const first = await listen();
      await first.next('snapshot');
      await revokeOne(service);
      const { id: last } = await first.next('revocation');
      first.close();
      const missed = [await revokeOne(service), await revokeOne(service)];
      const second = await listen({ 'last-event-id': last });
      for (const { jti } of missed) expect((await second.next('revocation')).data['jti']).toBe(jti);
      const { jti } = await revokeOne(service);
      expect((await second.next('revocation')).data['jti']).toBe(jti);
      expect(second.events.filter(({ event }) => event === 'snapshot')).toEqual([]);
      expect(Math.min(...numbers(second.events))).toBeGreaterThan(Number(last));
    });
    test('after a heartbeat and after a snapshot as after any event', async () => {
      for (const kind of ['heartbeat', 'snapshot']) {
        const first = await listen();
        const { id: last } = await first.next(kind);
        first.close();
        const { jti } = await revokeOne(service);
        const second = await listen({ 'last-event-id': last });
        expect((await second.next('revocation')).data['jti']).toBe(jti);
        expect(second.events.filter(({ event }) => event === 'snapshot')).toEqual([]);
      }
    });
    test('with nothing missed by nothing', async () => {
      const first = await listen();
      const { id } = await first.next('snapshot');
      const second = await listen({ 'last-event-id': id });
      await second.next('heartbeat');
      expect(second.events.every(({ event }) => event === 'heartbeat')).toBe(true);
    });
    test('while revocations come in, losing none and doubling none', async () => {
      const reader = await listen();
      const { id } = await reader.next('snapshot');
      reader.close();
      const before = await Promise.all(Array.from({ length: 30 }, () => revokeOne(service)));
      const [second, ...meanwhile] = await Promise.all([
        listen({ 'last-event-id': id }),
        ...Array.from({ length: 30 }, () => revokeOne(service)),
      ]);
      const expected = [...before, ...meanwhile].map(({ jti }) => jti);
      expect(await hearTokens(second, expected.length)).toEqual(new Set(expected));
    });
    test.each([
      '',
      '0',
      'x',
      '-1',
      '1.5',
      '1e3',
      '00',
      '1-0',
      '99999999999999999999',
      '9007199254740991',
      '1',
      'null',
      '1, 1',
    ])('with a snapshot where the id is %j', async id => {
      await revokeOne(service);
      const reader = await listen({ 'last-event-id': id });
      const { data } = await reader.next('snapshot');
      expect(reader.events[0]?.event).toBe('snapshot');
      expect(Object.keys(data['tokens'] as object).length).toBeGreaterThan(0);
    });
    test('with a snapshot where the id is of no entry', async () => {
      const { id } = await (await listen()).next('snapshot');
      await revokeOne(service);
      const reader = await listen({ 'last-event-id': String(Number(id) + 1) });
      expect(Number((await reader.next('snapshot')).id)).toBeGreaterThan(Number(id));
    });
  });

  describe('are for resource servers alone', () => {
    const get = (headers: Record<string, string>) => fetch(service.url + path, { headers });
    test('and ask others for a token, as every guarded route does', async () => {
      const response = await get({});
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="keyturn", resource_metadata=/);
      expect(await response.json()).toMatchObject({ code: 'credential_missing' });
    });
    test('and refuse a token of another feature, saying what is needed', async () => {
      const response = await get({ authorization: `Bearer ${await service.token(service.sampleKey)}` });
      expect(response.status).toBe(403);
      expect(response.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    });
    test('and refuse a token that is none, or revoked', async () => {
      const token = await service.token(caller.apiKey);
      await revoke(service, token);
      for (const bad of ['x.y.z', token]) {
        const response = await get({ authorization: `Bearer ${bad}` });
        expect(response.status).toBe(401);
        expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
      }
    });
    test('and refuse a wrong key with the challenge of Basic', async () => {
      const response = await get(basic({ id: caller.id, apiKey: 'wrong' }));
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(
        /^Basic realm="keyturn", error="invalid_client"/,
      );
      expect(await response.json()).toMatchObject({ error: 'invalid_client' });
    });
    test('and refuse a good key of another feature, saying what is needed', async () => {
      const response = await get(basic({ id: '', apiKey: service.sampleKey }));
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ error: 'insufficient_scope' });
    });
    test.each(['POST', 'PUT', 'DELETE'])('and by %s are 405', async method => {
      const response = await fetch(service.url + path, { method, headers: basic(caller) });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toContain('GET');
    });
  });

  describe('end', () => {
    test('when the token has expired', async () => {
      const own = await store.start();
      const reader = await listen(await bearer(own, await createCaller(own)), own);
      await reader.next('heartbeat');
      own.clock.advance(901);
      await expect(reader.ended).resolves.toBeUndefined();
    });
    test('when the token is revoked, after telling of it', async () => {
      const token = await service.token(caller.apiKey);
      const reader = await listen({ authorization: `Bearer ${token}` });
      await reader.next('snapshot');
      await revoke(service, token);
      expect((await reader.next('revocation')).data['jti']).toBe(decodeJwt(token).jti);
      await expect(reader.ended).resolves.toBeUndefined();
    });
    test.each<[what: string, end: (id: string, apiKey: string) => Promise<unknown>]>([
      ['revoked', (_, apiKey) => revoke(service, apiKey)],
      ['disabled', id => service.admin('POST', `/admin/keys/${id}/disable`)],
      ['narrowed', id => service.admin('PATCH', `/admin/keys/${id}`, { allowedControllers: [] })],
      ['deleted', id => service.admin('DELETE', `/admin/keys/${id}`)],
    ])('when the key is %s, whether it came with a token or itself', async (_, end) => {
      const own = await createCaller(service);
      const readers = [await listen(basic(own)), await listen(await bearer(service, own))];
      for (const reader of readers) await reader.next('snapshot');
      await end(own.id, own.apiKey);
      for (const reader of readers) await expect(reader.ended).resolves.toBeUndefined();
    });
    test('when the key has expired', async () => {
      const own = await store.start();
      const expiresAt = new Date(own.clock.now() + 60_000).toISOString();
      const reader = await listen(basic(await createCaller(own, { expiresAt })), own);
      await reader.next('heartbeat');
      own.clock.advance(61);
      await expect(reader.ended).resolves.toBeUndefined();
    });
    test('not when another key is revoked', async () => {
      const reader = await listen();
      await revoke(service, (await service.createKey({})).apiKey);
      const { id } = await reader.next('revocation');
      await reader.next('heartbeat');
      expect((await reader.next('heartbeat')).id).toBe(id);
    });
    test('at once when the service is stopped, which is not held up by them', async () => {
      const own = await store.start();
      const headers = basic(await createCaller(own));
      const readers = await Promise.all([1, 2, 3].map(() => listen(headers, own)));
      for (const reader of readers) await reader.next('snapshot');
      const since = performance.now();
      await own.stop();
      for (const reader of readers) await expect(reader.ended).resolves.toBeUndefined();
      expect(performance.now() - since).toBeLessThan(900);
    });
    test('with a line of log that says how long they were, and of whom', async () => {
      const own = await createCaller(service);
      const reader = await listen(basic(own));
      await reader.next('heartbeat');
      reader.close();
      const lines = () => service.log.filter(line => line.includes(path) && line.includes(own.id));
      await until('the line is written', () => lines().length === 1);
      expect(JSON.parse(lines()[0]!)).toMatchObject({ status: 200, url: path, clientId: own.id });
      expect((JSON.parse(lines()[0]!) as { ms: number }).ms).toBeGreaterThan(10);
    });
  });
});

describeOnEachStore('the events of revocations, of what is in the log', store => {
  let place: StorePlace;
  let service: TestService;
  let caller: Caller;
  let log: RevocationLog;
  let opened: Store;
  const open: EventReader[] = [];
  const listen = async (headers: Record<string, string> = {}, at = service) => {
    const reader = await openEvents(`http://127.0.0.1:${at.port}${path}`, { ...basic(caller), ...headers });
    open.push(reader);
    return reader;
  };
  beforeAll(async () => {
    place = await store.place();
    service = await store.start({}, place);
    caller = await createCaller(service);
    opened = await openStore({ ...place, clock: Date.now, onWarning: () => undefined });
    log = createRevocationLog({
      store: opened,
      clock: Date.now,
      monotonic: () => performance.now(),
      maxStaleness: 0,
      confirm: async () => undefined,
      onRingChanged: async () => undefined,
      onMalformedEntry: () => undefined,
      onLogLost: () => undefined,
    });
    await revokeOne(service);
  });
  afterEach(() => {
    for (const reader of open.splice(0)) {
      expectOrder(reader.events);
      reader.close();
    }
  });
  afterAll(() => opened.close());

  test('a signing key that was revoked', async () => {
    const reader = await listen();
    await reader.next('snapshot');
    const kid = randomUUID();
    await log.revokeSigningKey(kid);
    const { id, data } = await reader.next('revocation');
    expect(data).toEqual({ id, kid });
    expect((await (await listen()).next('snapshot')).data['signing_keys']).toContain(kid);
    const { kid: living } = decodeProtectedHeader(await service.token(service.sampleKey));
    expect(living).not.toBe(kid);
  });
  test('what another instance revokes, soon after it', async () => {
    const other = await store.start({}, place);
    const reader = await listen({}, other);
    await reader.next('snapshot');
    const { jti } = await revokeOne(service);
    expect((await reader.next('revocation')).data['jti']).toBe(jti);
  });
  test('resumed at another instance than before', async () => {
    const other = await store.start({}, place);
    const first = await listen();
    const { id } = await first.next('snapshot');
    first.close();
    const { jti } = await revokeOne(service);
    const second = await listen({ 'last-event-id': id }, other);
    expect((await second.next('revocation')).data['jti']).toBe(jti);
    expect(second.events.filter(({ event }) => event === 'snapshot')).toEqual([]);
  });
  test('where the ring of signing keys is news too, that is passed over', async () => {
    const first = await listen();
    const { id } = await first.next('snapshot');
    first.close();
    await log.announceRing();
    const { jti } = await revokeOne(service);
    await log.announceRing();
    const second = await listen({ 'last-event-id': id });
    expect((await second.next('revocation')).data['jti']).toBe(jti);
    const { id: after } = await second.next('heartbeat');
    second.close();
    const third = await listen({ 'last-event-id': after });
    await third.next('heartbeat');
    expect(third.events.map(({ event }) => event)).not.toContain('snapshot');
  });
  test('thousands of them, in the order of the log, across pages of it', async () => {
    const first = await listen();
    const { id } = await first.next('snapshot');
    first.close();
    const exp = Math.ceil(Date.now() / 1000) + 600;
    const names = Array.from({ length: 2500 }, (_, i) => `token-${i}`);
    for (let done = 0; done < names.length; done += 250)
      await Promise.all(names.slice(done, done + 250).map(name => log.revokeToken(name, exp)));
    const second = await listen({ 'last-event-id': id });
    expect(await hearTokens(second, names.length)).toEqual(new Set(names));
    expect(second.events.map(({ event }) => event)).not.toContain('snapshot');
  }, 60_000);
  test('where an entry cannot be read, a snapshot to everybody', async () => {
    const own = await store.place();
    const sound = await store.start({}, own);
    caller = await createCaller(sound);
    await revokeOne(sound);
    const reader = await listen({}, sound);
    const { id } = await reader.next('snapshot');
    const damaged = await openStore({ ...own, clock: Date.now, onWarning: () => undefined });
    await damaged.append('revocations', 'nonsense', { retention: 60_000 });
    await reader.next('snapshot');
    const resumed = await listen({ 'last-event-id': id }, sound);
    await resumed.next('snapshot');
    await damaged.close();
    // It is a fault, and says so.
    expect(sound.log.filter(line => line.includes('cannot be read'))).toHaveLength(1);
    sound.log.splice(0, sound.log.length, ...sound.log.filter(line => !line.includes('cannot be read')));
    caller = await createCaller(service);
  });
});

describeOnEmbeddedStore('a slow reader of revocations', store => {
  let service: TestService;
  let place: StorePlace;
  let log: RevocationLog;
  let opened: Store;
  let headers: { authorization: string };
  const exp = Math.ceil(Date.now() / 1000) + 600;
  /** Revokes that many tokens of long names. */
  const flood = async (count: number, length: number) => {
    for (let done = 0; done < count; done += 50) {
      await Promise.all(
        Array.from({ length: 50 }, () =>
          log.revokeToken(`${'x'.repeat(length)}${randomUUID()}`.slice(-400), exp),
        ),
      );
    }
  };
  beforeAll(async () => {
    place = await store.place();
    service = await store.start({}, place);
    headers = basic(await createCaller(service));
    opened = await openStore({ ...place, clock: Date.now, onWarning: () => undefined });
    log = createRevocationLog({
      store: opened,
      clock: Date.now,
      monotonic: () => performance.now(),
      maxStaleness: 0,
      confirm: async () => undefined,
      onRingChanged: async () => undefined,
      onMalformedEntry: () => undefined,
      onLogLost: () => undefined,
    });
  });
  afterAll(() => opened.close());
  const listen = (more: Record<string, string> = {}) =>
    openEvents(`http://127.0.0.1:${service.port}${path}`, { ...headers, ...more });

  test('is cut off, and goes on where it was when it comes back', async () => {
    const [slow, quick] = [await listen(), await listen()];
    await slow.next('snapshot');
    slow.pause();
    let flooded = 0;
    const lines = () => service.log.filter(line => line.includes(path));
    // What the kernel takes in its buffers does not count, so it takes a few times as much.
    while (lines().length === 0 && flooded < 60_000) {
      await flood(1000, 400);
      flooded += 1000;
    }
    expect(lines()).toHaveLength(1);
    slow.resume();
    await slow.ended;
    const last = slow.events.at(-1)!.id;
    const again = await listen({ 'last-event-id': last });
    const total = flooded - slow.events.filter(({ event }) => event === 'revocation').length;
    expect(total).toBeGreaterThan(0);
    await hearTokens(again, total);
    expect(again.events.map(({ event }) => event)).not.toContain('snapshot');
    expectOrder([...slow.events, ...again.events]);
    expect(quick.events.filter(({ event }) => event === 'revocation')).toHaveLength(flooded);
    again.close();
    quick.close();
  }, 120_000);
});

describe('an instance that is cut off from its store', () => {
  test('vouches for nothing, lets nobody in, and goes on when the store is back', async () => {
    const redis = await startRedis();
    const service = await startService({ redisUrl: redis.url, env: { KEYTURN_MAX_STALENESS: '2' } });
    try {
      const caller = await createCaller(service);
      const token = await service.token(caller.apiKey);
      const reader = await openEvents(service.url + path, basic(caller));
      await reader.next('heartbeat');
      redis.freeze();
      const get = (authorization: string) => fetch(service.url + path, { headers: { authorization } });
      for (const authorization of [`Bearer ${token}`, basic(caller).authorization]) {
        await until('it lets nobody in', async () => {
          const response = await get(authorization);
          await response.body?.cancel();
          return response.status === 503 && response.headers.get('retry-after') === '1';
        });
      }
      const heard = reader.events.length;
      await new Promise(resolve => {
        setTimeout(resolve, 2500);
      });
      expect(reader.events).toHaveLength(heard);
      redis.thaw();
      await reader.next('heartbeat');
      // A command that was under way when Redis froze may end late, and its connection with it.
      await until('tokens are given again', async () => (await service.exchange(caller.apiKey)).ok);
      const { jti } = await revokeOne(service);
      expect((await reader.next('revocation')).data['jti']).toBe(jti);
      expect(reader.events.filter(({ event }) => event === 'snapshot')).toHaveLength(1);
      reader.close();
    } finally {
      redis.thaw();
      await service.stop();
      await redis.stop();
    }
  }, 60_000);
});
