/** Owns time: two clocks, since each of them lies in a way of its own, and timers that keep no process alive. */

export interface Clock {
  /** Milliseconds since the epoch. It may be set, forward and back. */
  readonly now: () => number;
  /** Milliseconds of a clock that no one sets. It may stand still while the machine sleeps. */
  readonly monotonic: () => number;
  readonly setTimer: SetTimer;
}

/**
 * Calls back once, after so many milliseconds. A timer for which a caller waits keeps the process alive.
 *
 * @returns what cancels it
 */
export type SetTimer = (run: () => void, delay: number, isAwaited: boolean) => () => void;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(run, delay, isAwaited) {
    const timer: unknown = setTimeout(run, delay);
    if (!isAwaited) letGo(timer);
    return () => clearTimeout(timer as number);
  },
};

/** Node's timer has a method for it; Deno's is a number; a Worker's keeps nothing alive. */
function letGo(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
  (globalThis as { Deno?: { unrefTimer?: (timer: unknown) => void } }).Deno?.unrefTimer?.(timer);
}

/** @returns the milliseconds since this call, by the clock that says more: a token is to outlive neither of them */
export function startAge({ now, monotonic }: Pick<Clock, 'now' | 'monotonic'>): () => number {
  const [wall, steady] = [now(), monotonic()];
  return () => Math.max(now() - wall, monotonic() - steady);
}

/** @returns the milliseconds that are left, by the clock that no one sets: a pause is to be no shorter */
export function startPause({ monotonic }: Pick<Clock, 'monotonic'>, length: number): () => number {
  const end = monotonic() + length;
  return () => end - monotonic();
}
