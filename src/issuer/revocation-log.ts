/**
 * Revocation as the deployment remembers it: a set of all that is in force, and an append-only log of what is new. Each
 * instance reads the set at start and follows the log from then on; what a decision asks is in memory. A call that
 * revokes waits until every instance has read that far, or is known to refuse.
 */
import { randomUUID } from 'node:crypto';
import { endOf, type KeyRevocation, type Revocation, Revocations } from '../access/revocations.ts';
import { clockSkewSeconds } from '../access/verify-token.ts';
import { longestTokenLife } from '../protocol/claims.ts';
import { eachMember } from '../store/each-member.ts';
import type { Clock, LogEntry, Store } from '../store/store.ts';
import { DeploymentLost } from './deployment.ts';
import { logName, parseNews, parseRevocation, writeNews, writeRevocation } from './revocation-news.ts';
import { createRevocationReaders } from './revocation-readers.ts';

export interface RevocationLog {
  readonly revocations: Revocations;
  /** Kills every token of the key with a lower version. Resolves when that is written, and in force here. */
  revokeKey(clientId: string, minKeyVersion: number, status?: KeyRevocation['status']): Promise<void>;
  /** Kills one token, until `exp` (seconds since the epoch). */
  revokeToken(jti: string, exp: number): Promise<void>;
  /** Kills every token that the signing key has signed. */
  revokeSigningKey(kid: string): Promise<void>;
  /** Has every instance read the ring of signing keys again. */
  announceRing(): Promise<void>;
  /**
   * Resolves when all that was written before, here or elsewhere, is durable on every node that may be promoted, and
   * every instance has applied it or is refusing: milliseconds, or a second more than the longest staleness bound.
   *
   * @param era the store's, as it was before the first write; the present one by default
   * @throws {StoreUnavailable} where that cannot be told
   */
  settle(era?: number): Promise<void>;
  /** See {@link Store.era}. */
  era(): number;
  /** Reads what has come since. Resolves when all of it is applied; several calls at once share one read. */
  catchUp(): Promise<void>;
  /** Calls back where there may be news to catch up with. Returns what ends it. */
  watch(onNews: () => void): () => void;
  /** Takes this instance off the list of those that a revoking call waits for. Only for one that serves no more. */
  leave(): Promise<void>;
}

/** What an instance tells those that listen to it: each revocation under the id of its entry, in their order. */
export interface RevocationListener {
  onRevocation(id: string, revocation: Revocation): void;
  /** The state was read anew, as of this entry: what was told before is not to be built upon. */
  onSnapshot(id: string): void;
}

export interface RevocationLogOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Seconds after which this instance refuses, where it has not heard from the log. */
  readonly maxStaleness: number;
  /** Rejects where the store is not the one that this instance knows: then nothing it says is news. */
  readonly confirm: () => Promise<void>;
  /** Reads the ring of signing keys again: called before this instance says that it has read the news of it. */
  readonly onRingChanged: () => Promise<void>;
  readonly listener?: RevocationListener;
  /** Told of entries that cannot be read; they are passed over, and the whole set is read again. */
  readonly onMalformedEntry: (id: string) => void;
  /** Told where the log no longer holds what was read from it: how many revocations were missing and put back. */
  readonly onLogLost: (putBack: number) => void;
}

export function createRevocationLog(options: RevocationLogOptions): RevocationLog {
  const { store, clock, monotonic } = options;
  const revocations = new Revocations(monotonic, options.maxStaleness);
  const readers = createRevocationReaders({ ...options, log: logName, id: randomUUID() });
  /** The last entry read; undefined where the log was empty. */
  let cursor: LogEntry | undefined;
  /** Whether the set has been read, and nothing since makes that doubtful. */
  let isWhole = false;
  let reading: Promise<void> | undefined;
  /** What was revoked here and has not settled, with the era in which it was written. */
  const unsettled = new Map<Revocation, number>();
  let sweptAt = monotonic();

  const publish = async (revocation: Revocation): Promise<void> => {
    const era = store.era();
    await put(revocation);
    revocations.apply(revocation);
    unsettled.set(revocation, era);
  };
  /** What was acknowledged in an earlier era may have gone with it, and nothing would tell. */
  const putAgain = async (): Promise<void> => {
    for (const [revocation, era] of unsettled) {
      const present = store.era();
      if (era === present) continue;
      await put(revocation);
      unsettled.set(revocation, present);
    }
  };
  // The set first: what the log tells must be found there by whoever reads it later.
  const put = async (revocation: Revocation): Promise<void> => {
    await store.addMember(setName, writeRevocation(revocation));
    await store.append(logName, writeNews(revocation), { retention });
  };

  const readSnapshot = async (): Promise<void> => {
    cursor = await store.lastEntry(logName);
    const known = [...revocations.entries()];
    const inStore = new Set<string>();
    for await (const member of eachMember(store, setName)) {
      if (known.length > 0) inStore.add(member);
      const revocation = parseRevocation(member);
      if (revocation !== undefined) revocations.apply(revocation);
    }
    const missing = known.filter(
      revocation => endOf(revocation) * 1000 > clock() && !inStore.has(writeRevocation(revocation)),
    );
    // A store that has lost what it acknowledged is told again, by whoever still knows.
    for (const revocation of missing) await put(revocation);
    if (missing.length > 0) options.onLogLost(missing.length);
    // News of the ring may be among the entries that were passed over.
    await options.onRingChanged();
    isWhole = true;
    options.listener?.onSnapshot(cursor?.id ?? beginning);
  };

  const applyEntry = async ({ id, value }: LogEntry): Promise<void> => {
    const news = parseNews(value);
    if (news === undefined) {
      options.onMalformedEntry(id);
      isWhole = false;
    } else if (news.kind === 'ring') {
      await options.onRingChanged();
    } else {
      revocations.apply(news.revocation);
      options.listener?.onRevocation(id, news.revocation);
    }
  };

  /** Applies a page from the cursor on, and returns whether there may be more. */
  const readPage = async (): Promise<boolean> => {
    const from = cursor;
    const page = await store.readLog(logName, {
      from: from?.id,
      limit: from === undefined ? 1 : pageSize,
      reader: readers.self(from?.id),
    });
    const [first, ...others] = page;
    if (from === undefined ? first !== undefined : first?.id !== from.id || first.value !== from.value) {
      // Trimmed past us, deleted, or an older copy of itself: what lies between is not known.
      if (from !== undefined) revocations.distrust();
      isWhole = false;
      return true;
    }
    for (const entry of others) {
      await applyEntry(entry);
      cursor = entry;
    }
    return others.length > 0 || !isWhole;
  };

  const read = async (): Promise<void> => {
    const startedAt = monotonic();
    await options.confirm().catch((error: unknown) => {
      if (error instanceof DeploymentLost) {
        revocations.distrust();
        isWhole = false;
      }
      throw error;
    });
    await putAgain();
    do {
      if (!isWhole) await readSnapshot();
    } while (await readPage());
    revocations.markFresh(startedAt);
    if (startedAt - sweptAt < sweepInterval) return;
    sweptAt = startedAt;
    await sweep();
  };

  /** From the store an hour late: another's clock may be behind. */
  const sweep = async (): Promise<void> => {
    const now = clock() / 1000;
    revocations.sweep(now - clockSkewSeconds);
    for await (const member of eachMember(store, setName)) {
      const revocation = parseRevocation(member);
      if (revocation !== undefined && endOf(revocation) > now - clockSlack) return;
      await store.removeMember(setName, member);
    }
  };

  // Our clock may be behind that of whoever minted the last of the tokens.
  const end = () => Math.ceil(clock() / 1000) + longestTokenLife + clockSlack;
  return {
    revocations,
    revokeKey: (client_id, min_key_version, status) =>
      publish({ client_id, min_key_version, until: end(), ...(status && { status }) }),
    revokeToken: (jti, exp) => publish({ jti, exp }),
    revokeSigningKey: kid => publish({ kid, until: end() }),
    async announceRing() {
      await store.append(logName, writeNews('ring'), { retention });
    },
    era: () => store.era(),
    async settle(era = store.era()) {
      await putAgain();
      const own = [...unsettled.keys()];
      const newest = await store.lastEntry(logName);
      const everybodyKnows = newest === undefined ? undefined : readers.waitFor(newest.id);
      await Promise.all([store.settle(era), everybodyKnows]);
      for (const revocation of own) unsettled.delete(revocation);
    },
    catchUp() {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    watch: onNews => store.watchLog(logName, onNews),
    leave: () => readers.leave(),
  };
}

const setName = 'revocations';
/** The id before all others. */
const beginning = '0-0';
const pageSize = 1000;
/** Milliseconds. */
const sweepInterval = 60_000;
/** Seconds that clocks of instances may be apart. */
const clockSlack = 3600;
/** Milliseconds: how long an instance may be away and still go on where it was. The set keeps what is in force. */
const retention = 3600 * 1000;
