/** What is sent to every doorway, and what has to become of it. */
import { randomUUID } from 'node:crypto';
import { type Callers, page } from './proxy-callers.ts';

export type Field = readonly [name: string, value: string];

export interface ProxyCase {
  readonly title: string;
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: string;
  readonly expected: Expected;
}

/**
 * `pass` and `refuse` hold for every doorway. `preflight`: Keyturn itself answers. `own route alone`: a proxy refuses what
 * Keyturn, which knows how it reads the request itself, may let through.
 */
export type Expected = 'pass' | 'refuse' | 'preflight' | 'own route alone';

const connections = '/v2/connections';
const render = '/sitecore/api/layout/render/jss';
const layout = `${render}?item=%2F`;
const graphql = '/api/app';
const news = '/api/default/news';
const elsewhere = 'https://elsewhere.example';

export function listCases(callers: Callers): ProxyCase[] {
  return [
    ...tokenCases(callers),
    ...apiKeyCases(callers),
    ...accessKeyCases(callers),
    ...spoofCases(callers),
    ...pathCases(callers),
    ...doubleCases(callers),
    ...preflightCases(callers),
  ];
}

interface Parts {
  readonly method?: string;
  readonly fields?: readonly Field[];
  readonly body?: string;
}

function expect(expected: Expected, title: string, target: string, parts: Parts = {}): ProxyCase {
  return { title, method: 'GET', target, fields: [], body: '', expected, ...parts };
}

function bearer(token: string): Field {
  return ['Authorization', `Bearer ${token}`];
}

function tokenCases(callers: Callers): ProxyCase[] {
  const { token, forged, expired, revoked, ofOtherController, ofOtherScope, ref } = callers;
  const asked = (expected: Expected, title: string, ...fields: Field[]) =>
    expect(expected, title, connections, { fields });
  const post = { method: 'POST', fields: [bearer(token), ['Content-Type', 'application/json']] as const };
  return [
    asked('pass', 'a good token', bearer(token)),
    expect('pass', 'HEAD', connections, { method: 'HEAD', fields: [bearer(token)] }),
    expect('pass', 'POST with a body', connections, { ...post, body: '{"name":"y"}' }),
    expect('pass', 'a document', `${connections}/${ref}`, { fields: [bearer(token)] }),
    asked('refuse', 'no credential'),
    asked('refuse', 'no credential, from the origin that is listed', ['Origin', page]),
    expect('refuse', 'POST without a credential', connections, { method: 'POST', body: '{}' }),
    asked('refuse', 'no credential, If-None-Match and Range', ['If-None-Match', '*'], ['Range', 'bytes=0-1']),
    asked('refuse', 'a bad token', bearer('x.y.z')),
    asked('refuse', 'a forged signature', bearer(forged)),
    asked('refuse', 'an expired token', bearer(expired)),
    asked('refuse', 'a revoked token', bearer(revoked)),
    asked('refuse', 'a token of another controller', bearer(ofOtherController)),
    asked('refuse', 'a token with another scope', bearer(ofOtherScope)),
    asked('refuse', 'Basic', ['Authorization', 'Basic eDp5']),
    asked('pass', 'the origin that is listed', bearer(token), ['Origin', page]),
    asked('refuse', 'another origin', bearer(token), ['Origin', elsewhere]),
    asked('refuse', 'the origin null', bearer(token), ['Origin', 'null']),
    expect('refuse', 'a token in the query too', `${connections}?access_token=x`, {
      fields: [bearer(token)],
    }),
    expect('refuse', 'a method without a route', connections, { method: 'PATCH', fields: [bearer(token)] }),
    expect('refuse', 'a method in lower case', connections, { method: 'get', fields: [bearer(token)] }),
    expect('refuse', 'a path without a route', '/admin/keys', { fields: [bearer(token)] }),
    expect('pass', 'a WebSocket handshake', connections, { fields: [bearer(token), ...handshake] }),
    expect('refuse', 'a WebSocket handshake without a credential', connections, { fields: handshake }),
  ];
}

const handshake: readonly Field[] = [
  ['Connection', 'Upgrade, close'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
];

function apiKeyCases({ siteKey, draftKey, narrowKey, keyString, token, forged }: Callers): ProxyCase[] {
  const query = (expected: Expected, title: string, text: string, ...fields: Field[]) =>
    expect(expected, title, `${layout}${text}`, { fields });
  const key: Field = ['sc_apikey', siteKey];
  const encoded = `%7B${siteKey.toUpperCase()}%7D`;
  const post = { method: 'POST', body: '{"query":"{a}"}' };
  const json: Field = ['Content-Type', 'application/json'];
  return [
    query('pass', 'sc_apikey in the query', `&sc_apikey=${siteKey}`),
    query('pass', 'sc_apikey between other parameters', `&sc_apikey=${encoded}&sc_lang=en&sc_site=a%26b`),
    expect('pass', 'sc_apikey before other parameters', `${render}?sc_apikey=${siteKey}&item=%2F`),
    query('pass', 'SC_ApiKey', `&SC_ApiKey=${siteKey}`),
    query('pass', 'sc%5Fapikey', `&%73c%5fapi%4bey=${siteKey}`),
    query('pass', 'sc_apikey in a field', '', key),
    query('pass', 'sc_apikey in both', `&sc_apikey=${encoded}`, key),
    query('refuse', 'sc_apikey, another in the field', `&sc_apikey=${siteKey}`, ['sc_apikey', randomUUID()]),
    query('refuse', 'sc_apikey twice, differently', `&sc_apikey=${siteKey}&sc_apikey=${randomUUID()}`),
    query(
      'own route alone',
      'sc_apikey twice, in two spellings',
      `&sc_apikey=${siteKey}&sc_apikey=${encoded}`,
    ),
    query('refuse', 'no sc_apikey', ''),
    query('refuse', 'sc_apikey without a value', '&sc_apikey'),
    query('refuse', 'an unknown sc_apikey', `&sc_apikey=${randomUUID()}`),
    query('refuse', 'an unknown sc_apikey in a field', '', ['sc_apikey', randomUUID()]),
    query('refuse', 'the sc_apikey of a draft', `&sc_apikey=${draftKey}`),
    query('refuse', 'an sc_apikey of other controllers', `&sc_apikey=${narrowKey}`),
    query('refuse', 'a key string as sc_apikey', `&sc_apikey=${keyString}`),
    query('pass', 'sc_apikey from the origin that is listed', `&sc_apikey=${siteKey}`, ['Origin', page]),
    query('refuse', 'sc_apikey from another origin', `&sc_apikey=${siteKey}`, ['Origin', elsewhere]),
    query('pass', 'sc_apikey, and a visitor’s token', '', key, bearer('visitor')),
    query('refuse', 'sc_apikey, and a forged token of ours', '', key, bearer(forged)),
    query('refuse', 'sc_apikey, and a token of another feature', '', key, bearer(token)),
    expect('pass', 'GraphQL with sc_apikey', graphql, { ...post, fields: [key, json] }),
    expect('pass', 'GraphQL with sc_apikey in the query', `${graphql}?sc_apikey=${siteKey}&query=%7Ba%7D`),
    expect('refuse', 'GraphQL without sc_apikey', graphql, { ...post, fields: [json] }),
    expect('refuse', 'sc_apikey at a route of tokens', `${connections}?sc_apikey=${siteKey}`),
  ];
}

function accessKeyCases({ accessKey, token }: Callers): ProxyCase[] {
  const asked = (expected: Expected, title: string, ...fields: Field[]) =>
    expect(expected, title, news, { fields });
  const key: Field = ['X-SF-Access-Key', accessKey];
  return [
    asked('pass', 'an access key', key),
    asked('refuse', 'no access key'),
    asked('refuse', 'a wrong access key', ['X-SF-Access-Key', 'x']),
    asked('pass', 'an access key from the origin that is listed', key, ['Origin', page]),
    asked('refuse', 'an access key from another origin', key, ['Origin', elsewhere]),
    asked('refuse', 'an access key and a token of ours', key, bearer(token)),
    expect('refuse', 'an access key without the permission', news, {
      method: 'POST',
      body: '{}',
      fields: [key],
    }),
  ];
}

/** Stands in every field that a caller may not send: no guarded server may see it. */
export const spoofed = 'spoofed-by-the-caller';

function spoofCases({ token, ofOtherController }: Callers): ProxyCase[] {
  const names = ['X-Keyturn-User', 'X_Keyturn_User', 'x-keyturn_user', 'X_KEYTURN-KEY_ID', 'X-Keyturn-Scope'];
  const identity = names.map((name): Field => [name, spoofed]);
  const address = (target: string, method: string): Field[] => [
    ['X-Original-URI', target],
    ['X-Original-URL', target],
    ['X-Forwarded-Uri', target],
    ['X_Original_Uri', target],
    ['X_Forwarded_Uri', target],
    ['X-Rewrite-URL', target],
    ['X-Original-Method', method],
    ['X-Forwarded-Method', method],
    ['X-HTTP-Method-Override', method],
    ['X_HTTP_Method_Override', method],
    ['X-Forwarded_Uri', target],
    ['x_original-url', target],
  ];
  const asked = (expected: Expected, title: string, ...fields: Field[]) =>
    expect(expected, title, connections, { fields });
  return [
    asked('pass', 'its own X-Keyturn-…', bearer(token), ...identity),
    asked('refuse', 'its own X-Keyturn-…, and no credential', ...identity),
    asked('pass', 'another address in X-…', bearer(token), ...address(`/${spoofed}`, spoofed)),
    asked(
      'refuse',
      'an allowed address in X-…',
      bearer(ofOtherController),
      ...address('/v3/templates', 'GET'),
    ),
    ...address('/v3/templates', 'GET').map(field =>
      asked('refuse', `an allowed address in ${field[0]}`, bearer(ofOtherController), field),
    ),
    asked('pass', 'its own fields named by Connection', bearer(token), [
      'Connection',
      'close, X-Keyturn-Key-Id, X-Keyturn-User, X-Keyturn-Scope, X-Forwarded-Uri, X-Original-URI',
    ]),
    expect('refuse', 'the address named by Connection', '/v3/templates', {
      fields: [bearer(token), ['X-Forwarded-Uri', connections], ['Connection', 'close, X-Forwarded-Uri']],
    }),
    asked('pass', 'its own Keyturn-Allow-Origin', bearer(token), ['Keyturn-Allow-Origin', elsewhere]),
  ];
}

function pathCases({ token, ref }: Callers): ProxyCase[] {
  const asked = (expected: Expected, target: string) =>
    expect(expected, `path ${target.replace(ref, '<ref>')}`, target, { fields: [bearer(token)] });
  return [
    ...[
      '//v2/connections',
      '/v2//connections',
      '/v2/x/../connections',
      '/v2/connections/../../v3/templates',
      '/v3/templates/../../v2/connections',
      '/v2/%2e%2e/v2/connections',
      '/v2/connections/%2e%2e/%2e%2e/v3/templates',
      '/v2/./connections',
      '/v2/connections/.',
      '/v2/connections/..',
      '/v2%2fconnections',
      '/v2/connections%2f',
      '/v2/connections/..%2f..%2fv3%2ftemplates',
      '/v2/connections/%252e%252e%252fv3',
      '/v2/connections;a=b',
      `/v2/connections/${ref};a=b`,
      '/v2/..;/v3/templates',
      '/v2/connections%3b',
      '/v2/connections/',
      '/V2/connections',
      '/v2/connections%00',
      '/v2/connections%0a',
      '/v2/connections%20',
      '/v2/connections%3Fx',
      '/v2/connections%23',
      '/v2/connections#/../v3/templates',
      '/v2\\connections',
      '/v2/connections%zz',
      '/v2/connections\x80',
      '/',
      '*',
    ].map(target => asked('refuse', target)),
    asked('own route alone', '/livez'),
    asked('pass', '/v2/connections?'),
    asked('pass', '/v2/connections?a=/../b&c=//d;e'),
    asked('pass', `/v2/connections/%${ref.charCodeAt(0).toString(16)}${ref.slice(1)}`),
    asked('refuse', `/v2/connections/sc_apikey=x?sc_apikey=x`),
  ];
}

function doubleCases({ token, siteKey, accessKey }: Callers): ProxyCase[] {
  const twice = (title: string, target: string, ...fields: Field[]) =>
    expect('refuse', `twice: ${title}`, target, { fields });
  return [
    twice('a good token and a bad one', connections, bearer(token), bearer('x.y.z')),
    twice('a bad token and a good one', connections, bearer('x.y.z'), bearer(token)),
    twice('one good token', connections, bearer(token), bearer(token)),
    twice('two origins', connections, bearer(token), ['Origin', page], ['Origin', elsewhere]),
    twice('sc_apikey', layout, ['sc_apikey', siteKey], ['sc_apikey', randomUUID()]),
    twice('one sc_apikey', layout, ['sc_apikey', siteKey], ['sc_apikey', siteKey]),
    twice('an access key', news, ['X-SF-Access-Key', accessKey], ['X-SF-Access-Key', 'x']),
    twice('Host', connections, bearer(token), ['Host', 'other.example']),
    twice(
      'X-Forwarded-Uri, and no credential',
      connections,
      ['X-Forwarded-Uri', '/a'],
      ['X-Forwarded-Uri', '/b'],
    ),
  ];
}

function preflightCases({ siteKey }: Callers): ProxyCase[] {
  const asked = (origin: string, target: string): ProxyCase =>
    expect(
      'preflight',
      `preflight ${target === connections ? '' : 'with sc_apikey '}from ${origin}`,
      target,
      {
        method: 'OPTIONS',
        fields: [
          ['Origin', origin],
          ['Access-Control-Request-Method', 'GET'],
        ],
      },
    );
  const withKey = `${layout}&sc_apikey=${siteKey}`;
  return [page, elsewhere, 'null'].flatMap(origin => [asked(origin, connections), asked(origin, withKey)]);
}
