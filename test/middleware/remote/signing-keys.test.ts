/** The signing keys that a guard elsewhere knows: no genuine token is refused for want of one, whatever befalls the JWK set. */
import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import type { TestService } from '../../support/service.ts';
import { describeOnEmbeddedStore } from '../../support/stores.ts';
import { until } from '../../support/until.ts';
import { type AtTheEnd, type Guarded, guardInTest } from './guarded.ts';
import {
  type Answer,
  answerJson,
  answerNothing,
  answerText,
  makeKey,
  type ScriptedService,
  startScriptedService,
} from './scripted-service.ts';

const jwks = '/.well-known/jwks.json';

async function script(atTheEnd: AtTheEnd = onTestFinished): Promise<ScriptedService> {
  const service = await startScriptedService();
  atTheEnd(() => service.close());
  return service;
}

function ofScripted(service: ScriptedService, atTheEnd?: AtTheEnd): Guarded {
  return guardInTest({ issuer: service.url, audience: service.url, apiKey: 'a key', timeout: 500 }, atTheEnd);
}

/** Tests that run at the same time have one of their own. */
describeOnEmbeddedStore('the signing keys of a service', store => {
  let service: TestService;
  let apiKey: string;
  beforeAll(async () => {
    service = await store.start();
    ({ apiKey } = await service.createKey({ feature: 'resource-server' }));
  });
  const ofService = (url = service.url) =>
    guardInTest({ issuer: service.url, audience: service.url, apiKey, url });
  const rotate = async (body: object) => {
    const response = await service.admin('POST', '/admin/signing-keys/rotate', body);
    expect(response.status).toBeLessThan(300);
  };

  test('may rotate under load, with and without now: every genuine token is let in', async () => {
    const guarded = ofService();
    await guarded.ready();
    const outcomes: string[] = [];
    const over = new AbortController();
    const use = async () => {
      while (!over.signal.aborted)
        outcomes.push(await guarded.askWith(await service.token(service.sampleKey)));
    };
    const load = [use(), use(), use()];
    const tokens = [await service.token(service.sampleKey)];
    for (const body of [{ now: true }, {}, { now: true }, { now: true }]) {
      await rotate(body);
      tokens.push(await service.token(service.sampleKey));
    }
    over.abort();
    await Promise.all(load);
    for (const token of tokens) outcomes.push(await guarded.askWith(token));
    expect(outcomes.length).toBeGreaterThan(10);
    expect(new Set(outcomes)).toEqual(new Set(['200']));
  });

  test('are remembered when the service is away, and those that are not known are 503, never 401', async () => {
    const proxy = await startFaultProxy(service.port);
    onTestFinished(() => proxy.close());
    const guarded = guardInTest({
      issuer: service.url,
      audience: service.url,
      apiKey,
      url: `http://127.0.0.1:${proxy.port}`,
      stale: 'accept',
    });
    await guarded.ready();
    const known = await service.token(service.sampleKey);
    await proxy.refuse();
    await rotate({ now: true });
    const unknown = await service.token(service.sampleKey);
    guarded.time.advance(600);
    expect(await guarded.askWith(known)).toBe('200');
    expect(await guarded.askWith(unknown)).toBe('503 issuer_unreachable');
    await proxy.heal();
    await until('the new key is known', async () => (await guarded.askWith(unknown)) === '200');
    expect(await guarded.askWith(known)).toBe('200');
  });

  test('are had by itself where the service was away at the start', async () => {
    const proxy = await startFaultProxy(service.port);
    onTestFinished(() => proxy.close());
    await proxy.refuse();
    const guarded = ofService(`http://127.0.0.1:${proxy.port}`);
    const token = await service.token(service.sampleKey);
    const begun = performance.now();
    const outcomes = await Promise.all([guarded.askWith(token), guarded.askWith(token)]);
    expect(new Set(outcomes)).toEqual(new Set(['503 issuer_unreachable']));
    expect(performance.now() - begun).toBeLessThan(6000);
    expect(guarded.warnings.toSorted()).toEqual([
      expect.stringContaining('the revocations of'),
      expect.stringContaining('the signing keys of'),
    ]);
    await proxy.heal();
    const seen: string[] = [];
    await until('it is let in', async () => seen[seen.push(await guarded.askWith(token)) - 1] === '200');
    expect(seen.filter(outcome => !/^(?:200|503 .*)$/.test(outcome))).toEqual([]);
    await guarded.ready();
    expect(guarded.warnings).toHaveLength(4);
  });

  test('are dead at once when they are revoked', async () => {
    const guarded = ofService();
    await guarded.ready();
    const token = await service.token(service.sampleKey);
    expect(await guarded.askWith(token)).toBe('200');
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string };
    expect((await service.admin('POST', `/admin/signing-keys/${kid}/revoke`)).status).toBeLessThan(300);
    await until('it is refused', async () => (await guarded.askWith(token)) === '401 token_revoked', 1000);
    expect(await guarded.askWith(await service.token(service.sampleKey))).toBe('200');
  });
});

describe('a key that is not known', () => {
  test('costs a request a second at most, however many callers make one up; others are not kept waiting', async () => {
    const service = await script();
    const guarded = ofScripted(service);
    await guarded.ready();
    const good = service.mint();
    const forged = Array.from({ length: 1000 }, (_, i) => service.mint({}, makeForeign(`forged ${i}`)));
    const from = service.questions.length;
    const begun = performance.now();
    const flood = Promise.all(forged.map(token => guarded.askWith(token)));
    const waits: number[] = [];
    const over = new AbortController();
    const genuine = (async () => {
      while (!over.signal.aborted) {
        const asked = performance.now();
        expect(await guarded.askWith(good)).toBe('200');
        waits.push(performance.now() - asked);
        await new Promise(resolve => {
          setTimeout(resolve, 5);
        });
      }
    })();
    expect(new Set(await flood)).toEqual(new Set(['401 token_invalid']));
    over.abort();
    await genuine;
    const requests = service.asked(jwks, from);
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.length).toBeLessThanOrEqual(2);
    expect(performance.now() - begun).toBeLessThan(4000);
    expect(waits.toSorted((a, b) => a - b)[Math.floor(waits.length / 2)]).toBeLessThan(50);
    await Promise.all(forged.slice(0, 20).map(token => guarded.askWith(token)));
    await Promise.all(forged.slice(20, 40).map(token => guarded.askWith(token)));
    const times = service.asked(jwks).map(({ at }) => at);
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(Math.min(...gaps)).toBeGreaterThan(900);
  });

  const foreign = makeKey('foreign');
  const makeForeign = (kid: string) => ({ ...foreign, kid });

  test('of another issuer costs no request', async () => {
    const service = await script();
    const guarded = ofScripted(service);
    await guarded.ready();
    const from = service.questions.length;
    for (const iss of ['https://other.example', `${service.url}/`, undefined]) {
      const token = service.mint({ iss }, foreign);
      expect(await guarded.askWith(token)).toBe('401 token_invalid');
    }
    expect(service.asked(jwks, from)).toEqual([]);
  });

  test('is asked for again where the answer on its way may be older than the key', async () => {
    const service = await script();
    const guarded = ofScripted(service);
    await guarded.ready();
    const second = makeKey('second');
    const old = service.answers[jwks];
    let release = () => {};
    service.answers[jwks] = (res, question) => {
      release = () => old(res, question);
    };
    const from = service.questions.length;
    const forged = guarded.askWith(service.mint({}, foreign));
    await until('the keys are asked for', () => service.asked(jwks, from).length === 1);
    // Only now is there a second key; the answer that was waited for does not hold it.
    service.answers[jwks] = answerJson({ keys: [second.jwk] });
    const genuine = guarded.askWith(service.mint({}, second));
    release();
    expect(await forged).toBe('401 token_invalid');
    expect(await genuine).toBe('200');
    expect(service.asked(jwks, from)).toHaveLength(2);
  });
});

describe('a JWK set that is none', () => {
  const faults: [string, Answer][] = [
    ['an error', answerText('{}', 500)],
    ['HTML', answerText('<!doctype html><p>It works!</p>')],
    ['no keys', answerJson({ keys: [] })],
    ['no list', answerJson({ keys: 'none' })],
    ['null', answerJson(null)],
    ['a list', answerJson([])],
    ['a redirect', answerText('', 302, { location: '/elsewhere' })],
    ['more than anybody needs', answerText(`{"keys":[],"x":"${'x'.repeat(2_000_000)}"}`)],
    ['a symmetric key alone', answerJson({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'a', alg: 'HS256' }] })],
    ['nothing at all', answerNothing],
    ['a break in the middle', res => void res.writeHead(200, { 'content-length': 99 }).write('{"keys":')],
  ];

  test.concurrent.for(faults)(
    '%s: the keys that are known go on, others are 503',
    async ([, fault], { expect, onTestFinished }) => {
      const service = await script(onTestFinished);
      const guarded = ofScripted(service, onTestFinished);
      await guarded.ready();
      service.answers[jwks] = fault;
      const from = service.questions.length;
      const token = service.mint({}, makeKey('new'));
      expect(await guarded.askWith(token)).toBe('503 issuer_unreachable');
      expect(await guarded.askWith(service.mint())).toBe('200');
      expect(service.asked(jwks, from)).toHaveLength(1);
      expect(service.questions.filter(({ path }) => path === '/elsewhere')).toEqual([]);
    },
  );

  test('at the start: 503, told of once, and healed by itself', async () => {
    const service = await script();
    const good = service.answers[jwks];
    service.answers[jwks] = answerJson({ keys: [] });
    const guarded = ofScripted(service);
    expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
    await until('it was tried again', () => service.asked(jwks).length >= 3);
    expect(guarded.warnings).toHaveLength(1);
    service.answers[jwks] = good;
    await guarded.ready();
    expect(await guarded.askWith(service.mint())).toBe('200');
    expect(guarded.warnings).toHaveLength(2);
  });
});

describe('a key that cannot be used', () => {
  const { jwk } = makeKey('bad');
  const rsa = (modulusLength: number) =>
    generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
  const bads: [string, unknown][] = [
    ['symmetric', { kty: 'oct', k: 'AAAA', kid: 'bad', alg: 'HS256' }],
    ['symmetric under the name of another', { kty: 'oct', k: 'AAAA', kid: 'bad', alg: 'ES256' }],
    ['off its curve', { ...jwk, x: 'A'.repeat(43) }],
    ['too short', { ...jwk, y: 'AAAA' }],
    ['of another curve', { ...jwk, crv: 'P-384' }],
    ['a weak one', { ...rsa(1024), kid: 'bad', alg: 'RS256' }],
    ['of an algorithm for another type', { ...jwk, alg: 'RS256' }],
    ['for encryption', { ...jwk, use: 'enc' }],
    ['without an id', { ...jwk, kid: undefined }],
    ['with numbers for members', { ...jwk, x: 1, kid: 2 }],
    ['null', null],
    ['a text', 'key'],
  ];
  test.concurrent.for(bads)(
    '%s does not take the others along, and verifies nothing',
    async ([, bad], { expect, onTestFinished }) => {
      const service = await script(onTestFinished);
      const first = makeKey('other');
      service.answers[jwks] = answerJson({ keys: [bad, first.jwk, bad] });
      const guarded = ofScripted(service, onTestFinished);
      await guarded.ready();
      expect(await guarded.askWith(service.mint({}, first))).toBe('200');
      expect(await guarded.askWith(service.mint({}, makeKey('bad')))).toBe('401 token_invalid');
    },
  );

  test('that is private is taken for its public part', async () => {
    const service = await script();
    const key = makeKey('private');
    service.answers[jwks] = answerJson({
      keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: 'private', alg: 'ES256' }],
    });
    const guarded = ofScripted(service);
    await guarded.ready();
    expect(await guarded.askWith(service.mint({}, key))).toBe('200');
  });

  test('any more is dropped with the next set, in five minutes at the latest', async () => {
    const service = await script();
    const guarded = ofScripted(service);
    await guarded.ready();
    const token = service.mint();
    expect(await guarded.askWith(token)).toBe('200');
    service.answers[jwks] = answerJson({ keys: [makeKey('next').jwk] });
    expect(await guarded.askWith(token)).toBe('200');
    guarded.time.advance(301);
    await until('the key is dropped', async () => (await guarded.askWith(token)) === '401 token_invalid');
  });
});
