/**
 * The public signing keys of the service (RFC 7517), kept through an outage of it: a key goes only where an answer no longer
 * names it. Fetched again when they are old, and at once for a token whose key is not known.
 */
import { type CryptoKey, importJWK } from 'jose';
import type { VerificationKey } from '../../access/verify-token.ts';
import { type SigningAlgorithm, signingAlgorithms } from '../../protocol/token-header.ts';
import { pause } from './pause.ts';
import { IssuerUnreachable, type ServiceCalls } from './service-calls.ts';

export interface RemoteSigningKeys {
  /** The key of this id, by what is known; looks after its being up to date, and waits for nothing. */
  find(kid: string): VerificationKey | undefined;
  /**
   * Asks for the keys anew, by a request that is yet to be sent: an answer that is on its way may be older than the key.
   *
   * @param kid the key that is missed: where that one comes, nothing more is asked
   * @throws {IssuerUnreachable} where that is impossible now
   */
  refresh(kid?: string): Promise<void>;
}

export interface RemoteSigningKeysOptions {
  readonly service: Pick<ServiceCalls, 'get'>;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
}

/** Milliseconds after which keys are fetched again: what the service allows caches. */
const longestAge = 300_000;
/** Milliseconds from one request to the next: anybody can make up a key's id. */
const shortestGap = 1000;

export function createRemoteSigningKeys({ service, monotonic }: RemoteSigningKeysOptions): RemoteSigningKeys {
  let keys: ReadonlyMap<string, VerificationKey> = new Map();
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let sentAt = Number.NEGATIVE_INFINITY;
  let underWay: Promise<void> | undefined;
  /** For all who ask before its request is sent. */
  let next: Promise<void> | undefined;

  const fetchKeys = async (): Promise<void> => {
    sentAt = monotonic();
    keys = await importKeys(await service.get('/.well-known/jwks.json'));
    fetchedAt = monotonic();
  };
  const fetchNext = async (): Promise<void> => {
    await pause(Math.max(0, sentAt + shortestGap - monotonic()));
    next = undefined;
    underWay = fetchKeys().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const refresh = async (kid?: string): Promise<void> => {
    await underWay;
    if (kid !== undefined && keys.has(kid)) return;
    await (next ??= fetchNext());
  };

  return {
    find(kid) {
      // What is known goes on holding where the service cannot be asked; a token with a new key will tell of that.
      if (monotonic() - fetchedAt > longestAge && keys.size > 0 && (next ?? underWay) === undefined)
        refresh().catch(() => undefined);
      return keys.get(kid);
    },
    refresh,
  };
}

/**
 * Keys that this guard cannot use are left out: no token of theirs is good here.
 *
 * @throws {IssuerUnreachable} where there is no other: the service has one at any time, so it was not asked
 */
async function importKeys(
  answer: Readonly<Record<string, unknown>>,
): Promise<ReadonlyMap<string, VerificationKey>> {
  const jwks: unknown[] = Array.isArray(answer['keys']) ? answer['keys'] : [];
  const imported = (await Promise.all(jwks.map(importKey))).filter(key => key !== undefined);
  if (imported.length === 0) throw new IssuerUnreachable('the JWK set holds no key that can be used');
  return new Map(imported.map(key => [key.kid, key]));
}

async function importKey(jwk: unknown): Promise<VerificationKey | undefined> {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, kty, alg, use = 'sig', crv, x, y, n, e } = jwk as Readonly<Record<string, unknown>>;
  const known = signingAlgorithms.find(algorithm => algorithm === alg);
  if (typeof kid !== 'string' || known === undefined || kty !== keyTypes[known] || use !== 'sig')
    return undefined;
  const parts = Object.entries({ crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  try {
    // The public parts alone: what else there may be of a key is nothing to verify with.
    const publicKey = await importJWK({ ...Object.fromEntries(parts), kty }, known);
    return isStrong(publicKey as CryptoKey)
      ? { kid, alg: known, publicKey: publicKey as CryptoKey }
      : undefined;
  } catch {
    // Whatever is wrong with it, the others are as good as before.
    return undefined;
  }
}

const keyTypes: Readonly<Record<SigningAlgorithm, string>> = { ES256: 'EC', RS256: 'RSA', EdDSA: 'OKP' };

/** RFC 7518 section 3.3: with a smaller key nothing is verified. */
function isStrong({ algorithm }: CryptoKey): boolean {
  const { modulusLength = Infinity } = algorithm as { modulusLength?: number };
  return modulusLength >= 2048;
}
