/**
 * The store's promises: what the rest of Keyturn may rely on, whichever store stands behind it.
 *
 * A store knows strings. Records are encoded once, above it. It holds three shapes — records, sets of
 * members in byte order, and append-only logs — and nothing here spans two of them atomically: callers order
 * their writes so that every point between two of them is safe.
 *
 * Common to all operations:
 * - A promise that resolves means: done, and durable as far as the store can make it so (the embedded store
 *   has synced to disk; Redis has answered). One that rejects with {@link StoreUnavailable} means: unknown.
 *   The store never retries a write; the caller repeats what is safe to repeat.
 * - Names and members are strings of 1 to 512 bytes of UTF-8 without control characters, values are any
 *   well-formed text. Anything else is a mistake of the caller: a TypeError, and nothing is done.
 * - "Now" is the injected clock, in both stores. A TTL in Redis only sweeps up, with slack.
 */
export interface Store {
  readonly kind: 'embedded' | 'redis';

  /** The record's value, or undefined where there is none or it has expired. Never stale. */
  get(name: string): Promise<string | undefined>;

  /** As {@link get} for each name, in their order. Each is read on its own: no common moment is promised. */
  getMany(names: readonly string[]): Promise<(string | undefined)[]>;

  /** Writes a record that is not there (or has expired). False, and nothing changed, where there is one. */
  create(name: string, value: string, options?: RecordOptions): Promise<boolean>;

  /**
   * Compare and set: writes `value` if the record now holds exactly `expected`. False, and nothing changed,
   * where it holds anything else or nothing. The caller reads again and decides anew.
   * Without `expiresAt` the new value does not expire.
   */
  replace(name: string, expected: string, value: string, options?: RecordOptions): Promise<boolean>;

  /** Removes the record if it now holds exactly `expected`. False where it does not, or there is none. */
  remove(name: string, expected: string): Promise<boolean>;

  /** Adds a member to a set. Adding what is there changes nothing. */
  addMember(set: string, member: string): Promise<void>;

  /** Takes a member out of a set. Removing what is not there changes nothing. */
  removeMember(set: string, member: string): Promise<void>;

  /**
   * Members in ascending order of their UTF-8 bytes, or descending where `reverse`: those that start with
   * `prefix` and come strictly beyond `after` in that direction (`after` need not be a member), `limit` at
   * most. The cost grows with `limit`, not with the set.
   */
  listMembers(set: string, query: MemberQuery): Promise<string[]>;

  /**
   * Adds an entry at the end of a log and returns its id. Entries older than `retention` milliseconds (by the
   * clock) may be swept away, never younger ones, nor the one that was the newest until then.
   */
  append(log: string, value: string, options: { retention: number }): Promise<string>;

  /**
   * Entries from the id `from` on, that one included where it is still there (from the oldest kept where undefined),
   * oldest first, `limit` at most. Where a `reader` reads, what it notes of itself is written in the same step: whoever
   * sees the note knows that nothing which came before it was hidden from the reader.
   */
  readLog(log: string, query: LogQuery): Promise<LogEntry[]>;

  /** The newest entry, or undefined where there is none. */
  lastEntry(log: string): Promise<LogEntry | undefined>;

  /** Everybody who has read the log as a reader and has not been removed, in no order. */
  listReaders(log: string): Promise<LogReader[]>;

  /** Forgets a reader, if its note still is this one. */
  removeReader(log: string, reader: LogReader): Promise<void>;

  /**
   * Calls `onNews` soon after something has been appended, by whomever; also at times when nothing was. A hint to read
   * sooner, and no more: that it does not come proves nothing. Returns what ends it.
   */
  watchLog(log: string, onNews: () => void): () => void;

  /**
   * The time in which all that is acknowledged stays together. In another one another node may stand in, and what was
   * acknowledged before may be gone.
   */
  era(): number;

  /**
   * Resolves when everything that had been written in this era is durable on every node that may come to stand in for
   * the one that took it; rejects with {@link StoreUnavailable} where that cannot be told, as after the era's end.
   *
   * @param era as it was before the first write; the present one by default
   */
  settle(era?: number): Promise<void>;

  /** Resolves when the store can be read and written; rejects with {@link StoreUnavailable} otherwise. */
  check(): Promise<void>;

  /** Finishes what is under way and lets go of files and sockets. Nothing may be called afterwards. */
  close(): Promise<void>;
}

export interface RecordOptions {
  /** Milliseconds since the epoch from which on the record counts as absent. */
  readonly expiresAt?: number;
}

export interface MemberQuery {
  readonly prefix?: string;
  readonly after?: string;
  readonly limit: number;
  readonly reverse?: boolean;
}

export interface LogEntry {
  /** `<milliseconds>-<sequence>`, increasing within a log, the sequence below 1000. See log-id.ts. */
  readonly id: string;
  readonly value: string;
}

export interface LogQuery {
  readonly from?: string | undefined;
  readonly limit: number;
  readonly reader?: LogReader;
}

export interface LogReader {
  readonly id: string;
  /** What the reader says of itself: any text, replaced at each reading. */
  readonly note: string;
}

/** Milliseconds since the epoch. Injected, so that tests can move it. */
export type Clock = () => number;

/** The store did not answer, or refused to write. Whether a write took effect is unknown. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** The store answers, and is not one that can be used: it lets us not in, or is of a wrong kind. Waiting heals nothing. */
export class StoreUnfit extends StoreUnavailable {}
