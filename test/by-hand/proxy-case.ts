/** One request for every doorway, and the words in which the cases are written. */

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
 * `pass` and `refuse` hold for every doorway. `preflight`: Keyturn itself answers. `pass or stricter`: a proxy may refuse what
 * Keyturn, which knows how it reads the request itself, lets through. `own route alone`: it is no resource,
 * and every proxy is told to refuse it.
 */
export type Expected = 'pass' | 'refuse' | 'preflight' | 'pass or stricter' | 'own route alone';

export const connections = '/v2/connections';
export const layout = '/sitecore/api/layout/render/jss?item=%2F';
export const graphql = '/api/app';
export const news = '/api/default/news';
export const elsewhere = 'https://elsewhere.example';

interface Parts {
  readonly method?: string;
  readonly fields?: readonly Field[];
  readonly body?: string;
}

export function expect(expected: Expected, title: string, target: string, parts: Parts = {}): ProxyCase {
  return { title, method: 'GET', target, fields: [], body: '', expected, ...parts };
}

export function bearer(token: string): Field {
  return ['Authorization', `Bearer ${token}`];
}
