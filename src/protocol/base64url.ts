/** Base64 in either alphabet (RFC 4648), by means that every JavaScript runtime has: resource servers run anywhere. */

/** The bytes behind the text, as lenient readers see them: what is of neither alphabet is passed over, padding too. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = decodeBinary(text);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return bytes;
}

/** As {@link decodeBase64}, each byte a character: the text where it is ASCII, at a fraction of the cost. */
export function decodeBinary(text: string): string {
  const plain = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replaceAll(/[^A-Za-z0-9+/]/g, '');
  const whole = plain.length % 4 === 1 ? plain.slice(0, -1) : plain;
  return atob(whole);
}

/** Canonical: no padding, unused bits zero. */
export function encodeBase64url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
