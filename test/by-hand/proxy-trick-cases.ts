/** Requests that try to be read in two ways: spoofed fields, ambiguous paths, fields that stand twice. */
import { randomUUID } from 'node:crypto';
import { type Callers, page } from './proxy-callers.ts';
import {
  bearer,
  connections,
  elsewhere,
  expect,
  type Expected,
  type Field,
  layout,
  news,
  type ProxyCase,
} from './proxy-case.ts';

export function listTrickCases(callers: Callers): ProxyCase[] {
  return [...spoofCases(callers), ...pathCases(callers), ...doubleCases(callers)];
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

function pathCases({ token, ref, siteKey }: Callers): ProxyCase[] {
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
    expect(
      'pass or stricter',
      'path and query with sc_apikey',
      `/sitecore/api/layout/render/sc_apikey=${siteKey}?sc_apikey=${siteKey}`,
    ),
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
