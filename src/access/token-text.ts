/**
 * The one accepted spelling of a token. A JWS library forgives blanks, padding and unused bits of the last
 * character; with that one token would have many texts, and a text could not be an identity for a cache.
 */
import { decodeBase64, encodeBase64url } from '../protocol/base64url.ts';
import { parseStrictObject } from '../protocol/json.ts';

/** Longer texts are refused unread; tokens of ours stay far below. */
export const longestToken = 8192;

/** Whether the text is a compact JWS (RFC 7515 section 7.1), each part in canonical base64url. */
export function isCanonicalToken(text: string): boolean {
  return (
    text.length <= longestToken && compactShape.test(text) && text.split('.').every(isCanonicalBase64url)
  );
}

/** The canonical spelling of a text that lenient readers may take for the same token. */
export function canonicalizeToken(text: string): string {
  const parts = text.replaceAll(/[\s=]/g, '').split('.');
  return parts.map(part => encodeBase64url(decodeBase64(part))).join('.');
}

/**
 * What stands in the header or the payload.
 *
 * @throws {SyntaxError} where the part is not a JSON object in UTF-8
 */
export function readTokenPart(part: string): Readonly<Record<string, unknown>> {
  return parseStrictObject(readUtf8(decodeBase64(part)));
}

function readUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new SyntaxError('not UTF-8', { cause: error });
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const compactShape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The last character's unused bits are zero (RFC 4648 section 3.5). */
function isCanonicalBase64url(part: string): boolean {
  const rest = part.length % 4;
  if (rest === 0) return true;
  return rest === 2 ? 'AQgw'.includes(part.at(-1)!) : rest === 3 && 'AEIMQUYcgkosw048'.includes(part.at(-1)!);
}
