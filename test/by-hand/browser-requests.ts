/** What the pages ask, and what each may read of the answer. */
import { randomUUID } from 'node:crypto';
import type { TestService } from '../support/service.ts';
import type { PageRequest } from './browser-pages.ts';

/** The status that a page reads with its body; `nothing` where it may read nothing. */
export type Reading = number | 'nothing';

export interface BrowserRequest extends Omit<PageRequest, 'credentials'> {
  readonly title: string;
  readonly listed: Reading;
  readonly other: Reading;
  /** Pages of the origin `null`. */
  readonly nobody: Reading;
  /** Open to all without cookies, and so to none with them. */
  readonly isPublic: boolean;
}

/** Credentials of one key. */
export interface Identity {
  readonly siteKey: string;
  readonly token: string;
  readonly narrowToken: string;
  /** Of the feature `connections`. */
  readonly connectionsToken: string;
}

export async function createIdentity(service: TestService, corsOrigins: string[]): Promise<Identity> {
  const { key, apiKey } = await service.createKey({
    feature: 'services-client',
    doors: ['token', 'sc_apikey'],
    corsOrigins,
  });
  return {
    siteKey: key.id,
    token: await service.token(apiKey),
    connectionsToken: await service.token((await service.createKey({ corsOrigins })).apiKey),
    narrowToken: await service.token(apiKey, { scope: 'services:create' }),
  };
}

export const layout = '/sitecore/api/layout/render/jss?item=%2F';
export const connections = '/v2/connections';
const graphql = '/api/app';

/** Of a key: what succeeds, and what is refused for its own reason. */
export function listKeyRequests(url: string, identity: Identity, other: Reading): BrowserRequest[] {
  const { siteKey, token, narrowToken, connectionsToken } = identity;
  const bearer = { authorization: `Bearer ${token}` };
  const query = `sc_apikey=%7B${siteKey}%7D`;
  const key = { sc_apikey: siteKey };
  const ofConnections = { authorization: `Bearer ${connectionsToken}` };
  const orNothing = (status: number): Reading => (other === 'nothing' ? other : status);
  const asked = (title: string, path: string, parts: Partial<BrowserRequest> = {}) =>
    request(title, url + path, { listed: 200, other, ...parts });
  const post = (headers: Record<string, string>, type = 'application/json') => ({
    method: 'POST',
    headers: { ...headers, 'content-type': type },
    body: '{"query":"{a}"}',
  });
  return [
    asked('GET ?sc_apikey', `${layout}&${query}`),
    asked('GET with sc_apikey', layout, { headers: key }),
    asked('GET with Bearer', layout, { headers: bearer }),
    asked('GET ?sc_apikey with Bearer', `${layout}&${query}`, { headers: bearer }),
    asked('POST JSON ?sc_apikey', `${graphql}?${query}`, post({})),
    asked('POST JSON with sc_apikey', graphql, post(key)),
    asked('POST JSON with Bearer', graphql, post(bearer)),
    asked('POST as a form ?sc_apikey', `${graphql}?${query}`, post({}, 'application/x-www-form-urlencoded')),
    asked('GET ?sc_apikey, no-cors', `${layout}&${query}`, {
      mode: 'no-cors',
      listed: 'nothing',
      other: 'nothing',
    }),
    asked('403: another scope', layout, {
      headers: { authorization: `Bearer ${narrowToken}` },
      listed: 403,
      other: orNothing(403),
    }),
    asked('201: a document that is new', connections, {
      ...post(ofConnections),
      listed: 201,
      other: orNothing(201),
    }),
    asked('403: another controller', connections, { headers: bearer, listed: 403, other: orNothing(403) }),
    asked('404: no such document', `${connections}/${randomUUID()}`, {
      headers: ofConnections,
      listed: 404,
      other: orNothing(404),
    }),
  ];
}

/** Nobody is known, so it is told to the pages that any key lists. */
export function listStrangerRequests(url: string, openToAll: boolean): BrowserRequest[] {
  const asked = (title: string, path: string, status: number, headers = {}) =>
    request(title, url + path, { headers, listed: status, other: openToAll ? status : 'nothing' });
  return [
    asked('400: an unknown sc_apikey', `${layout}&sc_apikey=${randomUUID()}`, 400),
    asked('400: no sc_apikey', layout, 400),
    asked('401: no credential', connections, 401),
    asked('401: a bad token', layout, 401, { authorization: 'Bearer x.y.z' }),
    asked('400: an unknown sc_apikey in a field', layout, 400, { sc_apikey: randomUUID() }),
  ];
}

/** What no key has a say in. */
export function listCommonRequests(url: string, ownerToken: string): BrowserRequest[] {
  const open = { listed: 200, other: 200, nobody: 200, isPublic: true } as const;
  return [
    request('JWKS', `${url}/.well-known/jwks.json`, open),
    request('authorization server', `${url}/.well-known/oauth-authorization-server`, open),
    request('protected resource', `${url}/.well-known/oauth-protected-resource`, open),
    request('token endpoint', `${url}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials',
    }),
    request('/admin with the owner’s token', `${url}/admin/keys`, {
      headers: { authorization: `Bearer ${ownerToken}` },
    }),
    request('/admin without', `${url}/admin/keys`, {}),
    request('/readyz', `${url}/readyz`, {}),
    request('/auth/verify', `${url}/auth/verify`, {}),
  ];
}

function request(title: string, url: string, parts: Partial<BrowserRequest>): BrowserRequest {
  return {
    title,
    url,
    method: 'GET',
    headers: {},
    body: null,
    mode: 'cors',
    listed: 'nothing',
    other: 'nothing',
    nobody: 'nothing',
    isPublic: false,
    ...parts,
  };
}
