/** `POST /oauth/token` as the outside world may rely on it: RFC 6749, 8693 and 8707, and what strict clients refuse. */
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import type { TestService } from '../support/service.ts';
import { describeOnEachStore, describeOnEmbeddedStore } from '../support/stores.ts';

const apiKeyType = 'urn:keyturn:params:oauth:token-type:api-key';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope: string;
  readonly issued_token_type?: string;
}

interface OAuthAnswer {
  readonly error: string;
  readonly error_description: string;
}

type Fields = Record<string, string> | [string, string][];

function post(
  service: TestService,
  body: unknown,
  headers: Record<string, string> = {},
  path = '/oauth/token',
) {
  const isForm = body instanceof URLSearchParams;
  return fetch(`http://127.0.0.1:${service.port}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: {
      ...(!isForm && typeof body !== 'string' && { 'content-type': 'application/json' }),
      ...headers,
    },
    body: isForm || typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function form(service: TestService, fields: Fields, headers?: Record<string, string>): Promise<Response> {
  return post(service, new URLSearchParams(fields), headers);
}

function basic(id: string, secret: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}

async function issued(response: Response): Promise<TokenAnswer> {
  expect({ status: response.status, body: response.ok ? '' : await response.clone().text() }).toEqual({
    status: 200,
    body: '',
  });
  return (await response.json()) as TokenAnswer;
}

/** That a token was given, with the right members. */
async function granted(response: Response): Promise<boolean> {
  const { access_token, token_type, expires_in, scope } = await issued(response);
  return (
    access_token !== '' &&
    token_type === 'Bearer' &&
    Number.isInteger(expires_in) &&
    expires_in > 0 &&
    scope !== ''
  );
}

/** Holds an answer to what is common to all errors of this endpoint; its status and error, as one text. */
async function refusal(response: Response): Promise<string> {
  return (await refused(response)).outcome;
}

async function refused(response: Response): Promise<{ outcome: string; description: string }> {
  const { error, error_description } = (await response.json()) as OAuthAnswer;
  expect(error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]{10,}$/);
  expect(response.headers.get('content-type')).toMatch(/^application\/json(?:; charset=utf-8)?$/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.status !== 401 && response.headers.has('www-authenticate')).toBe(false);
  return { outcome: `${response.status} ${error}`, description: error_description };
}

describeOnEachStore('the token endpoint', store => {
  let service: TestService;
  let id: string;
  let key: string;
  const credentials = () => ({ grant_type: 'client_credentials', client_secret: key });

  beforeAll(async () => {
    service = await store.start();
    const created = await service.createKey({ name: 'Everything', feature: 'multiple-resources' });
    id = created.key.id;
    key = created.apiKey;
  });

  describe('a good request', () => {
    test('gets a token, its type, its life and its scope, and nothing else', async () => {
      const response = await form(service, { ...credentials(), client_id: id });
      expect(response.headers.get('content-type')).toMatch(/^application\/json/);
      expect(response.headers.get('cache-control')).toBe('no-store');
      for (const name of ['etag', 'last-modified', 'set-cookie', 'www-authenticate', 'location']) {
        expect(response.headers.get(name)).toBeNull();
      }
      const answer = await issued(response);
      expect(answer).toEqual({
        access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/) as string,
        token_type: 'Bearer',
        expires_in: 900,
        scope:
          'personalize.decision_models:manage personalize.templates:manage personalize.external_webservices:manage personalize.flows:manage',
      });
      expect(decodeJwt(answer.access_token)['scope']).toBe(answer.scope);
    });

    test.each<[string, (key: string, id: string) => [unknown, Record<string, string>?]]>([
      [
        'a form',
        (k, i) => [new URLSearchParams({ grant_type: 'client_credentials', client_id: i, client_secret: k })],
      ],
      [
        'a form with a charset',
        k => [
          `grant_type=client_credentials&client_secret=${k}`,
          { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' },
        ],
      ],
      [
        'a form whose media type is in capitals',
        k => [
          `grant_type=client_credentials&client_secret=${k}`,
          { 'content-type': 'APPLICATION/X-WWW-FORM-URLENCODED; charset="utf-8"' },
        ],
      ],
      ['JSON', (k, i) => [{ grant_type: 'client_credentials', client_id: i, client_secret: k }]],
      [
        'JSON with a charset',
        k => [
          JSON.stringify({ grant_type: 'client_credentials', client_secret: k }),
          { 'content-type': 'application/json; charset=utf-8' },
        ],
      ],
      ['Basic, raw', (k, i) => [new URLSearchParams({ grant_type: 'client_credentials' }), basic(i, k)]],
      [
        'Basic, form-encoded as strict clients do',
        (k, i) => [
          new URLSearchParams({ grant_type: 'client_credentials' }),
          basic(strictly(i), strictly(k)),
        ],
      ],
      [
        'Basic with every character encoded',
        (k, i) => [new URLSearchParams({ grant_type: 'client_credentials' }), basic(wholly(i), wholly(k))],
      ],
      [
        'Basic with the scheme in small letters',
        (k, i) => [
          new URLSearchParams({ grant_type: 'client_credentials' }),
          { authorization: basic(i, k).authorization.replace('Basic', 'basic') },
        ],
      ],
      [
        'Basic with an empty id',
        k => [new URLSearchParams({ grant_type: 'client_credentials' }), basic('', k)],
      ],
      [
        'Basic, and the same client_id in the body',
        (k, i) => [new URLSearchParams({ grant_type: 'client_credentials', client_id: i }), basic(i, k)],
      ],
      ['Basic beside JSON', (k, i) => [{ grant_type: 'client_credentials' }, basic(i, k)]],
      [
        'parameters nobody knows, and empty ones, as the vendor client sends them',
        (k, i) => [
          new URLSearchParams({
            client_id: i,
            client_secret: k,
            organization_id: '',
            tenant_id: '',
            audience: '',
            grant_type: 'client_credentials',
            baseUrl: 'https://edge-platform.sitecorecloud.io/cs/api',
            scope: '',
          }),
        ],
      ],
      [
        'JSON with members nobody knows, of any type',
        k => [{ grant_type: 'client_credentials', client_secret: k, more: { of: [1, null] }, client_id: '' }],
      ],
    ])('may come as %s', async (_, request) => {
      const [body, headers] = request(key, id);
      const answer = await issued(await post(service, body, headers));
      expect(decodeJwt(answer.access_token)['client_id']).toBe(id);
    });

    test('may come to the older address', async () => {
      expect(
        await granted(await post(service, new URLSearchParams(credentials()), {}, '/v2/oauth/token')),
      ).toBe(true);
    });

    test.each<[string, (id: string) => string]>([
      ['dashed', i => i],
      ['dashed, in capitals', i => i.toUpperCase()],
      ['as 32 digits', i => i.replaceAll('-', '')],
      ['as 32 capital digits', i => i.replaceAll('-', '').toUpperCase()],
      ['in braces', i => `{${i}}`],
      ['in braces and capitals', i => `{${i.toUpperCase()}}`],
    ])('may write its client_id %s', async (_, write) => {
      expect(await granted(await form(service, { ...credentials(), client_id: write(id) }))).toBe(true);
      expect(
        await granted(await form(service, { grant_type: 'client_credentials' }, basic(write(id), key))),
      ).toBe(true);
    });

    test('gets a jti of its own each time, and nothing is kept of it', async () => {
      const answers = await Promise.all(Array.from({ length: 500 }, () => form(service, credentials())));
      const tokens = await Promise.all(answers.map(issued));
      const ids = tokens.map(({ access_token }) => String(decodeJwt(access_token).jti));
      expect(new Set(ids).size).toBe(500);
      for (const jti of ids)
        expect(jti).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    });
  });

  describe('scope', () => {
    test.each([
      ['one of those the key has', 'personalize.flows:manage', 'personalize.flows:manage'],
      ['a part of a manage scope', 'personalize.flows:read', 'personalize.flows:read'],
      ['several, in the order asked for', 'personalize.flows:read personalize.templates:delete', undefined],
      ['one twice', 'personalize.flows:read personalize.flows:read', 'personalize.flows:read'],
      [
        'with blanks around',
        ' personalize.flows:read  personalize.flows:create ',
        'personalize.flows:read personalize.flows:create',
      ],
    ])('narrows to %s', async (_, scope, granted = scope) => {
      const answer = await issued(await form(service, { ...credentials(), scope }));
      expect(answer.scope).toBe(granted);
      expect(decodeJwt(answer.access_token)['scope']).toBe(granted);
    });

    test.each([
      ['a scope of another feature', 'services:read'],
      ['more than the key has, beside what it has', 'personalize.flows:read keyturn:keys:manage'],
      ['another case', 'Personalize.Flows:read'],
      ['a wildcard', '*'],
      ['a prefix', 'personalize.flows'],
      ['an action that is none', 'personalize.flows:admin'],
      ['blanks alone', '   '],
      ['quotes', '"personalize.flows:read"'],
      ['a tab between two', 'personalize.flows:read\tpersonalize.flows:create'],
      ['letters beyond ASCII', 'personalize.flöws:read'],
    ])('is invalid_scope for %s', async (_, scope) => {
      expect(await refusal(await form(service, { ...credentials(), scope }))).toBe('400 invalid_scope');
    });
  });

  describe('audience and resource', () => {
    let many: string;
    const audiences = ['https://api.example.com', 'urn:example:orders'];
    beforeAll(async () => {
      many = (await service.createKey({ audiences })).apiKey;
    });
    const ask = (fields: [string, string][], secret = many) =>
      form(service, [['grant_type', 'client_credentials'], ['client_secret', secret], ...fields]);
    const audienceOf = async (response: Response) => decodeJwt((await issued(response)).access_token).aud;

    test('left out, the token is for the deployment', async () => {
      expect(await audienceOf(await ask([], key))).toBe(service.url);
    });
    test("left out where the key does not have the deployment's, the token is for the key's first", async () => {
      expect(await audienceOf(await ask([]))).toBe(audiences[0]);
    });
    test.each<[string, [string, string][], string | string[]]>([
      ['one audience', [['audience', 'urn:example:orders']], 'urn:example:orders'],
      ['one resource', [['resource', 'https://api.example.com']], 'https://api.example.com'],
      [
        'both, equal',
        [
          ['audience', 'urn:example:orders'],
          ['resource', 'urn:example:orders'],
        ],
        'urn:example:orders',
      ],
      [
        'several',
        [
          ['audience', audiences[0]!],
          ['audience', audiences[1]!],
        ],
        audiences,
      ],
      [
        'one of each',
        [
          ['audience', audiences[0]!],
          ['resource', audiences[1]!],
        ],
        audiences,
      ],
      [
        'one, and an empty one',
        [
          ['audience', ''],
          ['resource', 'urn:example:orders'],
        ],
        'urn:example:orders',
      ],
    ])('asked for as %s, they are exactly what the token is for', async (_, fields, expected) => {
      expect(await audienceOf(await ask(fields))).toEqual(expected);
    });
    test('several come as an array in JSON', async () => {
      const body = { grant_type: 'client_credentials', client_secret: many, audience: audiences };
      expect(await audienceOf(await post(service, body))).toEqual(audiences);
    });
    test.each([
      'https://api.example.com/',
      'https://API.example.com',
      'http://api.example.com',
      'https://api.example.com#frag',
      'https://api.example',
      'https://api.example.com.evil.example',
      'javascript:alert(1)',
      'urn:example',
      '*',
    ])('%s is invalid_target', async audience => {
      expect(await refusal(await ask([['audience', audience]]))).toBe('400 invalid_target');
      expect(await refusal(await ask([['resource', audience]]))).toBe('400 invalid_target');
      expect(
        await refusal(
          await ask([
            ['audience', audiences[0]!],
            ['resource', audience],
          ]),
        ),
      ).toBe('400 invalid_target');
    });
    test("one key's audience is no other key's", async () => {
      expect(await refusal(await ask([['audience', 'urn:example:orders']], key))).toBe('400 invalid_target');
      expect(await refusal(await ask([['audience', service.url]]))).toBe('400 invalid_target');
    });
  });

  describe('token exchange', () => {
    const subject = (fields: Record<string, string> = {}) => ({
      grant_type: tokenExchange,
      subject_token: key,
      subject_token_type: apiKeyType,
      ...fields,
    });
    test.each<[string, Record<string, string>]>([
      ['as RFC 8693 has it', {}],
      ['with the requested type named', { requested_token_type: accessTokenType }],
      ['with a JWT requested', { requested_token_type: 'urn:ietf:params:oauth:token-type:jwt' }],
    ])('gives a token and says its type: %s', async (_, fields) => {
      const answer = await issued(await form(service, subject(fields)));
      expect(answer).toMatchObject({
        issued_token_type: accessTokenType,
        token_type: 'Bearer',
        expires_in: 900,
      });
      expect(decodeJwt(answer.access_token)['client_id']).toBe(id);
    });
    test('takes the client_id, and client authentication, where they are of the same key', async () => {
      expect(await granted(await form(service, subject({ client_id: id })))).toBe(true);
      expect(await granted(await form(service, subject(), basic(id, key)))).toBe(true);
    });
    test('narrows scope and audience', async () => {
      const answer = await issued(
        await form(service, subject({ scope: 'personalize.flows:read', audience: service.url })),
      );
      expect(answer.scope).toBe('personalize.flows:read');
      expect(await refusal(await form(service, subject({ scope: 'services:read' })))).toBe(
        '400 invalid_scope',
      );
      expect(await refusal(await form(service, subject({ audience: 'urn:other' })))).toBe(
        '400 invalid_target',
      );
    });
    test.each<[string, Record<string, string>]>([
      ['no subject_token', { subject_token: '' }],
      ['no type', { subject_token_type: '' }],
      ['another type', { subject_token_type: accessTokenType }],
      ['a subject_token that is no key', { subject_token: 'garbage' }],
      ['a subject_token of an unknown key', { subject_token: unknownKey() }],
      ['an id as subject_token', { subject_token: randomUUID() }],
      ['an actor_token', { actor_token: 'x' }],
      [
        'a refresh token requested',
        { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      ],
      ['another client_id', { client_id: randomUUID() }],
    ])('is invalid_request for %s', async (_, fields) => {
      expect(await refusal(await form(service, subject(fields)))).toBe('400 invalid_request');
    });
    test('is invalid_request where the client credentials are of another key', async () => {
      const other = await service.createKey({});
      expect(await refusal(await form(service, subject(), basic(other.key.id, other.apiKey)))).toBe(
        '400 invalid_request',
      );
    });
    test('is invalid_request, never 401, for a revoked key, and says so to its holder', async () => {
      const gone = await service.createKey({});
      await service.admin('POST', `/admin/keys/${gone.key.id}/revoke`);
      const { outcome, description } = await refused(
        await form(service, subject({ subject_token: gone.apiKey })),
      );
      expect(outcome).toBe('400 invalid_request');
      expect(description).toContain('revoked');
    });
  });

  describe('a malformed request', () => {
    test.each<[string, string, Fields]>([
      ['without grant_type', 'invalid_request', {}],
      ['with an empty grant_type', 'invalid_request', { grant_type: '' }],
      ['with grant_type password', 'unsupported_grant_type', { grant_type: 'password' }],
      ['with grant_type implicit', 'unsupported_grant_type', { grant_type: 'implicit' }],
      ['with grant_type refresh_token', 'unsupported_grant_type', { grant_type: 'refresh_token' }],
      ['with grant_type in another case', 'unsupported_grant_type', { grant_type: 'Client_Credentials' }],
      ['with a blank behind the grant_type', 'unsupported_grant_type', { grant_type: 'client_credentials ' }],
    ])('%s is %s', async (_, error, fields) => {
      expect(await refusal(await form(service, { client_secret: key, ...fields }))).toBe(`400 ${error}`);
    });

    test.each(['grant_type', 'client_id', 'client_secret', 'scope', 'subject_token', 'anything'])(
      'with %s twice is invalid_request, in a form and in JSON',
      async name => {
        const fields = new Map([
          ['grant_type', 'client_credentials'],
          ['client_secret', key],
          ['client_id', id],
        ]);
        const value = fields.get(name) ?? 'personalize.flows:read';
        fields.set(name, value);
        const entries = [...fields, [name, value]] as [string, string][];
        expect(await refusal(await form(service, entries))).toBe('400 invalid_request');
        const members = entries.map(([member, text]) => `${JSON.stringify(member)}:${JSON.stringify(text)}`);
        const json = `{${members.join(',')}}`;
        const response = await post(service, json, { 'content-type': 'application/json' });
        expect(await refusal(response)).toBe('400 invalid_request');
      },
    );

    test.each([
      ['a number', 5],
      ['null', null],
      ['a boolean', true],
      ['an object', { a: 'b' }],
      ['an array', ['personalize.flows:read']],
    ])('whose scope is %s in JSON is invalid_request', async (_, scope) => {
      expect(await refusal(await post(service, { ...credentials(), scope }))).toBe('400 invalid_request');
    });
    test('whose audience is an array of numbers in JSON is invalid_request', async () => {
      expect(await refusal(await post(service, { ...credentials(), audience: [1] }))).toBe(
        '400 invalid_request',
      );
    });
    test.each(['[]', 'null', '"x"', '{', '', 'grant_type=client_credentials', '{"a":1}{'])(
      'whose JSON is %j is invalid_request',
      async body => {
        const response = await post(service, body, { 'content-type': 'application/json' });
        expect(await refusal(response)).toBe('400 invalid_request');
      },
    );

    test.each([
      'text/plain',
      'text/plain;charset=UTF-8',
      'multipart/form-data; boundary=x',
      'application/octet-stream',
      'application/xml',
      'application/x-www-form-urlencoded; charset=utf-7',
      'application/x-www-form-urlencoded; charset=iso-8859-1',
      'application/json; charset=utf-16',
      'application/jsonx',
      'x',
      ',',
    ])('of type %s is invalid_request', async type => {
      const body = `grant_type=client_credentials&client_secret=${key}`;
      expect(await refusal(await post(service, body, { 'content-type': type }))).toBe('400 invalid_request');
    });
    test('without a type is invalid_request', async () => {
      const body = `grant_type=client_credentials&client_secret=${key}`;
      const lines = ['POST /oauth/token HTTP/1.1', 'Host: x', `Content-Length: ${body.length}`];
      const answer = await sendRaw(service.port, requestText(lines, body));
      expect(answer?.status).toBe(400);
      expect(answer?.body).toContain('"invalid_request"');
    });
    test('of JSON under the label of a form is refused', async () => {
      const response = await post(service, JSON.stringify(credentials()), {
        'content-type': 'application/x-www-form-urlencoded',
      });
      expect(await refusal(response)).toBe('400 invalid_request');
    });
    test('without a body is refused', async () => {
      const lines = [
        'POST /oauth/token HTTP/1.1',
        'Host: x',
        'Content-Type: application/x-www-form-urlencoded',
      ];
      const answer = await sendRaw(service.port, requestText([...lines, 'Content-Length: 0']));
      expect(answer?.status).toBe(400);
    });

    test('that authenticates twice is invalid_request, whichever of the two is right', async () => {
      const grant = { grant_type: 'client_credentials' };
      for (const [header, secret] of [
        [key, key],
        [key, 'wrong'],
        ['wrong', key],
        ['wrong', 'wrong'],
      ] as const) {
        const response = await form(service, { ...grant, client_secret: secret }, basic(id, header));
        expect(await refusal(response)).toBe('400 invalid_request');
      }
    });
    test('that names two clients is refused', async () => {
      const fields = { grant_type: 'client_credentials', client_id: randomUUID() };
      const response = await form(service, fields, basic(id, key));
      expect([400, 401]).toContain(response.status);
    });
    test('with a client assertion is refused, never served by the secret beside it', async () => {
      const response = await form(service, { ...credentials(), client_assertion: 'a.b.c' });
      expect([400, 401]).toContain(response.status);
    });
    test('without credentials is invalid_client, without a challenge', async () => {
      const response = await form(service, { grant_type: 'client_credentials', client_id: id });
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect(await refusal(response)).toBe('401 invalid_client');
    });
  });

  describe('credentials that are not valid', () => {
    test('in the body are 401 invalid_client without a challenge', async () => {
      const response = await form(service, {
        grant_type: 'client_credentials',
        client_secret: wrongSecret(key),
      });
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect(await refusal(response)).toBe('401 invalid_client');
    });
    test('in Basic are 401 invalid_client with a challenge that says the same', async () => {
      const response = await form(service, { grant_type: 'client_credentials' }, basic(id, wrongSecret(key)));
      const { outcome, description } = await refused(response);
      expect(outcome).toBe('401 invalid_client');
      expect(response.headers.get('www-authenticate')).toBe(
        `Basic realm="keyturn", error="invalid_client", error_description="${description}"`,
      );
    });
    test("are another key's id beside this key's secret", async () => {
      const other = await service.createKey({});
      const response = await form(service, { ...credentials(), client_id: other.key.id });
      expect(await refusal(response)).toBe('401 invalid_client');
      expect(
        await refusal(await form(service, { grant_type: 'client_credentials' }, basic(other.key.id, key))),
      ).toBe('401 invalid_client');
    });
    test.each<[string, (id: string) => string]>([
      ['33 digits', i => `${i.replaceAll('-', '')}0`],
      ['31 digits', i => i.replaceAll('-', '').slice(1)],
      ['in parentheses', i => `(${i})`],
      ['one brace', i => `{${i}`],
      ['braces without dashes and a blank', i => `{${i.replaceAll('-', '')} }`],
      ['a blank before', i => ` ${i}`],
      ['a line end behind', i => `${i}\n`],
      ['as a URN', i => `urn:uuid:${i}`],
      ['the vendor suffix', i => `${i}@clients`],
    ])('are a client_id of %s', async (_, write) => {
      expect(await refusal(await form(service, { ...credentials(), client_id: write(id) }))).toBe(
        '401 invalid_client',
      );
    });

    test('are an identifier, in every form and place', async () => {
      const grant = { grant_type: 'client_credentials' };
      for (const text of [id, id.replaceAll('-', ''), `{${id}}`, id.toUpperCase()]) {
        expect(await refusal(await form(service, { ...grant, client_id: id, client_secret: text }))).toBe(
          '401 invalid_client',
        );
        expect(await refusal(await form(service, { ...grant, client_secret: text }))).toBe(
          '401 invalid_client',
        );
        expect(await refusal(await form(service, grant, basic(id, text)))).toBe('401 invalid_client');
        expect(await refusal(await form(service, { ...grant, client_id: text }, { sc_apikey: text }))).toBe(
          '401 invalid_client',
        );
      }
    });
    test('are a good key in a header of another door', async () => {
      for (const name of ['sc_apikey', 'x-sf-access-key', 'x-api-key']) {
        const response = await form(service, { grant_type: 'client_credentials' }, { [name]: key });
        expect(await refusal(response)).toBe('401 invalid_client');
      }
    });
    test('are an access token', async () => {
      const token = await service.token(key);
      const grant = { grant_type: 'client_credentials' };
      expect(await refusal(await form(service, { ...grant, client_secret: token }))).toBe(
        '401 invalid_client',
      );
      expect(await refusal(await form(service, grant, { authorization: `Bearer ${token}` }))).toBe(
        '401 invalid_client',
      );
      expect(
        await refusal(
          await form(service, {
            grant_type: tokenExchange,
            subject_token: token,
            subject_token_type: apiKeyType,
          }),
        ),
      ).toBe('400 invalid_request');
    });

    test('are every clever variation of a good key, and none is normalised', async () => {
      const variants = clever(key);
      expect(variants.length).toBeGreaterThanOrEqual(40);
      for (const text of variants) {
        const fields = { grant_type: 'client_credentials', client_secret: text };
        expect(await refusal(await form(service, fields))).toBe('401 invalid_client');
        expect(await refusal(await post(service, fields))).toBe('401 invalid_client');
      }
    });

    test.each([
      ['Basic'],
      ['Basic '],
      ['Basic %%%'],
      ['Basic !!!!'],
      [`Basic ${Buffer.from('no colon').toString('base64')}`],
      [`Basic ${Buffer.from(':').toString('base64')}`],
      [`Basic ${Buffer.from('%:%').toString('base64')}`],
      [`Basic ${Buffer.from('%zz:%zz').toString('base64')}`],
      [`Basic ${Buffer.from('%ff:%c3%28').toString('base64')}`],
      [`Basic ${Buffer.from('\xff\xfe:\xe9', 'latin1').toString('base64')}`],
      [`Basic ${Buffer.from('a:b:c').toString('base64')}`],
      [`Basic ${Buffer.from('\0:\0').toString('base64')}`],
      [`Basic ${'A'.repeat(8000)}`],
      ['Basic YTpi,Basic YTpi'],
      ['basic YTpi YTpi'],
    ])('are %j, which gets the challenge', async authorization => {
      const response = await form(service, { grant_type: 'client_credentials' }, { authorization });
      expect(await refusal(response)).toBe('401 invalid_client');
      expect(response.headers.get('www-authenticate')).toMatch(
        /^Basic realm="keyturn", error="invalid_client", /,
      );
    });

    test('teach nothing to whoever holds no valid secret', async () => {
      const [revoked, draft, expired, early] = await Promise.all([
        service.createKey({}),
        service.createKey({ draft: true }),
        service.createKey({ expiresAt: fromNow(service, 30) }),
        service.createKey({ notBefore: fromNow(service, 86_400) }),
      ]);
      await service.admin('POST', `/admin/keys/${revoked.key.id}/revoke`);
      service.clock.advance(31);
      const answers = [
        'garbage',
        unknownKey(),
        wrongChecksum(key),
        ...[key, revoked.apiKey, draft.apiKey, expired.apiKey, early.apiKey].map(wrongSecret),
        ...[revoked.apiKey, draft.apiKey].map(wrongChecksum),
      ].map(async secret => {
        const grant = { grant_type: 'client_credentials' };
        const [posted, sent] = await Promise.all([
          form(service, { ...grant, client_secret: secret }),
          form(service, grant, basic(secret.slice(3, 35), secret)),
        ]);
        return [await describeAnswer(posted), await describeAnswer(sent)];
      });
      const [first, ...rest] = await Promise.all(answers);
      for (const answer of rest) expect(answer).toEqual(first);
    });
  });

  describe('a key that may not be used now', () => {
    const told = async (secret: string) => {
      const { outcome, description } = await refused(await service.exchange(secret));
      expect(outcome).toBe('401 invalid_client');
      return description;
    };
    test('tells its holder that it is a draft', async () => {
      expect(await told((await service.createKey({ draft: true })).apiKey)).toMatch(/draft/);
    });
    test('tells its holder that it has been revoked', async () => {
      const gone = await service.createKey({});
      await service.admin('POST', `/admin/keys/${gone.key.id}/revoke`);
      expect(await told(gone.apiKey)).toMatch(/revoked/);
    });
    test('tells its holder from when on it is valid, and is then', async () => {
      const notBefore = fromNow(service, 100);
      const { apiKey } = await service.createKey({ notBefore });
      expect(await told(apiKey)).toContain(notBefore);
      service.clock.advance(101);
      expect(await granted(await service.exchange(apiKey))).toBe(true);
    });
    test('tells its holder that it has expired', async () => {
      const { apiKey } = await service.createKey({ expiresAt: fromNow(service, 60) });
      expect(await granted(await service.exchange(apiKey))).toBe(true);
      service.clock.advance(60);
      expect(await told(apiKey)).toMatch(/expired/);
    });
    test('that was made for other doors is unauthorized_client', async () => {
      const { apiKey } = await service.createKey({ doors: ['sc_apikey'], feature: 'services-client' });
      expect(await refusal(await service.exchange(apiKey))).toBe('400 unauthorized_client');
    });
  });

  describe('the life of a token', () => {
    test('never passes the end of its key', async () => {
      const expiresAt = fromNow(service, 5);
      const { apiKey } = await service.createKey({ expiresAt });
      const answer = await issued(await service.exchange(apiKey));
      const { exp, iat } = decodeJwt(answer.access_token);
      expect(exp).toBeLessThanOrEqual(Date.parse(expiresAt) / 1000);
      expect(answer.expires_in).toBe(exp! - iat!);
      expect(answer.expires_in).toBeGreaterThan(0);
      expect(answer.expires_in).toBeLessThanOrEqual(5);
    });
    test('is never less than a second: a key in its last moment gets none', async () => {
      const { apiKey } = await service.createKey({ expiresAt: fromNow(service, 1) });
      const response = await service.exchange(apiKey);
      const life = response.ok ? (await issued(response)).expires_in : await refusal(response);
      expect([1, '401 invalid_client']).toContain(life);
    });
    test("is the key's own where it has one", async () => {
      const { apiKey } = await service.createKey({ tokenTtl: 60 });
      expect((await issued(await service.exchange(apiKey))).expires_in).toBe(60);
    });
    test('and its claims are not for the caller to choose', async () => {
      const wishes = {
        expires_in: '999999',
        exp: '9999999999',
        ttl: '999999',
        lifetime: '999999',
        sub: 'sitecore\\admin',
        iss: 'https://evil.example',
        roles: 'owner',
        feature: 'account-owner',
        allowed_controllers: '*',
        key_version: '99',
        jti: 'mine',
        act: '{}',
      };
      for (const response of [
        await form(service, { ...wishes, ...credentials() }),
        await post(service, { ...wishes, ...credentials() }),
      ]) {
        const claims = decodeJwt((await issued(response)).access_token);
        expect(claims).toMatchObject({
          iss: service.url,
          sub: id,
          feature: 'multiple-resources',
          key_version: 1,
        });
        expect(claims.exp! - claims.iat!).toBe(900);
        expect(claims.jti).not.toBe('mine');
        expect(claims).not.toHaveProperty('roles');
        expect(claims).not.toHaveProperty('act');
      }
    });
  });
});

describeOnEmbeddedStore('the address of the token endpoint', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const body = () => `grant_type=client_credentials&client_secret=${service.sampleKey}`;
  const raw = (target: string, method = 'POST', text = body()) =>
    sendRaw(
      service.port,
      requestText(
        [
          `${method} ${target} HTTP/1.1`,
          'Host: x',
          'Content-Type: application/x-www-form-urlencoded',
          `Content-Length: ${text.length}`,
        ],
        text,
      ),
    );

  describe.each(['/oauth/token', '/v2/oauth/token'])('%s', path => {
    test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'QUERY', 'PROPFIND'])(
      'answers %s with 405',
      async method => {
        const answer = await raw(path, method, method === 'GET' ? '' : body());
        expect(answer?.status).toBe(405);
        expect(answer?.header('allow')?.split(/, */).sort()).toEqual(['OPTIONS', 'POST']);
        expect(answer?.text).not.toContain(service.sampleKey);
        expect(answer?.body).not.toContain(`${method} /`);
      },
    );
    test('answers HEAD with 405 and no body', async () => {
      const response = await fetch(`${service.url}${path}`, { method: 'HEAD' });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')?.split(/, */).sort()).toEqual(['OPTIONS', 'POST']);
    });
    test('says what it takes on OPTIONS', async () => {
      const response = await fetch(`${service.url}${path}`, { method: 'OPTIONS' });
      expect(response.status).toBe(204);
      expect(response.headers.get('allow')?.split(/, */).sort()).toEqual(['OPTIONS', 'POST']);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
    });
  });

  test.each([
    '/oauth//token',
    '//oauth/token',
    '/OAUTH/TOKEN',
    '/oauth/Token',
    '/oauth/token/',
    '/oauth/token;x',
    '/oauth/token.json',
    '/oauth/%74oken',
    '/oauth%2ftoken',
    '/oauth/./token',
    '/x/../oauth/token',
    '/oauth\\token',
    '/oauth/token%00',
    '/oauth/token%20',
    '/v1/oauth/token',
    '/v2/oauth/token/',
    '/admin/oauth/token',
  ])('is not %s', async target => {
    const answer = await raw(target);
    expect([400, 404]).toContain(answer?.status);
    expect(answer?.text).not.toContain('access_token');
    expect(answer?.header('location')).toBeUndefined();
  });
  test('is not the absolute form, whatever host it names', async () => {
    for (const host of [`127.0.0.1:${service.port}`, 'evil.example']) {
      expect((await raw(`http://${host}/oauth/token`))?.status).toBe(400);
    }
  });

  test.each<[string, (key: string) => string]>([
    ['client_secret', key => `client_secret=${key}`],
    ['client_secret beside others', key => `a=b&client_secret=${key}&grant_type=client_credentials`],
    ['subject_token', key => `subject_token=${key}`],
    ['a percent-encoded name', key => `client%5Fsecret=${key}`],
    ['a percent-encoded name and value', key => `%63lient_secret=${key.replaceAll('_', '%5F')}`],
    ['a percent-encoded value', key => `client_secret=${key.replaceAll('_', '%5f')}`],
    ['a wholly encoded value', key => `client_secret=${wholly(key)}`],
    ['a name of nobody', key => `x=${key}`],
    ['a name of nobody and an encoded value', key => `x=${key.replaceAll('_', '%5F')}`],
    ['a wholly encoded value of nobody', key => `x=${wholly(key)}`],
    ['no name', key => key],
  ])('takes no secret from the query, and none reaches the log: %s', async (_, query) => {
    const { apiKey } = await service.createKey({});
    for (const text of ['', 'grant_type=client_credentials']) {
      const answer = await raw(`/oauth/token?${query(apiKey)}`, 'POST', text);
      expect([400, 401]).toContain(answer?.status);
    }
    for (const path of ['/oauth/token', '/nowhere']) await raw(`${path}?${query(apiKey)}`, 'GET', '');
    const secret = apiKey.slice(36);
    const shown = service.log.filter(line => line.includes(secret) || decoded(line).includes(secret));
    expect(shown).toEqual([]);
  });
  test('refuses what stands in the query although the body is good', async () => {
    const { apiKey } = await service.createKey({});
    expect((await raw(`/oauth/token?client_secret=${apiKey}`))?.status).toBe(400);
    expect((await raw(`/oauth/token?client_id=x`))?.status).toBe(400);
  });
});

describeOnEmbeddedStore('the bounds of the token endpoint', store => {
  let service: TestService;
  beforeAll(async () => {
    service = await store.start();
  });
  const good = () => `grant_type=client_credentials&client_secret=${service.sampleKey}`;
  const formType = 'application/x-www-form-urlencoded';
  const stillServes = async () =>
    (await service.exchange(service.sampleKey)).ok && (await fetch(`${service.url}/livez`)).ok;

  test.each<[string, () => [body: string | Buffer, headers?: Record<string, string>], number]>([
    ['70 000 bytes', () => [`${good()}&x=${'a'.repeat(70_000)}`], 413],
    ['one value of a megabyte', () => [`${good()}&x=${'a'.repeat(1_000_000)}`], 413],
    ['5000 fields', () => [`${good()}${Array.from({ length: 5000 }, (_, i) => `&f${i}=1`).join('')}`], 400],
    ['60 000 separators', () => [`${good()}${'&'.repeat(60_000)}`], 400],
    ['60 000 separators of pairs', () => [`${good()}${'&='.repeat(30_000)}`], 400],
    ['101 members of JSON', () => [json(101), { 'content-type': 'application/json' }], 400],
    ['JSON 30 000 levels deep', () => ['['.repeat(30_000), { 'content-type': 'application/json' }], 400],
    [
      'whole JSON 10 000 levels deep',
      () => [`{"x":${'[1,'.repeat(10_000)}1${']'.repeat(10_000)}}`, { 'content-type': 'application/json' }],
      400,
    ],
    ['20 audiences', () => [`${good()}${'&audience=a'.repeat(20)}`], 400],
    [
      'a bad encoding of characters',
      () => [Buffer.concat([Buffer.from(`${good()}&x=`), Buffer.from([0xff, 0xfe])])],
      400,
    ],
    ['gzip', () => [gzipSync(good()), { 'content-encoding': 'gzip' }], 400],
    ['a gzip bomb', () => [gzipSync('a'.repeat(10_000_000)), { 'content-encoding': 'gzip' }], 400],
    ['deflate within gzip', () => [gzipSync(good()), { 'content-encoding': 'gzip, deflate' }], 400],
    ['an encoding nobody knows', () => [good(), { 'content-encoding': 'x' }], 400],
  ])('a body of %s is refused at once, and the next is served', async (_, request, status) => {
    const [body, headers = {}] = request();
    const begun = performance.now();
    const response = await fetch(`${service.url}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': formType, ...headers },
      body,
    });
    expect(await refusal(response)).toBe(`${status} invalid_request`);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(await stillServes()).toBe(true);
  });

  test.each([
    ['by its announced length', ['Content-Length: 104857600']],
    ['by counting, where none is announced', ['Transfer-Encoding: chunked']],
  ])('a body beyond the limit is noticed %s, and the connection closed', async (_, lines) => {
    const head = ['POST /oauth/token HTTP/1.1', 'Host: x', `Content-Type: ${formType}`, ...lines];
    const isChunked = lines[0]!.startsWith('Transfer');
    const chunk = `4000\r\n${'a'.repeat(0x4000)}\r\n`;
    const answer = await sendRaw(service.port, [
      requestText(head),
      isChunked ? chunk.repeat(8) : 'a'.repeat(1000),
    ]);
    expect(answer?.status).toBe(413);
    expect(answer?.header('connection')).toBe('close');
    expect(await stillServes()).toBe(true);
  });
  test('a body that is encoded is not read: the connection is closed behind the answer', async () => {
    const head = ['POST /oauth/token HTTP/1.1', 'Host: x', `Content-Type: ${formType}`];
    const answer = await sendRaw(service.port, [
      requestText([...head, 'Content-Encoding: gzip', 'Content-Length: 104857600']),
    ]);
    expect(answer?.status).toBe(400);
    expect(answer?.header('connection')).toBe('close');
  });
  test('a body of just the limit is read', async () => {
    const body = `${good()}&x=`;
    const response = await post(service, body + 'a'.repeat(65_536 - body.length), {
      'content-type': formType,
    });
    expect(await granted(response)).toBe(true);
  });
  test('a hundred parameters are read', async () => {
    expect(await granted(await post(service, good() + fieldsOf(98), { 'content-type': formType }))).toBe(
      true,
    );
    expect(await refusal(await post(service, good() + fieldsOf(99), { 'content-type': formType }))).toBe(
      '400 invalid_request',
    );
  });
  test('callers who hang up half way leave nothing behind', async () => {
    const head = [
      'POST /oauth/token HTTP/1.1',
      'Host: x',
      `Content-Type: ${formType}`,
      'Content-Length: 500',
    ];
    await Promise.all(
      Array.from({ length: 100 }, () =>
        sendRaw(service.port, [requestText(head), 'half'], { halfClose: true }),
      ),
    );
    expect(await stillServes()).toBe(true);
  });
});

describeOnEmbeddedStore('many failures from one address', store => {
  test('slow that address down, and never a valid key', async () => {
    const service = await store.start();
    const attempt = requestText(
      [
        'POST /oauth/token HTTP/1.1',
        'Host: x',
        'X-Forwarded-For: 192.0.2.1',
        'Content-Type: application/x-www-form-urlencoded',
        'Content-Length: 47',
      ],
      'grant_type=client_credentials&client_secret=abc',
    );
    // One pipeline a connection; each answer is read, and the connection's last one says that it closes.
    await Promise.all(
      Array.from({ length: 6 }, () =>
        sendRaw(
          service.port,
          [attempt.repeat(2000), requestText(['GET /livez HTTP/1.1', 'Host: x', 'Connection: close'])],
          {
            until: 'close',
            timeout: 60_000,
          },
        ),
      ),
    );
    const fields = { grant_type: 'client_credentials', client_secret: wrongSecret(service.sampleKey) };
    for (const [path, headers] of [
      ['/oauth/token', {}],
      ['/v2/oauth/token', {}],
      ['/oauth/token', { 'x-forwarded-for': '203.0.113.9' }],
      ['/oauth/token', { forwarded: 'for=203.0.113.9' }],
      ['/oauth/token', { 'x-real-ip': '203.0.113.9', 'true-client-ip': '203.0.113.9' }],
    ] as const) {
      const response = await post(service, new URLSearchParams(fields), headers, path);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await refusal(response)).toBe('429 temporarily_unavailable');
    }
    const assertion = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'AAAA.AAAA.AAAA',
    };
    expect(await refusal(await form(service, assertion))).toBe('429 temporarily_unavailable');
    expect(await granted(await service.exchange(service.sampleKey))).toBe(true);
    service.clock.advance(61);
    expect(await refusal(await form(service, fields))).toBe('401 invalid_client');
  }, 60_000);
});

/** As oauth4webapi encodes: RFC 3986's unreserved characters too. */
function strictly(text: string): string {
  return encodeURIComponent(text).replaceAll(/[-_.!~*'()]/g, character => encoded(character));
}

function wholly(text: string): string {
  return [...text].map(encoded).join('');
}

function decoded(line: string): string {
  return decodeURIComponent(line.replaceAll(/%(?![0-9a-f]{2})/gi, ''));
}

function encoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`;
}

function fromNow(service: TestService, seconds: number): string {
  return new Date(service.clock.now() + seconds * 1000).toISOString();
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The same id, another secret, and a checksum that is right. */
function wrongSecret(key: string): string {
  const body = key.slice(0, 36) + key.slice(37, 68) + (key[36] === 'a' ? 'b' : 'a');
  return body + checksumOf(body);
}

function wrongChecksum(key: string): string {
  return key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
}

function unknownKey(): string {
  const body = `kt_${randomUUID().replaceAll('-', '')}_${'a'.repeat(32)}`;
  return body + checksumOf(body);
}

/** CRC-32 (IEEE) in base62, six digits. */
function checksumOf(text: string): string {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let digits = '';
  for (let place = 0; place < 6; place += 1) {
    digits = base62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

async function describeAnswer(response: Response) {
  const names = [...response.headers.keys()].filter(name => name !== 'date');
  return {
    status: response.status,
    headers: names.map(name => [name, response.headers.get(name)]),
    body: await response.text(),
  };
}

function clever(key: string): string[] {
  const [middle, end] = [key.slice(0, 40), key.slice(40)];
  const inserted = [
    '\n',
    '\r\n',
    '\t',
    ' ',
    '\0',
    '\u00a0',
    '\u200b',
    '\u200d',
    '\ufeff',
    '\u00ad',
    '\u202e',
    '\u0301',
  ];
  return [
    ...inserted.flatMap(text => [text + key, key + text, middle + text + end]),
    key.toUpperCase(),
    key.toLowerCase(),
    key.replace('kt_', 'KT_'),
    key.replace('kt_', 'kt-'),
    key.replaceAll('_', '\uff3f'),
    key.replaceAll(/[0-9]/g, digit => String.fromCharCode(0xff10 + Number(digit))),
    key.replace('kt', '\u212at'),
    key.replace('k', '\u043a'),
    key.replaceAll(/[a-f]/g, letter => String.fromCharCode(0xff41 + letter.charCodeAt(0) - 97)),
    key.replaceAll('_', '__'),
    key.slice(3),
    key.slice(0, -1),
    `${key}0`,
    `"${key}"`,
    `Bearer ${key}`,
    `${key},${key}`,
    `${key} ${key}`,
    `${key}\0${key}`,
    encodeURIComponent(`${key} `),
    wholly(key),
    Buffer.from(key).toString('base64'),
    [...key].toReversed().join(''),
    `kt_${'0'.repeat(32)}_${key.slice(36)}`,
    '__proto__',
    '../../etc/passwd',
    'undefined',
  ].filter(text => text !== key);
}

function json(members: number): string {
  const more = Array.from({ length: members - 1 }, (_, i) => [`m${i}`, '']);
  return JSON.stringify({ grant_type: 'client_credentials', ...Object.fromEntries(more) });
}

function fieldsOf(count: number): string {
  return Array.from({ length: count }, (_, i) => `&f${i}=1`).join('');
}
