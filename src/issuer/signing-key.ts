/** One signing key: how it is made, sealed under the master key, and opened again. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { VerificationKey } from '../access/verify-token.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import { createSigner, type Signer } from './sign-token.ts';
import type { SigningKeyRecord } from './signing-key-ring.ts';
import type { Vault } from './vault.ts';

/** A key that is in no ring yet. */
export interface KeyMaterial {
  readonly alg: SigningAlgorithm;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** An RSA key takes some 100 ms, on another thread. */
export async function generateKey(alg: SigningAlgorithm): Promise<KeyMaterial> {
  return { alg, ...(await generators[alg]()) };
}

/**
 * The record of a key, with the thumbprint (RFC 7638) for its id where it brings none.
 *
 * @param now milliseconds since the epoch
 */
export async function createKeyRecord(
  { alg, publicKey, privateKey }: KeyMaterial,
  vault: Vault,
  now: number,
  ownKid?: string,
): Promise<SigningKeyRecord> {
  const bare = publicKey.export({ format: 'jwk' }) as JWK;
  const thumbprint = await calculateJwkThumbprint(bare);
  const kid = ownKid ?? thumbprint;
  return {
    kid,
    alg,
    createdAt: now,
    activeAt: now,
    ...(kid !== thumbprint && { thumbprint }),
    publicJwk: { ...bare, kid, alg, use: 'sig' },
    sealed: vault.seal(JSON.stringify(privateKey.export({ format: 'jwk' })), sealContext({ kid, alg })),
  };
}

/** @throws {VaultError} where the master key does not open it */
export function openSigner({ kid, alg, sealed }: SigningKeyRecord, vault: Vault): Signer {
  const privateJwk = JSON.parse(vault.unseal(sealed, sealContext({ kid, alg }))) as JsonWebKey;
  return createSigner(kid, alg, createPrivateKey({ key: privateJwk, format: 'jwk' }));
}

export function openVerificationKey({ kid, alg, publicJwk }: SigningKeyRecord): VerificationKey {
  return { kid, alg, publicKey: createPublicKey({ key: publicJwk as JsonWebKey, format: 'jwk' }) };
}

const generate = promisify(generateKeyPair);

const generators = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  EdDSA: () => generate('ed25519'),
};

function sealContext({ kid, alg }: { kid: string; alg: string }): string {
  return `signing key ${alg} ${kid}`;
}
