/** URLs, read without a word where they are none. */

/**
 * Undefined where it is none. `URL.canParse` is not asked: in Node 20, once a process has asked it some thousand times, it
 * takes every text with an ä in it for none.
 */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
