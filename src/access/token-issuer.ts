/** Whose credential is this, by its own word? Believed only to tell a visitor's from one that claims to be ours. */
import { decodeBase64 } from '../protocol/base64url.ts';

/**
 * Whether anywhere in a header field there is a JWT that names this issuer, or a key string, whatever stands around it and
 * however it is wrapped: as in HTTP Basic, percent-encoded or not.
 */
export function holdsOurs(field: string, issuer: string): boolean {
  const texts = field.split(/[^A-Za-z0-9._~+/=%-]+/);
  const unwrapped = texts.map(text => utf8.decode(decodeBase64(text)));
  return (
    texts.some(text => claimedIssuer(text) === issuer) ||
    [field, ...unwrapped].some(text => anyKeyString.test(decodePercent(text)))
  );
}

const anyKeyString = /kt_[0-9a-f]{32}_[0-9a-z]{38}/i;

function decodePercent(text: string): string {
  return text.replaceAll(/%([0-7][0-9a-f])/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** The `iss` of a JWT, however its text is spelt; undefined where it is none or names no issuer. */
export function claimedIssuer(token: string): string | undefined {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(utf8.decode(decodeBase64(payload)));
    const issuer: unknown = typeof claims === 'object' && claims !== null && 'iss' in claims && claims.iss;
    return typeof issuer === 'string' ? issuer : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
