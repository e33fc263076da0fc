/** The ring as an instance works with it: its keys opened, and what is asked of it at every call made ready. */
import { createHash } from 'node:crypto';
import type { VerificationKey } from '../access/verify-token.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { Signer } from './sign-token.ts';
import { openSigner, openVerificationKey } from './signing-key.ts';
import { keysOf, livingFrom, type Ring, type RingRules, type SigningKeyRecord } from './signing-key-ring.ts';
import type { Vault } from './vault.ts';

export interface OpenRing {
  readonly ring: Ring;
  readonly keys: ReadonlyMap<string, OpenKey>;
  /** Those that sign, or may come to sign, in their order. */
  readonly lines: ReadonlyMap<SigningAlgorithm, readonly OpenKey[]>;
  readonly published: KeySet;
}

export interface OpenKey {
  readonly record: SigningKeyRecord;
  readonly activeAt: number;
  readonly verification: VerificationKey;
  /** Opened when it is first asked for. @throws {VaultError} */
  signer(): Signer;
}

/** A set of keys as it is published (RFC 7517). */
export interface KeySet {
  readonly body: string;
  /** RFC 9110 section 8.8.3: the same for the same keys, at every instance. */
  readonly etag: string;
}

/**
 * @param known the ring as it was: keys that are still there are not opened again
 * @throws {VaultError} where the master key does not open a key that is to sign
 */
export function openRing(
  ring: Ring,
  { algs }: Pick<RingRules, 'algs'>,
  vault: Vault,
  now: number,
  known?: OpenRing,
): OpenRing {
  const keys = new Map(
    ring.keys.map(record => [record.kid, openKey(record, vault, known?.keys.get(record.kid))] as const),
  );
  const lines = new Map(algs.map(alg => [alg, keysOf(ring, alg).map(({ kid }) => keys.get(kid)!)] as const));
  for (const line of lines.values()) for (const key of livingFrom(line, now)) key.signer();
  return { ring, keys, lines, published: describeKeySet(ring.keys) };
}

/** Public members alone, oldest first. */
export function describeKeySet(keys: readonly SigningKeyRecord[]): KeySet {
  const body = JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) });
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}

function openKey(record: SigningKeyRecord, vault: Vault, known: OpenKey | undefined): OpenKey {
  if (known !== undefined && known.record.sealed === record.sealed)
    return { ...known, record, activeAt: record.activeAt };
  let signer: Signer | undefined;
  return {
    record,
    activeAt: record.activeAt,
    verification: openVerificationKey(record),
    signer: () => (signer ??= openSigner(record, vault)),
  };
}
