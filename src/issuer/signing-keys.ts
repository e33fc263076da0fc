/** The ring of signing keys: one record for the whole deployment, private keys sealed under the master key. */
import { createPrivateKey, createPublicKey, generateKeyPair, type JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { VerificationKey } from '../access/verify-token.ts';
import type { Clock } from '../store/store.ts';
import type { Records, Stored } from './records.ts';
import { createSigner, type Signer, type SigningAlgorithm } from './sign-token.ts';
import type { Vault } from './vault.ts';

export interface SigningKeys {
  /** The key that signs. Taken once for each token, so that header and signature are of one key. */
  signer(): Signer;
  /** The public key of this id, while its tokens are to be accepted. */
  find(kid: string): VerificationKey | undefined;
  /** The published set (RFC 7517): public members only, oldest first. */
  jwks(): { keys: JWK[] };
  /** What the admin API shows of the ring: never a private key. */
  list(): readonly SigningKeyView[];
  /** Reads the ring again. */
  refresh(): Promise<void>;
  /** As {@link refresh}, for a key id that is not known: at most once in 30 s, whatever callers send. */
  refreshFor(kid: string): Promise<void>;
}

export interface SigningKeyView {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly state: SigningKeyRecord['state'];
  readonly createdAt: string;
}

interface SigningKeyRecord {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  /** `active`: signs. `retired`: verifies until its last token has expired. */
  readonly state: 'active' | 'retired';
  readonly publicJwk: JWK;
  /** The private JWK, sealed for this id and algorithm. */
  readonly sealed: string;
  readonly createdAt: number;
}

interface Ring {
  readonly keys: readonly SigningKeyRecord[];
}

export interface SigningKeysOptions {
  readonly records: Records;
  readonly vault: Vault;
  readonly clock: Clock;
  /** The algorithm that this deployment signs with; where the ring has no such key, one is made. */
  readonly alg: SigningAlgorithm;
}

/** Makes the ring of a new deployment. Of two who try at once one wins, and the loser's key is never used. */
export async function createSigningKeys({ records, vault, clock, alg }: SigningKeysOptions): Promise<void> {
  const key = await generateSigningKey(vault, clock, alg);
  await records.create(recordName, { keys: [key] } satisfies Ring);
}

/** @throws {VaultError} where the master key does not open the ring */
export async function openSigningKeys(options: SigningKeysOptions): Promise<SigningKeys> {
  let ring = openRing(await readRing(options), options);
  let refreshedFor = Number.NEGATIVE_INFINITY;
  const refresh = async (): Promise<void> => {
    const stored = await options.records.get<Ring>(recordName);
    // An empty ring is a fault of the store, not news: what is known goes on.
    if (stored !== undefined && stored.text !== ring.text) ring = openRing(stored, options);
  };
  return {
    signer: () => ring.signer,
    find: kid => ring.verification.get(kid),
    jwks: () => ring.jwks,
    list: () => ring.views,
    refresh,
    async refreshFor() {
      if (options.clock() - refreshedFor < refreshInterval) return;
      refreshedFor = options.clock();
      await refresh();
    },
  };
}

const recordName = 'signing-keys';
/** Milliseconds. */
const refreshInterval = 30_000;

/** The ring, with an active key of the wanted algorithm in it. */
async function readRing(options: SigningKeysOptions): Promise<Stored<Ring>> {
  const { records, vault, clock, alg } = options;
  const stored = await records.get<Ring>(recordName);
  if (stored === undefined) throw new Error('the deployment has no signing keys');
  if (stored.value.keys.some(key => key.state === 'active' && key.alg === alg)) return stored;
  const fresh = await generateSigningKey(vault, clock, alg);
  const retired = stored.value.keys.map(key => ({ ...key, state: 'retired' as const }));
  await records.replace(recordName, stored, { keys: [...retired, fresh] });
  // Won or lost, the ring now has such a key.
  return readRing(options);
}

interface OpenRing {
  readonly text: string;
  readonly signer: Signer;
  readonly verification: ReadonlyMap<string, VerificationKey>;
  readonly jwks: { keys: JWK[] };
  readonly views: readonly SigningKeyView[];
}

function openRing({ value, text }: Stored<Ring>, { vault, alg }: SigningKeysOptions): OpenRing {
  const active = value.keys.find(key => key.state === 'active' && key.alg === alg);
  const signing = active ?? value.keys.find(key => key.state === 'active');
  if (signing === undefined) throw new Error('no signing key is active');
  const privateJwk = JSON.parse(vault.unseal(signing.sealed, sealContext(signing))) as JsonWebKey;
  return {
    text,
    signer: createSigner(signing.kid, signing.alg, createPrivateKey({ key: privateJwk, format: 'jwk' })),
    verification: new Map(value.keys.map(key => [key.kid, verificationKey(key)])),
    jwks: { keys: value.keys.map(key => key.publicJwk) },
    views: value.keys.map(({ kid, alg, state, createdAt }) => ({
      kid,
      alg,
      state,
      createdAt: new Date(createdAt).toISOString(),
    })),
  };
}

function verificationKey({ kid, alg, publicJwk }: SigningKeyRecord): VerificationKey {
  return { kid, alg, publicKey: createPublicKey({ key: publicJwk as JsonWebKey, format: 'jwk' }) };
}

async function generateSigningKey(
  vault: Vault,
  clock: Clock,
  alg: SigningAlgorithm,
): Promise<SigningKeyRecord> {
  const { publicKey, privateKey } = await generators[alg]();
  const bare = publicKey.export({ format: 'jwk' }) as JWK;
  const kid = await calculateJwkThumbprint(bare);
  const sealed = vault.seal(JSON.stringify(privateKey.export({ format: 'jwk' })), sealContext({ kid, alg }));
  return {
    kid,
    alg,
    state: 'active',
    publicJwk: { ...bare, kid, alg, use: 'sig' },
    sealed,
    createdAt: clock(),
  };
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
