/** The URLs by which servers are reached: what they may be made of, and the one form of an issuer's. */
import { parseUrl } from './url.ts';

/** The http or https URL, to which a path can be added; undefined for all else, and where it has a user, query or fragment. */
export function parseWebUrl(text: unknown): URL | undefined {
  const isOfShape = typeof text === 'string' && /^https?:\/\/[^\s@?#\\]+$/i.test(text);
  return isOfShape ? parseUrl(text) : undefined;
}

/** Whether it is one in its normal form, without a slash at its end: clients compare the issuer by characters. */
export function isIssuer(text: unknown): boolean {
  const url = parseWebUrl(text);
  return url !== undefined && text === url.href.replace(/\/$/, '');
}
