/** What the head of an HTTP request says by its form: whether a body follows, and whether its target is well written. */

export interface Framing {
  readonly 'transfer-encoding'?: string | undefined;
  readonly 'content-length'?: string | undefined;
}

/** Whether the request has a body (RFC 9112 section 6.3). */
export function hasBody(headers: Framing): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Whether a path and query, or a part of them, is in printable ASCII, well percent-encoded, and without a fragment. */
export function isWellEncoded(target: string): boolean {
  return /^(?:[\x21\x22\x24\x26-\x7e]|%[\da-f]{2})*$/i.test(target);
}
