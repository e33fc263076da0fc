/** Who follows the revocation log, and how far each has read: what a revoking call waits for. */
import { setTimeout as delay } from 'node:timers/promises';
import { compareLogIds, isLogId } from '../store/log-id.ts';
import type { LogReader, Store } from '../store/store.ts';
import { parseObject } from './revocation-news.ts';

export interface RevocationReaders {
  /** This instance, as it reads on from `position`: everything up to there is applied. */
  self(position: string | undefined): LogReader;
  /**
   * Resolves when each reader has applied everything up to `position`, or has been silent for so long that it refuses.
   *
   * @throws {StoreUnavailable} where the readers cannot be asked
   */
  waitFor(position: string): Promise<void>;
  /** Takes this instance off the list. */
  leave(): Promise<void>;
}

export interface RevocationReadersOptions {
  readonly store: Store;
  readonly log: string;
  readonly id: string;
  /** Seconds after which this instance refuses, where it has not heard from the log. */
  readonly maxStaleness: number;
  readonly monotonic: () => number;
}

export function createRevocationReaders(options: RevocationReadersOptions): RevocationReaders {
  const { store, log, id, maxStaleness, monotonic } = options;
  let self: LogReader | undefined;
  return {
    self(position) {
      self = { id, note: JSON.stringify({ at: position ?? null, bound: maxStaleness } satisfies Note) };
      return self;
    },
    async waitFor(position) {
      const since = monotonic();
      for (let pause = shortestPause; ; pause = Math.min(2 * pause, longestPause)) {
        const behind = (await store.listReaders(log)).map(readNote).filter(note => !hasRead(note, position));
        const silent = behind.filter(({ bound }) => monotonic() - since > bound * 1000 + slack);
        // Whoever still lives comes back with its next look at the log, and reads everything before it is fresh again.
        for (const { reader } of silent) await store.removeReader(log, reader);
        if (silent.length === behind.length) return;
        await delay(pause);
      }
    },
    async leave() {
      if (self !== undefined) await store.removeReader(log, self);
    },
  };
}

/** Milliseconds between two looks at the readers. */
const [shortestPause, longestPause] = [1, 32];
/** Milliseconds beyond a reader's own bound: clocks do not run at quite the same speed. */
const slack = 500;
/** Seconds: what no instance's bound exceeds. */
const longestBound = 60;

interface Note {
  /** The last entry that is applied; null where there was none. */
  readonly at: string | null;
  /** Seconds. */
  readonly bound: number;
}

/** What no instance can have written is taken for an instance that has read nothing, and may be slow to refuse. */
function readNote(reader: LogReader): Note & { readonly reader: LogReader } {
  const { at, bound } = parseObject(reader.note);
  return {
    reader,
    at: typeof at === 'string' && isLogId(at) ? at : null,
    bound: typeof bound === 'number' && bound > 0 && bound <= longestBound ? bound : longestBound,
  };
}

function hasRead({ at }: Note, position: string): boolean {
  return at !== null && compareLogIds(at, position) >= 0;
}
