/** Time that passes when a test says so: two clocks and the timers that hang on them. */
import type { SetTimer } from '../../src/client/clock.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class SimulatedTime {
  /** Milliseconds since the beginning. */
  readonly monotonic = (): number => this.#elapsed;
  /** Milliseconds since the epoch. */
  readonly now = (): number => start + this.#elapsed + this.#error;
  readonly setTimer: SetTimer = (run, delay) => {
    const timer = { at: this.#elapsed + Math.max(delay, 0), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };
  readonly #timers = new Set<Timer>();
  #elapsed = 0;
  #error = 0;

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock forward or back, which timers do not see. To sleep is to jump forward. @param seconds */
  jump(seconds: number): void {
    this.#error += seconds * 1000;
  }

  /**
   * Runs each timer at its time, and lets what it begins come to its end before the next.
   *
   * @param settle resolves when nothing moves any more but by time
   */
  async advance(seconds: number, settle: () => Promise<void>): Promise<void> {
    const end = this.#elapsed + seconds * 1000;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.run();
      await settle();
    }
    this.#elapsed = end;
  }

  #next(end: number): Timer | undefined {
    const [first] = [...this.#timers].sort((a, b) => a.at - b.at);
    return first !== undefined && first.at <= end ? first : undefined;
  }
}

const start = Date.UTC(2026, 10, 21);
