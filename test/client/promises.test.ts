/** What the token client promises, held against random hours of services that come and go, clocks that are set, and callers. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createTokenClient, TokenRefused, TokenUnavailable } from '../../src/client/index.ts';
import { SimulatedTime } from './simulated-time.ts';

/** How the service is, from now on. */
type Mood =
  | { readonly kind: 'well'; readonly expiresIn: number }
  | { readonly kind: 'away'; readonly retryAfter: number | undefined }
  | { readonly kind: 'refusing' | 'unreachable' | 'silent' | 'senseless' };

type Step =
  | { readonly kind: 'mood'; readonly mood: Mood }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'jump'; readonly seconds: number }
  | { readonly kind: 'call' | 'reject'; readonly callers: number };

const mood: fc.Arbitrary<Mood> = fc.oneof(
  fc.record({ kind: fc.constant('well' as const), expiresIn: fc.constantFrom(2, 10, 60, 900, 1e9) }),
  fc.record({ kind: fc.constant('away' as const), retryAfter: fc.constantFrom(undefined, 0, 1, 7, 40) }),
  fc.record({
    kind: fc.constantFrom(
      'refusing' as const,
      'unreachable' as const,
      'silent' as const,
      'senseless' as const,
    ),
  }),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('mood' as const), mood }),
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.double({ min: 0.01, max: 100, noNaN: true }) }),
  fc.record({ kind: fc.constant('jump' as const), seconds: fc.integer({ min: -1000, max: 1000 }) }),
  fc.record({
    kind: fc.constantFrom('call' as const, 'reject' as const),
    callers: fc.integer({ min: 1, max: 20 }),
  }),
);

/** Milliseconds: the client's own, by default. */
const patience = 10_000;

it('keeps its promises through whatever happens', { timeout: 120_000 }, async () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 40 });
  await fc.assert(fc.asyncProperty(steps, fc.nat(), liveThrough), { numRuns: 300 });
});

async function liveThrough(steps: readonly Step[], seed: number): Promise<void> {
  const time = new SimulatedTime();
  const service = new Service(time);
  const { getToken } = createTokenClient({
    issuer: 'https://keys.example.com',
    apiKey: 'kt_secret',
    fetch: service.fetch,
    now: time.now,
    monotonic: time.monotonic,
    setTimer: time.setTimer,
    random: createRandom(seed),
  });
  const calls: Promise<void>[] = [];
  let last: string | undefined;
  const call = async (rejected: string | undefined) => {
    const since = time.monotonic();
    try {
      last = await getToken({ rejected });
      service.note('a dead token was given', service.isDead(last));
    } catch (error) {
      const isKnown = error instanceof TokenRefused || error instanceof TokenUnavailable;
      service.note(String(error), !isKnown || ('retryAfter' in error && error.retryAfter === 0));
    }
    service.note('a caller waited for too long', time.monotonic() - since > patience + 0.001);
  };
  for (const next of steps) {
    if (next.kind === 'mood') service.mood = next.mood;
    else if (next.kind === 'wait') await time.advance(next.seconds, settle);
    else if (next.kind === 'jump') time.jump(next.seconds);
    else {
      const rejected = next.kind === 'reject' ? last : undefined;
      calls.push(...Array.from({ length: next.callers }, () => call(rejected)));
      await settle();
    }
  }
  await time.advance(patience / 1000, settle);
  await Promise.all(calls);
  expect(service.breaches).toEqual([]);
  await expectRest(time, service);
}

/** Nobody asks any more: what is due is done once, and that is all. */
async function expectRest(time: SimulatedTime, service: Service): Promise<void> {
  const before = service.requests;
  await time.advance(7 * 86_400, settle);
  expect(service.requests - before).toBeLessThanOrEqual(2);
  expect(time.pending).toBe(0);
}

class Service {
  mood: Mood = { kind: 'well', expiresIn: 60 };
  requests = 0;
  /** Promises that the client has not kept. */
  readonly breaches: string[] = [];
  readonly #time: SimulatedTime;
  readonly #deaths = new Map<string, { wall: number; steady: number }>();
  #underWay = 0;
  #quietUntil = 0;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  readonly fetch: typeof fetch = async (_input, init) => {
    this.requests += 1;
    this.#underWay += 1;
    this.note('two requests at once', this.#underWay > 1);
    this.note('a request before Retry-After', this.#time.monotonic() < this.#quietUntil);
    try {
      return await this.#answer(init?.signal ?? undefined);
    } finally {
      this.#underWay -= 1;
    }
  };

  isDead(token: string): boolean {
    const { wall = 0, steady = 0 } = this.#deaths.get(token) ?? {};
    return this.#time.now() >= wall || this.#time.monotonic() >= steady;
  }

  note(what: string, isBreach: boolean): void {
    if (isBreach) this.breaches.push(what);
  }

  #answer(signal: AbortSignal | undefined): Promise<Response> {
    const { mood } = this;
    switch (mood.kind) {
      case 'well':
        return Promise.resolve(this.#issue(mood.expiresIn));
      case 'away':
        return Promise.resolve(this.#goAway(mood.retryAfter));
      case 'refusing':
        return Promise.resolve(Response.json({ error: 'invalid_client' }, { status: 401 }));
      case 'senseless':
        return Promise.resolve(new Response('<h1>Welcome</h1>'));
      case 'unreachable':
        return Promise.reject(new TypeError('fetch failed'));
      case 'silent':
        return new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new DOMException('gone', 'AbortError')));
        });
    }
  }

  #issue(expiresIn: number): Response {
    const name = `token-${this.requests}`;
    const life = expiresIn * 1000;
    this.#deaths.set(name, { wall: this.#time.now() + life, steady: this.#time.monotonic() + life });
    return Response.json({ access_token: name, token_type: 'Bearer', expires_in: expiresIn });
  }

  #goAway(retryAfter: number | undefined): Response {
    if (retryAfter === undefined) return new Response('', { status: 503 });
    this.#quietUntil = this.#time.monotonic() + retryAfter * 1000;
    return new Response('', { status: 503, headers: { 'retry-after': String(retryAfter) } });
  }
}

/** mulberry32: the same seed, the same numbers. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Nothing is waited for but promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn();
}
