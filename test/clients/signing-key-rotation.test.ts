/**
 * A whole life of signing keys, from next to removed, as seen by validators that keep the key set for minutes: not one
 * genuine token is refused. The clock of the machine is set forward for everybody in here: the service, and the caches
 * of the validators, which stay as their authors set them.
 */
import { auth } from 'express-oauth2-jwt-bearer';
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startService, type TestService } from '../support/service.ts';

type Validator = (token: string) => Promise<void>;

/** jose 6: the set is kept for 10 minutes, and fetched for an unknown key once in 30 s at most. */
function createJoseValidator({ url }: TestService): Validator {
  const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));
  return async token => {
    await jwtVerify(token, keys, { issuer: url, audience: url, typ: 'at+jwt', currentDate: new Date() });
  };
}

/** Auth0's middleware, by discovery; it brings a jose of its own. */
function createExpressValidator({ url }: TestService): Validator {
  const middleware = auth({ issuerBaseURL: url, audience: url, tokenSigningAlg: 'ES256', strict: false });
  return token =>
    new Promise((resolve, reject) => {
      // As much of a request of Express as it asks for.
      const headers = { host: 'resource.example', authorization: `Bearer ${token}` };
      const get = (name: string) => (name === 'Host' ? headers.host : undefined);
      const app = { get: () => () => false };
      const request = {
        app,
        get,
        headers,
        method: 'GET',
        protocol: 'https',
        url: '/',
        query: {},
        is: () => false,
      };
      const next = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      void middleware(request as never, {} as never, next);
    });
}

let service: TestService;

async function start(env: Record<string, string> = {}): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  service = await startService({ env: { KEYTURN_SIGNING_PERIOD: '21600', ...env } });
}

beforeEach(() => start());
afterEach(async () => {
  await service.stop();
  vi.useRealTimers();
});

const wait = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);
const mint = () => service.token(service.sampleKey);
const kidOf = (token: string) => decodeProtectedHeader(token).kid!;

interface Shown {
  readonly kid: string;
  readonly state: string;
  readonly activeAt: string;
  readonly publishedUntil: string | null;
}

async function list(): Promise<Shown[]> {
  const response = await service.admin('GET', '/admin/signing-keys');
  return ((await response.json()) as { items: Shown[] }).items;
}

/** The service looks after its keys ten times a second of true time; here hours pass in one. */
async function untilKeptUp(): Promise<Shown[]> {
  for (;;) {
    const ring = await list();
    const newest = Math.max(...ring.map(({ activeAt }) => Date.parse(activeAt)));
    const ended = ring.filter(
      ({ publishedUntil }) => Date.parse(publishedUntil ?? '9999-01-01') <= Date.now(),
    );
    if (newest + (21_600 - 900) * 1000 > Date.now() && ended.length === 0) return ring;
    await new Promise(setImmediate);
  }
}

describe.each([
  ['jose', createJoseValidator],
  ['express-oauth2-jwt-bearer', createExpressValidator],
])('%s, with its caches as they come', (_, createValidator) => {
  it('accepts every token through a whole rotation, from next to removed', async () => {
    const validate = createValidator(service);
    const living: { token: string; until: number }[] = [];
    const [kids, states] = [new Set<string>(), new Set<string>()];
    let checked = 0;
    const first = kidOf(await mint());
    for (let ring = await untilKeptUp(); ring.some(({ kid }) => kid === first); ring = await untilKeptUp()) {
      for (const { kid, state } of ring) if (kid === first) states.add(state);
      wait(300);
      const token = await mint();
      kids.add(kidOf(token));
      living.push({ token, until: Date.now() + 890_000 });
      while (living[0]!.until < Date.now()) living.shift();
      for (const { token } of [living[0]!, living.at(-1)!]) {
        await validate(token);
        checked += 1;
      }
    }
    expect([...states]).toEqual(['active', 'retired']);
    expect(kids.size).toBeGreaterThanOrEqual(5);
    expect(checked).toBeGreaterThan(600);
  }, 60_000);

  it('accepts the tokens of a key that was published for the lead, however it asked before', async () => {
    const validate = createValidator(service);
    await service.admin('POST', '/admin/signing-keys/rotate');
    const old = kidOf(await mint());
    let token = await mint();
    for (let seconds = 0; kidOf(token) === old; seconds += 5) {
      expect(seconds).toBeLessThan(920);
      await validate(token);
      wait(5);
      token = await mint();
    }
    await validate(token);
    await validate(await mint());
  }, 60_000);

  it('misses a key that signs at once, for as long as it keeps the set without asking: so the lead matters', async () => {
    const validate = createValidator(service);
    await validate(await mint());
    await service.admin('POST', '/admin/signing-keys/rotate', { now: true });
    const token = await mint();
    await expect(validate(token)).rejects.toThrow('no applicable key found');
    wait(31);
    await validate(token);
  });
});

describe('jose', () => {
  it('says that it knows no such key, where one signs at once', async () => {
    const validate = createJoseValidator(service);
    await validate(await mint());
    await service.admin('POST', '/admin/signing-keys/rotate', { now: true });
    await expect(validate(await mint())).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey);
  });
});
