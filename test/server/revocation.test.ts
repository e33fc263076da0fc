/** `POST /oauth/revoke` (RFC 7009), and that what is revoked stays so. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';
import { encodePart, signParts } from './forged-tokens.ts';

const route = '/v2/connections';

function revoke(service: TestService, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return fetch(`http://127.0.0.1:${service.port}/oauth/revoke`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(fields),
  });
}

async function use(service: TestService, token: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${service.port}${route}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await response.text();
  return response.status;
}

function basic(id: string, secret: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}

async function errorOf(response: Response): Promise<string> {
  return `${response.status} ${((await response.json()) as { error: string }).error}`;
}

describeOnEachStore('revocation', store => {
  let service: TestService;
  const fresh = () => service.token(service.sampleKey);
  beforeAll(async () => {
    service = await store.start();
  });

  describe('of a token', () => {
    test('answers 200, with a body of JSON that says nothing', async () => {
      const response = await revoke(service, { token: await fresh() });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toMatch(/^application\/json/);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await response.json()).toEqual({});
    });
    test('is in force on the very next request, for that token alone', async () => {
      const [one, other] = [await fresh(), await fresh()];
      expect([await use(service, one), await use(service, other)]).toEqual([200, 200]);
      await revoke(service, { token: one });
      expect([await use(service, one), await use(service, other)]).toEqual([401, 200]);
      expect(await use(service, await fresh())).toBe(200);
    });
    test('lasts as long as the token would have', async () => {
      const token = await fresh();
      await revoke(service, { token });
      for (let time = 0; time < 4; time += 1) {
        service.clock.advance(200);
        expect(await use(service, token)).toBe(401);
      }
    });
    test('may come as JSON', async () => {
      const token = await fresh();
      const response = await fetch(`${service.url}/oauth/revoke`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      });
      expect(response.status).toBe(200);
      expect(await use(service, token)).toBe(401);
    });
    test.each(['access_token', 'refresh_token', 'api_key', 'nonsense', ''])(
      'takes the hint %j for no more than a hint',
      async token_type_hint => {
        const token = await fresh();
        expect((await revoke(service, { token, token_type_hint })).status).toBe(200);
        expect(await use(service, token)).toBe(401);
      },
    );
    test('may be asked for again, and a hundred times at once', async () => {
      const token = await fresh();
      const answers = await Promise.all(Array.from({ length: 100 }, () => revoke(service, { token })));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(await use(service, token)).toBe(401);
    });

    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    test.each<[string, (token: string) => string[]]>([
      [
        'another last character that decodes to the same',
        token => {
          const bytes = Buffer.from(token.split('.')[2]!, 'base64url');
          const others = [...alphabet].map(last => token.slice(0, -1) + last).filter(text => text !== token);
          return others.filter(text => Buffer.from(text.split('.')[2]!, 'base64url').equals(bytes));
        },
      ],
      ['padding', token => [`${token}=`, `${token}==`, token.replace('.', '=.')]],
      [
        'blanks',
        token => [
          ` ${token}`,
          `${token}\n`,
          token.replace('.', ' .'),
          `${token.slice(0, 20)}\t${token.slice(20)}`,
        ],
      ],
      ['the standard alphabet', token => [token.replaceAll('-', '+').replaceAll('_', '/')]],
    ])('spelt with %s kills the token as it is spelt rightly, or is refused', async (_, respell) => {
      const token = await fresh();
      for (const [place, text] of respell(token).entries()) {
        const own = place === 0 ? token : await fresh();
        const spelt = place === 0 ? text : respell(own)[place]!;
        const { status } = await revoke(service, { token: spelt });
        const outcome = status === 200 ? await use(service, own) : status;
        expect([400, 401]).toContain(outcome);
      }
    });
    test('that another has forged leaves the true one alive', async () => {
      const token = await fresh();
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const [header, payload, signature] = token.split('.');
      for (const forged of [
        signParts(privateKey, decodeProtectedHeader(token), decodeJwt(token)),
        `${encodePart({ alg: 'none', typ: 'at+jwt' })}.${payload}.AAAA`,
        `${header}.${payload}.${'A'.repeat(86)}`,
        `${header}.${encodePart({ ...decodeJwt(token), x: 1 })}.${signature}`,
      ]) {
        expect((await revoke(service, { token: forged })).status).toBe(200);
      }
      expect(await use(service, token)).toBe(200);
    });
  });

  describe('of a key, by whoever holds it', () => {
    test('ends the key and every token of it at once', async () => {
      const { apiKey, key } = await service.createKey({});
      const tokens = [await service.token(apiKey), await service.token(apiKey)];
      expect(await use(service, tokens[0]!)).toBe(200);
      expect((await revoke(service, { token: apiKey })).status).toBe(200);
      for (const token of tokens) expect(await use(service, token)).toBe(401);
      expect((await service.exchange(apiKey)).status).toBe(401);
      const shown = (await (await service.admin('GET', `/admin/keys/${key.id}`)).json()) as object;
      expect(shown).toMatchObject({ status: 'revoked', keyVersion: 2 });
      expect((await revoke(service, { token: apiKey, token_type_hint: 'access_token' })).status).toBe(200);
    });
    test('raises its version: tokens of an older one are dead, and say which they are of', async () => {
      const { apiKey, key } = await service.createKey({});
      const token = await service.token(apiKey);
      expect(decodeJwt(token)['key_version']).toBe(1);
      await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      expect(await use(service, token)).toBe(401);
    });
    test('that is a draft or has expired ends it too', async () => {
      const soon = () => new Date(service.clock.now() + 1500).toISOString();
      for (const fields of [() => ({ draft: true }), () => ({ expiresAt: soon() })]) {
        const { apiKey, key } = await service.createKey(fields());
        service.clock.advance(2);
        expect((await revoke(service, { token: apiKey })).status).toBe(200);
        const shown = (await (await service.admin('GET', `/admin/keys/${key.id}`)).json()) as {
          status: string;
        };
        expect(shown.status).toBe('revoked');
      }
    });
    test('leaves all other keys alone', async () => {
      const [one, other] = [await service.createKey({}), await service.createKey({})];
      const token = await service.token(other.apiKey);
      await revoke(service, { token: one.apiKey });
      expect(await use(service, token)).toBe(200);
      expect((await service.exchange(other.apiKey)).status).toBe(200);
    });
    test('is not for who knows the id alone, or nearly the secret', async () => {
      const { apiKey, key } = await service.createKey({});
      const other = await service.createKey({});
      for (const token of [
        key.id,
        key.id.replaceAll('-', ''),
        `{${key.id}}`,
        apiKey.slice(0, -1),
        `${apiKey}x`,
        apiKey.toUpperCase(),
        ` ${apiKey}`,
        apiKey.slice(0, 36) + other.apiKey.slice(36),
        `kt_${key.id.replaceAll('-', '')}_${'0'.repeat(38)}`,
      ]) {
        expect((await revoke(service, { token })).status).toBe(200);
      }
      expect((await service.exchange(apiKey)).status).toBe(200);
    });
  });

  test.each([
    'x',
    'x.y.z',
    '.',
    '..',
    'AAAA.AAAA.AAAA',
    '____.____.____',
    'bnVsbA.bnVsbA.AAAA',
    `${encodePart(null)}.${encodePart({})}.AAAA`,
    `${encodePart({ alg: 'ES256', kid: 'x' })}.${encodePart(null)}.AAAA`,
    `${encodePart({ alg: 'none' })}.${encodePart({ jti: 'x' })}.`,
    randomUUID(),
    'kt_00000000000000000000000000000000_00000000000000000000000000000000000000',
    'eyJhbGciOiJub25lIn0.e30.',
    '\u0000',
    'ü',
    'a'.repeat(60_000),
    '.'.repeat(60_000),
  ])('of what there is not is 200, for %s', async token => {
    const response = await revoke(service, { token });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({});
  });
  test('of an expired token is 200', async () => {
    const token = await fresh();
    service.clock.advance(901);
    expect((await revoke(service, { token })).status).toBe(200);
  });

  describe('with client credentials', () => {
    test('is done where they are right, in every way of sending them', async () => {
      const { apiKey, key } = await service.createKey({});
      for (const [fields, headers] of [
        [{}, basic(key.id, apiKey)],
        [{}, basic('', apiKey)],
        [{ client_secret: apiKey }, {}],
        [{ client_id: `{${key.id.toUpperCase()}}`, client_secret: apiKey }, {}],
        [{ client_id: key.id }, {}],
      ] as [Record<string, string>, Record<string, string>][]) {
        const token = await service.token(apiKey);
        expect((await revoke(service, { token, ...fields }, headers)).status).toBe(200);
        expect(await use(service, token)).toBe(401);
      }
    });
    test('is 401 where they are wrong, and nothing is revoked', async () => {
      const { apiKey, key } = await service.createKey({});
      const other = await service.createKey({});
      for (const [fields, headers] of [
        [{}, basic(key.id, 'wrong')],
        [{}, basic(other.key.id, apiKey)],
        [{}, { authorization: 'Basic %%%' }],
        [{ client_secret: 'wrong' }, {}],
        [{ client_id: other.key.id, client_secret: apiKey }, {}],
        [{ client_id: 'x', client_secret: apiKey }, {}],
      ] as [Record<string, string>, Record<string, string>][]) {
        const token = await service.token(apiKey);
        const response = await revoke(service, { token, ...fields }, headers);
        expect(response.headers.has('www-authenticate')).toBe('authorization' in headers);
        expect(await errorOf(response)).toBe('401 invalid_client');
        expect(await use(service, token)).toBe(200);
      }
    });
    test('slows down whoever guesses, by every way of sending them, and nobody else', async () => {
      const own = await store.start({ failuresPerMinute: 4 });
      const { apiKey, key } = await own.createKey({});
      const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
      const guesses: [Record<string, string>, Record<string, string>][] = [
        [{}, basic(key.id, 'wrong')],
        [{ client_secret: `${apiKey.slice(0, -1)}_` }, {}],
        [{ client_id: randomUUID(), client_secret: apiKey }, {}],
        [{ client_assertion_type: type, client_assertion: 'x.y.z' }, {}],
      ];
      const guess = ([fields, headers]: (typeof guesses)[number]) =>
        revoke(own, { token: 'x', ...fields }, headers);
      for (const wrong of guesses) expect(await errorOf(await guess(wrong))).toBe('401 invalid_client');
      for (const wrong of guesses) {
        const response = await guess(wrong);
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
        expect(await errorOf(response)).toBe('429 temporarily_unavailable');
      }
      for (const headers of [basic(key.id, apiKey), {}])
        expect((await revoke(own, { token: 'x' }, headers)).status).toBe(200);
    });
    test('in two ways at once is 400', async () => {
      const { apiKey, key } = await service.createKey({});
      const token = await service.token(apiKey);
      const response = await revoke(service, { token, client_secret: apiKey }, basic(key.id, apiKey));
      expect(await errorOf(response)).toBe('400 invalid_request');
      expect(await use(service, token)).toBe(200);
    });
  });

  describe('asked for wrongly', () => {
    test.each<[string, () => Promise<RequestInit & { query?: string }>]>([
      [
        'without a token',
        () => Promise.resolve({ body: new URLSearchParams({ token_type_hint: 'access_token' }) }),
      ],
      ['with an empty token', () => Promise.resolve({ body: new URLSearchParams({ token: '' }) })],
      [
        'with two tokens',
        async () => ({
          body: new URLSearchParams([
            ['token', await fresh()],
            ['token', await fresh()],
          ]),
        }),
      ],
      [
        'with a token that is a number',
        () => Promise.resolve({ body: '{"token":1}', headers: { 'content-type': 'application/json' } }),
      ],
      [
        'as text',
        async () => ({ body: `token=${await fresh()}`, headers: { 'content-type': 'text/plain' } }),
      ],
      [
        'in the query',
        async () => ({ body: new URLSearchParams({ token: 'x' }), query: `?token=${await fresh()}` }),
      ],
    ])('%s is 400 invalid_request, without a challenge', async (_, prepare) => {
      const { query = '', ...request } = await prepare();
      const response = await fetch(`${service.url}/oauth/revoke${query}`, { method: 'POST', ...request });
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(await errorOf(response)).toBe('400 invalid_request');
    });
    test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('by %s is 405, and nothing is revoked', async method => {
      const token = await fresh();
      const response = await fetch(`${service.url}/oauth/revoke?token=${token}`, {
        method,
        ...(method !== 'GET' && { body: new URLSearchParams({ token }) }),
      });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toContain('POST');
      expect(await use(service, token)).toBe(200);
    });
  });
});

describeOnEachStore('what is revoked', store => {
  const env = { KEYTURN_ISSUER: 'https://issuer.example' };

  test('stays so across a restart, and the rest lives on', async () => {
    const place = await store.place();
    const first = await store.start({ env }, place);
    const gone = await first.createKey({});
    const kept = await first.createKey({});
    const [ofGone, ofKept, single] = [
      await first.token(gone.apiKey),
      await first.token(kept.apiKey),
      await first.token(kept.apiKey),
    ];
    await first.admin('POST', `/admin/keys/${gone.key.id}/revoke`);
    await revoke(first, { token: single });
    await first.stop();

    const second = await store.start({ env, clock: first.clock }, place);
    expect(await use(second, ofGone)).toBe(401);
    expect(await use(second, single)).toBe(401);
    expect(await use(second, ofKept)).toBe(200);
    expect((await second.exchange(gone.apiKey)).status).toBe(401);
    expect((await second.exchange(kept.apiKey)).status).toBe(200);
    expect((await second.exchange(first.ownerKey)).status).toBe(200);
  });

  test('is so for every instance soon', async () => {
    const place = await store.place();
    const first = await store.start({ env }, place);
    const second = await store.start({ env, clock: first.clock }, place);
    const { apiKey, key } = await first.createKey({});
    const [token, single] = [await first.token(apiKey), await second.token(first.sampleKey)];
    expect([await use(first, token), await use(second, token)]).toEqual([200, 200]);
    expect([await use(first, single), await use(second, single)]).toEqual([200, 200]);
    await first.admin('POST', `/admin/keys/${key.id}/revoke`);
    await revoke(second, { token: single });
    expect(await use(first, token)).toBe(401);
    expect(await use(second, single)).toBe(401);
    await until('the second instance knows of the key', async () => (await use(second, token)) === 401, 5000);
    await until(
      'the first instance knows of the token',
      async () => (await use(first, single)) === 401,
      5000,
    );
    expect((await second.exchange(apiKey)).status).toBe(401);
  });

  test("is the owner's own access key too, where its holder says so", async () => {
    const service = await store.start();
    const owner = await service.token(service.ownerKey);
    expect((await revoke(service, { token: service.ownerKey })).status).toBe(200);
    expect((await service.exchange(service.ownerKey)).status).toBe(401);
    const response = await fetch(`${service.url}/admin/keys`, {
      headers: { authorization: `Bearer ${owner}` },
    });
    expect(response.status).toBe(401);
  });
});
