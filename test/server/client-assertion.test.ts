/** Signed assertions (RFC 7523 section 2.2) at the token and the revocation endpoint: the good, the forged, the used. */
import { createHmac, randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { base64url, type CryptoKey, decodeJwt, exportSPKI, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertionClaims, type KeyPair, makeKeyPair, signAssertion } from '../support/key-pairs.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { startService, type TestService } from '../support/service.ts';
import { describeOnEachStore, redisSecrets } from '../support/stores.ts';

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

type Fields = Record<string, string>;
type Claims = Record<string, unknown>;

describeOnEachStore('a client assertion', store => {
  let service: TestService;
  let pair: KeyPair;
  let id: string;
  beforeAll(async () => {
    service = await store.start();
    pair = await makeKeyPair();
    id = await keyOf(pair);
  });

  /** A key that has this pair's public key; its id. */
  async function keyOf({ publicJwk }: KeyPair, fields: Claims = {}): Promise<string> {
    const { key, ...rest } = await service.createKey({ publicJwk, ...fields });
    expect(rest).toEqual({});
    return key.id;
  }
  function claimsFor(clientId: string, changes: Claims = {}): Claims {
    return { ...assertionClaims(clientId, service.url, service.clock.now()), ...changes };
  }
  const good = (changes: Claims = {}, header: Claims = {}) =>
    signAssertion(pair, claimsFor(id, changes), header);
  function post(path: string, fields: Fields, headers: Fields = {}, at = service): Promise<Response> {
    return fetch(at.url + path, { method: 'POST', headers, body: new URLSearchParams(fields) });
  }
  function ask(client_assertion: string, fields: Fields = {}, at = service): Promise<Response> {
    const form = { grant_type: 'client_credentials', client_assertion_type: jwtBearer, client_assertion };
    return post('/oauth/token', { ...form, ...fields }, {}, at);
  }
  async function outcome(response: Response): Promise<string> {
    const { error = 'granted' } = (await response.json()) as { error?: string };
    return `${response.status} ${error}`;
  }
  async function described(response: Response): Promise<string> {
    const { error, error_description } = (await response.json()) as Record<string, string>;
    expect([response.status, error]).toEqual([401, 'invalid_client']);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]{10,}$/);
    return error_description ?? '';
  }
  async function patch(keyId: string, fields: Claims): Promise<number> {
    return (await service.admin('PATCH', `/admin/keys/${keyId}`, fields)).status;
  }

  describe('that is good', () => {
    test('gets a token like any other', async () => {
      const response = await ask(await good(), {
        client_id: id,
        scope: 'personalize.external_webservices:read',
      });
      const { access_token, ...answer } = (await response.json()) as { access_token: string };
      expect(answer).toEqual({
        token_type: 'Bearer',
        expires_in: 900,
        scope: 'personalize.external_webservices:read',
      });
      expect(decodeJwt(access_token)).toMatchObject({ sub: id, client_id: id, aud: service.url });
      const headers = { authorization: `Bearer ${access_token}` };
      expect((await fetch(`${service.url}/v2/connections`, { headers })).status).toBe(200);
    });

    test.each<[string, string, Claims?]>([
      ['ES256', 'ES256'],
      ['ES256, by its name', 'ES256', { alg: 'ES256', use: 'sig', key_ops: ['verify'] }],
      ['RS256', 'RS256'],
      ['PS256, by its name', 'PS256', { alg: 'PS256' }],
      ['EdDSA', 'EdDSA'],
      ['Ed25519', 'Ed25519'],
      ['EdDSA for a key named Ed25519', 'EdDSA', { alg: 'Ed25519' }],
    ])('may be signed with %s', async (_, alg, extra) => {
      const other = await makeKeyPair(alg, extra);
      expect(await outcome(await ask(await signAssertion(other, claimsFor(await keyOf(other)))))).toBe(
        '200 granted',
      );
    });

    test.each<[string, (url: string, now: number, id: string) => Claims]>([
      ['for the token endpoint', url => ({ aud: `${url}/oauth/token` })],
      ['for its older address', url => ({ aud: `${url}/v2/oauth/token` })],
      ['for several', url => ({ aud: ['https://elsewhere.example', url] })],
      ['with the id in braces and capitals', (_url, _now, k) => ({ iss: `{${k.toUpperCase()}}`, sub: k })],
      [
        'with the id in bare digits',
        (_url, _now, k) => ({ iss: k.replaceAll('-', ''), sub: k.replaceAll('-', '') }),
      ],
      ['without iat', () => ({ iat: undefined })],
      ['of 300 seconds', (_url, now) => ({ iat: now, exp: now + 300 })],
      ['of a clock that is 9 seconds ahead', (_url, now) => ({ iat: now + 9, nbf: now + 9, exp: now + 309 })],
      ['of a clock that is behind', (_url, now) => ({ iat: now - 68, exp: now - 8 })],
      ['with fractions of seconds', (_url, now) => ({ iat: now - 0.5, exp: now + 59.5 })],
      ['with a jti of 255 characters', () => ({ jti: randomUUID().padEnd(255, 'x') })],
      ['with claims that nobody knows', () => ({ scope: 'keyturn:keys:manage', roles: ['owner'] })],
    ])('%s is accepted', async (_, changes) => {
      const now = Math.floor(service.clock.now() / 1000);
      expect(await outcome(await ask(await good(changes(service.url, now, id))))).toBe('200 granted');
    });

    test.each<[string, Claims]>([
      ['JWT', { typ: 'JWT' }],
      ['client-authentication+jwt', { typ: 'client-authentication+jwt' }],
    ])('may be of type %s', async (_, header) => {
      expect(await outcome(await ask(await good({}, header)))).toBe('200 granted');
    });

    test('is accepted at the older address, and in JSON', async () => {
      const form = { grant_type: 'client_credentials', client_assertion_type: jwtBearer };
      const older = await post('/v2/oauth/token', { ...form, client_assertion: await good() });
      expect(await outcome(older)).toBe('200 granted');
      const json = await fetch(`${service.url}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...form, client_assertion: await good() }),
      });
      expect(await outcome(json)).toBe('200 granted');
    });

    test('with a kid is accepted where the key has the same, or none', async () => {
      const named = await makeKeyPair('ES256', { kid: 'one' });
      const keyId = await keyOf(named);
      for (const kid of ['one', undefined])
        expect(await outcome(await ask(await signAssertion(named, claimsFor(keyId), { kid })))).toBe(
          '200 granted',
        );
      expect(await outcome(await ask(await good({}, { kid: 'whatever' })))).toBe('200 granted');
    });

    test('follows no key and no address in its header', async () => {
      const foreign = await makeKeyPair();
      const header = { jwk: foreign.publicJwk, jku: 'http://127.0.0.1:9/jwks', x5u: 'http://127.0.0.1:9/x' };
      expect(await outcome(await ask(await good({}, header)))).toBe('200 granted');
      expect(await outcome(await ask(await signAssertion(foreign, claimsFor(id), header)))).toBe(
        '401 invalid_client',
      );
    });

    test('leaves a trace of when and from where', async () => {
      const keyId = await keyOf(pair);
      const read = async () => (await (await service.admin('GET', `/admin/keys/${keyId}`)).json()) as Claims;
      expect(await read()).toMatchObject({ secrets: [], lastAssertionAt: null, lastAssertionFrom: null });
      const before = service.clock.now();
      await ask(await signAssertion(pair, claimsFor(keyId)));
      const { lastAssertionAt, lastAssertionFrom } = await read();
      expect(Date.parse(String(lastAssertionAt))).toBeGreaterThanOrEqual(before);
      expect(lastAssertionFrom).toBe('127.0.0.1');
    });

    test('gets no token that outlives the key', async () => {
      const expiresAt = new Date(service.clock.now() + 5000).toISOString();
      const response = await ask(await signAssertion(pair, claimsFor(await keyOf(pair, { expiresAt }))));
      expect(((await response.json()) as { expires_in: number }).expires_in).toBeLessThanOrEqual(5);
    });
  });

  describe('works once', () => {
    test('and not again, whichever way', async () => {
      const assertion = await good();
      expect(await outcome(await ask(assertion))).toBe('200 granted');
      expect(await described(await ask(assertion))).toContain('jti');
      const { jti } = decodeJwt(assertion);
      expect(await described(await ask(await good({ jti })))).toContain('jti');
      const revocation = { token: 'x', client_assertion_type: jwtBearer, client_assertion: assertion };
      expect((await post('/oauth/revoke', revocation)).status).toBe(401);
    });

    test('to the end of its life, and of the clocks that differ', async () => {
      const now = Math.floor(service.clock.now() / 1000);
      const assertion = await good({ iat: now, exp: now + 5 });
      expect(await outcome(await ask(assertion))).toBe('200 granted');
      for (let waited = 0; waited < 16; waited += 4) {
        service.clock.advance(4);
        expect(await outcome(await ask(assertion))).toBe('401 invalid_client');
      }
    });

    test("though another key's has the same jti", async () => {
      const jti = randomUUID();
      expect(await outcome(await ask(await good({ jti })))).toBe('200 granted');
      const other = await signAssertion(pair, claimsFor(await keyOf(pair), { jti }));
      expect(await outcome(await ask(other))).toBe('200 granted');
    });

    test('and is not used up by one who cannot sign', async () => {
      const assertion = await good();
      const [header, payload] = assertion.split('.');
      await ask(`${header}.${payload}.${'A'.repeat(86)}`);
      await ask(assertion, { client_id: randomUUID() });
      expect(await outcome(await ask(assertion))).toBe('200 granted');
    });

    test('also where many send it at the same moment', async () => {
      const assertion = await good();
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(assertion)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(19);
    });
  });

  describe('that is forged', () => {
    test('is refused in the same words, whatever is wrong with it', async () => {
      const stranger = await makeKeyPair();
      const withSecret = await service.createKey({});
      const named = await makeKeyPair('ES256', { kid: 'one' });
      const namedId = await keyOf(named);
      const disabled = await keyOf(pair, { draft: true });
      const assertions: Record<string, string> = {
        ...Object.fromEntries(
          await Promise.all(
            ['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256', 'ES512'].map(
              async (alg): Promise<[string, string]> => [
                `of an unknown key, by ${alg}`,
                await signAssertion(await makeKeyPair(alg), claimsFor(randomUUID())),
              ],
            ),
          ),
        ),
        "of somebody else's signature": await signAssertion(stranger, claimsFor(id)),
        'of a draft': await signAssertion(stranger, claimsFor(disabled)),
        'of a key without a public key': await signAssertion(stranger, claimsFor(withSecret.key.id)),
        'of another algorithm': await signAssertion(await makeKeyPair('RS256'), claimsFor(id)),
        'of an algorithm for the same key': await signAssertion(await makeKeyPair('ES384'), claimsFor(id)),
        'of another kid': await signAssertion(named, claimsFor(namedId), { kid: 'two' }),
        'of another iss': await good({ iss: randomUUID() }),
        'of another sub': await good({ sub: randomUUID() }),
        'of iss as a list': await good({ iss: [id] }),
        'without iss': await good({ iss: undefined }),
        'without sub': await good({ sub: undefined }),
        'of no key': await good({ iss: 'Shop', sub: 'Shop' }),
        'of type at+jwt': await good({}, { typ: 'at+jwt' }),
        'of a type that is a number': await good({}, { typ: 1 }),
        'of a kid that is a number': await good({}, { kid: 1 }),
        'with b64': `${part({ alg: 'ES256', b64: true })}.${part(claimsFor(id))}.${'A'.repeat(86)}`,
        'with crit': await withCrit(claimsFor(id)),
        ...(await forgeries(await good())),
      };
      const words = new Set<string>();
      for (const [name, assertion] of Object.entries(assertions)) {
        const said = await described(await ask(assertion)).catch(
          (error: unknown) => `${name}: ${String(error)}`,
        );
        words.add(said);
      }
      expect([...words]).toEqual([expect.stringMatching(/^The client assertion is not valid\./)]);
    });

    /** What needs no key at all: other algorithms, other spellings, other texts around one signature. */
    async function forgeries(assertion: string): Promise<Record<string, string>> {
      const [header = '', payload = '', signature = ''] = assertion.split('.');
      const pem = await exportSPKI((await importJWK(pair.publicJwk, 'ES256')) as CryptoKey);
      const secrets = {
        pem,
        trimmed: pem.trim(),
        jwk: JSON.stringify(pair.publicJwk),
        x: pair.publicJwk.x ?? '',
      };
      const claims = part(claimsFor(id));
      const unsigned = ['none', 'None', 'NONE', 'nOnE'].flatMap((alg): [string, string][] => [
        [alg, `${part({ alg })}.${claims}.`],
        [`${alg}, signed`, `${part({ alg })}.${claims}.${signature}`],
      ]);
      const macs = Object.entries(secrets).map(([name, secret]): [string, string] => {
        const input = `${part({ alg: 'HS256' })}.${claims}`;
        return [
          `HS256 by ${name}`,
          `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`,
        ];
      });
      const last = signature.at(-1) ?? '';
      const twins = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
        .filter(letter => letter !== last)
        .map((letter): [string, string] => [`ends in ${letter}`, assertion.slice(0, -1) + letter]);
      return {
        ...Object.fromEntries([...unsigned, ...macs, ...twins]),
        padded: `${assertion}==`,
        'with a blank': `${header}.${payload} .${signature}`,
        'with a line break': `${assertion}\n`,
        'in standard base64': `${header}.${payload}.${'+'.repeat(86)}`,
        'of zeros': `${header}.${payload}.${'A'.repeat(86)}`,
        cut: assertion.slice(0, -2),
        'without a signature': `${header}.${payload}.`,
        'of two parts': `${header}.${payload}`,
        'of five parts': `${header}..${payload}.${signature}.A`,
        'of other claims': `${header}.${claims}.${signature}`,
        'of JSON': JSON.stringify({ protected: header, payload, signature }),
        'of doubled names': await signedText(`{"iss":"${id}","iss":"${id}","sub":"${id}"}`),
        'of no object': await signedText('[]'),
        'of no JSON': await signedText('iss'),
        'too long': `${header}.${payload}.${'A'.repeat(9000)}`,
        'a key string': service.sampleKey,
      };
    }
    function part(value: object): string {
      return base64url.encode(JSON.stringify(value));
    }
    async function withCrit(claims: Claims): Promise<string> {
      const header = part({ alg: 'ES256', crit: ['exp'], exp: 1 });
      return signedInput(`${header}.${part(claims)}`);
    }
    function signedText(payload: string): Promise<string> {
      return signedInput(`${part({ alg: 'ES256' })}.${base64url.encode(payload)}`);
    }
    async function signedInput(input: string): Promise<string> {
      const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
      const signature = await crypto.subtle.sign(algorithm, pair.privateKey, new TextEncoder().encode(input));
      return `${input}.${base64url.encode(new Uint8Array(signature))}`;
    }
  });

  describe('that is well signed and says something wrong', () => {
    test.each<[string, (url: string, now: number) => Claims, string]>([
      ['another audience', () => ({ aud: 'https://elsewhere.example' }), 'aud'],
      ['no audience', () => ({ aud: undefined }), 'aud'],
      ['an empty list of audiences', () => ({ aud: [] }), 'aud'],
      ['the audience with a slash', url => ({ aud: `${url}/` }), 'aud'],
      ['the audience in capitals', url => ({ aud: url.toUpperCase() }), 'aud'],
      ['a part of the audience', url => ({ aud: url.slice(0, -1) }), 'aud'],
      ['the audience in a list in a list', url => ({ aud: [[url]] }), 'aud'],
      ['no exp', () => ({ exp: undefined }), 'exp'],
      ['an exp that is a text', (_, now) => ({ exp: String(now + 60) }), 'exp'],
      ['an exp that is past', (_, now) => ({ iat: now - 100, exp: now - 12 }), 'expired'],
      ['an exp of long ago', () => ({ iat: 0, exp: 60 }), 'expired'],
      ['an exp too far ahead', (_, now) => ({ iat: undefined, exp: now + 315 }), 'lives too long'],
      ['an exp without end', (_, now) => ({ iat: now, exp: 1e308 }), 'lives too long'],
      ['a life too long', (_, now) => ({ iat: now - 200, exp: now + 150 }), 'lives too long'],
      ['an iat ahead', (_, now) => ({ iat: now + 15 }), 'iat'],
      ['an nbf ahead', (_, now) => ({ nbf: now + 15 }), 'nbf'],
      ['an iat that is a text', () => ({ iat: 'now' }), 'iat'],
      ['an nbf that is null', () => ({ nbf: null }), 'nbf'],
      ['no jti', () => ({ jti: undefined }), 'jti'],
      ['an empty jti', () => ({ jti: '' }), 'jti'],
      ['a jti that is a number', () => ({ jti: 1 }), 'jti'],
      ['a jti that is too long', () => ({ jti: 'x'.repeat(256) }), 'jti'],
    ])('is refused for %s, and told so', async (_, changes, named) => {
      const now = Math.floor(service.clock.now() / 1000);
      expect(await described(await ask(await good(changes(service.url, now))))).toContain(named);
    });

    test('is refused beside the id of another client, and is no news to it', async () => {
      for (const client_id of [randomUUID(), 'Shop'])
        expect(await described(await ask(await good(), { client_id }))).toContain('is not valid');
    });
  });

  describe('of a key that may not be used now', () => {
    test.each<[string, Claims, string[], string]>([
      ['a draft', { draft: true }, [], 'draft'],
      ['disabled', {}, ['disable'], 'disabled'],
      ['revoked', {}, ['revoke'], 'revoked'],
      ['not valid yet', { notBefore: '2099-01-01T00:00:00Z' }, [], 'before 2099'],
    ])('says that it is %s', async (_, fields, steps, named) => {
      const keyId = await keyOf(pair, fields);
      for (const step of steps) await service.admin('POST', `/admin/keys/${keyId}/${step}`);
      expect(await described(await ask(await signAssertion(pair, claimsFor(keyId))))).toContain(named);
    });

    test('says that it has expired', async () => {
      const expiresAt = new Date(service.clock.now() + 2000).toISOString();
      const keyId = await keyOf(pair, { expiresAt });
      service.clock.advance(3);
      expect(await described(await ask(await signAssertion(pair, claimsFor(keyId))))).toContain(
        'has expired',
      );
    });

    test('is unauthorized_client where it was made for other doors', async () => {
      const keyId = await keyOf(pair, { doors: ['sc_apikey'] });
      const response = await ask(await signAssertion(pair, claimsFor(keyId)));
      expect(await outcome(response)).toBe('400 unauthorized_client');
    });

    test('is that of nobody once it is deleted', async () => {
      const keyId = await keyOf(pair);
      expect((await service.admin('DELETE', `/admin/keys/${keyId}`)).status).toBe(204);
      expect(await described(await ask(await signAssertion(pair, claimsFor(keyId))))).toContain(
        'is not valid',
      );
    });
  });

  describe('in a request', () => {
    test('beside a secret or Basic is invalid_request, and is not used up', async () => {
      const client_assertion = await good();
      const form = { grant_type: 'client_credentials', client_assertion_type: jwtBearer, client_assertion };
      const basic = { authorization: `Basic ${Buffer.from(`:${service.sampleKey}`).toString('base64')}` };
      const answers = [
        await post('/oauth/token', { ...form, client_secret: service.sampleKey }),
        await post('/oauth/token', { ...form, client_secret: 'wrong' }),
        await post('/oauth/token', form, basic),
        await post('/oauth/token', form, { authorization: 'Basic !' }),
      ];
      for (const answer of answers) expect(await outcome(answer)).toBe('400 invalid_request');
      expect(await outcome(await ask(client_assertion))).toBe('200 granted');
    });

    test('needs its type, and no other one', async () => {
      const client_assertion = await good();
      const form = { grant_type: 'client_credentials' };
      expect(await outcome(await post('/oauth/token', { ...form, client_assertion }))).toBe(
        '400 invalid_request',
      );
      const alone = { ...form, client_assertion_type: jwtBearer };
      expect(await outcome(await post('/oauth/token', alone))).toBe('400 invalid_request');
      const saml = jwtBearer.replace('jwt-bearer', 'saml2-bearer');
      const other = { ...form, client_assertion, client_assertion_type: saml };
      expect(await outcome(await post('/oauth/token', other))).toBe('401 invalid_client');
    });

    test('is no authorization grant, and no way to exchange a token', async () => {
      const grant = (type: string) => ({ grant_type: `urn:ietf:params:oauth:grant-type:${type}` });
      expect(await outcome(await ask(await good(), grant('jwt-bearer')))).toBe('400 unsupported_grant_type');
      const exchange = {
        ...grant('token-exchange'),
        subject_token: service.sampleKey,
        subject_token_type: 'urn:keyturn:params:oauth:token-type:api-key',
      };
      expect(await outcome(await ask(await good(), exchange))).toBe('400 invalid_request');
    });

    test('in the query is refused, and stands in no log', async () => {
      const client_assertion = await good();
      const query = `?client_assertion=${client_assertion}&client_assertion_type=${jwtBearer}`;
      const response = await post(`/oauth/token${query}`, { grant_type: 'client_credentials' });
      expect(await outcome(response)).toBe('400 invalid_request');
      expect(service.log.filter(line => line.includes(client_assertion.slice(-40)))).toEqual([]);
    });
  });

  describe('at the revocation endpoint', () => {
    const revoke = (token: string, client_assertion: string) =>
      post('/oauth/revoke', { token, client_assertion_type: jwtBearer, client_assertion });

    test('is accepted once, and refused where it is not valid', async () => {
      const { access_token } = (await (await ask(await good())).json()) as { access_token: string };
      const assertion = await good();
      const stranger = await signAssertion(await makeKeyPair(), claimsFor(id));
      expect(await outcome(await revoke(access_token, stranger))).toBe('401 invalid_client');
      expect((await revoke(access_token, assertion)).status).toBe(200);
      const headers = { authorization: `Bearer ${access_token}` };
      expect((await fetch(`${service.url}/v2/connections`, { headers })).status).toBe(401);
      expect(await outcome(await revoke(access_token, assertion))).toBe('401 invalid_client');
    });
  });

  describe('after its public key was changed', () => {
    const stillWorks = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${service.url}/v2/connections`, { headers })).status === 200;
    };
    const tokenOf = async (signer: KeyPair, keyId: string) => {
      const response = await ask(await signAssertion(signer, claimsFor(keyId)));
      return ((await response.json()) as { access_token: string }).access_token;
    };

    test('is refused with its tokens, and the new one works', async () => {
      const keyId = await keyOf(pair);
      const token = await tokenOf(pair, keyId);
      expect(await patch(keyId, { publicJwk: pair.publicJwk, name: 'Another name' })).toBe(200);
      expect(await stillWorks(token)).toBe(true);
      const next = await makeKeyPair('EdDSA');
      expect(await patch(keyId, { publicJwk: next.publicJwk })).toBe(200);
      expect(await stillWorks(token)).toBe(false);
      expect(await outcome(await ask(await signAssertion(pair, claimsFor(keyId))))).toBe(
        '401 invalid_client',
      );
      expect(await stillWorks(await tokenOf(next, keyId))).toBe(true);
    });

    test('lets a key with a secret keep that, and one without not lose its last way in', async () => {
      const { key, apiKey } = await service.createKey({});
      const byKey = await service.token(apiKey);
      expect(await patch(key.id, { publicJwk: pair.publicJwk })).toBe(200);
      expect(await stillWorks(byKey)).toBe(true);
      const token = await tokenOf(pair, key.id);
      expect(await stillWorks(await service.token(apiKey))).toBe(true);
      expect(await patch(key.id, { publicJwk: null })).toBe(200);
      expect(await stillWorks(token)).toBe(false);
      expect(await stillWorks(await service.token(apiKey))).toBe(true);
      expect(await patch(id, { publicJwk: null })).toBe(422);
    });
  });
});

describe('a client assertion at several instances over one Redis', () => {
  const issuer = 'https://keys.example.com';
  let redis: RedisServer;
  let services: TestService[];
  let pair: KeyPair;
  let id: string;
  beforeAll(async () => {
    redis = await startRedis();
    const first = await startService({ redisUrl: redis.url, env: { KEYTURN_ISSUER: issuer } });
    const env = { KEYTURN_ISSUER: issuer, KEYTURN_REDIS_URL: redis.url, ...redisSecrets };
    services = [first, await startService({ env }), await startService({ env })];
    pair = await makeKeyPair();
    id = (await first.createKey({ publicJwk: pair.publicJwk })).key.id;
  }, 60_000);
  afterAll(async () => {
    for (const service of services.toReversed()) await service.stop();
    await redis.stop();
  });
  const ask = async (client_assertion: string, { port }: TestService) => {
    const form = { grant_type: 'client_credentials', client_assertion_type: jwtBearer, client_assertion };
    const body = new URLSearchParams(form);
    return (await fetch(`http://127.0.0.1:${port}/oauth/token`, { method: 'POST', body })).status;
  };
  const make = () => signAssertion(pair, assertionClaims(id, issuer, Date.now()));

  test('that one of them has taken is taken by no other', async () => {
    for (const service of services) {
      const assertion = await make();
      const others = services.filter(other => other !== service);
      expect(await ask(assertion, service)).toBe(200);
      expect(await Promise.all(others.map(other => ask(assertion, other)))).toEqual([401, 401]);
    }
  });

  test('that comes to all of them at one moment is taken once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const assertion = await make();
      const answers = await Promise.all([...services, ...services].map(service => ask(assertion, service)));
      expect(answers.filter(status => status === 200)).toHaveLength(1);
      expect(answers.filter(status => status === 401)).toHaveLength(5);
    }
  });

  test('that is taken is forgotten in time', async () => {
    const client = new Redis(redis.url);
    const names = await client.keys('*assertion/*');
    const lives = await Promise.all(names.map(name => client.pttl(name)));
    client.disconnect();
    expect(names).toHaveLength(13);
    expect(lives.filter(life => life < 60_000 || life > 4_000_000)).toEqual([]);
  });
});
