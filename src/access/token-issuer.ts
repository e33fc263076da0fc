/** Whose token is this, by its own word? Believed only to tell a visitor's token from one that claims to be ours. */
import { decodeBase64 } from '../protocol/base64url.ts';

/** Whether anywhere in a header field there is a JWT that names this issuer, whatever stands around it. */
export function mentionsIssuer(field: string, issuer: string): boolean {
  return field.split(/[^A-Za-z0-9._~+/=-]+/).some(text => claimedIssuer(text) === issuer);
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
