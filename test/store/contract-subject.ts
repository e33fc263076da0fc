/** What the suite of the store's promises is given: two stores on the same data, and their clock. */
import { randomUUID } from 'node:crypto';
import type { Store } from '../../src/store/store.ts';
import type { MovableClock } from './movable-clock.ts';

export interface ContractSubject {
  /** As two instances of the service have. */
  readonly one: () => Store;
  readonly two: () => Store;
  readonly clock: MovableClock;
}

/** Each test has names of its own, so that the suites need not empty a store. */
export function fresh(kind: string): string {
  return `${kind}:${randomUUID()}`;
}
