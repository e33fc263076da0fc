/** What a guard elsewhere does with a service that means it harm, or with whoever has got between the two. */
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { until } from '../../support/until.ts';
import { type Guarded, guardInTest } from './guarded.ts';
import {
  type Answer,
  answerEvents,
  answerJson,
  answerText,
  type ScriptedService,
  snapshot,
  startScriptedService,
} from './scripted-service.ts';

const apiKey = `kt_${'0'.repeat(32)}_${'s'.repeat(38)}`;
let service: ScriptedService;
beforeEach(async () => {
  service = await startScriptedService();
  return () => service.close();
});

function open(options: object = {}): Guarded {
  const guarded = guardInTest({ issuer: service.url, audience: service.url, apiKey, ...options });
  return guarded;
}

test.each([
  ['a line that never ends', 'x'.repeat(1_048_576)],
  ['an event that never ends', `data: ${'x'.repeat(1000)}\n`.repeat(1000)],
  ['an event of comments that never ends', `: ${'x'.repeat(1000)}\n`.repeat(1000)],
])(
  '%s is given up after 64 MiB, and the state grows old',
  async (_, piece) => {
    const guarded = open();
    await guarded.ready();
    service.hush();
    let sent = 0;
    let given: Promise<void> | undefined;
    service.answers['/oauth/revocations'] = res => {
      given ??= (async () => {
        res.writeHead(200);
        const closed = once(res, 'close');
        while (!res.destroyed && sent < 200 * 1_048_576) {
          sent += piece.length;
          if (!res.write(piece)) await Promise.race([once(res, 'drain'), closed]);
        }
      })();
    };
    service.say('id: 1\nevent: revocation\ndata: {}\n\n');
    await until('it is sent', () => given !== undefined);
    await given;
    expect(sent).toBeGreaterThan(64 * 1_048_576 - 1);
    expect(sent).toBeLessThan(80 * 1_048_576);
    service.answers['/oauth/revocations'] = answerText('{}', 503);
    guarded.time.advance(10);
    expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
    service.answers['/oauth/revocations'] = answerEvents(snapshot());
    await until('it heals', async () => (await guarded.askWith(service.mint())) === '200');
  },
  60_000,
);

function once(emitter: NodeJS.EventEmitter, name: string): Promise<void> {
  return new Promise(resolve => {
    emitter.once(name, () => resolve());
  });
}

test('the key goes to the service alone, and stands in no message', async () => {
  const other = await startScriptedService();
  onTestFinished(() => other.close());
  const elsewhere: Answer = answerText('', 307, { location: `${other.url}/oauth/revocations` });
  service.answers['/oauth/revocations'] = elsewhere;
  service.answers['/oauth/introspect'] = elsewhere;
  service.answers['/.well-known/jwks.json'] = elsewhere;
  const guarded = open({ stale: 'introspect' });
  expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
  const doors = ['sc_apikey'] as const;
  expect(await guarded.ask({ sc_apikey: '0'.repeat(32) }, { doors })).toBe('503 issuer_unreachable');
  await until('all was tried', () => service.questions.length >= 4);
  expect(other.questions).toEqual([]);
  expect(guarded.warnings.join()).not.toContain(apiKey);
  expect(guarded.warnings.join()).not.toContain(btoa(`:${apiKey}`));
});

test.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error(`no ${apiKey}`);
    },
  ],
  [
    'rejects',
    async () => {
      throw new Error(`no ${apiKey}`);
    },
  ],
  ['gives nothing', async () => undefined],
  ['never gives anything', () => new Promise(() => undefined)],
  ['gives a key of two lines', () => 'a\nb'],
])('a function for the key that %s makes nobody wait, and is told without the key', async (_, read) => {
  const guarded = open({ apiKey: read, stale: 'introspect', timeout: 300 });
  const begun = performance.now();
  expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
  expect(performance.now() - begun).toBeLessThan(4000);
  expect(guarded.warnings).toHaveLength(1);
  expect(guarded.warnings.join()).toMatch(/API key/);
  expect(guarded.warnings.join()).not.toContain(apiKey);
});

test.each<[string, object]>([
  ['a version of `1e999`', { tokens: {}, keys: { x: Infinity } }],
  ['an array', { keys: [], tokens: [], signing_keys: [] }],
])('a snapshot with %s is none', async (_, members) => {
  service.answers['/oauth/revocations'] = answerEvents(
    snapshot(members).replace('null', '1e999').replace('"tokens":[]', '"tokens":[1]'),
  );
  const guarded = open();
  expect(await guarded.askWith(service.mint())).toBe('503 revocation_state_stale');
});

test('a service that accepts, and says nothing more, is 503 after a moment', async () => {
  service.answers['/oauth/revocations'] = () => undefined;
  service.answers['/.well-known/jwks.json'] = () => undefined;
  const guarded = open({ timeout: 300 });
  expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
  service.answers['/.well-known/jwks.json'] = answerJson({ keys: [] });
  expect(await guarded.askWith(service.mint())).toBe('503 issuer_unreachable');
});
