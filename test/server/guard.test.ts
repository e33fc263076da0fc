/** What a guarded route lets in: every outcome, the order of the decision, and everything that only looks like a token. */
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore } from '../support/stores.ts';
import { encodePart, signEs256, signParts, type StolenKey, stealSigningKey } from './forged-tokens.ts';

type Claims = Record<string, unknown>;

/** A route of the sample key's feature. */
const route = '/v2/connections';

describeOnEachStore('a guarded route', store => {
  let service: TestService;
  let stolen: StolenKey;
  let token: string;
  let claims: Claims;
  let header: Claims;

  beforeAll(async () => {
    const place = await store.place();
    service = await store.start({}, place);
    stolen = await stealSigningKey(place);
    token = await service.token(service.sampleKey);
    claims = decodeJwt(token);
    header = { ...decodeProtectedHeader(token) };
  });

  const call = (path: string, headers: Record<string, string> = {}, method = 'GET', body?: string) =>
    fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    });
  const withToken = (text: string, headers: Record<string, string> = {}) =>
    call(route, { authorization: `Bearer ${text}`, ...headers });
  const forge = (changes: Claims = {}, headerChanges: Claims = {}) =>
    signParts(
      stolen.privateKey,
      { ...header, ...headerChanges },
      { ...claims, jti: randomUUID(), ...changes },
    );
  const now = () => Math.floor(service.clock.now() / 1000);

  test('lets a genuine token in, and says that nobody else may keep the answer', async () => {
    const response = await withToken(token);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toMatch(/no-store/);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect((await withToken(forge())).status).toBe(200);
  });

  describe('answers', () => {
    const problem = async (response: Response) => {
      const body = (await response.json()) as Record<string, unknown>;
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(body).toMatchObject({
        type: `urn:keyturn:problem:${String(body['code'])}`,
        status: response.status,
      });
      expect(body['title']).toMatch(/.{10,}/);
      expect(body['detail']).toMatch(/.{20,}/);
      return `${response.status} ${String(body['code'])}`;
    };
    const challengeOf = (response: Response) => {
      const challenge = response.headers.get('www-authenticate') ?? '';
      expect(challenge.startsWith('Bearer realm="keyturn", ')).toBe(true);
      expect(challenge).toContain(`resource_metadata="${service.url}/.well-known/oauth-protected-resource"`);
      return Object.fromEntries(
        [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      );
    };

    test('no credential with 401 and a challenge that names no error', async () => {
      for (const headers of [{}, { origin: 'https://elsewhere.example' }] as Record<string, string>[]) {
        const response = await call(route, headers);
        expect(challengeOf(response)).not.toHaveProperty('error');
        expect(await problem(response)).toBe('401 credential_missing');
      }
    });
    test('what is no token of ours with 401 invalid_token', async () => {
      const response = await withToken(`${token.slice(0, -4)}AAAA`);
      expect(challengeOf(response)).toMatchObject({ error: 'invalid_token' });
      expect(await problem(response)).toBe('401 token_invalid');
    });
    test('an expired token with 401 invalid_token', async () => {
      const response = await withToken(forge({ iat: now() - 60, exp: now() - 1 }));
      expect(challengeOf(response)).toMatchObject({ error: 'invalid_token' });
      expect(await problem(response)).toBe('401 token_expired');
    });
    test('a revoked token with 401 invalid_token', async () => {
      const { apiKey, key } = await service.createKey({});
      const dead = await service.token(apiKey);
      expect((await withToken(dead)).status).toBe(200);
      await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      const response = await withToken(dead);
      expect(challengeOf(response)).toMatchObject({ error: 'invalid_token' });
      expect(await problem(response)).toBe('401 token_revoked');
    });
    test('a token for another audience with 401 invalid_token', async () => {
      const { apiKey } = await service.createKey({ audiences: ['urn:example:other'] });
      const response = await withToken(await service.token(apiKey));
      expect(challengeOf(response)).toMatchObject({ error: 'invalid_token' });
      expect(await problem(response)).toBe('401 audience_mismatch');
    });
    test('a controller that the key may not use with 403, naming it', async () => {
      const { apiKey } = await service.createKey({ feature: 'developer-templates' });
      const response = await withToken(await service.token(apiKey));
      const challenge = challengeOf(response);
      expect(challenge).toMatchObject({ error: 'insufficient_scope' });
      expect(challenge).not.toHaveProperty('scope');
      const { detail } = (await response.clone().json()) as { detail: string };
      expect(detail).toContain('Personalize.Connections');
      expect(await problem(response)).toBe('403 controller_not_allowed');
    });
    test("an origin that is not among the key's with 403", async () => {
      const response = await withToken(token, { origin: 'https://elsewhere.example' });
      expect(challengeOf(response)).toMatchObject({ error: 'insufficient_scope' });
      expect(await problem(response)).toBe('403 origin_not_allowed');
    });
    test('a scope that was not granted with 403, naming the one that is needed', async () => {
      const narrow = await service.token(service.sampleKey, {
        scope: 'personalize.external_webservices:create',
      });
      const response = await withToken(narrow);
      expect(challengeOf(response)).toMatchObject({
        error: 'insufficient_scope',
        scope: 'personalize.external_webservices:read',
      });
      expect(await problem(response)).toBe('403 insufficient_scope');
    });
    test.each<[string, string, (token: string, key: string) => Record<string, string>]>([
      ['an sc_apikey header', '', (_, key) => ({ sc_apikey: key })],
      ['an X-SF-Access-Key header', '', (_, key) => ({ 'x-sf-access-key': key })],
      ['an sc_apikey in the query', '?sc_apikey=x', () => ({})],
      ['an SC_APIKEY in the query', '?a=b&SC_APIKEY=x', () => ({})],
      ['an access_token in the query', '?access_token=x', () => ({})],
      ['two other credentials', '?sc_apikey=x', (_, key) => ({ 'x-sf-access-key': key })],
    ])('a token beside %s with 400', async (_, query, headers) => {
      const response = await call(route + query, {
        authorization: `Bearer ${token}`,
        ...headers(token, service.sampleKey),
      });
      expect(challengeOf(response)).toMatchObject({ error: 'invalid_request' });
      expect(await problem(response)).toBe('400 several_credentials');
    });
    test.each<[string, string, Record<string, string>]>([
      ['a token in the query', `?access_token=TOKEN`, {}],
      ['a key as sc_apikey in the query', '?sc_apikey=KEY', {}],
      ['a key as sc_apikey', '', { sc_apikey: 'KEY' }],
      ['a key as X-SF-Access-Key', '', { 'x-sf-access-key': 'KEY' }],
      ['a key as Bearer', '', { authorization: 'Bearer KEY' }],
      ['a key as Basic', '', { authorization: 'Basic KEY' }],
      ['a token in a cookie', '', { cookie: 'access_token=TOKEN; authorization=Bearer TOKEN' }],
      [
        'a token under another name',
        '',
        { 'x-authorization': 'Bearer TOKEN', 'proxy-authorization': 'Bearer TOKEN' },
      ],
    ])('%s like a stranger', async (_, query, headers) => {
      const fill = (text: string) => text.replaceAll('TOKEN', token).replaceAll('KEY', service.sampleKey);
      const filled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fill(value)]));
      const response = await call(route + fill(query), filled);
      expect([400, 401]).toContain(response.status);
      expect(await response.text()).not.toContain('items');
    });
    test('a token in the body like none', async () => {
      const response = await call(
        route,
        { 'content-type': 'application/x-www-form-urlencoded' },
        'POST',
        `access_token=${token}`,
      );
      expect(challengeOf(response)).not.toHaveProperty('error');
      expect(response.status).toBe(401);
    });
  });

  describe('reads the scheme', () => {
    test.each([
      ['Bearer TOKEN', 200],
      ['bearer TOKEN', 200],
      ['BEARER TOKEN', 200],
      ['Bearer  TOKEN', 200],
      ['Bearer', 401],
      ['Bearer ', 401],
      ['Bearer\tTOKEN', 401],
      ['Bearer,TOKEN', 401],
      ['Bearer:TOKEN', 401],
      ['Bearer=TOKEN', 401],
      ['Bearer TOKEN,', 401],
      ['Bearer TOKEN TOKEN', 401],
      ['Bearer TOKEN, Bearer TOKEN', 401],
      ['Bearer "TOKEN"', 401],
      ['Bearer token="TOKEN"', 401],
      ['TOKEN', 401],
      ['Token TOKEN', 401],
      ['DPoP TOKEN', 401],
      ['JWT TOKEN', 401],
      ['Basic TOKEN', 401],
      ['Negotiate TOKEN', 401],
    ])('%j: %i', async (authorization, status) => {
      const lines = [
        `GET ${route} HTTP/1.1`,
        'Host: x',
        `Authorization: ${authorization.replaceAll('TOKEN', token)}`,
      ];
      expect((await sendRaw(service.port, requestText(lines)))?.status).toBe(status);
    });
    test.each<[string, string[]]>([
      ['a good and a bad one', ['Authorization: Bearer TOKEN', 'Authorization: Bearer x']],
      ['a bad and a good one', ['Authorization: Bearer x', 'Authorization: Bearer TOKEN']],
      ['Basic and Bearer', ['Authorization: Basic eDp5', 'Authorization: Bearer TOKEN']],
      ['twice the same', ['Authorization: Bearer TOKEN', 'authorization: Bearer TOKEN']],
      [
        'a token and two origins',
        ['Authorization: Bearer TOKEN', 'Origin: https://a.example', 'ORIGIN: https://b.example'],
      ],
      ['a token and two hosts', ['Authorization: Bearer TOKEN', 'Host: y']],
      ['two keys', ['X-SF-Access-Key: a', 'X-SF-Access-Key: b']],
      ['two identifiers', ['sc_apikey: a', 'Sc_ApiKey: b']],
    ])('once: %s is 400', async (_, lines) => {
      const filled = lines.map(line => line.replace('TOKEN', token));
      const answer = await sendRaw(
        service.port,
        requestText([`GET ${route} HTTP/1.1`, 'Host: x', ...filled]),
      );
      expect(answer?.status).toBe(400);
      expect(answer?.body).not.toContain('items');
    });
  });

  describe('decides in the stated order', () => {
    const revokedJti = 'a-token-that-was-revoked';
    interface Fault {
      readonly code: string;
      readonly claims?: (now: number) => Claims;
      readonly headers?: Record<string, string>;
      readonly spoilt?: true;
    }
    const faults: readonly Fault[] = [
      { code: 'several_credentials', headers: { sc_apikey: 'x' } },
      { code: 'token_invalid', spoilt: true },
      { code: 'token_expired', claims: time => ({ iat: time - 60, exp: time - 1 }) },
      { code: 'token_revoked', claims: () => ({ jti: revokedJti }) },
      { code: 'audience_mismatch', claims: () => ({ aud: 'urn:example:other' }) },
      { code: 'controller_not_allowed', claims: () => ({ allowed_controllers: ['Personalize.Flows'] }) },
      { code: 'origin_not_allowed', headers: { origin: 'https://elsewhere.example' } },
      { code: 'insufficient_scope', claims: () => ({ scope: 'personalize.flows:manage' }) },
    ];
    beforeAll(async () => {
      const response = await fetch(`${service.url}/oauth/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token: forge({ jti: revokedJti }) }),
      });
      if (!response.ok) throw new Error('the token could not be revoked');
    });
    const codeOf = async (...broken: readonly Fault[]) => {
      const changes = Object.assign({}, ...broken.map(fault => fault.claims?.(now()) ?? {})) as Claims;
      const headers = Object.assign({}, ...broken.map(fault => fault.headers ?? {})) as Record<
        string,
        string
      >;
      const text = forge(changes);
      const spoilt = broken.some(fault => fault.spoilt) ? `${text.slice(0, -6)}AAAAAA` : text;
      const response = await withToken(spoilt, headers);
      return ((await response.json()) as { code?: string }).code;
    };
    test('with nothing broken it lets in', async () => {
      expect(await codeOf()).toBeUndefined();
    });
    test.each(faults)('with one thing broken it says $code', async fault => {
      expect(await codeOf(fault)).toBe(fault.code);
    });
    const pairs = faults.flatMap((earlier, place) =>
      faults.slice(place + 1).map(later => ({ earlier, later })),
    );
    test.each(pairs)('$earlier.code comes before $later.code', async ({ earlier, later }) => {
      expect(await codeOf(earlier, later)).toBe(earlier.code);
    });
  });

  describe('refuses what only looks like a token', () => {
    let published: JsonWebKey & { kid: string };
    let jwksText: string;
    let publicKey: KeyObject;
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const callers: string[] = [];
    const listener = createServer((req, res) => {
      callers.push(req.url ?? '');
      res.setHeader('content-type', 'application/json');
      res.end(
        JSON.stringify({ keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'mine', alg: 'ES256' }] }),
      );
    });
    let listening = '';

    beforeAll(async () => {
      jwksText = await (await fetch(`${service.url}/.well-known/jwks.json`)).text();
      published = (JSON.parse(jwksText) as { keys: [JsonWebKey & { kid: string }] }).keys[0];
      publicKey = createPublicKey({ key: published, format: 'jwk' });
      listener.on('connection', socket => callers.push(`connection from ${socket.remotePort}`));
      await new Promise<void>(resolve => {
        listener.listen(0, '127.0.0.1', resolve);
      });
      listening = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    });
    afterAll(() => {
      listener.close();
    });

    const refusal = async (text: string) => {
      const response = await withToken(text);
      const error = /error="(\w+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
      return `${response.status} ${error}`;
    };
    const input = (headerChanges: Claims = {}, changes: Claims = {}) =>
      `${encodePart({ ...header, ...headerChanges })}.${encodePart({ ...claims, jti: randomUUID(), ...changes })}`;
    const signature = () => token.split('.')[2]!;

    test.each(['none', 'None', 'NONE', 'nOnE', '', ' none'])('the algorithm %j', async alg => {
      for (const last of ['', signature(), 'AA', randomUUID().replaceAll('-', '')]) {
        expect(await refusal(`${input({ alg })}.${last}`)).toBe('401 invalid_token');
      }
    });
    test('an algorithm that is not a text, or none at all', async () => {
      for (const alg of [null, true, 0, ['ES256'], { alg: 'ES256' }, undefined]) {
        expect(await refusal(signParts(stolen.privateKey, { ...header, alg }, claims))).toBe(
          '401 invalid_token',
        );
      }
    });

    test("HMAC under the public key, in each of the key's spellings", async () => {
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
      const { x = '', y = '' } = published;
      const point = Buffer.concat([
        Buffer.from([4]),
        Buffer.from(x, 'base64url'),
        Buffer.from(y, 'base64url'),
      ]);
      const { kty, crv } = published;
      const secrets: (string | Buffer)[] = [
        pem,
        pem.trim(),
        ` ${pem}`,
        `\n${pem}`,
        `${pem}\n`,
        pem.replaceAll('\n', '\r\n'),
        pem.replaceAll('\n', ''),
        pem.replaceAll(/-----.*-----|\n/g, ''),
        publicKey.export({ type: 'spki', format: 'der' }),
        point,
        point.subarray(1),
        point.toString('hex'),
        point.toString('base64'),
        Buffer.from(x, 'base64url'),
        x,
        Buffer.from(y, 'base64url'),
        y,
        JSON.stringify(published),
        JSON.stringify({ crv, kty, x, y }),
        JSON.stringify({ kty, crv, x, y }),
        JSON.stringify(published, null, 2),
        jwksText,
        published.kid,
        stolen.kid,
        '',
        '\0',
        'secret',
        service.url,
      ];
      for (const [alg, hash] of [
        ['HS256', 'sha256'],
        ['HS384', 'sha384'],
        ['HS512', 'sha512'],
      ] as const) {
        for (const secret of secrets) {
          const text = input({ alg });
          const mac = createHmac(hash, secret).update(text).digest('base64url');
          expect(await refusal(`${text}.${mac}`)).toBe('401 invalid_token');
        }
      }
    });

    test.each<[string, () => Claims]>([
      ['jwk', () => ({ jwk: own.publicKey.export({ format: 'jwk' }) })],
      [
        'jwk, with our kid in it',
        () => ({ jwk: { ...own.publicKey.export({ format: 'jwk' }), kid: stolen.kid } }),
      ],
      ['jwk without kid', () => ({ kid: undefined, jwk: own.publicKey.export({ format: 'jwk' }) })],
      ['jku', () => ({ jku: `${listening}/jwks.json`, kid: 'mine' })],
      ['jku with our kid', () => ({ jku: `${listening}/jwks.json` })],
      ['x5u', () => ({ x5u: `${listening}/cert.pem`, kid: 'mine' })],
      ['x5c', () => ({ x5c: [own.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] })],
      ['x5t', () => ({ x5t: 'dGh1bWI', kid: 'mine' })],
      ['kid that is an address', () => ({ kid: `${listening}/key` })],
      ['iss that is an address', () => ({ kid: 'mine', iss: listening })],
    ])("a stranger's signature with %s, and nobody is asked", async (_, change) => {
      const text = signParts(own.privateKey, { ...header, ...change() }, { ...claims, iss: claims['iss'] });
      expect(await refusal(text)).toBe('401 invalid_token');
      const payload = { ...claims, iss: listening, jku: listening };
      expect(await refusal(signParts(own.privateKey, { ...header, ...change() }, payload))).toBe(
        '401 invalid_token',
      );
      expect(callers).toEqual([]);
    });
    test.each([
      '',
      ' ',
      '/dev/null',
      '../../../../../../dev/null',
      'key\0',
      '| sleep 10',
      "' UNION SELECT 'key",
      '__proto__',
      'constructor',
      '*',
      'signing-keys',
      null,
      0,
      true,
      [],
      ['KID'],
      {},
      undefined,
      'KID ',
      ' KID',
      'kid',
    ])('the kid %j, signed by us or with an empty secret', async wanted => {
      const text = JSON.stringify(wanted ?? null).replaceAll('KID', stolen.kid);
      const kid = wanted === undefined ? undefined : (JSON.parse(text) as unknown);
      expect(await refusal(signParts(stolen.privateKey, { ...header, kid }, claims))).toBe(
        '401 invalid_token',
      );
      const hmac = input({ kid, alg: 'HS256' });
      expect(await refusal(`${hmac}.${createHmac('sha256', '').update(hmac).digest('base64url')}`)).toBe(
        '401 invalid_token',
      );
    });
    test.each([
      'ES384',
      'ES512',
      'ES256K',
      'RS256',
      'PS256',
      'EdDSA',
      'Ed25519',
      'HS256',
      'es256',
      'ES256 ',
      'ESP256',
    ])('our signature under the algorithm %s', async alg => {
      expect(await refusal(forge({}, { alg }))).toBe('401 invalid_token');
    });
    test.each<[string, unknown]>([
      ['JWT', 'JWT'],
      ['jwt', 'jwt'],
      ['none', undefined],
      ['null', null],
      ['a blank', 'at+jwt '],
      ['another type', 'dpop+jwt'],
      ['introspection', 'token-introspection+jwt'],
      ['an array', ['at+jwt']],
      ['empty', ''],
      ['a longer path', 'application/x/at+jwt'],
    ])('the type %s', async (_, typ) => {
      expect(await refusal(forge({}, { typ }))).toBe('401 invalid_token');
    });
    test.each<[string, Claims]>([
      ['crit of a name nobody knows', { crit: ['x'], x: 1 }],
      ['crit of exp', { crit: ['exp'], exp: 1 }],
      ['empty crit', { crit: [] }],
      ['crit of b64', { crit: ['b64'], b64: true }],
      ['b64 false', { b64: false, crit: ['b64'] }],
      ['b64 true', { b64: true }],
      ['crit null', { crit: null }],
    ])('%s', async (_, changes) => {
      expect(await refusal(forge({}, changes))).toBe('401 invalid_token');
    });

    test('each other last character of the signature, although it decodes to the same', async () => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const bytes = Buffer.from(signature(), 'base64url');
      const others = [...alphabet].map(last => token.slice(0, -1) + last).filter(text => text !== token);
      const twins = others.filter(text => Buffer.from(text.split('.')[2]!, 'base64url').equals(bytes));
      expect(twins).toHaveLength(15);
      for (const text of others) expect(await refusal(text)).toBe('401 invalid_token');
      expect((await withToken(token)).status).toBe(200);
    });
    test.each<[string, (token: string) => string]>([
      ['padding', text => `${text}==`],
      ['padding in the header', text => text.replace('.', '=.')],
      ['padding in the payload', text => text.replace(/\.(?=[^.]*$)/, '=.')],
      ['standard base64', text => text.replaceAll('-', '+').replaceAll('_', '/')],
      ['a dot behind', text => `${text}.`],
      ['a dot before', text => `.${text}`],
      ['two dots', text => text.replace('.', '..')],
      ['no signature', text => text.slice(0, text.lastIndexOf('.'))],
      ['an empty signature', text => text.slice(0, text.lastIndexOf('.') + 1)],
      ['no payload', text => text.replace(/\..*\./, '..')],
      ['a tilde', text => `${text}~`],
      ['a character more', text => `${text}A`],
      ['four characters more', text => `${text}AAAA`],
      ['four characters less', text => text.slice(0, -4)],
      ['a part more', text => `${text}.AAAA`],
      ['the parts in another order', text => text.split('.').toReversed().join('.')],
      ['itself twice', text => text + text],
      ['capitals', text => text.toUpperCase()],
    ])('a respelled token: %s', async (_, respell) => {
      const text = respell(token);
      expect(text === token ? '401 invalid_token' : await refusal(text)).toBe('401 invalid_token');
    });
    test('blanks within a token', async () => {
      for (const blank of ['\t', ' ', '\u00a0', '\u0085']) {
        const lines = [
          `GET ${route} HTTP/1.1`,
          'Host: x',
          `Authorization: Bearer ${token.replace('.', `${blank}.`)}`,
        ];
        expect((await sendRaw(service.port, requestText(lines)))?.status).toBe(401);
      }
    });
    test('signatures that nobody made', async () => {
      const text = input();
      const good = signEs256(stolen.privateKey, text);
      const signatures = [
        Buffer.alloc(64),
        Buffer.alloc(64, 0xff),
        Buffer.concat([Buffer.alloc(32), good.subarray(32)]),
        Buffer.concat([good.subarray(0, 32), Buffer.alloc(32)]),
        good.subarray(0, 63),
        Buffer.concat([good, Buffer.alloc(1)]),
        Buffer.concat([Buffer.alloc(1), good]),
        good.subarray(32),
        signEs256(stolen.privateKey, text, 'der'),
        signEs256(own.privateKey, text),
        signEs256(stolen.privateKey, `${text}.`),
        sign('sha512', Buffer.from(text), { key: stolen.privateKey, dsaEncoding: 'ieee-p1363' }),
      ];
      for (const bytes of signatures) {
        expect(await refusal(`${text}.${bytes.toString('base64url')}`)).toBe('401 invalid_token');
      }
    });
    test("another token's signature, header or payload", async () => {
      const [first, second] = [token.split('.'), forge({ scope: 'personalize.flows:manage' }).split('.')];
      expect(await refusal([first[0], second[1], first[2]].join('.'))).toBe('401 invalid_token');
      expect(await refusal([first[0], first[1], second[2]].join('.'))).toBe('401 invalid_token');
      expect(await refusal([encodePart({ ...header, x: 1 }), first[1], first[2]].join('.'))).toBe(
        '401 invalid_token',
      );
    });

    const text = (value: unknown) => JSON.stringify(value).slice(1, -1);
    test.each<[string, () => [unknown, unknown]]>([
      ['alg twice in the header', () => [`{"alg":"none",${text(header)}}`, claims]],
      ['the same alg twice', () => [`{"alg":"ES256",${text(header)}}`, claims]],
      ['scope twice in the payload', () => [header, `{${text(claims)},"scope":"keyturn:keys:manage"}`]],
      ['scope twice, one escaped', () => [header, `{${text(claims)},"\\u0073cope":"keyturn:keys:manage"}`]],
      ['a payload that is an array', () => [header, [claims]]],
      ['a payload that is a text', () => [header, '"x"']],
      ['a payload that is null', () => [header, 'null']],
      ['a payload that is no JSON', () => [header, '{exp:1}']],
      ['an empty payload object', () => [header, '{}']],
      ['JSON with a comma too many', () => [header, `{${text(claims)},}`]],
      ['a byte order mark', () => [header, `\ufeff${JSON.stringify(claims)}`]],
      ['a header that is an array', () => [[header], claims]],
      ['a header that is null', () => ['null', claims]],
      ['a header that is no JSON', () => ['x', claims]],
      ['a deep payload', () => [header, `{${text(claims)},"x":${'['.repeat(1000)}${']'.repeat(1000)}}`]],
      [
        '__proto__ as a claim without scope',
        () => [
          header,
          `{${text({ ...claims, scope: undefined })},"__proto__":{"scope":"${String(claims['scope'])}"}}`,
        ],
      ],
    ])('%s', async (_, parts) => {
      const [first, second] = parts();
      expect(await refusal(signParts(stolen.privateKey, first, second))).toBe('401 invalid_token');
    });
    test('a payload that is not UTF-8', async () => {
      const payload = Buffer.from(JSON.stringify({ ...claims, x: 'ÿ' }), 'latin1').toString('base64url');
      const signed = `${encodePart(header)}.${payload}`;
      const last = signEs256(stolen.privateKey, signed).toString('base64url');
      expect(await refusal(`${signed}.${last}`)).toBe('401 invalid_token');
    });

    test('encrypted tokens, at once, whatever they ask for', async () => {
      const headers = [
        { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31 - 1, p2s: 'AAAA', kid: stolen.kid },
        { alg: 'dir', enc: 'A256GCM', zip: 'DEF', kid: stolen.kid },
        { alg: 'ECDH-ES', enc: 'A128GCM', epk: own.publicKey.export({ format: 'jwk' }), kid: stolen.kid },
        { alg: 'RSA-OAEP', enc: 'A128GCM' },
      ];
      const begun = performance.now();
      for (const jose of headers) {
        expect(await refusal([encodePart(jose), 'AAAA', 'AAAAAAAAAAAAAAAA', 'AAAA', 'AAAA'].join('.'))).toBe(
          '401 invalid_token',
        );
        expect(await refusal([encodePart(jose), '', 'AAAAAAAAAAAAAAAA', 'AAAA', 'AAAA'].join('.'))).toBe(
          '401 invalid_token',
        );
        expect(await refusal([encodePart({ ...jose, typ: 'at+jwt' }), 'AAAA', 'AAAA'].join('.'))).toBe(
          '401 invalid_token',
        );
      }
      expect(performance.now() - begun).toBeLessThan(2000);
    });
    test('JSON serialisations', async () => {
      const [head, payload, last] = token.split('.');
      for (const value of [
        { protected: head, payload, signature: last },
        { payload, signatures: [{ protected: head, signature: last }] },
      ]) {
        expect(await refusal(JSON.stringify(value))).toBe('401 invalid_token');
        expect(await refusal(encodePart(value))).toBe('401 invalid_token');
      }
    });
    test('huge texts, at once', async () => {
      const begun = performance.now();
      for (const huge of [
        'A'.repeat(15_000),
        `${'A'.repeat(5000)}.${'A'.repeat(5000)}.${'A'.repeat(5000)}`,
        '.'.repeat(10_000),
        'A.'.repeat(7000),
        forge({ x: 'a'.repeat(9000) }),
        signParts(stolen.privateKey, { ...header, x: 'a'.repeat(9000) }, claims),
      ]) {
        expect(await refusal(huge)).toBe('401 invalid_token');
      }
      expect(performance.now() - begun).toBeLessThan(2000);
      const tooLong = await withToken('A'.repeat(17_000));
      expect(tooLong.status).toBe(431);
      expect((await withToken(token)).status).toBe(200);
    });

    test.each<[string, () => Claims]>([
      ...[
        'iss',
        'sub',
        'aud',
        'exp',
        'iat',
        'jti',
        'client_id',
        'scope',
        'feature',
        'allowed_controllers',
        'allowed_origins',
        'key_version',
      ].flatMap((name): [string, () => Claims][] => [
        [`no ${name}`, () => ({ [name]: undefined })],
        [`a null ${name}`, () => ({ [name]: null })],
        [`an object as ${name}`, () => ({ [name]: { a: 1 } })],
        [`true as ${name}`, () => ({ [name]: true })],
      ]),
      ...['sub', 'jti', 'client_id', 'feature', 'iss', 'aud'].map((name): [string, () => Claims] => [
        `an empty ${name}`,
        () => ({ [name]: '' }),
      ]),
      ['a key_version in quotes', () => ({ key_version: '1' })],
      ['a broken key_version', () => ({ key_version: 1.5 })],
      ['a scope that is a list', () => ({ scope: [claims['scope']] })],
      ['controllers that are a text', () => ({ allowed_controllers: 'Personalize.Connections' })],
      ['controllers that are numbers', () => ({ allowed_controllers: [1] })],
      ['origins that are a text', () => ({ allowed_origins: '*' })],
      ['an exp in quotes', () => ({ exp: String(now() + 60) })],
      ['a broken exp', () => ({ exp: now() + 60.5 })],
      ['an exp at the end of time', () => ({ exp: 1e308 })],
      ['an exp beyond whole numbers', () => ({ exp: 2 ** 60 })],
      ['an exp of nothing', () => ({ exp: 0 })],
      ['an exp before its iat', () => ({ iat: now(), exp: now() - 1 })],
      ['an exp at its iat', () => ({ iat: now() + 5, exp: now() + 5 })],
      ['a life of more than a day', () => ({ iat: now() - 10, exp: now() + 86_400 })],
      ['an iat a minute ahead', () => ({ iat: now() + 61, exp: now() + 120 })],
      ['an iat just beyond the skew', () => ({ iat: now() + 15, exp: now() + 120 })],
      ['an iat in quotes', () => ({ iat: String(now()) })],
      ['an iat before time', () => ({ iat: -1e15 })],
      ['an nbf a minute ahead', () => ({ nbf: now() + 61 })],
      ['an nbf just beyond the skew', () => ({ nbf: now() + 15 })],
      ['an nbf in quotes', () => ({ nbf: String(now()) })],
      ['a null nbf', () => ({ nbf: null })],
      ['another issuer', () => ({ iss: 'https://issuer.example' })],
      ['the issuer with a slash', () => ({ iss: `${service.url}/` })],
      ['the issuer with https', () => ({ iss: service.url.replace('http:', 'https:') })],
      ['the issuer in capitals', () => ({ iss: service.url.toUpperCase() })],
      ['the issuer by another name', () => ({ iss: service.url.replace('127.0.0.1', 'localhost') })],
      ['the issuer in a list', () => ({ iss: [service.url] })],
      ['no audience in a list', () => ({ aud: [] })],
      ['another audience', () => ({ aud: 'urn:example:other' })],
      ['other audiences', () => ({ aud: ['urn:example:other', 'urn:example:more'] })],
      ['an audience with a slash', () => ({ aud: `${service.url}/` })],
      ['an audience that begins so', () => ({ aud: `${service.url}.evil.example` })],
      ['an audience that is the beginning', () => ({ aud: service.url.slice(0, -1) })],
      ['an audience in capitals', () => ({ aud: service.url.toUpperCase() })],
      ['two audiences in one text', () => ({ aud: `${service.url} urn:example:other` })],
      ['a number among the audiences', () => ({ aud: [service.url, 1] })],
    ])('our signature over %s', async (_, changes) => {
      expect(await refusal(forge(changes()))).toBe('401 invalid_token');
    });
    test('our signature over numbers that JSON can write and no clock can show', async () => {
      for (const exp of ['1e999', '-1e999', '1E400', '0x7fffffff', 'Infinity']) {
        const payload = JSON.stringify({ ...claims, exp: 'EXP' }).replace('"EXP"', exp);
        expect(await refusal(signParts(stolen.privateKey, header, payload))).toBe('401 invalid_token');
      }
    });

    test.each<[string, () => [Claims, Claims?]]>([
      ['an iat within the skew', () => [{ iat: now() + 8, exp: now() + 60 }]],
      ['an nbf that is past, after its iat', () => [{ iat: now() - 60, nbf: now() - 30 }]],
      ['an nbf within the skew', () => [{ nbf: now() + 8 }]],
      ['its last seconds', () => [{ iat: now() - 60, exp: now() + 4 }]],
      ['a life of just a day', () => [{ iat: now(), exp: now() + 86_400 }]],
      ['ours among its audiences', () => [{ aud: ['urn:example:other', service.url] }]],
      ['the whole media type as its type', () => [{}, { typ: 'application/at+jwt' }]],
      ['its type in capitals', () => [{}, { typ: 'AT+JWT' }]],
      ['claims that nobody knows', () => [{ status: { x: 1 }, cnf: { jkt: 'x' } }]],
    ])('but not our signature over %s', async (_, changes) => {
      expect((await withToken(forge(...changes()))).status).toBe(200);
    });
  });

  describe('remembers a token, but not that it is valid', () => {
    test('it dies at its exp, however often it was used', async () => {
      const { apiKey } = await service.createKey({ tokenTtl: 30 });
      const short = await service.token(apiKey);
      const { exp = 0 } = decodeJwt(short);
      const use = async () => (await withToken(short)).status;
      expect(await Promise.all(Array.from({ length: 20 }, use))).toEqual(
        Array.from({ length: 20 }, () => 200),
      );
      service.clock.advance(exp - 3 - now());
      expect(await use()).toBe(200);
      service.clock.advance(exp - now());
      expect(await use()).toBe(401);
    });
    test('it dies with its key at once, and its twin signature with it', async () => {
      const { apiKey, key } = await service.createKey({});
      const used = await service.token(apiKey);
      const twin = twinOf(used);
      for (let time = 0; time < 20; time += 1) expect((await withToken(used)).status).toBe(200);
      await withToken(twin);
      const revoked = await service.admin('POST', `/admin/keys/${key.id}/revoke`);
      expect(revoked.status).toBe(200);
      expect((await withToken(used)).status).toBe(401);
      expect((await withToken(twin)).status).toBe(401);
    });
    test('a flood of tokens of unknown keys leaves the good one as it was', async () => {
      const strangers = Array.from({ length: 300 }, () => withToken(forge({}, { kid: randomUUID() })));
      const answers = await Promise.all(strangers);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
      expect((await withToken(forge())).status).toBe(200);
    });
  });

  describe('compares names exactly', () => {
    const statusOf = async (changes: Claims) => (await withToken(forge(changes))).status;
    test.each([
      [['Personalize.Connections'], 200],
      [['Personalize.Flows', 'Personalize.Connections'], 200],
      [['*'], 200],
      [[], 403],
      [[''], 403],
      [['Personalize.Connection'], 403],
      [['Personalize.ConnectionsX'], 403],
      [['Personalize.Connections.X'], 403],
      [['XPersonalize.Connections'], 403],
      [['personalize.connections'], 403],
      [['PERSONALIZE.CONNECTIONS'], 403],
      [[' Personalize.Connections'], 403],
      [['Personalize.Connections '], 403],
      [['Personalize.Connections;Personalize.Flows'], 403],
      [['Personalize.Connections, Assembly'], 403],
      [['Personalize.*'], 403],
      [['Personalize*'], 403],
      [['*.Connections'], 403],
      [['**'], 403],
      [['GraphQL:*'], 403],
      [['Personalize'], 403],
      [['Connections'], 403],
      [['__proto__'], 403],
    ])('of controllers: %j is %i', async (allowed_controllers, status) => {
      expect(await statusOf({ allowed_controllers })).toBe(status);
    });
    test.each([
      ['personalize.external_webservices:read', 200],
      ['personalize.external_webservices:manage', 200],
      ['a:read personalize.external_webservices:read b:read', 200],
      ['', 403],
      ['personalize.external_webservices:create', 403],
      ['personalize.external_webservices', 403],
      ['personalize.external_webservices:', 403],
      ['personalize.external_webservices:*', 403],
      ['personalize.external_webservices:Read', 403],
      ['Personalize.External_Webservices:read', 403],
      ['personalize.external_webservices:reads', 403],
      ['personalize.external_webservices:manage:read', 403],
      ['personalize.external_webservicesx:manage', 403],
      ['personalize:manage', 403],
      [':manage', 403],
      ['manage', 403],
      ['read', 403],
      ['*', 403],
      ['*:manage', 403],
      ['personalize.external_webservices:read,personalize.flows:read', 403],
      ['personalize.flows:read\tpersonalize.external_webservices:read', 403],
    ])('of scopes: %j is %i', async (scope, status) => {
      expect(await statusOf({ scope })).toBe(status);
    });
    test('lists are cut at semicolons, and what stands around a name does not count', async () => {
      const { apiKey, key } = await service.createKey({
        feature: 'multiple-resources',
        allowedControllers:
          ' Personalize.Flows;\r\n\tPersonalize.Connections , Some.Assembly ;;; Personalize.Flows;',
      });
      expect(key['allowedControllers']).toEqual(['Personalize.Flows', 'Personalize.Connections']);
      const authorization = `Bearer ${await service.token(apiKey)}`;
      expect((await call('/v2/connections', { authorization })).status).toBe(200);
      expect((await call('/v3/flowDefinitions', { authorization })).status).toBe(200);
      expect((await call('/v3/templates', { authorization })).status).toBe(403);
    });
  });

  describe('goes by the route that was called, and by nothing else', () => {
    test('a header, the query or the body choose no controller', async () => {
      const { apiKey } = await service.createKey({ feature: 'developer-templates' });
      const authorization = `Bearer ${await service.token(apiKey)}`;
      const hints = [
        'x-original-url',
        'x-rewrite-url',
        'x-forwarded-uri',
        'x-keyturn-controller',
        'x-controller',
        'x-forwarded-path',
        'x-forwarded-prefix',
        'referer',
      ];
      for (const name of hints) {
        for (const value of ['/v3/templates', 'Personalize.Templates']) {
          expect((await call(route, { authorization, [name]: value })).status).toBe(403);
        }
      }
      expect(
        (await call(`${route}?controller=Personalize.Templates&_controller=x`, { authorization })).status,
      ).toBe(403);
      const body = JSON.stringify({ controller: 'Personalize.Templates', allowed_controllers: ['*'] });
      expect((await call(route, { authorization }, 'POST', body)).status).toBe(403);
    });
    test('a header, the query or the body choose no method', async () => {
      const reading = await service.token(service.sampleKey, {
        scope: 'personalize.external_webservices:read',
      });
      const authorization = `Bearer ${reading}`;
      for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
        expect((await call(route, { authorization, [name]: 'GET' }, 'POST', '{}')).status).toBe(403);
        const list = await call(route, { authorization, [name]: 'POST' });
        expect(((await list.json()) as { items: unknown[] }).items).toBeInstanceOf(Array);
      }
      expect(
        (await call(`${route}?_method=GET`, { authorization }, 'POST', '{"_method":"GET"}')).status,
      ).toBe(403);
    });
    test('HEAD is guarded as GET is, and has no body', async () => {
      expect((await call(route, {}, 'HEAD')).status).toBe(401);
      const allowed = await call(route, { authorization: `Bearer ${token}` }, 'HEAD');
      expect(allowed.status).toBe(200);
      expect(await allowed.text()).toBe('');
      const creating = await service.token(service.sampleKey, {
        scope: 'personalize.external_webservices:create',
      });
      expect((await call(route, { authorization: `Bearer ${creating}` }, 'HEAD')).status).toBe(403);
    });
    test('OPTIONS tells the methods, and no data', async () => {
      const response = await call(route, {}, 'OPTIONS');
      expect(response.status).toBe(204);
      expect(response.headers.get('allow')?.split(/, */).sort()).toEqual(
        ['GET', 'HEAD', 'OPTIONS', 'POST'].filter(name => name !== 'HEAD'),
      );
      expect(await response.text()).toBe('');
    });
    test('who is refused does not learn what exists', async () => {
      const owner = await service.createKey({ feature: 'connections' });
      const authorization = `Bearer ${await service.token(owner.apiKey)}`;
      const made = await call(route, { authorization }, 'POST', '{"name":"x"}');
      const { ref } = (await made.json()) as { ref: string };
      const other = await service.createKey({ feature: 'developer-templates' });
      const refused = { authorization: `Bearer ${await service.token(other.apiKey)}` };
      for (const headers of [refused, {}] as Record<string, string>[]) {
        const [there, nowhere] = await Promise.all([
          call(`${route}/${ref}`, headers),
          call(`${route}/${randomUUID()}`, headers),
        ]);
        expect(there.status).toBe(nowhere.status);
        expect([401, 403]).toContain(there.status);
        expect(await there.text()).toBe(await nowhere.text());
      }
    });
    test.each([
      '/',
      '/v2',
      '/v2/',
      '/v2/connections/',
      '/v2/Connections',
      '/V2/connections',
      '//v2/connections',
      '/v2//connections',
      '/v2/connections/a/b',
      '/v2/%63onnections',
      '/v2/connections%2f',
      '/v2/./connections',
      '/x/../v2/connections',
      '/v2/connections;a=b',
      '/v2/connections.json',
      '/v1/connections',
      '/v4/templates',
      '/debug',
      '/env',
      '/actuator',
      '/graphql',
      '/metrics/',
      '/.env',
      '/.git/config',
      '/keys',
      '/admin',
      '/admin/',
      '/admin/accounts',
      '/console',
    ])('and %s is no route at all', async target => {
      for (const method of ['GET', 'POST']) {
        const lines = [
          `${method} ${target} HTTP/1.1`,
          'Host: x',
          `Authorization: Bearer ${token}`,
          'Content-Length: 0',
        ];
        expect([401, 403, 404]).toContain((await sendRaw(service.port, requestText(lines)))?.status);
      }
    });
  });
});

describeOnEachStore('every feature at every route', store => {
  interface Route {
    readonly methods: readonly string[];
    readonly path: string;
    readonly scope: string;
    readonly graphqlPath?: boolean;
  }
  interface Controller {
    readonly name: string;
    readonly routes: readonly Route[];
  }
  interface Feature {
    readonly name: string;
    readonly role?: string;
    readonly scopes: readonly string[];
    readonly controllers: readonly string[];
  }

  test('is let in just where its controllers and its scopes allow it', async () => {
    const service = await store.start();
    const { controllers } = JSON.parse(await readFile('config/controllers.json', 'utf8')) as {
      controllers: Controller[];
    };
    const { features } = JSON.parse(await readFile('config/features.json', 'utf8')) as {
      features: Feature[];
    };
    const seen: unknown[] = [];
    const wanted: unknown[] = [];
    for (const feature of features.filter(({ role }) => role === undefined || role === 'owner')) {
      const { apiKey } =
        feature.role === 'owner'
          ? { apiKey: service.ownerKey }
          : await service.createKey({ feature: feature.name, customData: { Database: 'web' } });
      const authorization = `Bearer ${await service.token(apiKey)}`;
      for (const controller of controllers) {
        for (const { methods, path, scope } of controller.routes) {
          for (const method of methods.includes('GET') ? [...methods, 'HEAD'] : methods) {
            const target = path.replaceAll(/:\w+/g, () => randomUUID());
            const response = await fetch(`${service.url}${target}?query=%7Ba%7D`, {
              method,
              headers: { authorization, 'content-type': 'application/json' },
              ...(!['GET', 'HEAD'].includes(method) && { body: '{"query":"{ a }"}' }),
            });
            const text = await response.text();
            const code =
              method === 'HEAD' || response.status !== 403
                ? undefined
                : (JSON.parse(text) as { code: string }).code;
            const of = `${feature.name} ${method} ${path}`;
            seen.push({ of, outcome: outcomeOf(response.status), code });
            wanted.push({ of, ...expectation(feature, controller.name, scope, method) });
          }
        }
      }
    }
    expect(seen.length).toBeGreaterThan(300);
    expect(seen.filter((_, place) => JSON.stringify(seen[place]) !== JSON.stringify(wanted[place]))).toEqual(
      [],
    );
  }, 60_000);

  test('and a method that no route declares is 405, with the declared ones named', async () => {
    const service = await store.start();
    const token = await service.token(service.sampleKey);
    for (const method of ['PUT', 'PATCH', 'DELETE', 'PROPFIND', 'TRACE', 'QUERY']) {
      const lines = [
        `${method} ${route} HTTP/1.1`,
        'Host: x',
        `Authorization: Bearer ${token}`,
        'Content-Length: 0',
      ];
      const answer = await sendRaw(service.port, requestText(lines));
      expect(answer?.status).toBe(405);
      expect(answer?.header('allow')).toMatch(/GET/);
      expect(answer?.header('allow')).toMatch(/POST/);
      expect(answer?.body).not.toContain(token);
    }
  });

  function outcomeOf(status: number): string {
    return status === 403 ? 'refused' : [200, 201, 404].includes(status) ? 'let in' : `status ${status}`;
  }

  function expectation({ controllers, scopes }: Feature, controller: string, scope: string, method: string) {
    if (!controllers.includes(controller)) {
      return { outcome: 'refused', code: method === 'HEAD' ? undefined : 'controller_not_allowed' };
    }
    const isGranted = scopes.includes(scope) || scopes.includes(scope.replace(/:\w+$/, ':manage'));
    if (isGranted) return { outcome: 'let in', code: undefined };
    return { outcome: 'refused', code: method === 'HEAD' ? undefined : 'insufficient_scope' };
  }
});

describeOnEachStore('tokens of one place at another', store => {
  test('a deployment refuses the tokens of another that calls itself the same', async () => {
    const env = { KEYTURN_ISSUER: 'https://issuer.example' };
    const [one, other] = [await store.start({ env }), await store.start({ env })];
    const token = await one.token(one.sampleKey);
    const call = (service: TestService) =>
      fetch(`http://127.0.0.1:${service.port}${route}`, { headers: { authorization: `Bearer ${token}` } });
    expect(decodeJwt(token).iss).toBe('https://issuer.example');
    expect((await call(one)).status).toBe(200);
    expect((await call(other)).status).toBe(401);
  });
  test("tokens for resources do not work at /admin, nor the owner's at resources", async () => {
    const service = await store.start({ env: { KEYTURN_AUDIENCE: 'https://api.example' } });
    const [sample, owner] = [await service.token(service.sampleKey), await service.token(service.ownerKey)];
    const call = async (path: string, token: string) => {
      const response = await fetch(`${service.url}${path}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      return `${response.status} ${((await response.json()) as { code?: string }).code}`;
    };
    expect(await call(route, sample)).toBe('200 undefined');
    expect(await call('/admin/keys', owner)).toBe('200 undefined');
    expect(await call('/admin/keys', sample)).toBe('401 audience_mismatch');
    expect(await call(route, owner)).toBe('401 audience_mismatch');
  });
});

/** For every ECDSA signature (r, s) there is (r, n - s), which anybody can make. */
function twinOf(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return [header, payload, twin.toString('base64url')].join('.');
}
