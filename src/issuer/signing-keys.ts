/**
 * The signing keys of the deployment: one record for all instances, of which each keeps a copy in memory. Every change is
 * a compare-and-set of the record: of two instances that make a key at once one wins, and the other's is never used.
 */
import type { VerificationKey } from '../access/verify-token.ts';
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import { type Clock, StoreUnavailable } from '../store/store.ts';
import { describeKeySet, type KeySet, openRing } from './open-ring.ts';
import type { Records, Stored } from './records.ts';
import type { RevocationLog } from './revocation-log.ts';
import type { Signer } from './sign-token.ts';
import { createKeyRecord, generateKey } from './signing-key.ts';
import {
  keepUp,
  livingFrom,
  type Ring,
  type RingRules,
  type SigningKeyRecord,
  wantingAlgs,
} from './signing-key-ring.ts';
import { createTurns } from './turns.ts';
import type { Vault } from './vault.ts';

export interface SigningKeys {
  /** Those that this instance signs with; the deployment's own first. */
  readonly algs: readonly SigningAlgorithm[];
  readonly rules: RingRules;
  /** The ring as this instance knows it. */
  readonly ring: () => Ring;
  /**
   * The key that signs. Taken once for each token, so that header and signature are of one key.
   *
   * @throws {StoreUnavailable} where there is none that is not revoked
   */
  signer(alg: SigningAlgorithm): Signer;
  /** Whether there is a key to sign with, for each algorithm. */
  canSign(): boolean;
  /** The public key of this id, while its tokens are to be accepted. */
  find(kid: string): VerificationKey | undefined;
  /** The published set. @throws {StoreUnavailable} rather than say that there is no key */
  published(): KeySet;
  /** Reads the ring again. */
  refresh(): Promise<void>;
  /** As {@link refresh}, where the key id is not known: at most once in 30 s, whatever callers send. */
  refreshFor(kid: string): Promise<void>;
  /**
   * Reads the ring, changes it, and writes it; again from the start where another was faster.
   *
   * @param change from the ring as it is to the ring as it is to be; the same where nothing changes
   * @returns the ring as it then is, and whether this changed it
   */
  edit(change: (ring: Ring) => Ring): Promise<{ ring: Ring; changed: boolean }>;
  /** Whether time asks for something: see {@link maintain}. Costs next to nothing. */
  isDue(): boolean;
  /** Does what time asks for: makes the next key, finishes what another broke off, lets go of keys that are done. */
  maintain(): Promise<void>;
  makeKey(alg: SigningAlgorithm): Promise<SigningKeyRecord>;
}

export interface SigningKeysOptions {
  readonly records: Records;
  readonly vault: Vault;
  readonly clock: Clock;
  /** The one of the deployment first. Where the ring has no such key, one is made. */
  readonly algs: readonly SigningAlgorithm[];
  /** Seconds for which a key is published before it signs, and from one key to the next. */
  readonly lead: number;
  readonly period: number;
  readonly revocationLog: Pick<RevocationLog, 'revocations' | 'announceRing'>;
  readonly onChange: (facts: { made: readonly string[]; gone: readonly string[] }) => void;
}

/** Makes the ring of a new deployment. Of two who try at once one wins, and the loser's key is never used. */
export async function createSigningKeys({
  records,
  vault,
  clock,
  alg,
}: Pick<SigningKeysOptions, 'records' | 'vault' | 'clock'> & { alg: SigningAlgorithm }): Promise<void> {
  const key = await createKeyRecord(await generateKey(alg), vault, clock());
  await records.create(recordName, { keys: [key], former: [] } satisfies Ring);
}

/** @throws {VaultError} where the master key does not open the ring */
export async function openSigningKeys(options: SigningKeysOptions): Promise<SigningKeys> {
  const { records, vault, clock, algs, revocationLog } = options;
  const isRevoked = (kid: string) => revocationLog.revocations.isSigningKeyRevoked(kid);
  const rules = { algs, lead: options.lead * 1000, period: options.period * 1000, isRevoked };
  let stored = await readRing(records);
  let open = openRing(stored.value, rules, vault, clock());
  let refreshedFor = Number.NEGATIVE_INFINITY;
  const adopt = (read: Stored<Ring>): void => {
    if (read.text === stored.text) return;
    open = openRing(read.value, rules, vault, clock(), open);
    stored = read;
  };

  // One at a time: an answer that comes late would set the ring back.
  const inTurn = createTurns();
  const refresh = () =>
    inTurn(async () => {
      // A ring that is gone is a fault of the store, not news: what is known goes on.
      const read = await readRing(records).catch(ignoreMissing);
      if (read !== undefined) adopt(read);
    });
  const edit: SigningKeys['edit'] = change =>
    inTurn(async () => {
      for (;;) {
        const read = await readRing(records);
        const ring = change(read.value);
        const written = ring === read.value ? read : await records.replace(recordName, read, ring);
        if (written === undefined) continue;
        adopt(written);
        if (ring !== read.value) options.onChange(compareRings(read.value, ring));
        return { ring, changed: ring !== read.value };
      }
    });

  const makeKey = async (alg: SigningAlgorithm) => createKeyRecord(await generateKey(alg), vault, clock());
  const wanting = () => wantingAlgs(open.ring, clock(), rules);
  const findSigner = (alg: SigningAlgorithm) =>
    livingFrom(open.lines.get(alg) ?? [], clock()).find(({ record }) => !isRevoked(record.kid));
  return {
    algs,
    rules,
    ring: () => open.ring,
    signer(alg) {
      const key = findSigner(alg);
      if (key === undefined) throw new StoreUnavailable(`no signing key for ${alg} is there to sign`);
      return key.signer();
    },
    canSign: () => algs.every(alg => findSigner(alg) !== undefined),
    find: kid => (isRevoked(kid) ? undefined : open.keys.get(kid)?.verification),
    published() {
      const { keys } = open.ring;
      const valid = keys.filter(({ kid }) => !isRevoked(kid));
      if (valid.length === 0) throw new StoreUnavailable('no signing key is there to publish');
      return valid.length === keys.length ? open.published : describeKeySet(valid);
    },
    refresh,
    async refreshFor(kid) {
      if (open.keys.has(kid) || clock() - refreshedFor < refreshInterval) return;
      refreshedFor = clock();
      await refresh();
    },
    edit,
    isDue: () => keepUp(open.ring, clock(), rules) !== open.ring || wanting().length > 0,
    async maintain() {
      await refresh();
      // Prepared outside: an RSA key takes a while, and who loses discards it.
      const made = new Map<SigningAlgorithm, SigningKeyRecord>();
      for (const alg of wanting()) made.set(alg, await makeKey(alg));
      const { changed } = await edit(ring => keepUp(ring, clock(), rules, made));
      if (changed) await revocationLog.announceRing();
    },
    makeKey,
  };
}

const recordName = 'signing-keys';
/** Milliseconds. */
const refreshInterval = 30_000;

class RingMissing extends StoreUnavailable {}

/** @throws {RingMissing} */
async function readRing(records: Records): Promise<Stored<Ring>> {
  const stored = await records.get<StoredRing>(recordName);
  if (stored === undefined) throw new RingMissing('the deployment has no signing keys');
  const { keys, former = [] } = stored.value;
  return {
    text: stored.text,
    value: { keys: keys.map(completeKey), former },
  };
}

/** Of an earlier version: a key signed from its making on. */
interface StoredRing {
  readonly keys: readonly (Omit<SigningKeyRecord, 'activeAt'> & { readonly activeAt?: number })[];
  readonly former?: Ring['former'];
}

function completeKey(key: StoredRing['keys'][number]): SigningKeyRecord {
  return { ...key, activeAt: key.activeAt ?? key.createdAt };
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof RingMissing)) throw error;
}

/** For the log: the ids alone. */
function compareRings(before: Ring, after: Ring): { made: readonly string[]; gone: readonly string[] } {
  const ids = ({ keys }: Ring) => keys.map(({ kid }) => kid);
  const [old, fresh] = [new Set(ids(before)), new Set(ids(after))];
  return {
    made: [...fresh].filter(kid => !old.has(kid)),
    gone: [...old].filter(kid => !fresh.has(kid)),
  };
}
