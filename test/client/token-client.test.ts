/** What a caller of the token client has while all goes well: one request for many, and a living token at once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TokenClient, TokenRequest } from '../../src/client/index.ts';
import { apiKey, openStage, otherKey, type Stage, token } from './stage.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await openStage();
});

afterEach(() => stage.close());

describe('one request in flight', () => {
  it('serves a thousand callers who begin at once', async () => {
    const { getToken } = stage.client();
    const tokens = await Promise.all(Array.from({ length: 1000 }, () => getToken()));
    expect(new Set(tokens)).toEqual(new Set(['token-1']));
    expect(stage.calls).toEqual([
      { at: 0, form: { grant_type: 'client_credentials', client_secret: apiKey } },
    ]);
  });

  it('serves those who hold the same dead token, a thousand too', async () => {
    const { getToken } = stage.client();
    const rejected = await getToken();
    const tokens = await Promise.all(Array.from({ length: 1000 }, () => getToken({ rejected })));
    expect(new Set(tokens)).toEqual(new Set(['token-2']));
    expect(await getToken({ rejected })).toBe('token-2');
    expect(stage.calls).toHaveLength(2);
  });

  it('goes on when one of those who wait for it goes away', async () => {
    const { getToken } = stage.client();
    const leaving = new AbortController();
    const left = getToken({ signal: leaving.signal });
    const staying = getToken();
    leaving.abort(new Error('the user has closed the page'));
    await expect(left).rejects.toThrow('the user has closed the page');
    expect(await staying).toBe('token-1');
    await expect(getToken({ signal: leaving.signal })).rejects.toThrow('the user has closed the page');
    expect(stage.calls).toHaveLength(1);
  });
});

describe('an hour with a token of a minute', () => {
  it('makes a request each 48 seconds, and after the first no caller waits for one', async () => {
    const { getToken } = stage.client();
    await getToken();
    const tokens = new Set<string>();
    let waited = 0;
    for (let second = 0; second < 3600; second += 1) {
      const { value, isAtOnce } = await observe(getToken());
      tokens.add(value);
      if (!isAtOnce) waited += 1;
      await stage.advance(1);
    }
    expect(waited).toBe(0);
    expect(stage.calls).toHaveLength(76);
    expect(stage.calls.slice(0, 3).map(({ at }) => at)).toEqual([0, 48, 96]);
    expect(tokens.size).toBe(75);
  });

  it.each([
    [0, 45],
    [0.999_999, 51],
  ])('has a jitter, by which instances part: %f', async (random, at) => {
    const { getToken } = stage.client({ random: () => random });
    await getToken();
    await stage.advance(60);
    expect(stage.calls[1]?.at).toBeCloseTo(at, 1);
  });
});

describe('a client that nobody uses', () => {
  it('refreshes once, and then rests', async () => {
    const { getToken } = stage.client();
    await getToken();
    await stage.advance(3600);
    expect(stage.calls).toHaveLength(2);
    expect(stage.time.pending).toBe(0);
    expect(await getToken()).toBe('token-3');
  });

  it('refreshes behind a caller who comes late in the life of the token', async () => {
    const { getToken } = stage.client();
    await getToken();
    // The timer's refresh, of a token that nobody uses until it is old.
    await stage.advance(48 + 50);
    expect(stage.calls).toHaveLength(2);
    expect(await observe(getToken())).toEqual({ value: 'token-2', isAtOnce: true });
    await stage.settle();
    expect(await observe(getToken())).toEqual({ value: 'token-3', isAtOnce: true });
    expect(stage.calls).toHaveLength(3);
  });
});

describe('the life of a token', () => {
  it('is counted from before the request was sent', async () => {
    stage.answer = () => (res, count, req) => {
      // The answer takes a minute.
      stage.time.jump(60);
      token(60)(res, count, req);
    };
    const { getToken } = stage.client();
    expect(await getToken()).toBe('token-1');
    expect(await getToken()).toBe('token-2');
  });

  it('ends a little before its end', async () => {
    stage.answer = ({ at }) => (at > 0 ? res => void res.destroy() : token(60));
    const { getToken } = stage.client({ patience: 100 });
    await getToken();
    await stage.advance(56);
    expect(await getToken()).toBe('token-1');
    await stage.advance(1.5);
    await expectFailure(getToken(), { code: 'unreachable' });
  });

  it('may be two seconds', async () => {
    stage.answer = () => token(2);
    const { getToken } = stage.client();
    await getToken();
    let waited = 0;
    for (let tenth = 0; tenth < 100; tenth += 1) {
      if (!(await observe(getToken())).isAtOnce) waited += 1;
      await stage.advance(0.1);
    }
    expect(waited).toBe(0);
    // Each 1.6 seconds.
    expect(stage.calls).toHaveLength(7);
  });

  it('may be longer than a timer can be', async () => {
    stage.answer = () => token(1e9);
    const { getToken } = stage.client();
    await getToken();
    await stage.advance(86_400);
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 0.8 * 86_400]);
  });

  it('ends early where the clock is set forward, as after a sleep', async () => {
    const { getToken } = stage.client();
    await getToken();
    stage.time.jump(86_400);
    expect(await getToken()).toBe('token-2');
    expect(await getToken()).toBe('token-2');
    expect(stage.calls).toHaveLength(2);
  });

  it('is no longer where the clock is set back', async () => {
    stage.answer = () => token(60);
    const { getToken } = stage.client();
    await getToken();
    stage.time.jump(-86_400);
    await stage.advance(48);
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 48]);
    await stage.advance(3600);
    expect(await getToken()).toBe('token-3');
  });
});

describe('each purpose', () => {
  const purposes: readonly TokenRequest[] = [
    {},
    { scope: 'a:read' },
    { scope: 'a:read b:read' },
    { audience: 'https://a.example' },
    { audience: 'https://a.example', scope: 'a:read' },
    { controllers: 'A' },
    { origins: 'A' },
    { controllers: 'A', origins: 'A' },
  ];

  it('has a token of its own', async () => {
    const { getToken } = stage.client();
    const askForAll = () => Promise.all(purposes.map(getToken));
    const tokens = await askForAll();
    expect(new Set(tokens).size).toBe(purposes.length);
    expect(await askForAll()).toEqual(tokens);
    const asked = stage.calls.map(({ form: { grant_type, client_secret, ...rest } }) => rest);
    expect(asked).toHaveLength(purposes.length);
    expect(asked).toEqual(expect.arrayContaining([...purposes]));
  });

  it('is that of the client, but for what a call says', async () => {
    const { getToken } = stage.client({ scope: 'a:read', audience: 'https://a.example' });
    await getToken({ audience: 'https://b.example' });
    await getToken({ scope: undefined });
    expect(stage.calls.map(({ form }) => [form['scope'], form['audience']])).toEqual([
      ['a:read', 'https://b.example'],
      ['a:read', 'https://a.example'],
    ]);
  });

  it('is not blank, for that would be everything', async () => {
    const { getToken, fetch } = stage.client();
    await expect(getToken({ controllers: ' ' })).rejects.toThrow('controllers is blank');
    await expect(fetch(stage.issuer, {}, { scope: '' })).rejects.toThrow('scope is blank');
    expect(() => stage.client({ origins: '' })).toThrow('origins is blank');
    expect(stage.calls).toEqual([]);
  });

  it('has no name but its own, for a mistyped one would be everything', async () => {
    const { getToken, fetch } = stage.client();
    for (const [request, name] of [
      [{ scopes: 'a:read' }, 'scopes'],
      [{ scope: 'a:read', resource: undefined }, 'resource'],
      ['a:read', 'object'],
    ] as unknown as [TokenRequest, string][]) {
      await expect(getToken(request)).rejects.toThrow(expect.objectContaining({ name: 'TypeError' }));
      await expect(getToken(request)).rejects.toThrow(name);
      await expect(fetch(stage.issuer, {}, request)).rejects.toThrow(name);
    }
    const { signal } = new AbortController();
    await expect(fetch(stage.issuer, {}, { signal } as TokenRequest)).rejects.toThrow('has no signal');
    expect(stage.calls).toEqual([]);
  });

  it('is read from an object as it stands, with what it inherits', async () => {
    const { getToken } = stage.client();
    const inherited = await getToken(Object.create({ scope: 'a:read' }) as TokenRequest);
    expect(await getToken({ scope: 'a:read' })).toBe(inherited);
    expect(stage.calls.map(({ form }) => form['scope'])).toEqual(['a:read']);
  });

  it('is forgotten where too many others were used since', async () => {
    const { getToken } = stage.client();
    await getToken({ audience: 'first' });
    for (let i = 0; i < 1000; i += 1) await getToken({ audience: String(i) });
    expect(stage.time.pending).toBe(1000);
    expect(await getToken({ audience: '0' })).toBe('token-2');
    expect(await getToken({ audience: 'first' })).toBe('token-1002');
  });
});

describe('the API key', () => {
  it('is asked for when a token is requested, and not for each use', async () => {
    let asked = 0;
    const { getToken } = stage.client({
      apiKey: () => {
        asked += 1;
        return Promise.resolve(`\n${asked === 1 ? apiKey : otherKey}\r\n`);
      },
    });
    for (let second = 0; second < 60; second += 1) {
      await getToken();
      await stage.advance(1);
    }
    expect(asked).toBe(2);
    expect(stage.calls.map(({ form }) => form['client_secret'])).toEqual([apiKey, otherKey]);
  });

  it.each([
    [{ apiKey: '' }, 'apiKey'],
    [{ apiKey: undefined as unknown as string }, 'apiKey'],
    [{ issuer: 'keys.example.com' }, 'issuer'],
    [{ issuer: 'ftp://keys.example.com' }, 'issuer'],
    [{ issuer: 'https://user:password@keys.example.com' }, 'issuer'],
    [{ issuer: 'https://keys.example.com/?a' }, 'issuer'],
    [{ patience: 5, patiens: 5 }, 'patiens'],
  ])('and the issuer have to make sense: %j', (options, name) => {
    expect(() => stage.client(options)).toThrow(TypeError);
    expect(() => stage.client(options)).toThrow(name);
  });

  it('goes to an issuer with a path, with or without a slash at its end', async () => {
    const paths: (string | undefined)[] = [];
    const fetch: typeof globalThis.fetch = input => {
      paths.push(input as string);
      return Promise.reject(new TypeError('fetch failed'));
    };
    for (const issuer of ['https://a.example/keys', 'https://a.example/keys/'])
      await expectFailure(stage.client({ issuer, fetch, patience: 0 }).getToken(), { code: 'unreachable' });
    expect(paths).toEqual(Array(2).fill('https://a.example/keys/oauth/token'));
  });
});

describe('an attempt that was frozen', () => {
  it('is left behind for those who wait, and its late answer does not count', async () => {
    // As in a Worker that was stopped after its answer: nothing is answered, and the timer of the attempt does not fire.
    const answers: ((response: Response) => void)[] = [];
    let isFrozen = true;
    const { getToken } = stage.client({
      fetch: () => new Promise(resolve => void answers.push(resolve)),
      setTimer: (run, delay, isAwaited) =>
        isFrozen && !isAwaited ? () => undefined : stage.time.setTimer(run, delay, isAwaited),
    });
    const frozen = getToken();
    await stage.advance(3);
    isFrozen = false;
    const next = getToken();
    await stage.advance(3.1);
    expect(answers).toHaveLength(2);
    const body = (name: string) =>
      Response.json({ access_token: name, token_type: 'bearer', expires_in: 60 });
    answers[1]?.(body('new'));
    expect([await frozen, await next]).toEqual(['new', 'new']);
    answers[0]?.(body('old'));
    await stage.settle();
    expect(await getToken()).toBe('new');
  });
});

/** Whether it was there before anything could come from outside: between two promises no socket is read. */
async function observe(promise: ReturnType<TokenClient['getToken']>) {
  let isAtOnce = false;
  void promise.then(() => (isAtOnce = true));
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  const atOnce = isAtOnce;
  return { value: await promise, isAtOnce: atOnce };
}

/** With no patience to speak of, time has to pass for it. */
async function expectFailure(promise: Promise<string>, expected: object): Promise<void> {
  await Promise.all([expect(promise).rejects.toMatchObject(expected), stage.advance(1)]);
}

describe('options that make no sense', () => {
  it.each<[string, unknown]>([
    ['patience', Infinity],
    ['patience', -1],
    ['patience', 'soon'],
    ['timeout', Infinity],
    ['timeout', 2 ** 31],
    ['timeout', 0],
    ['timeout', NaN],
    ['timeout', '5000'],
    ['fetch', 5],
  ])('are refused: %s %j', (name, value) => {
    expect(() => stage.client({ [name]: value })).toThrow(TypeError);
    expect(() => stage.client({ [name]: value })).toThrow(name);
  });
});
