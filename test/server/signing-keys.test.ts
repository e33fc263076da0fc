/** `/admin/signing-keys`, and that two instances never disagree about a genuine token, whatever becomes of the keys. */
import { generateKeyPairSync } from 'node:crypto';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { TestClock, type TestService } from '../support/service.ts';
import { describeOnEachStore, type StorePlace } from '../support/stores.ts';

interface Shown {
  readonly kid: string;
  readonly alg: string;
  readonly state: string;
  readonly createdAt: string;
  readonly activeAt: string;
  readonly publishedUntil: string | null;
  readonly publicJwk: Record<string, unknown>;
}

const issuer = 'https://keys.example';
const path = '/admin/signing-keys';

/** Asks again where an instance cannot tell at the moment: a clock that jumps ages what it knows of revocations. */
async function send(
  service: TestService,
  where: string,
  init: () => Promise<RequestInit>,
): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`http://127.0.0.1:${service.port}${where}`, await init());
    if (response.status !== 503 || attempt === 50) return response;
    await response.text();
  }
}

async function call(service: TestService, owner: string, method: string, where: string, body?: unknown) {
  const response = await send(service, where, async () => ({
    method,
    headers: { authorization: `Bearer ${await service.token(owner)}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }));
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> & Shown };
}

async function use(service: TestService, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await send(service, '/v2/connections', async () => ({ headers }));
  const { code } = (await response.json()) as { code?: string };
  return code === undefined ? String(response.status) : `${response.status} ${code}`;
}

async function publishedBy(service: TestService): Promise<JSONWebKeySet> {
  const response = await fetch(`http://127.0.0.1:${service.port}/.well-known/jwks.json`);
  return (await response.json()) as JSONWebKeySet;
}

const kidOf = (token: string) => decodeProtectedHeader(token).kid!;
const makeJwk = (members: object = {}) => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  ...members,
});

describeOnEachStore('signing keys', store => {
  let place: StorePlace;
  let clock: TestClock;
  let one: TestService;
  let other: TestService;
  let both: readonly TestService[];

  /** Two instances of one deployment. */
  async function start(
    env: Record<string, string> = {},
    clocks = [new TestClock(), new TestClock()] as const,
  ) {
    place = await store.place();
    const settings = { KEYTURN_ISSUER: issuer, ...env };
    one = await store.start({ env: settings, clock: clocks[0] }, place);
    other = await store.start({ env: settings, clock: clocks[1] }, place);
    both = [one, other];
  }

  const admin = (method: string, where: string, body?: unknown, service = one) =>
    call(service, one.ownerKey, method, where, body);
  const list = async (service = one) =>
    ((await admin('GET', path, undefined, service)).answer as unknown as { items: Shown[] }).items;
  const states = async (service = one) => (await list(service)).map(({ state }) => state);
  const activeKid = async (service = one) =>
    (await list(service)).find(({ state }) => state === 'active')?.kid;
  const tokensOfBoth = () => Promise.all(both.map(service => service.token(one.sampleKey)));
  const usedAtBoth = async (token: string) => Promise.all(both.map(service => use(service, token)));

  describe('are shown', () => {
    beforeAll(() => start());
    test('oldest first, each with its state and its public part', async () => {
      const [key, ...more] = await list();
      expect(more).toEqual([]);
      expect(key).toEqual({
        kid: kidOf(await one.token(one.sampleKey)),
        alg: 'ES256',
        state: 'active',
        createdAt: key?.createdAt,
        activeAt: key?.createdAt,
        publishedUntil: null,
        publicJwk: (await publishedBy(one)).keys[0],
      });
      expect(Object.keys(key?.publicJwk ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    });
  });

  describe('rotate', () => {
    beforeAll(async () => {
      clock = new TestClock();
      await start({}, [clock, clock]);
    });

    test('publishes the next key at every instance, and lets it sign after the lead', async () => {
      const old = await tokensOfBoth();
      const { status, answer } = await admin('POST', `${path}/rotate`);
      expect([status, answer.state, answer.alg]).toEqual([201, 'next', 'ES256']);
      const wait = Date.parse(answer.activeAt) - clock.now();
      expect(Math.abs(wait - 900_000)).toBeLessThan(5000);
      for (const service of both) {
        expect((await publishedBy(service)).keys.map(({ kid }) => kid)).toEqual([kidOf(old[0]!), answer.kid]);
        expect(await states(service)).toEqual(['active', 'next']);
      }
      expect((await tokensOfBoth()).map(kidOf)).toEqual(old.map(kidOf));
      clock.advance(880);
      const late = await tokensOfBoth();
      expect(late.map(kidOf)).toEqual(old.map(kidOf));
      clock.advance(21);
      const fresh = await tokensOfBoth();
      expect(fresh.map(kidOf)).toEqual([answer.kid, answer.kid]);
      for (const token of [...late, ...fresh]) expect(await usedAtBoth(token)).toEqual(['200', '200']);
      expect(await states()).toEqual(['retired', 'active']);
    });

    test('is refused while a key waits, with the time and the way to hurry', async () => {
      const { answer: next } = await admin('POST', `${path}/rotate`, {});
      const { status, answer } = await admin('POST', `${path}/rotate`, {}, other);
      expect([status, answer['code']]).toEqual([409, 'conflict']);
      expect(answer['detail']).toContain(`${next.kid} is published already, and signs from ${next.activeAt}`);
      expect(answer['detail']).toContain('{"now": true}');
    });

    test('{"now": true} has the waiting one sign at once, and is known everywhere when it returns', async () => {
      const waiting = (await list()).find(({ state }) => state === 'next')!;
      const { status, answer } = await admin('POST', `${path}/rotate`, { now: true }, other);
      expect([status, answer.kid, answer.state]).toEqual([201, waiting.kid, 'active']);
      const tokens = await tokensOfBoth();
      expect(tokens.map(kidOf)).toEqual([waiting.kid, waiting.kid]);
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
    });

    test('{"now": true} makes one where none waits, again and again, without a gap', async () => {
      const tokens: string[] = [];
      for (let round = 0; round < 8; round += 1) {
        const service = both[round % 2]!;
        const { answer } = await admin('POST', `${path}/rotate`, { now: true }, service);
        const fresh = await tokensOfBoth();
        expect(fresh.map(kidOf)).toEqual([answer.kid, answer.kid]);
        tokens.push(...fresh);
      }
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
    });

    test('is never met by an instance as a token of a key that it does not know', async () => {
      const done = new AbortController();
      const refused: string[] = [];
      const load = async (from: TestService, to: TestService) => {
        while (!done.signal.aborted) {
          const verdict = await use(to, await from.token(one.sampleKey));
          if (verdict !== '200') refused.push(verdict);
        }
      };
      const loads = [load(one, other), load(other, one)];
      for (let round = 0; round < 6; round += 1)
        expect((await admin('POST', `${path}/rotate`, { now: true }, both[round % 2])).status).toBe(201);
      done.abort();
      await Promise.all(loads);
      expect(refused).toEqual([]);
    });

    test('by many at once makes exactly one key', async () => {
      const before = await list();
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, place) => admin('POST', `${path}/rotate`, {}, both[place % 2])),
      );
      const statuses = answers.map(({ status }) => status).filter(status => status !== 409);
      expect(statuses).toEqual([201]);
      const after = await list();
      expect(after.length).toBe(before.length + 1);
      expect(await list(other)).toEqual(after);
    });

    test.each<[unknown, string]>([
      [{ now: 'yes' }, '/now'],
      [{ alg: 'HS256' }, '/alg'],
      [{ alg: 'RS256' }, '/alg'],
      [{ lead: 5 }, '/lead'],
    ])('%j is 422', async (body, pointer) => {
      const { status, answer } = await admin('POST', `${path}/rotate`, body);
      expect([status, answer['code']]).toEqual([422, 'validation_failed']);
      expect(answer['errors']).toMatchObject([{ pointer }]);
    });
  });

  describe('follow one another without a command', () => {
    test('so that every token is good at both instances as long as it lives', async () => {
      clock = new TestClock();
      const period = 86_400;
      await start({ KEYTURN_SIGNING_PERIOD: String(period), KEYTURN_TOKEN_TTL: '86400' }, [clock, clock]);
      const living: { token: string; until: number }[] = [];
      const seen = new Map<string, Set<string>>();
      const isKeptUp = async (service: TestService) => {
        const ring = await list(service);
        const newest = Math.max(...ring.map(({ activeAt }) => Date.parse(activeAt)));
        expect(newest + (period - 900) * 1000).toBeGreaterThan(clock.now());
        for (const { publishedUntil } of ring)
          expect(Date.parse(publishedUntil ?? '9999-01-01')).toBeGreaterThan(clock.now());
        return ring;
      };
      for (let step = 0; step < 34; step += 1) {
        clock.advance(3 * 3600);
        for (const service of both)
          await vi.waitFor(() => isKeptUp(service), { timeout: 10_000, interval: 20 });
        for (const { kid, state } of await list()) {
          const known = seen.get(kid) ?? new Set();
          seen.set(kid, known.add(state));
        }
        for (const token of await tokensOfBoth()) living.push({ token, until: clock.now() + 86_400_000 });
        const keys = createLocalJWKSet(await publishedBy(both[step % 2]!));
        for (const { token } of living.filter(({ until }) => until > clock.now() + 10_000)) {
          expect(await use(both[step % 2]!, token)).toBe('200');
          await jwtVerify(token, keys, { currentDate: new Date(clock.now()) });
        }
      }
      const left = new Set((await list()).map(({ kid }) => kid));
      const removed = [...seen.keys()].filter(kid => !left.has(kid));
      expect(removed.length).toBeGreaterThanOrEqual(2);
      expect([...seen.values()].some(known => [...known].join() === 'active,retired')).toBe(true);
    }, 60_000);

    test('each of them published before it signs, however the clocks of the instances differ', async () => {
      const clocks = [new TestClock(), new TestClock()] as const;
      clocks[0].advance(300);
      clocks[1].advance(-300);
      await start({ KEYTURN_SIGNING_PERIOD: '7200', KEYTURN_TOKEN_TTL: '3600' }, clocks);
      const tokens: string[] = [];
      for (let step = 0; step < 40; step += 1) {
        for (const each of clocks) each.advance(300);
        // A key has a quarter of an hour to be heard of; here all of that is a moment.
        for (const service of both) {
          await vi.waitFor(
            async () => {
              const newest = Math.max(...(await list(service)).map(({ activeAt }) => Date.parse(activeAt)));
              expect(newest + 6_300_000).toBeGreaterThan(clocks[0].now());
            },
            { timeout: 10_000, interval: 20 },
          );
        }
        tokens.push(...(await tokensOfBoth()));
        for (const service of both) {
          const keys = new Set((await publishedBy(service)).keys.map(({ kid }) => kid));
          expect(tokens.filter(token => !keys.has(kidOf(token)))).toEqual([]);
        }
      }
      expect(new Set(tokens.map(kidOf)).size).toBeGreaterThanOrEqual(2);
    }, 60_000);

    test('is taken up again where the deployment was down for long', async () => {
      clock = new TestClock();
      await start({ KEYTURN_SIGNING_PERIOD: '86400' }, [clock, clock]);
      const old = await activeKid();
      await Promise.all(both.map(service => service.stop()));
      clock.advance(200 * 86_400);
      const again = await store.start({ env: { KEYTURN_ISSUER: issuer }, clock }, place);
      expect(kidOf(await again.token(one.sampleKey))).toBe(old);
      const ring = (await call(again, one.ownerKey, 'GET', path)).answer as unknown as { items: Shown[] };
      expect(ring.items.map(({ state }) => state)).toEqual(['active', 'next']);
    });

    test('works with no lead at all', async () => {
      clock = new TestClock();
      await start({ KEYTURN_SIGNING_LEAD: '0', KEYTURN_SIGNING_PERIOD: '3600' }, [clock, clock]);
      const { answer } = await admin('POST', `${path}/rotate`);
      expect(answer.state).toBe('active');
      const tokens = await tokensOfBoth();
      expect(tokens.map(kidOf)).toEqual([answer.kid, answer.kid]);
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
      clock.advance(3600 - 60);
      for (const service of both)
        await vi.waitFor(async () => expect(await states(service)).toContain('next'), { timeout: 10_000 });
      clock.advance(66);
      for (const token of await tokensOfBoth()) {
        expect(kidOf(token)).not.toBe(answer.kid);
        expect(await usedAtBoth(token)).toEqual(['200', '200']);
      }
    });
  });

  describe('revoke', () => {
    beforeAll(() => start());

    test('ends the key and all of its tokens at both instances, and minting goes on with another', async () => {
      const tokens = await tokensOfBoth();
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
      const kid = kidOf(tokens[0]!);
      const done = new AbortController();
      const minted: string[] = [];
      const load = async (service: TestService) => {
        while (!done.signal.aborted) minted.push(await service.token(one.sampleKey));
      };
      const loads = both.map(load);
      const owner = await other.token(one.ownerKey);
      const revocation = await fetch(`http://127.0.0.1:${other.port}${path}/${kid}/revoke`, {
        method: 'POST',
        headers: { authorization: `Bearer ${owner}` },
      });
      const fresh = await tokensOfBoth();
      done.abort();
      await Promise.all(loads);
      expect(revocation.status).toBe(200);
      expect(await revocation.json()).toMatchObject({ kid, state: 'revoked' });
      for (const token of [...tokens, ...minted.filter(text => kidOf(text) === kid)]) {
        for (const verdict of await usedAtBoth(token))
          expect(verdict).toMatch(/^401 token_(?:invalid|revoked)$/);
      }
      for (const token of [...fresh, ...minted.filter(text => kidOf(text) !== kid)]) {
        expect(kidOf(token)).not.toBe(kid);
        expect(await usedAtBoth(token)).toEqual(['200', '200']);
      }
      for (const service of both) {
        expect((await publishedBy(service)).keys.map(key => key.kid)).not.toContain(kid);
        expect((await list(service)).map(key => key.kid)).not.toContain(kid);
      }
    });

    test('may be asked for again, and is 404 for a key that never was', async () => {
      const kid = (await activeKid())!;
      for (const service of [one, other, one]) {
        const { status, answer } = await admin('POST', `${path}/${kid}/revoke`, undefined, service);
        expect([status, answer.kid, answer.state]).toEqual([200, kid, 'revoked']);
      }
      for (const unknown of ['nothing', 'a%2Fb', '%00', 'x'.repeat(300)])
        expect((await admin('POST', `${path}/${unknown}/revoke`)).status).toBe(404);
    });

    test('of a waiting key lets the active one sign on', async () => {
      const active = await activeKid();
      const { answer } = await admin('POST', `${path}/rotate`);
      expect((await admin('POST', `${path}/${answer.kid}/revoke`)).status).toBe(200);
      expect(await list(other)).toMatchObject([{ kid: active, state: 'active' }]);
    });

    test('by many at once leaves exactly one key in its place', async () => {
      const kid = (await activeKid())!;
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, place) =>
          admin('POST', `${path}/${kid}/revoke`, undefined, both[place % 2]),
        ),
      );
      // The token of a caller may be one of those that end.
      for (const { status } of answers) expect([200, 401]).toContain(status);
      expect(await states()).toEqual(['active']);
      expect(await list(other)).toEqual(await list());
    });
  });

  describe('import', () => {
    beforeAll(async () => {
      clock = new TestClock();
      await start({}, [clock, clock]);
    });

    test('takes a key as the next one, under its own id', async () => {
      const jwk = makeJwk({ kid: 'ours-2026~1', use: 'sig', key_ops: ['sign'], alg: 'ES256' });
      const { status, answer } = await admin('POST', path, { jwk });
      expect(status).toBe(201);
      expect(answer).toMatchObject({ kid: 'ours-2026~1', alg: 'ES256', state: 'next' });
      expect(answer.publicJwk).toEqual({
        kty: 'EC',
        crv: 'P-256',
        x: jwk.x,
        y: jwk.y,
        kid: 'ours-2026~1',
        alg: 'ES256',
        use: 'sig',
      });
      expect(JSON.stringify(answer)).not.toContain(jwk.d);
      clock.advance(901);
      const tokens = await tokensOfBoth();
      expect(tokens.map(kidOf)).toEqual(['ours-2026~1', 'ours-2026~1']);
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
    });

    test('with activate has it sign at once, before one that waits', async () => {
      await admin('POST', `${path}/rotate`);
      const { status, answer } = await admin('POST', path, { jwk: makeJwk(), activate: true }, other);
      expect([status, answer.state]).toEqual([201, 'active']);
      expect(answer.kid).toMatch(/^[\w-]{43}$/);
      expect(await states()).not.toContain('next');
      const tokens = await tokensOfBoth();
      expect(tokens.map(kidOf)).toEqual([answer.kid, answer.kid]);
      for (const token of tokens) expect(await usedAtBoth(token)).toEqual(['200', '200']);
    });

    test('takes no id, and no key, that is or was in the ring', async () => {
      const jwk = makeJwk({ kid: 'once' });
      expect((await admin('POST', path, { jwk })).status).toBe(201);
      const conflicts = async () => {
        for (const again of [
          jwk,
          makeJwk({ kid: 'once' }),
          { ...jwk, kid: 'twice' },
          { ...jwk, kid: undefined },
        ]) {
          const { status, answer } = await admin('POST', path, { jwk: again }, other);
          expect([status, answer['code']]).toEqual([409, 'conflict']);
        }
      };
      await conflicts();
      expect((await admin('POST', `${path}/once/revoke`)).status).toBe(200);
      await conflicts();
    });

    test('refuses what is no private key, and repeats none of it anywhere', async () => {
      const jwk = makeJwk();
      const stranger = makeJwk();
      for (const [bad, pointer] of [
        [{ ...jwk, y: stranger.y }, '/jwk'],
        [{ ...jwk, d: stranger.d }, '/jwk'],
        [{ ...jwk, d: undefined }, '/jwk/d'],
        [{ ...jwk, alg: 'ES512' }, '/jwk/alg'],
        [{ ...jwk, kty: 'oct', k: jwk.d }, '/jwk/kty'],
        [jwk.d, '/jwk'],
      ] as [unknown, string][]) {
        const { status, answer } = await admin('POST', path, { jwk: bad, activate: true });
        expect([status, answer['errors']]).toMatchObject([422, [{ pointer }]]);
        expect(JSON.stringify(answer)).not.toContain(jwk.d);
      }
      expect((await admin('POST', path, jwk)).status).toBe(422);
      expect((await admin('POST', path, { jwk, activate: 'now' })).status).toBe(422);
      const { privateKey } = generateKeyPairSync('ed25519');
      const { status, answer } = await admin('POST', path, { jwk: privateKey.export({ format: 'jwk' }) });
      expect([status, answer['detail']]).toEqual([
        422,
        expect.stringContaining('KEYTURN_SIGNING_ALG') as string,
      ]);
      const audit = JSON.stringify((await admin('GET', '/admin/audit?limit=100')).answer);
      for (const text of [audit, ...one.log]) expect(text).not.toContain(jwk.d);
    });
  });

  describe('are audited', () => {
    test('by who did what to which', async () => {
      await start();
      await admin('POST', `${path}/rotate`, { now: true });
      await admin('POST', path, { jwk: makeJwk({ kid: 'brought' }) });
      await admin('POST', `${path}/brought/revoke`);
      const { items } = (await admin('GET', '/admin/audit?account=owner&limit=3')).answer as unknown as {
        items: Record<string, unknown>[];
      };
      expect(items.map(({ action, target, outcome }) => [action, target, outcome])).toEqual([
        ['signing_key.revoke', 'signing_key/brought', 'done'],
        ['signing_key.import', 'signing_key/brought', 'done'],
        ['signing_key.rotate', 'signing_keys', 'done'],
      ]);
      expect(items[0]).toMatchObject({
        before: { kid: 'brought', state: 'next' },
        after: { state: 'revoked' },
      });
      expect(items[1]).toMatchObject({ after: { kid: 'brought', state: 'next', alg: 'ES256' } });
      expect(items[2]).toMatchObject({ after: { kid: await activeKid(), state: 'active' } });
      expect(JSON.stringify(items)).not.toMatch(/sealed|"d"/);
    });
  });
});
