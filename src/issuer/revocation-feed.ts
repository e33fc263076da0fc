/**
 * The feed of revocations for those who listen elsewhere: a snapshot, or what they missed, then each revocation in the
 * order of the log, and a heartbeat each second while this instance is fresh.
 */
import type { Revocations } from '../access/revocations.ts';
import type { LogEntry, Store } from '../store/store.ts';
import { bundle, type FeedReader, type Listener, tell, type Told } from './feed-reader.ts';
import {
  endOfTurn,
  entryOf,
  eventIdOf,
  parseEventId,
  writeHeartbeat,
  writeRevocationEvent,
  writeSnapshot,
} from './revocation-events.ts';
import type { RevocationListener } from './revocation-log.ts';
import { logName, parseNews } from './revocation-news.ts';
import { createRounds } from './rounds.ts';

export interface RevocationFeed extends RevocationListener {
  /**
   * The id from which a reader can go on that has heard everything up to that event; undefined where it cannot.
   *
   * @throws {StoreUnavailable} where that cannot be told
   */
  locate(lastEventId: string | undefined): Promise<number | undefined>;
  /** Sends to the reader what came after the id, or else a snapshot, and all that follows. Returns what ends that. */
  listen(reader: FeedReader, from: number | undefined): () => void;
  /** How many listen. */
  listenerCount(): number;
  /** Ends every stream, and those that are yet to come. */
  close(): void;
}

export interface RevocationFeedOptions {
  readonly store: Store;
  readonly revocations: () => Revocations;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  /** Told where a reader was let go because it could not be served. */
  readonly onFailure: (error: unknown) => void;
}

export function createRevocationFeed(options: RevocationFeedOptions): RevocationFeed {
  const { store, monotonic } = options;
  const listeners = new Set<Listener>();
  /** Those to whom everything was sent, up to where this instance is. */
  const live = new Set<Listener>();
  /** The last entry that this instance has told its readers of, or is about to. */
  let position = 0;
  /** Counts how often the state was read anew. */
  let generation = 0;
  /** What is on its way to those who are live, and what will be after it. */
  let leaving = bundle([]);
  let waiting: Told[] = [];
  let isTelling = false;
  let isClosed = false;
  let snapshot: Snapshot | undefined;
  let heartbeat = { id: 0, bytes: writeHeartbeat(0) };

  /** One for all who ask at the same position, and one at a time: what comes while it is made follows it. */
  const takeSnapshot = (): Snapshot => {
    if (snapshot?.generation === generation && (snapshot.isBeingMade || snapshot.id === position))
      return snapshot;
    const bytes = writeSnapshot(position, options.revocations().entries()).finally(() => {
      taken.isBeingMade = false;
    });
    const taken = { id: position, generation, bytes, isBeingMade: true };
    snapshot = taken;
    return taken;
  };

  /** Brings a reader up to where this instance is, and makes it one of those who are told what comes. */
  const follow = async (listener: Listener, from: number | undefined): Promise<void> => {
    let at = from;
    while (!listener.reader.isClosed) {
      const begun = generation;
      if (at !== undefined && at >= position) {
        listener.told = at;
        live.add(listener);
        return;
      }
      at = at === undefined ? await sendSnapshot(listener) : await sendMissed(listener, at);
      if (generation !== begun) at = undefined;
    }
  };

  const sendSnapshot = async ({ reader }: Listener): Promise<number> => {
    const { id, bytes } = takeSnapshot();
    await reader.deliver(await bytes);
    return id;
  };

  /** The last entry that was sent; undefined where the log does not go back so far, or cannot be read. */
  const sendMissed = async ({ reader }: Listener, from: number): Promise<number | undefined> => {
    const page = await readAfter(store, from);
    const events = page.map(writeEntry);
    if (page.length === 0 || events.includes(undefined)) return undefined;
    await reader.deliver(Buffer.concat(events as Buffer[]));
    return eventIdOf(page.at(-1)!.id);
  };

  const start = (listener: Listener, from: number | undefined): void => {
    follow(listener, from).catch((error: unknown) => {
      options.onFailure(error);
      listener.reader.end();
    });
  };

  /** A part of the readers at a time: what all of them are told must not keep all else waiting. */
  const tellAll = async (): Promise<void> => {
    isTelling = true;
    await endOfTurn();
    while (waiting.length > 0) {
      leaving = bundle(waiting);
      waiting = [];
      let served = 0;
      for (const listener of live) {
        tell(listener, leaving);
        served += 1;
        if (served % readersAtOnce === 0) await endOfTurn();
      }
    }
    leaving = bundle([]);
    isTelling = false;
  };

  const visit = (listener: Listener): void => {
    const { reader } = listener;
    reader.check();
    if (reader.isClosed || !live.has(listener) || options.revocations().age() >= freshness) return;
    tell(listener, leaving);
    if (waiting.length > 0) tell(listener, bundle(waiting));
    // Where it resumed, a reader may be ahead of this instance.
    const id = Math.max(listener.told, position);
    if (heartbeat.id !== id) heartbeat = { id, bytes: writeHeartbeat(id) };
    reader.beat(heartbeat.bytes);
  };
  const rounds = createRounds({ period: 1000, slices: 200, monotonic, visit });

  return {
    onRevocation(entry, revocation) {
      position = eventIdOf(entry);
      if (live.size === 0) return;
      waiting.push({ id: position, bytes: writeRevocationEvent(position, revocation) });
      if (!isTelling) void tellAll();
    },
    onSnapshot(entry) {
      const wasEmpty = position === 0;
      position = eventIdOf(entry);
      generation += 1;
      leaving = bundle([]);
      waiting = [];
      const affected = [...live];
      live.clear();
      // The first entry of an empty log is no reason to begin anew: it is all that was missed.
      for (const listener of affected) start(listener, wasEmpty ? 0 : undefined);
    },
    async locate(lastEventId) {
      const id = parseEventId(lastEventId ?? '');
      if (id === undefined || id === position) return id;
      const from = entryOf(id);
      const [found] = await store.readLog(logName, { from, limit: 1 });
      return found?.id === from ? id : undefined;
    },
    listen(reader, from) {
      const listener: Listener = { reader, told: 0 };
      const leaveRounds = rounds.add(listener);
      listeners.add(listener);
      if (isClosed) reader.end();
      else start(listener, from);
      return () => {
        leaveRounds();
        listeners.delete(listener);
        live.delete(listener);
      };
    },
    listenerCount: () => listeners.size,
    close() {
      isClosed = true;
      for (const { reader } of listeners) reader.end();
    },
  };
}

/** Milliseconds: an older state is nothing to vouch for. */
const freshness = 1000;
const readersAtOnce = 200;
const pageSize = 1000;

interface Snapshot {
  readonly id: number;
  readonly generation: number;
  readonly bytes: Promise<Buffer>;
  readonly isBeingMade: boolean;
}

/** The entries after that one; none where it is not there any more. */
async function readAfter(store: Store, id: number): Promise<LogEntry[]> {
  if (id === 0) return store.readLog(logName, { limit: pageSize });
  const from = entryOf(id);
  const [first, ...others] = await store.readLog(logName, { from, limit: pageSize });
  return first?.id === from ? others : [];
}

/** Nothing for news of other things; undefined for what cannot be read. */
function writeEntry({ id, value }: LogEntry): Buffer | undefined {
  const news = parseNews(value);
  if (news === undefined) return undefined;
  return news.kind === 'ring' ? Buffer.alloc(0) : writeRevocationEvent(eventIdOf(id), news.revocation);
}
