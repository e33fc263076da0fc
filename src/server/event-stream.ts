/** A long answer of server-sent events: how it begins, how much it may hold back for a slow reader, how it ends. */
import type { ServerResponse } from 'node:http';
import type { FeedReader } from '../issuer/feed-reader.ts';
import type { AppContext } from './context.ts';

export interface EventStream extends FeedReader {
  /** Resolves when the stream has ended, whoever has ended it. */
  readonly closed: Promise<void>;
}

/**
 * Answers with a stream, headers at once. It ends with its connection, without chunks: each event is one write, and the
 * same bytes for all readers.
 *
 * @param mayStay asked each second
 */
export function openEventStream(ctx: AppContext, mayStay: () => boolean): EventStream {
  const { res } = ctx;
  ctx.respond = false;
  res.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.removeHeader('Transfer-Encoding');
  if (ctx.method === 'HEAD') res.end();
  else res.write(firstLine);
  return createStream(res, mayStay);
}

const headers = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
  Connection: 'close',
};

/** Milliseconds after which a reader that lost its connection comes back. */
const firstLine = 'retry: 1000\n\n';

/** Bytes that may wait for a reader while it is told what is new. */
const mostWaiting = 1_048_576;
/** Bytes that a reader has to take in `patience`. */
const pieceSize = 65_536;
/** Seconds. */
const patience = 15;

function createStream(res: ServerResponse, mayStay: () => boolean): EventStream {
  let isClosed = res.writableEnded;
  let onDrained: (() => void) | undefined;
  /** Seconds for which nothing has left, and how much had left before. */
  let stalled = 0;
  let left = 0;
  const wake = () => {
    onDrained?.();
    onDrained = undefined;
  };
  const closed = new Promise<void>(resolve => {
    const close = () => {
      isClosed = true;
      wake();
      resolve();
    };
    if (res.destroyed) close();
    else res.once('close', close);
  });
  res.on('drain', wake);

  const drained = () =>
    new Promise<void>(resolve => {
      onDrained = resolve;
    });
  /** Bytes that have left for good, as far as can be told. */
  const countLeft = () => (res.socket?.bytesWritten ?? 0) - res.writableLength;

  const end = () => {
    if (isClosed) return;
    isClosed = true;
    wake();
    // Whoever has not taken what was sent is not waited for.
    if (res.writableLength > 0) res.destroy();
    else res.end();
  };
  const push = (bytes: Buffer) => {
    if (isClosed) return;
    res.write(bytes);
    if (res.writableLength > mostWaiting) end();
  };

  return {
    closed,
    get isClosed() {
      return isClosed;
    },
    push,
    end,
    async deliver(bytes) {
      for (let from = 0; from < bytes.length; from += pieceSize) {
        if (isClosed) return;
        if (!res.write(bytes.subarray(from, from + pieceSize))) await drained();
      }
    },
    beat(bytes) {
      if (res.writableLength === 0) push(bytes);
    },
    check() {
      if (!mayStay()) return end();
      if (res.writableLength === 0) {
        stalled = 0;
        return;
      }
      const now = countLeft();
      stalled = now === left ? stalled + 1 : 0;
      left = now;
      if (stalled >= patience) end();
    },
  };
}
