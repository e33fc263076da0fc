/** Load that goes on beside a test, bounded in number and time, until it is told to end. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Load {
  /** Resolves when the last of it has been answered. */
  end(): Promise<void>;
}

/** @param pause milliseconds from one turn's end to the next */
export function startLoad(turn: (number: number) => Promise<unknown>, pause = 10, most = 3000): Load {
  const stop = new AbortController();
  const run = async () => {
    const deadline = performance.now() + 50_000;
    for (let number = 0; number < most && performance.now() < deadline; number += 1) {
      if (stop.signal.aborted) return;
      await turn(number);
      await delay(pause);
    }
  };
  const running = run();
  return {
    async end() {
      stop.abort();
      await running;
    },
  };
}
