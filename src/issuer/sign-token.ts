/** Writes claims as a signed token (RFC 7515 compact serialisation), with as little work as a signature permits. */
import { type KeyObject, sign } from 'node:crypto';
import type { SigningAlgorithm, TokenType } from '../protocol/token-header.ts';

/** A private key ready to sign, its headers encoded once. */
export interface Signer {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly privateKey: KeyObject;
  /** The JOSE header in base64url, for each type of token. */
  readonly headers: Readonly<Record<TokenType, string>>;
}

export function createSigner(kid: string, alg: SigningAlgorithm, privateKey: KeyObject): Signer {
  const encode = (typ: TokenType) => Buffer.from(JSON.stringify({ alg, typ, kid })).toString('base64url');
  return { kid, alg, privateKey, headers: { 'at+jwt': encode('at+jwt'), JWT: encode('JWT') } };
}

/**
 * Signs. On the caller's thread where that takes some 60 µs (ES256, EdDSA), on another where it takes a millisecond
 * (RS256). docs/decisions/ has the figures beside jose's.
 */
export async function signToken(
  { headers, alg, privateKey }: Signer,
  claims: object,
  typ: TokenType = 'at+jwt',
): Promise<string> {
  const input = `${headers[typ]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const signature = await algorithms[alg](Buffer.from(input), privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

const algorithms: Record<SigningAlgorithm, (input: Buffer, key: KeyObject) => Buffer | Promise<Buffer>> = {
  // RFC 7518 section 3.4: r and s side by side, not DER.
  ES256: (input, key) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' }),
  // RFC 8037 section 3.1.
  EdDSA: (input, key) => sign(null, input, key),
  RS256: (input, key) =>
    new Promise((resolve, reject) => {
      sign('sha256', input, key, (error, signature) => (error === null ? resolve(signature) : reject(error)));
    }),
};
