/** The callers who wait for one token: each has a patience and a signal of its own, and none ends the wait of another. */
import { type Clock, startPause } from './clock.ts';

export interface Wait {
  /** Milliseconds. */
  readonly patience: number;
  readonly signal: AbortSignal | undefined;
  /** What a caller is told whose patience has ended. */
  readonly explain: () => Error;
}

interface Waiter {
  readonly patienceLeft: () => number;
  readonly resolve: (token: string) => void;
  readonly reject: (reason: unknown) => void;
}

export class Waiters {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @throws what the signal says, or `explain` */
  add({ patience, signal, explain }: Wait): Promise<string> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        patienceLeft: startPause(this.#clock, patience),
        resolve: token => {
          leave();
          resolve(token);
        },
        reject: reason => {
          leave();
          reject(reason);
        },
      };
      const onAbort = () => waiter.reject(signal?.reason);
      const cancel = this.#clock.setTimer(() => waiter.reject(explain()), patience, true);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  resolve(token: string): void {
    for (const waiter of this.#waiting) waiter.resolve(token);
  }

  reject(reason: Error): void {
    for (const waiter of this.#waiting) waiter.reject(reason);
  }

  /** Those who would wait in vain. @param pause milliseconds until something may happen */
  rejectImpatient(pause: number, explain: () => Error): void {
    for (const waiter of this.#waiting) if (waiter.patienceLeft() < pause) waiter.reject(explain());
  }
}
