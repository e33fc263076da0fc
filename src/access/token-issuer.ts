/** Whose credential is this, by its own word? Believed only to tell a visitor's from one that claims to be ours. */
import { decodeBase64 } from '../protocol/base64url.ts';

/**
 * Whether anywhere in a header field there is a JWT that names this issuer, or a key string, whatever stands around it and
 * however it is wrapped: as in HTTP Basic, percent-encoded, or both.
 */
export function holdsOurs(field: string, issuer: string): boolean {
  const piecesOf = (text: string) => text.match(base64)?.filter(piece => piece.length > issuer.length) ?? [];
  const spelt = [...new Set([field, decodePercent(field)])];
  const wrapped = spelt.flatMap(text => [text.replace(/^\S+\s+/, ''), ...piecesOf(text)]);
  const unwrapped = wrapped.map(text => utf8.decode(decodeBase64(text)));
  const texts = new Set([...spelt, ...unwrapped, ...unwrapped.map(decodePercent)]);
  return [...texts].some(
    text => anyKeyString.test(text) || piecesOf(text).some(piece => issuerWithin(piece) === issuer),
  );
}

/** Each part of a JWT by itself. */
const base64 = /[A-Za-z0-9_+/=-]{16,}/g;
const anyKeyString = /kt_[0-9a-f]{32}_[0-9a-z]{38}/i;

function decodePercent(text: string): string {
  return text.replaceAll(/%([0-7][0-9a-f])/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** The `iss` of a JWT, however its text is spelt; undefined where it is none or names no issuer. */
export function claimedIssuer(token: string): string | undefined {
  const [, payload, signature] = token.split('.');
  return payload === undefined || signature === undefined ? undefined : issuerWithin(payload);
}

function issuerWithin(payload: string): string | undefined {
  const text = utf8.decode(decodeBase64(payload));
  // Spares an error for each of the many words of a long header.
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    const claims: unknown = JSON.parse(text);
    const issuer: unknown = typeof claims === 'object' && claims !== null && 'iss' in claims && claims.iss;
    return typeof issuer === 'string' ? issuer : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
