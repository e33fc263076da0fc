/** What comes of a `fetch` for whoever asks a service: the answer's text, how long it asks to be left alone, or why there is none. */

/** The whole text, or undefined where it is longer: then the rest is not read. Rejects where it breaks off. @param longest characters */
export async function readText({ body }: Response, longest: number): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of body ?? []) {
    text += decoder.decode(piece as Uint8Array, { stream: true });
    if (text.length > longest) return undefined;
  }
  return text;
}

/**
 * `Retry-After` (RFC 9110 section 10.2.3), in milliseconds; undefined where the field is missing or makes no sense.
 *
 * @param longest milliseconds that are believed: a service that says more means well
 * @param now milliseconds since the epoch, for an answer that does not say when it was given
 */
export function readRetryAfter(headers: Headers, longest: number, now: () => number): number | undefined {
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

/** What kept an answer from coming, as `ECONNREFUSED`: `fetch` hides it in the cause of its error. */
export function faultCode(error: unknown): string | undefined {
  const { code } = Object(error instanceof Error ? error.cause : undefined) as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
