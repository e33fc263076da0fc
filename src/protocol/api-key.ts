/** The API key string: `kt_<id>_<secret><checksum>`. What it looks like, how one is made and read. */
import { crc32 } from 'node:zlib';
import { bareGuid, dashGuid } from './guid.ts';

/** Published for secret scanners. A string that matches may still fail its checksum. */
export const apiKeyPattern = /^kt_[0-9a-f]{32}_[0-9A-Za-z]{38}$/;

export interface ApiKeyString {
  /** The key's id, a dashed lower-case UUID: its `client_id`. */
  readonly id: string;
  /** 32 base62 characters, 190 bits. */
  readonly secret: string;
  /** The whole string: what a caller sends as `client_secret`. */
  readonly text: string;
  /** The last four characters of the string: all of it that may be shown again, or logged. */
  readonly last4: string;
}

/** Reads a key string; undefined where its shape or its checksum is wrong. Nothing is trimmed or normalised. */
export function parseApiKey(text: string): ApiKeyString | undefined {
  if (!apiKeyPattern.test(text)) return undefined;
  const body = text.slice(0, -checksumLength);
  if (text.slice(-checksumLength) !== checksum(body)) return undefined;
  return describe(dashGuid(text.slice(3, 35)), text.slice(36, 68), text);
}

/**
 * Makes the key string of a key.
 *
 * @param id the key's dashed UUID
 * @param randomBytes the system's random source
 */
export function generateApiKey(id: string, randomBytes: (size: number) => Uint8Array): ApiKeyString {
  const secret = randomBase62(secretLength, randomBytes);
  const body = `kt_${bareGuid(id)}_${secret}`;
  return describe(id, secret, body + checksum(body));
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const secretLength = 32;
const checksumLength = 6;

function describe(id: string, secret: string, text: string): ApiKeyString {
  return { id, secret, text, last4: text.slice(-4) };
}

/** CRC-32 (IEEE) in base62, most significant digit first. */
function checksum(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let place = 0; place < checksumLength; place += 1) {
    digits = alphabet.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** Bytes of 248 (4 × 62) and above are drawn again, so that every character is equally likely. */
function randomBase62(length: number, randomBytes: (size: number) => Uint8Array): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += alphabet.charAt(byte % 62);
    }
  }
  return text;
}
