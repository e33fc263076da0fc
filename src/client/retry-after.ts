/** `Retry-After` (RFC 9110 section 10.2.3): for how long the service asks not to be asked. */

/** Milliseconds: a service that says more means well, and a client that believes it is out of order for a day. */
const longest = 300_000;

/**
 * Milliseconds, five minutes at most; undefined where the field is missing or makes no sense.
 *
 * @param now milliseconds since the epoch, for an answer that does not say when it was given
 */
export function readRetryAfter(headers: Headers, now: () => number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, longest);
  const at = parseDate(value);
  if (at === undefined) return undefined;
  // By the clock that named the time, where it says what it shows.
  const since = parseDate(headers.get('date') ?? '') ?? now();
  return Math.min(Math.max(at - since, 0), longest);
}

/** Of an HTTP date alone: `Date.parse` takes nearly anything for one. */
function parseDate(text: string): number | undefined {
  const time = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
