/**
 * How a record stands in a store: `<expiresAt>:<value>`, with nothing before the colon where it does not
 * expire. So expiry is data, and costs a byte where it is not used.
 */
import { StoreUnavailable } from './store.ts';

export function encodeRecord(value: string, expiresAt: number | undefined): string {
  if (expiresAt === undefined) return `:${value}`;
  if (!Number.isSafeInteger(expiresAt) || expiresAt < 0) throw new TypeError('expiresAt is not a moment');
  return `${expiresAt}:${value}`;
}

/** The value, or undefined where the record is absent or has expired at `now`. */
export function livingValue(text: string | null | undefined, now: number): string | undefined {
  if (text === null || text === undefined) return undefined;
  const expiresAt = expiryOf(text);
  if (expiresAt !== undefined && expiresAt <= now) return undefined;
  return text.slice(text.indexOf(':') + 1);
}

/** @throws StoreUnavailable where this is not a record: nobody can say what it held. */
export function expiryOf(text: string): number | undefined {
  const expiresAt = /^(\d{0,16}):/.exec(text)?.[1];
  if (expiresAt === undefined) throw new StoreUnavailable('a record in the store is damaged');
  return expiresAt === '' ? undefined : Number(expiresAt);
}
