/** What a caller of the token client sees when the service refuses, is away, or answers nonsense, and how often it is asked. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TokenRefused, TokenUnavailable } from '../../src/client/index.ts';
import {
  apiKey,
  cutOpenEnd,
  cutShort,
  hang,
  json,
  openStage,
  otherKey,
  plain,
  refusal,
  reset,
  type Stage,
  token,
} from './stage.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await openStage();
});

afterEach(() => stage.close());

const spell = json(503, { error: 'temporarily_unavailable', error_description: 'The store is away.' });

describe('a spell of 503', () => {
  it('is not noticed by who holds a living token, and tried through ever more rarely', async () => {
    stage.answer = ({ at }) => (at >= 720 && at < 820 ? spell : token(900));
    const { getToken } = stage.client();
    const seen = new Set<string>();
    for (let second = 0; second < 890; second += 1) {
      seen.add(await getToken());
      await stage.advance(1);
    }
    const attempts = stage.calls.map(({ at }) => at).filter(at => at >= 720);
    const pauses = attempts.slice(1).map((at, i) => at - attempts[i]!);
    // Half of 0.5, 1, 2, … 30 s, for `random` is a half; and the token was used at whole seconds.
    expect(pauses.map(pause => Number(pause.toFixed(3)))).toEqual([
      0.25, 0.75, 1, 2, 4, 8, 15, 15, 15, 15, 15, 15,
    ]);
    expect(seen).toEqual(new Set(['token-1', `token-${stage.calls.length}`]));
  });

  it('is waited through by who has no token, all with one attempt at a time', async () => {
    stage.answer = ({ at }) => (at < 3 ? spell : token(60));
    const { getToken } = stage.client();
    const waiting = Promise.all(Array.from({ length: 1000 }, () => getToken()));
    await stage.advance(10);
    expect(new Set(await waiting).size).toBe(1);
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 0.25, 0.75, 1.75, 3.75]);
  });

  it('that is too long is told when patience cannot do, and not longer tried for nobody', async () => {
    stage.answer = () => spell;
    const { getToken } = stage.client();
    const { error, at } = await failureOf(getToken(), 12);
    expect(error).toBeInstanceOf(TokenUnavailable);
    expect(error).toMatchObject({ code: 'temporarily_unavailable', status: 503, retryAfter: 8 });
    expect(error.message).toContain('The store is away.');
    // The next attempt is to come at 15.75 s: it would be waited for in vain.
    expect(at).toBe(7.75);
    const asked = stage.calls.length;
    expect(asked).toBe(6);
    await stage.advance(600);
    expect(stage.calls).toHaveLength(asked);
    stage.answer = () => token(60);
    expect(await getToken()).toBe(`token-${asked + 1}`);
  });

  it('has a patience that can be chosen', async () => {
    stage.answer = () => spell;
    const { at } = await failureOf(stage.client({ patience: 500 }).getToken(), 2);
    expect(at).toBeLessThanOrEqual(0.5);
  });
});

describe('Retry-After', () => {
  it.each([
    ['in seconds', { 'retry-after': '7' }, 7],
    [
      'as a date',
      { 'retry-after': 'Sat, 21 Nov 2026 00:00:07 GMT', date: 'Sat, 21 Nov 2026 00:00:00 GMT' },
      7,
    ],
    [
      'as a date by a clock that is wrong',
      { 'retry-after': 'Tue, 01 Jan 2030 00:00:07 GMT', date: 'Tue, 01 Jan 2030 00:00:00 GMT' },
      7,
    ],
    ['of no time', { 'retry-after': '0' }, 0],
    ['in the past', { 'retry-after': 'Fri, 20 Nov 2026 00:00:00 GMT' }, 0],
    ['that makes no sense', { 'retry-after': '-5' }, 0],
    ['that makes no sense either', { 'retry-after': 'soon' }, 0],
  ])('%s is obeyed: no request before it', async (_how, headers, seconds) => {
    stage.answer = ({ at }) => (at === 0 ? json(429, {}, headers) : token(60));
    const waiting = stage.client().getToken();
    await stage.advance(10);
    expect(await waiting).toBe('token-2');
    expect(stage.calls.map(({ at }) => at)).toEqual([0, seconds + 0.25]);
  });

  it('without a Date beside it is read by the own clock', async () => {
    stage.answer = ({ at }) => {
      if (at > 0) return token(60);
      return res => {
        res.sendDate = false;
        res.writeHead(429, { 'retry-after': 'Sat, 21 Nov 2026 00:00:04 GMT' }).end();
      };
    };
    const waiting = stage.client().getToken();
    await stage.advance(10);
    await waiting;
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 4.25]);
  });

  it('that is longer than patience is told at once, to everybody, whatever they ask for', async () => {
    stage.answer = ({ at }) =>
      at < 30
        ? json(429, { error: 'slow_down', error_description: 'Wait.' }, { 'retry-after': '30' })
        : token(60);
    const { getToken } = stage.client();
    const failures = await Promise.all(Array.from({ length: 100 }, () => failureOf(getToken(), 0)));
    expect(failures.every(({ at }) => at === 0)).toBe(true);
    expect(failures[0]?.error).toMatchObject({
      code: 'temporarily_unavailable',
      status: 429,
      retryAfter: 31,
    });
    for (let second = 0; second < 21; second += 1) {
      const { error } = await failureOf(getToken(second % 2 === 0 ? {} : { audience: 'another' }), 0);
      expect(error).toMatchObject({ code: 'temporarily_unavailable' });
      await stage.advance(1);
    }
    const both = Promise.all([getToken({ audience: 'another' }), getToken()]);
    await stage.advance(10);
    expect(await both).toEqual(['token-2', 'token-3']);
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 30, 30.25]);
  });

  it('is not shortened by a clock that is set forward', async () => {
    stage.answer = ({ at }) => (at === 0 ? json(503, {}, { 'retry-after': '5' }) : token(60));
    const waiting = stage.client().getToken();
    await stage.settle();
    stage.time.jump(3600);
    await stage.advance(6);
    await waiting;
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 5.25]);
  });

  it('of a day is taken for five minutes', async () => {
    stage.answer = ({ at }) => (at === 0 ? json(503, {}, { 'retry-after': '86400' }) : token(60));
    const { getToken } = stage.client();
    const { error } = await failureOf(getToken(), 0);
    expect(error).toMatchObject({ retryAfter: 301 });
    await stage.advance(301);
    expect(await getToken()).toBe('token-2');
  });
});

describe('a key that was rotated', () => {
  it('is picked up at once by the refused request itself', async () => {
    let key = apiKey;
    stage.answer = ({ form }) => (form['client_secret'] === key ? token(60) : refusal(401, 'invalid_client'));
    const given = [apiKey, apiKey, otherKey];
    const { getToken } = stage.client({ apiKey: () => given.shift() ?? otherKey });
    await getToken();
    key = otherKey;
    await stage.advance(60);
    // The refresh was refused with the old key, and went through with the new one.
    expect(stage.calls.map(({ at, form }) => [at, form['client_secret']])).toEqual([
      [0, apiKey],
      [48, apiKey],
      [48, otherKey],
    ]);
    expect(await getToken()).toBe('token-3');
  });

  it('is picked up within a second where the service refused the old one for long', async () => {
    let key = apiKey;
    stage.answer = ({ form }) =>
      form['client_secret'] === otherKey ? token(60) : refusal(401, 'invalid_client');
    const { getToken } = stage.client({ apiKey: () => key });
    for (let second = 0; second < 100; second += 1) {
      await failureOf(getToken(), 0);
      await stage.advance(1);
    }
    const refused = stage.calls.length;
    expect(stage.calls.map(({ at }) => Math.round(at))).toEqual([0, 1, 3, 7, 15, 31, 61, 91]);
    key = otherKey;
    await stage.advance(1);
    expect(await getToken()).toBe(`token-${refused + 1}`);
  });

  it('replaces a token that servers refuse', async () => {
    let key = apiKey;
    stage.answer = ({ form }) =>
      form['client_secret'] === key ? token(900) : refusal(401, 'invalid_client');
    const { getToken } = stage.client({ apiKey: () => key });
    const rejected = await getToken();
    key = otherKey;
    expect(await getToken({ rejected })).toBe('token-2');
  });
});

describe('a refused key', () => {
  it('is not asked for by each caller: the same error, and ever fewer requests', async () => {
    stage.answer = () => refusal(401, 'invalid_client', 'The API key is not valid. Use another.');
    const { getToken } = stage.client();
    const errors = new Set<unknown>();
    for (let second = 0; second < 600; second += 1) {
      for (let caller = 0; caller < 10; caller += 1) errors.add((await failureOf(getToken(), 0)).error);
      await stage.advance(1);
    }
    const [error] = [...errors];
    expect(error).toBeInstanceOf(TokenRefused);
    expect(error).toMatchObject({
      code: 'invalid_client',
      status: 401,
      message: 'The API key is not valid. Use another.',
    });
    // At 0, 1, 3, 7, 15, 31 s, and then each half minute.
    expect(stage.calls).toHaveLength(24);
    expect(errors.size).toBe(24);
  });

  it('does not end a token that lives', async () => {
    stage.answer = ({ at }) => (at === 0 ? token(900) : refusal(401, 'invalid_client'));
    const { getToken } = stage.client();
    for (let second = 0; second < 890; second += 1) {
      expect(await getToken()).toBe('token-1');
      await stage.advance(1);
    }
    // At 720, 721, 723, 727, 735, 751, 781, 811, 841, 871 s.
    expect(stage.calls).toHaveLength(11);
    expect((await failureOf(getToken(), 0)).error).toMatchObject({ code: 'invalid_client' });
  });

  it('ends a token that a server has refused', async () => {
    stage.answer = ({ at }) => (at === 0 ? token(900) : refusal(401, 'invalid_client'));
    const { getToken } = stage.client();
    const rejected = await getToken();
    await stage.advance(1);
    expect((await failureOf(getToken({ rejected }), 0)).error).toMatchObject({ code: 'invalid_client' });
    expect((await failureOf(getToken(), 0)).error).toMatchObject({ code: 'invalid_client' });
    expect(stage.calls).toHaveLength(2);
  });

  it('ends a token that a server refuses while the refusal is fresh', async () => {
    stage.answer = ({ at }) => (at === 0 ? token(900) : refusal(401, 'invalid_client'));
    const { getToken } = stage.client();
    const rejected = await getToken();
    await stage.advance(720.5);
    expect(await getToken()).toBe(rejected);
    expect((await failureOf(getToken({ rejected }), 0)).error).toMatchObject({ code: 'invalid_client' });
    expect((await failureOf(getToken(), 0)).error).toMatchObject({ code: 'invalid_client' });
    expect(stage.calls).toHaveLength(2);
  });

  it('is refused for one purpose, and not for the others', async () => {
    stage.answer = ({ form }) => (form['scope'] === 'too:much' ? refusal(400, 'invalid_scope') : token(60));
    const { getToken } = stage.client();
    expect((await failureOf(getToken({ scope: 'too:much' }), 0)).error).toMatchObject({
      code: 'invalid_scope',
    });
    expect(await getToken()).toBe('token-2');
  });
});

describe('a token that servers do not accept', () => {
  it('is not replaced on each call', async () => {
    const { getToken } = stage.client();
    stage.answer = () => token(86_400);
    let rejected = await getToken();
    for (let second = 0; second < 600; second += 1) {
      rejected = await getToken({ rejected });
      await stage.advance(1);
    }
    // After the first at 0, 1, 3, 7, 15, 31 s, and then each half minute.
    expect(stage.calls).toHaveLength(25);
  });

  it('is kept, for other servers, while there is no other', async () => {
    stage.answer = ({ at }) => (at === 0 ? token(900) : spell);
    const { getToken } = stage.client();
    const rejected = await getToken();
    await stage.advance(1);
    expect((await failureOf(getToken({ rejected }), 11)).error).toMatchObject({
      code: 'temporarily_unavailable',
    });
    expect(await getToken()).toBe(rejected);
  });
});

describe('an answer that is none', () => {
  it.each([
    ['a lifetime in a string', token('900')],
    ['a lifetime of nothing', token(0)],
    ['a negative lifetime', token(-1)],
    ['no lifetime', token(undefined)],
    ['a lifetime without end', plain(200, '{"access_token":"a","token_type":"Bearer","expires_in":1e999}')],
    ['another kind of token', token(60, { token_type: 'DPoP' })],
    ['no kind', token(60, { token_type: undefined })],
    ['no token', token(60, { access_token: undefined })],
    ['an empty token', token(60, { access_token: '' })],
    ['a token with a line break', token(60, { access_token: 'a\r\nX-Admin: 1' })],
    ['a token that no server would take', token(60, { access_token: 'a'.repeat(10_000) })],
    ['a token in a megabyte of other things', token(60, { more: 'a'.repeat(1_000_000) })],
    ['a page', plain(200, '<!doctype html><title>Welcome</title>', { 'content-type': 'text/html' })],
    ['nothing', plain(200, '')],
    ['a list', plain(200, '[]')],
    ['null', plain(200, 'null')],
    ['half of it', cutOpenEnd],
    ['a redirect', plain(302, '', { location: '/elsewhere' })],
    ['a page that says that there is none', plain(404, '<h1>Not found</h1>')],
  ])('is refused: %s', async (_what, reply) => {
    stage.answer = () => reply;
    const { getToken } = stage.client();
    const { error } = await failureOf(getToken(), 0);
    expect(error).toBeInstanceOf(TokenRefused);
    expect(error).toMatchObject({ code: 'invalid_response' });
    expect(error.message).toMatch(/issuer/);
    expect(stage.calls).toHaveLength(1);
    stage.answer = () => token(60);
    await stage.advance(1);
    expect(await getToken()).toBe('token-2');
  });

  it.each(['bearer', 'BEARER'])('is not one for the case of its letters: %s', async tokenType => {
    stage.answer = () => token(60, { token_type: tokenType });
    expect(await stage.client().getToken()).toBe('token-1');
  });
});

describe('a network that fails', () => {
  it.each([
    ['a reset', reset],
    ['a body cut short', cutShort],
    ['a page of a proxy', plain(502, '<h1>Bad gateway</h1>')],
    ['a fault of the service', json(500, { error: 'server_error' })],
    ['a timeout of a proxy', plain(408, '')],
  ])('is tried again: %s', async (_what, reply) => {
    stage.answer = ({ at }) => (at < 1 ? reply : token(60));
    const waiting = stage.client().getToken();
    await stage.advance(5);
    expect(await waiting).toBe('token-4');
  });

  it('by silence is given up after the timeout, and tried again', async () => {
    stage.answer = ({ at }) => (at < 4 ? hang : token(60));
    const waiting = stage.client({ timeout: 2000 }).getToken();
    await stage.advance(9);
    expect(await waiting).toBe('token-3');
    expect(stage.calls.map(({ at }) => at)).toEqual([0, 2.25, 4.75]);
  });

  it('by silence is told at the end of patience', async () => {
    stage.answer = () => hang;
    const { error, at } = await failureOf(stage.client({ timeout: 60_000 }).getToken(), 11);
    expect(error).toMatchObject({ code: 'unreachable', status: undefined, retryAfter: 1 });
    expect(at).toBe(10);
  });

  it('where nobody listens says so', async () => {
    const { getToken } = stage.client({ issuer: 'http://127.0.0.1:1' });
    const { error } = await failureOf(getToken(), 11);
    expect(error).toBeInstanceOf(TokenUnavailable);
    expect(error).toMatchObject({ code: 'unreachable' });
    expect(error.message).toMatch(/cannot be reached/);
    expect(error.cause).toBeInstanceOf(TypeError);
  });
});

describe('a function for the key', () => {
  it.each([
    ['fails', () => Promise.reject(new Error('ENOENT'))],
    [
      'throws',
      () => {
        throw new Error('ENOENT');
      },
    ],
    ['gives nothing', () => ' \n'],
    ['gives something else', () => undefined as unknown as string],
  ])('that %s is asked again, and told at the end of patience', async (_what, failing) => {
    let asked = 0;
    const { getToken } = stage.client({
      apiKey: () => {
        asked += 1;
        return failing();
      },
    });
    const { error } = await failureOf(getToken(), 11);
    expect(error).toMatchObject({ code: 'key_unavailable' });
    expect(asked).toBe(6);
    expect(stage.calls).toEqual([]);
  });

  it('that is mended while somebody waits has not failed', async () => {
    const { getToken } = stage.client({
      apiKey: () => (stage.time.monotonic() < 2000 ? Promise.reject(new Error('ENOENT')) : apiKey),
    });
    const waiting = getToken();
    await stage.advance(5);
    expect(await waiting).toBe('token-1');
  });

  it('that hangs is given up after the timeout', async () => {
    let asked = 0;
    const { getToken } = stage.client({
      apiKey: () => {
        asked += 1;
        return asked === 1 ? new Promise<string>(() => {}) : apiKey;
      },
    });
    const waiting = getToken();
    await stage.advance(6);
    expect(await waiting).toBe('token-1');
  });
});

describe('an error', () => {
  it('does not say the key, though the service says it back', async () => {
    stage.answer = ({ form }) => refusal(400, 'invalid_request', `What is ${form['client_secret']}?`);
    const { error } = await failureOf(stage.client().getToken(), 0);
    expect(error.message).toBe('What is …?');
  });

  it('of any kind has neither key nor token in it', async () => {
    const replies = [
      spell,
      refusal(401, 'invalid_client'),
      reset,
      cutShort,
      hang,
      plain(404, ''),
      token('1'),
    ];
    for (const reply of replies) {
      stage.answer = () => reply;
      const { error } = await failureOf(stage.client().getToken(), 11);
      const { inspect } = await import('node:util');
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/kt_|token-\d/);
    }
  });
});

/** @param seconds that pass meanwhile */
async function failureOf(promise: Promise<string>, seconds: number): Promise<{ error: Error; at: number }> {
  const failing = promise.then(
    value => Promise.reject(new Error(`there is a token: ${value}`)),
    (error: Error) => ({ error, at: stage.time.monotonic() / 1000 }),
  );
  const [failure] = await Promise.all([failing, stage.advance(seconds)]);
  return failure;
}
