/**
 * The public signing keys of the service (RFC 7517), kept through an outage of it: a key goes only where an answer no longer
 * names it. Fetched again when they are old, and at once for a token whose key is not known.
 */
import { type CryptoKey, importJWK } from 'jose';
import type { VerificationKey } from '../../access/verify-token.ts';
import { signingAlgorithms } from '../../protocol/token-header.ts';
import { pause } from './pause.ts';
import type { ServiceCalls } from './service-calls.ts';

export interface RemoteSigningKeys {
  /** The key of this id, by what is known; looks after its being up to date, and waits for nothing. */
  find(kid: string): VerificationKey | undefined;
  /** Asks for the keys anew, for one that is not known. @throws {IssuerUnreachable} where that is impossible now */
  refresh(): Promise<void>;
}

export interface RemoteSigningKeysOptions {
  readonly service: Pick<ServiceCalls, 'get'>;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
}

/** Milliseconds after which keys are fetched again: what the service allows caches. */
const longestAge = 300_000;
/** Milliseconds from one attempt to the next: anybody can make up a key's id. */
const shortestGap = 1000;

export function createRemoteSigningKeys({ service, monotonic }: RemoteSigningKeysOptions): RemoteSigningKeys {
  let keys: ReadonlyMap<string, VerificationKey> = new Map();
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let underWay: Promise<void> | undefined;

  const fetchKeys = async (): Promise<void> => {
    keys = await importKeys(await service.get('/.well-known/jwks.json'));
    fetchedAt = monotonic();
  };
  /** One attempt at a time, for all who ask; who comes soon after one waits for the next. */
  const refresh = (): Promise<void> => {
    underWay ??= attempt().finally(() => {
      triedAt = monotonic();
      underWay = undefined;
    });
    return underWay;
  };
  const attempt = async (): Promise<void> => {
    const wait = triedAt + shortestGap - monotonic();
    if (wait > 0) await pause(wait);
    await fetchKeys();
  };

  return {
    find(kid) {
      // What is known goes on holding where the service cannot be asked; a token with a new key will tell of that.
      if (monotonic() - fetchedAt > longestAge && keys.size > 0) refresh().catch(() => {});
      return keys.get(kid);
    },
    refresh,
  };
}

/** Keys of algorithms that this guard does not know are left out: no token of theirs is good here. */
async function importKeys(
  answer: Readonly<Record<string, unknown>>,
): Promise<ReadonlyMap<string, VerificationKey>> {
  const jwks: unknown[] = Array.isArray(answer['keys']) ? answer['keys'] : [];
  const imported = await Promise.all(jwks.map(importKey));
  return new Map(imported.filter(key => key !== undefined).map(key => [key.kid, key]));
}

async function importKey(jwk: unknown): Promise<VerificationKey | undefined> {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, kty, alg } = jwk as { kid?: unknown; kty?: unknown; alg?: unknown };
  const known = signingAlgorithms.find(algorithm => algorithm === alg);
  if (typeof kid !== 'string' || known === undefined || typeof kty !== 'string' || kty === 'oct')
    return undefined;
  const publicKey = (await importJWK({ ...jwk, kty }, known)) as CryptoKey;
  return { kid, alg: known, publicKey };
}
