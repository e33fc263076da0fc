/** One who listens to the feed of revocations, and what has been told already. */

/** One who listens. Whatever is sent after it has closed is lost, and no error. */
export interface FeedReader {
  readonly isClosed: boolean;
  /** Sends a great deal: resolves when it has left, or the reader is gone. */
  deliver(bytes: Buffer): Promise<void>;
  /** Sends a little. A reader that has too much to take yet is cut off. */
  push(bytes: Buffer): void;
  /** Sends what is only true now: not where anything is still to leave before it. */
  beat(bytes: Buffer): void;
  /** Called each second: ends the stream where the reader may not listen any more, or does not. */
  check(): void;
  /** At once. */
  end(): void;
}

export interface Listener {
  readonly reader: FeedReader;
  /** The id up to which it was told everything. */
  told: number;
}

/** One event, written. */
export interface Told {
  readonly id: number;
  readonly bytes: Buffer;
}

/** Events that follow one another. */
export interface Bundle {
  readonly news: readonly Told[];
  /** All of it, for the many who have heard none of it. */
  readonly bytes: Buffer;
}

export function bundle(news: readonly Told[]): Bundle {
  return { news, bytes: joined(news) };
}

/** Tells a listener what it has not heard yet. */
export function tell(listener: Listener, { news, bytes }: Bundle): void {
  const [first, last] = [news[0], news.at(-1)];
  if (first === undefined || last === undefined || last.id <= listener.told) return;
  const { told } = listener;
  listener.told = last.id;
  listener.reader.push(first.id > told ? bytes : joined(news.filter(({ id }) => id > told)));
}

function joined(news: readonly Told[]): Buffer {
  return Buffer.concat(news.map(({ bytes }) => bytes));
}
