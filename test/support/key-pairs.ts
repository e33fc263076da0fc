/** Key pairs with which API keys sign for themselves, and the assertions that they sign (RFC 7523). */
import { randomUUID } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export interface KeyPair {
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  /** What it signs with. */
  readonly alg: string;
}

export async function makeKeyPair(alg = 'ES256', extra: JWK = {}): Promise<KeyPair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, publicJwk: { ...(await exportJWK(publicKey)), ...extra }, alg };
}

/** The claims of a good assertion for this client, from `now` (milliseconds) on. */
export function assertionClaims(clientId: string, audience: string, now: number): Record<string, unknown> {
  const iat = Math.floor(now / 1000);
  return { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat, exp: iat + 60 };
}

/** Signs what it is given, good or not; members that are undefined are left out. */
export function signAssertion(
  { privateKey, alg }: KeyPair,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(privateKey);
}
