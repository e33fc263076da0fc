/** Browser origins (RFC 6454): how they are written, read and compared. */
import { parseUrl } from './url.ts';

/** The entry that allows every origin. Discouraged, and said to be wherever it is shown. */
export const anyOrigin = '*';

/**
 * Reads a list of origins: an array, or Sitecore's text, separated by semicolons.
 *
 * @returns the origins as RFC 6454 serialises them, and the entries that are none
 */
export function parseOriginList(list: string | readonly string[]): { origins: string[]; invalid: string[] } {
  const entries = typeof list === 'string' ? list.split(';') : list;
  const origins = new Set<string>();
  const invalid: string[] = [];
  for (const entry of entries.map(text => text.trim()).filter(text => text !== '')) {
    const origin = entry === anyOrigin ? anyOrigin : parseOrigin(entry.replace(/\/$/, ''));
    if (origin === undefined) invalid.push(entry);
    else origins.add(origin);
  }
  return { origins: [...origins], invalid };
}

/** The serialisation of an http(s) origin, the default port folded; undefined for all else, `null` included. */
export function parseOrigin(text: string): string | undefined {
  return originShape.test(text) ? parseUrl(text)?.origin : undefined;
}

/** Whether the list allows a request's `Origin`. `null`, and what is no origin at all, is only allowed by `*`. */
export function allowsOrigin(list: ReadonlySet<string>, header: string): boolean {
  if (list.has(header) && header !== anyOrigin) return true;
  if (list.has(anyOrigin)) return true;
  const origin = parseOrigin(header);
  return origin !== undefined && list.has(origin);
}

/** What both lists allow. */
export function commonOrigins(one: ReadonlySet<string>, other: ReadonlySet<string>): ReadonlySet<string> {
  if (one.has(anyOrigin)) return other;
  if (other.has(anyOrigin)) return one;
  return new Set([...one].filter(origin => other.has(origin)));
}

/** Scheme, host and port, and nothing that a URL parser would forgive or drop: white space, userinfo, a path, `*`. */
const originShape = /^https?:\/\/(?:[^\s\p{Cc}/?#@\\:[\]*%]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/iu;
