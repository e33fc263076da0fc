/** What is sent to every doorway, and what has to become of it. */
import { randomUUID } from 'node:crypto';
import { type Callers, page } from './proxy-callers.ts';
import {
  bearer,
  connections,
  elsewhere,
  expect,
  type Expected,
  type Field,
  graphql,
  layout,
  news,
  type ProxyCase,
} from './proxy-case.ts';
import { listTrickCases } from './proxy-trick-cases.ts';

export function listCases(callers: Callers): ProxyCase[] {
  return [
    ...tokenCases(callers),
    ...apiKeyCases(callers),
    ...accessKeyCases(callers),
    ...listTrickCases(callers),
    ...preflightCases(callers),
  ];
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
    expect(
      'pass',
      'sc_apikey before other parameters',
      `${layout.replace(/\?.*/, '')}?sc_apikey=${siteKey}&item=%2F`,
    ),
    query('pass', 'SC_ApiKey', `&SC_ApiKey=${siteKey}`),
    query('pass', 'sc%5Fapikey', `&%73c%5fapi%4bey=${siteKey}`),
    query('pass', 'sc_apikey in a field', '', key),
    query('pass', 'sc_apikey in both', `&sc_apikey=${encoded}`, key),
    query('refuse', 'sc_apikey, another in the field', `&sc_apikey=${siteKey}`, ['sc_apikey', randomUUID()]),
    query('refuse', 'sc_apikey twice, differently', `&sc_apikey=${siteKey}&sc_apikey=${randomUUID()}`),
    query(
      'pass or stricter',
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
