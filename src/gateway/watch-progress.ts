/** Owns the patience of the gateway: a call on which nothing moves ends, and so does one that may not go on. */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One of the two ends of a call. */
export type End = 'caller' | 'upstream';

export interface Progress {
  /** Whom the call is waiting for. */
  readonly awaits: () => End;
  /** Bytes that have passed at that end so far: any change counts as progress. */
  readonly moved: (end: End) => number;
  /** Milliseconds for which that end may be silent while it is waited for. */
  readonly patience: (end: End) => number;
  readonly mayContinue?: (() => boolean) | undefined;
}

/** @returns what ends the watch; after `onEnd` it has ended by itself */
export function watchProgress(
  { awaits, moved, patience, mayContinue }: Progress,
  onEnd: (reason: End | 'forbidden') => void,
): () => void {
  let awaited = awaits();
  let before = moved(awaited);
  let since = performance.now();
  const look = () => {
    const [end, now] = [awaits(), performance.now()];
    const bytes = moved(end);
    if (end !== awaited || bytes !== before) [awaited, before, since] = [end, bytes, now];
    const isAllowed = mayContinue?.() ?? true;
    if (isAllowed && now - since < patience(end)) return;
    clearInterval(timer);
    onEnd(isAllowed ? end : 'forbidden');
  };
  const shortest = Math.min(patience('caller'), patience('upstream'));
  const timer = setInterval(look, Math.min(Math.max(shortest / 10, 10), 1000));
  timer.unref();
  return () => clearInterval(timer);
}

/** What has passed through a socket both ways; what only waits to be sent has not. */
export function bytesThrough(socket: Duplex | null): number {
  return socket instanceof Socket ? socket.bytesRead + socket.bytesWritten - socket.writableLength : 0;
}
