/** Writes claims as a signed token (RFC 7515 compact serialisation), with as little work as a signature permits. */
import { type KeyObject, sign } from 'node:crypto';

export type SigningAlgorithm = 'ES256' | 'RS256' | 'EdDSA';

/** A private key ready to sign, its header encoded once. */
export interface Signer {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly privateKey: KeyObject;
  /** The JOSE header in base64url. */
  readonly header: string;
}

export function createSigner(kid: string, alg: SigningAlgorithm, privateKey: KeyObject): Signer {
  const header = Buffer.from(JSON.stringify({ alg, typ: 'at+jwt', kid })).toString('base64url');
  return { kid, alg, privateKey, header };
}

/**
 * Signs. On the caller's thread where that takes some 60 µs (ES256, EdDSA), on another where it takes a millisecond
 * (RS256). docs/decisions/ has the figures beside jose's.
 */
export async function signToken(signer: Signer, claims: object): Promise<string> {
  const input = `${signer.header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const signature = await algorithms[signer.alg](Buffer.from(input), signer.privateKey);
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
