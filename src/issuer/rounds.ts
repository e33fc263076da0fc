/** Visits each of many once in a period, a few at a time, so that ten thousand at once do not keep others waiting. */

export interface Rounds<T> {
  /** Returns what takes it out again. */
  add(item: T): () => void;
}

export interface RoundsOptions<T> {
  /** Milliseconds. */
  readonly period: number;
  /** Into how many visits of a part of them the period is cut. */
  readonly slices: number;
  /** Milliseconds of a clock that no one sets. */
  readonly monotonic: () => number;
  readonly visit: (item: T) => void;
}

export function createRounds<T>({ period, slices, monotonic, visit }: RoundsOptions<T>): Rounds<T> {
  const mostAtOnce = Math.ceil(slices / 50);
  const slots = Array.from({ length: slices }, () => new Set<T>());
  let size = 0;
  let next = 0;
  let timer: NodeJS.Timeout | undefined;
  let visited = 0;

  const visitDue = (): void => {
    const due = sliceAt(monotonic());
    // Whoever was held up for longer than a round makes one round, and not all that were missed; and not in one go.
    visited = Math.max(visited, due - slices);
    for (const last = Math.min(due, visited + mostAtOnce); visited < last;) {
      visited += 1;
      for (const item of slots[visited % slices]!) visit(item);
    }
  };
  const sliceAt = (moment: number) => Math.floor((moment / period) * slices);
  const start = (): void => {
    visited = sliceAt(monotonic());
    timer = setInterval(visitDue, period / slices).unref();
  };

  return {
    add(item) {
      const slot = slots[next % slices]!;
      next += 1;
      size += 1;
      slot.add(item);
      if (timer === undefined) start();
      return () => {
        if (!slot.delete(item)) return;
        size -= 1;
        if (size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
