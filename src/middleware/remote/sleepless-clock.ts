/** A clock that no one sets, and that goes on while the machine sleeps: what was fresh before is old when it wakes. */

export interface TwoClocks {
  /** Milliseconds since the epoch: a clock that somebody may set. */
  readonly now: () => number;
  /** Milliseconds of a clock that no one sets. It may stand still while the machine sleeps. */
  readonly monotonic: () => number;
}

/** Milliseconds by which a clock is corrected now and then; where the one is ahead by more, the other has slept. */
const longestCorrection = 1000;

/** Who sets the clock forward makes the machine look as if it had slept, and no harm is done by that. @returns milliseconds */
export function createSleeplessClock({ now, monotonic }: TwoClocks): () => number {
  let difference = now() - monotonic();
  let slept = 0;
  return () => {
    const current = now() - monotonic();
    if (current - difference > longestCorrection) slept += current - difference;
    difference = current;
    return monotonic() + slept;
  };
}
