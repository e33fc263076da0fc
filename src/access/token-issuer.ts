/** Whose credential is this, by its own word? Believed only to tell a visitor's from one that claims to be ours. */
import { decodeBase64, decodeBinary } from '../protocol/base64url.ts';

/**
 * Whether anywhere in a header field there is a JWT that names this issuer, or a key string, whatever stands around it and
 * however it is wrapped: as in HTTP Basic, percent-encoded, or both; twice, too.
 */
export function holdsOurs(field: string, issuer: string): boolean {
  // What may be base64, each part of a JWT by itself; what is shorter than the issuer's name holds nothing of ours.
  const base64 = new RegExp(`[A-Za-z0-9_+/=-]{${issuer.length},}`, 'g');
  const piecesOf = (text: string): readonly string[] => text.match(base64) ?? [];
  const shows = (text: string) =>
    anyKeyString.test(text) || piecesOf(text).some(piece => issuerWithin(piece) === issuer);
  const inside = (texts: readonly string[]) => spell(texts.flatMap(piecesOf).flatMap(decodeAnywhere));
  const texts = spell([field]);
  // A lenient reader passes over what stands between the characters of base64.
  const credentials = field.replace(/^\S+\s+/, '').replaceAll(/[^A-Za-z0-9_+/-]/g, '');
  const once = [...inside(texts), ...spell(decodeAnywhere(credentials))];
  return [...texts, ...once, ...inside(once)].some(shows);
}

/** As it stands, and with its percent-encoding undone. */
function spell(texts: readonly string[]): string[] {
  return [...new Set([...texts, ...texts.map(decodePercent)])];
}

/** What stands before the base64 may look like a part of it, as in `token=`: so from each place of a group of four on. */
function decodeAnywhere(base64: string): string[] {
  const plain = base64.replaceAll('=', '');
  return [0, 1, 2, 3].map(skipped => decodeBinary(plain.slice(skipped)));
}

const anyKeyString = /kt_[0-9a-f]{32}_[0-9a-z]{38}/i;

function decodePercent(text: string): string {
  if (!text.includes('%')) return text;
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
