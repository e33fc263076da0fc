/** What is asked at every doorway, and what it has to answer: requests to the same routes, as the default catalogue declares them. */
import { randomUUID } from 'node:crypto';
import { encodePart } from '../server/forged-tokens.ts';
import type { GuardedRoute } from './doorways.ts';

export const layoutController = 'Sitecore.LayoutService.Mvc.Controllers.LayoutServiceController';
export const graphqlController = 'Sitecore.Services.GraphQL.Hosting.Mvc.GraphQLController';
export const connections = '/v2/connections';
const templates = '/v3/templates';
export const layout = '/sitecore/api/layout/render/jss';
const graphql = '/sitecore/api/graph/edge';
export const news = '/api/default/newsitems';
const marked = '/marked';
const keysAlone = '/keys-alone';
const accessKeysAlone = '/access-keys-alone';

/** As the default catalogue declares them; the last stands for `[RequiredApiKey]` on a route of one's own. */
export const routes: GuardedRoute[] = [
  {
    path: connections,
    demand: { controller: 'Personalize.Connections', scope: 'personalize.external_webservices:read' },
  },
  { path: templates, demand: { controller: 'Personalize.Templates', scope: 'personalize.templates:read' } },
  {
    path: layout,
    demand: { controller: layoutController, scope: 'services:read', doors: ['bearer', 'sc_apikey'] },
  },
  {
    path: graphql,
    demand: {
      controller: graphqlController,
      scope: 'services:read',
      doors: ['bearer', 'sc_apikey'],
      graphqlPath: graphql,
    },
  },
  {
    path: news,
    demand: {
      controller: 'Sitefinity.Default',
      scope: 'content:read',
      doors: ['bearer', 'x-sf-access-key'],
    },
  },
  {
    path: marked,
    demand: {
      controller: layoutController,
      scope: 'services:read',
      doors: ['bearer', 'sc_apikey'],
      requireApiKey: true,
    },
  },
  {
    path: keysAlone,
    demand: { controller: layoutController, scope: 'services:read', doors: ['sc_apikey'] },
  },
  {
    path: accessKeysAlone,
    demand: { controller: 'Sitefinity.Default', scope: 'content:read', doors: ['x-sf-access-key'] },
  },
];

/** Everything that the cases need, made before them. */
export interface Props {
  readonly token: string;
  readonly narrow: string;
  readonly revoked: string;
  readonly ofRevokedKey: string;
  readonly forOthers: string;
  readonly forged: Record<'expired' | 'typ' | 'issuer' | 'unsigned' | 'version' | 'kid', string>;
  readonly site: string;
  /** The whole key string. */
  readonly siteSecret: string;
  readonly siteToken: string;
  readonly draft: string;
  readonly disabled: string;
  readonly tokenOnly: string;
  readonly layoutOnly: string;
  readonly accessKey: string;
  /** Of the same account. */
  readonly editorToken: string;
  readonly poorAccessKey: string;
}

export type Ask = (props: Props) => { path: string; headers?: Record<string, string>; method?: string };
type Outcome = readonly [name: string, expected: string, ask: Ask];

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
export const origin = 'https://page.example';
const stranger = {
  authorization: `Bearer ${encodePart({ alg: 'none' })}.${encodePart({ iss: 'https://other.example' })}.x`,
};

/** What the routes of the service have to answer too. */
export const everywhere: Outcome[] = [
  ['no credential', '401 credential_missing', () => ({ path: connections })],
  [
    'an empty Bearer',
    '401 credential_missing',
    () => ({ path: connections, headers: { authorization: 'Bearer' } }),
  ],
  [
    'another scheme',
    '401 credential_missing',
    () => ({ path: connections, headers: { authorization: 'Basic YTpi' } }),
  ],
  ['a token that is none', '401 token_invalid', () => ({ path: connections, headers: bearer('x') })],
  [
    'a token with a blank in it',
    '401 token_invalid',
    p => ({ path: connections, headers: bearer(`${p.token} x`) }),
  ],
  ['a good token', '200', p => ({ path: connections, headers: bearer(p.token) })],
  [
    'the scheme in lower case',
    '200',
    p => ({ path: connections, headers: { authorization: `bearer ${p.token}` } }),
  ],
  [
    'a token that was tampered with',
    '401 token_invalid',
    p => ({ path: connections, headers: bearer(`${p.token.slice(0, -4)}AAAA`) }),
  ],
  ['an expired token', '401 token_expired', p => ({ path: connections, headers: bearer(p.forged.expired) })],
  ['another type of JWT', '401 token_invalid', p => ({ path: connections, headers: bearer(p.forged.typ) })],
  ['another issuer', '401 token_invalid', p => ({ path: connections, headers: bearer(p.forged.issuer) })],
  ['no signature', '401 token_invalid', p => ({ path: connections, headers: bearer(p.forged.unsigned) })],
  [
    'a key that nobody published',
    '401 token_invalid',
    p => ({ path: connections, headers: bearer(p.forged.kid) }),
  ],
  [
    'an older version of the key',
    '401 token_revoked',
    p => ({ path: connections, headers: bearer(p.forged.version) }),
  ],
  ['a revoked token', '401 token_revoked', p => ({ path: connections, headers: bearer(p.revoked) })],
  [
    'a token of a revoked key',
    '401 token_revoked',
    p => ({ path: connections, headers: bearer(p.ofRevokedKey) }),
  ],
  [
    'a token for another audience',
    '401 audience_mismatch',
    p => ({ path: connections, headers: bearer(p.forOthers) }),
  ],
  ['another controller', '403 controller_not_allowed', p => ({ path: templates, headers: bearer(p.token) })],
  ['a narrower scope', '403 insufficient_scope', p => ({ path: connections, headers: bearer(p.narrow) })],
  ['a listed origin', '200', p => ({ path: connections, headers: { ...bearer(p.token), origin } })],
  [
    'another port of it',
    '403 origin_not_allowed',
    p => ({ path: connections, headers: { ...bearer(p.token), origin: `${origin}:8443` } }),
  ],
  [
    'the origin null',
    '403 origin_not_allowed',
    p => ({ path: connections, headers: { ...bearer(p.token), origin: 'null' } }),
  ],
  [
    'a token in the query as well',
    '400 several_credentials',
    p => ({ path: `${connections}?access_token=x`, headers: bearer(p.token) }),
  ],
  [
    'a token in the query alone',
    '401 credential_missing',
    p => ({ path: `${connections}?access_token=${p.token}` }),
  ],
  [
    'a key beside it, where there is no door for it',
    '400 several_credentials',
    p => ({ path: connections, headers: { ...bearer(p.token), sc_apikey: p.site } }),
  ],
  ['HEAD', '200', p => ({ path: connections, headers: bearer(p.token), method: 'HEAD' })],
  ['HEAD without a credential', '401', () => ({ path: connections, method: 'HEAD' })],

  ['sc_apikey in the header', '200', p => ({ path: layout, headers: { sc_apikey: p.site } })],
  ['sc_apikey in the query', '200', p => ({ path: `${layout}?item=%2F&sc_apikey=${p.site}` })],
  [
    'its name and value spelt otherwise',
    '200',
    p => ({ path: `${layout}?SC%5FApiKey=%7B${p.site.toUpperCase()}%7D` }),
  ],
  [
    'the same in both',
    '200',
    p => ({ path: `${layout}?sc_apikey={${p.site}}`, headers: { sc_apikey: p.site } }),
  ],
  [
    'two that differ',
    '400 api_keys_differ',
    p => ({ path: `${layout}?sc_apikey=${p.draft}`, headers: { sc_apikey: p.site } }),
  ],
  ['no key', '400 api_key_missing', () => ({ path: layout })],
  ['an empty key', '400 api_key_missing', () => ({ path: `${layout}?sc_apikey=` })],
  ['a key that is no GUID', '400 api_key_unknown', () => ({ path: layout, headers: { sc_apikey: 'x' } })],
  ['an unknown key', '400 api_key_unknown', () => ({ path: layout, headers: { sc_apikey: randomUUID() } })],
  [
    'a key that was made for tokens',
    '400 api_key_unknown',
    p => ({ path: layout, headers: { sc_apikey: p.tokenOnly } }),
  ],
  ['a draft', '400 api_key_unpublished', p => ({ path: layout, headers: { sc_apikey: p.draft } })],
  ['a disabled key', '400 api_key_unusable', p => ({ path: layout, headers: { sc_apikey: p.disabled } })],
  ['a key and its origin', '200', p => ({ path: layout, headers: { sc_apikey: p.site, origin } })],
  [
    'a key and another origin',
    '403 origin_not_allowed',
    p => ({ path: layout, headers: { sc_apikey: p.site, origin: 'https://other.example' } }),
  ],
  [
    "a visitor's token beside a key",
    '200',
    p => ({ path: layout, headers: { ...stranger, sc_apikey: p.site } }),
  ],
  ["a visitor's token alone", '400 api_key_missing', () => ({ path: layout, headers: stranger })],
  [
    'a token that nobody can read alone',
    '401 token_invalid',
    () => ({ path: layout, headers: bearer('opaque') }),
  ],
  [
    "a visitor's token where an access key is missing",
    'Sitefinity 401 Unauthorized',
    () => ({ path: news, headers: stranger }),
  ],
  [
    'a key string as a token beside a key',
    '401 token_invalid',
    p => ({ path: layout, headers: { ...bearer(p.siteSecret), sc_apikey: p.site } }),
  ],
  [
    'a key string within Basic beside a key',
    '401 token_invalid',
    p => ({ path: layout, headers: { authorization: basic(`:${p.siteSecret}`), sc_apikey: p.site } }),
  ],
  [
    'a key string in another spelling of Basic beside a key',
    '401 token_invalid',
    p => ({
      path: layout,
      headers: { authorization: basic(p.siteSecret.replaceAll('_', '%5F')), sc_apikey: p.site },
    }),
  ],
  [
    "a stranger's Basic beside a key",
    '200',
    p => ({ path: layout, headers: { authorization: basic('me:secret'), sc_apikey: p.site } }),
  ],
  [
    'an access key as a token beside an access key',
    '401 token_invalid',
    p => ({ path: news, headers: { ...bearer(p.accessKey), 'x-sf-access-key': p.accessKey } }),
  ],
  [
    'a token of ours beside a key',
    '200',
    p => ({ path: layout, headers: { ...bearer(p.siteToken), sc_apikey: p.site } }),
  ],
  [
    'a forged token of ours beside a key',
    '401 token_invalid',
    p => ({ path: layout, headers: { ...bearer(p.forged.kid), sc_apikey: p.site } }),
  ],
  [
    'a token of ours in another dress beside a key',
    '401 token_invalid',
    p => ({ path: layout, headers: { authorization: `Token ${p.siteToken}`, sc_apikey: p.site } }),
  ],
  ...(
    [
      ['within Basic', token => basic(`:${token}`)],
      ['within Basic, percent-encoded', token => basic(`:${token.replaceAll('.', '%2E')}`)],
      ['percent-encoded', token => `Bearer ${token.replaceAll('.', '%2e')}`],
      ['within Basic whose padding is percent-encoded', token => basic(`a:${token}`).replaceAll('=', '%3D')],
      ['within Basic that a lenient reader reads', token => basic(`:${token}`).replaceAll(/.{30}/g, '$&~')],
      ['within Basic within Basic', token => basic(Buffer.from(`a:${token}`).toString('base64'))],
      ['in base64 behind a name', token => `Custom token=${Buffer.from(`u:${token}`).toString('base64')}`],
      ['in base64 behind a dash', token => `Custom x-${Buffer.from(`u:${token}`).toString('base64url')}`],
      ['behind words', token => `Bearer v1.token.${token}`],
    ] satisfies [string, (token: string) => string][]
  ).map(([dress, dressed]): Outcome => [
    `a token of ours ${dress} beside a key`,
    '401 token_invalid',
    p => ({ path: layout, headers: { authorization: dressed(p.siteToken), sc_apikey: p.site } }),
  ]),
  ['a token alone', '200', p => ({ path: layout, headers: bearer(p.siteToken) })],

  ['GraphQL without a key', 'GraphQL 400 api_key_missing', () => ({ path: graphql })],
  ['GraphQL with a key', '200', p => ({ path: `${graphql}?query=%7Ba%7D`, headers: { sc_apikey: p.site } })],
  [
    'GraphQL with a key that does not name the endpoint',
    'GraphQL 400 controller_not_allowed',
    p => ({ path: `${graphql}?query=%7Ba%7D`, headers: { sc_apikey: p.layoutOnly } }),
  ],
  [
    'GraphQL from another origin',
    'GraphQL 403 origin_not_allowed',
    p => ({ path: graphql, headers: { sc_apikey: p.site, origin: 'https://other.example' } }),
  ],

  ['an access key', '200', p => ({ path: news, headers: { 'x-sf-access-key': p.accessKey } })],
  ['no access key', 'Sitefinity 401 Unauthorized', () => ({ path: news })],
  [
    'a wrong access key',
    'Sitefinity 401 Unauthorized',
    () => ({ path: news, headers: { 'x-sf-access-key': 'x' } }),
  ],
  [
    'the access key of somebody without permission',
    'Sitefinity 403 Forbidden',
    p => ({ path: news, headers: { 'x-sf-access-key': p.poorAccessKey } }),
  ],
  [
    'an access key from a page',
    'Sitefinity 403 Forbidden',
    p => ({ path: news, headers: { 'x-sf-access-key': p.accessKey, origin } }),
  ],
  [
    'an access key beside a token of ours',
    'Sitefinity 400 BadRequest',
    p => ({ path: news, headers: { 'x-sf-access-key': p.accessKey, ...bearer(p.token) } }),
  ],
];

export const elsewhere: Outcome[] = [
  ['[RequiredApiKey]: a key', '200', p => ({ path: marked, headers: { sc_apikey: p.site } })],
  [
    '[RequiredApiKey]: a token alone',
    '400 api_key_missing',
    p => ({ path: marked, headers: bearer(p.siteToken) }),
  ],
  [
    '[RequiredApiKey]: a token and a key',
    '200',
    p => ({ path: marked, headers: { ...bearer(p.siteToken), sc_apikey: p.site } }),
  ],
  ['[RequiredApiKey]: nothing', '400 api_key_missing', () => ({ path: marked })],
  [
    'no door for tokens: a token alone',
    '400 api_key_missing',
    p => ({ path: keysAlone, headers: bearer(p.siteToken) }),
  ],
  [
    'no door for tokens: a token beside a key',
    '400 several_credentials',
    p => ({ path: keysAlone, headers: { ...bearer(p.siteToken), sc_apikey: p.site } }),
  ],
  ['no door for tokens: a key', '200', p => ({ path: keysAlone, headers: { sc_apikey: p.site } })],
  [
    'a door for access keys alone: a token',
    'Sitefinity 401 Unauthorized',
    p => ({ path: accessKeysAlone, headers: bearer(p.editorToken) }),
  ],
  [
    'a door for access keys alone: an access key',
    '200',
    p => ({ path: accessKeysAlone, headers: { 'x-sf-access-key': p.accessKey } }),
  ],
];
