/** A clock that a test moves. It starts at a moment of its own, far from the machine's. */
import type { Clock } from '../../src/store/store.ts';

export interface MovableClock {
  now: number;
  readonly read: Clock;
}

export function createMovableClock(now = 1_700_000_000_000): MovableClock {
  const clock = { now, read: () => clock.now };
  return clock;
}
