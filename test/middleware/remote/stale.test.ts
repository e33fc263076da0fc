/**
 * What becomes of good tokens, and of dead ones, while the service is away: each of the modes, for less than the bound, for
 * longer, and when it is back.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createGuard } from '../../../src/middleware/fetch.ts';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { connections, type Guarded, guardInTest } from './guarded.ts';
import {
  answerEvents,
  answerJson,
  answerNothing,
  answerText,
  type ScriptedService,
  snapshot,
  startScriptedService,
} from './scripted-service.ts';

describe('a service that is away', () => {
  let service: TestService;
  let apiKey: string;
  let proxy: FaultProxy;
  beforeAll(async () => {
    service = await startService();
    ({ apiKey } = await service.createKey({ feature: 'resource-server' }));
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    proxy = await startFaultProxy(service.port);
    return () => proxy.close();
  });
  const good = '200';
  const dead = '401 token_revoked';
  const stale = '503 revocation_state_stale';
  const unreachable = '503 issuer_unreachable';

  test.each<['refuse' | 'introspect' | 'accept', Record<string, [string, string, string]>]>([
    // The outcome of a good token; of one that was revoked before; of one that was revoked meanwhile.
    ['refuse', { short: [good, dead, good], long: [stale, dead, stale], back: [good, dead, dead] }],
    [
      'introspect',
      { short: [good, dead, good], long: [unreachable, dead, unreachable], back: [good, dead, dead] },
    ],
    ['accept', { short: [good, dead, good], long: [good, dead, good], back: [good, dead, dead] }],
  ])('and stale: %s', async (mode, expected) => {
    const url = `http://127.0.0.1:${proxy.port}`;
    const options = { issuer: service.url, audience: service.url, apiKey, url, timeout: 500, stale: mode };
    const guarded = guardInTest(options);
    await guarded.ready();
    const tokens = [await token(), await token(), await token()] as const;
    const [, before, meanwhile] = tokens;
    const look = () => Promise.all(tokens.map(each => guarded.askWith(each)));
    expect(await look()).toEqual([good, good, good]);
    await revoke(before);
    await until('it is heard', async () => (await guarded.askWith(before)) === dead);
    await proxy.refuse();
    await revoke(meanwhile);
    guarded.time.advance(5);
    expect(await look()).toEqual(expected['short']);
    guarded.time.advance(5);
    expect(await look()).toEqual(expected['long']);
    await proxy.heal();
    await until('all is heard', async () => (await guarded.askWith(meanwhile)) === dead);
    await until('it is fresh', async () => (await guarded.askWith(tokens[0])) === good);
    expect(await look()).toEqual(expected['back']);
  });

  const token = () => service.token(service.sampleKey);
  const revoke = async (text: string) => {
    const body = new URLSearchParams({ token: text });
    expect((await fetch(`${service.url}/oauth/revoke`, { method: 'POST', body })).status).toBe(200);
  };

  test('by its stream alone is asked about each token, and knows those that were revoked meanwhile', async () => {
    // A way that lets no stream through, as some proxies do.
    const withoutStream: typeof fetch = async (input, init) =>
      input === `${service.url}/oauth/revocations` ? new Response(null, { status: 502 }) : fetch(input, init);
    const issuer = service.url;
    const guarded = guardInTest({
      issuer,
      audience: issuer,
      apiKey,
      stale: 'introspect',
      fetch: withoutStream,
    });
    const [gone, kept] = [await token(), await token()];
    expect(await guarded.askWith(gone)).toBe(good);
    await revoke(gone);
    expect(await guarded.askWith(gone)).toBe(dead);
    expect(await guarded.askWith(kept)).toBe(good);
    expect(await guarded.ask({ authorization: `Bearer ${kept}` }, { scope: 'other:read' })).toBe(
      '403 insufficient_scope',
    );
  });

  test('needs no stream at all where it is not to listen', async () => {
    const issuer = service.url;
    const guarded = guardInTest({ issuer, audience: issuer, apiKey, stale: 'introspect', listen: false });
    await guarded.ready();
    const gone = await token();
    expect(await guarded.askWith(gone)).toBe(good);
    await revoke(gone);
    expect(await guarded.askWith(gone)).toBe(dead);
    expect(guarded.warnings).toEqual([]);
  });
});

describe('introspection', () => {
  const path = '/oauth/introspect';
  let service: ScriptedService;
  beforeEach(async () => {
    service = await startScriptedService();
    service.answers['/oauth/revocations'] = answerText('{}', 503);
    return () => service.close();
  });
  const open = () =>
    guardInTest({
      issuer: service.url,
      audience: service.url,
      apiKey: 'a key',
      stale: 'introspect',
    });
  /** Tokens that the guard has let in once: their signatures are not what takes time. */
  const warm = async (guarded: Guarded, count: number) => {
    const tokens = Array.from({ length: count }, () => service.mint());
    for (const token of tokens) expect(await guarded.askWith(token)).toBe('200');
    return tokens;
  };
  const askAll = async (guarded: Guarded, tokens: readonly string[]) => {
    const begun = performance.now();
    const outcomes = await Promise.all(tokens.map(token => guarded.askWith(token)));
    return { outcomes: [...new Set(outcomes)], took: performance.now() - begun };
  };

  test.each([
    ['that says nothing', answerNothing],
    ['that fails', answerText('{}', 503)],
    ['that answers something else', answerText('<p>Welcome!</p>')],
    ['that answers an object of another kind', answerJson({ ok: true })],
    ['that leads elsewhere', answerText('', 307, { location: '/elsewhere' })],
  ])('%s is asked a few times, and nobody waits for longer than the first', async (_, answer) => {
    const guarded = open();
    const tokens = await warm(guarded, 1000);
    service.answers[path] = answer;
    const from = service.questions.length;
    const first = await askAll(guarded, tokens);
    expect(first.outcomes).toEqual(['503 issuer_unreachable']);
    expect(first.took).toBeLessThan(3000);
    expect(service.asked(path, from).length).toBeLessThanOrEqual(64);
    const later = service.questions.length;
    const second = await askAll(guarded, tokens);
    expect(second.outcomes).toEqual(['503 issuer_unreachable']);
    expect(second.took).toBeLessThan(800);
    expect(service.asked(path, later)).toEqual([]);
    // Then one asks for all.
    guarded.time.advance(1);
    const third = await askAll(guarded, tokens);
    expect(third.outcomes).toEqual(['503 issuer_unreachable']);
    expect(service.asked(path, later)).toHaveLength(1);
    service.answers[path] = answerJson({ active: true });
    guarded.time.advance(1);
    expect(await guarded.askWith(service.mint())).toBe('200');
    expect((await askAll(guarded, tokens.slice(0, 100))).outcomes).toEqual(['200']);
    expect(service.questions.filter(question => question.path === '/elsewhere')).toEqual([]);
  });

  test.each([
    ['in seconds', { 'retry-after': '5' }],
    [
      'as a date, by the clock that names it',
      { 'retry-after': 'Tue, 01 Jan 2030 00:00:05 GMT', date: 'Tue, 01 Jan 2030 00:00:00 GMT' },
    ],
  ])('is left alone for as long as it asks, %s', async (_, headers) => {
    const guarded = open();
    await guarded.askWith(service.mint());
    service.answers[path] = answerText('{}', 429, headers);
    expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
    const from = service.questions.length;
    service.answers[path] = answerJson({ active: true });
    guarded.time.advance(4);
    expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
    expect(service.asked(path, from)).toEqual([]);
    guarded.time.advance(1);
    expect(await guarded.askWith(service.mint())).toBe('200');
  });

  test('that does not understand one question is asked the others', async () => {
    const guarded = open();
    const [odd, good] = [service.mint(), service.mint()];
    expect(await guarded.askWith(good)).toBe('200');
    service.answers[path] = (res, question) =>
      question.body.includes(odd)
        ? answerText('{}', 400)(res, question)
        : answerJson({ active: true })(res, question);
    expect(await guarded.askWith(odd)).toBe('503 issuer_unreachable');
    expect(await guarded.askWith(good)).toBe('200');
  });

  test('that is slow keeps nobody waiting for longer than two timeouts, however many wait', async () => {
    const guarded = open();
    const tokens = await warm(guarded, 400);
    service.answers[path] = (res, question) =>
      void setTimeout(() => answerJson({ active: true })(res, question), 1200);
    const { outcomes, took } = await askAll(guarded, tokens);
    expect(outcomes.toSorted()).toEqual(['200', '503 issuer_unreachable']);
    expect(took).toBeLessThan(4500);
  });

  test('is not asked about what is known to be dead, or what is not genuine', async () => {
    const exp = Math.ceil(Date.now() / 1000) + 600;
    service.answers['/oauth/revocations'] = answerEvents(snapshot({ tokens: { dead: exp } }));
    const guarded = open();
    await guarded.ready();
    service.answers['/oauth/revocations'] = answerText('{}', 503);
    service.say('event: revocation\ndata: {}\n\n');
    guarded.time.advance(11);
    const from = service.questions.length;
    expect(await guarded.askWith(service.mint({ jti: 'dead' }))).toBe('401 token_revoked');
    expect(await guarded.askWith(service.mint({ exp: exp - 900, iat: exp - 1000 }))).toBe(
      '401 token_expired',
    );
    expect(await guarded.askWith(`${service.mint().slice(0, -6)}AAAAAA`)).toBe('401 token_invalid');
    expect(service.asked(path, from)).toEqual([]);
  });
});

test('the address of metadata of its own stands in the challenges of a server', async () => {
  const service = await startScriptedService();
  onTestFinished(() => service.close());
  const resourceMetadata = 'https://shop.example/.well-known/oauth-protected-resource?of=orders';
  const options = { issuer: service.url, audience: 'a', apiKey: 'a key', resourceMetadata };
  const guard = createGuard({ ...options, tokenType: 'JWT' });
  onTestFinished(() => guard.close());
  const { response } = await guard(new Request('https://shop.example/orders'), connections);
  expect(response?.headers.get('www-authenticate')).toContain(`resource_metadata="${resourceMetadata}"`);
});
