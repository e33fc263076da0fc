/** Every promise of the store's port, as one suite that any store can be held to. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock, Store } from '../../src/store/store.ts';
import { logPromises } from './contract-logs.ts';
import { namePromises } from './contract-names.ts';
import { recordPromises } from './contract-records.ts';
import { setPromises } from './contract-sets.ts';
import { createMovableClock } from './movable-clock.ts';

/** `open` is called twice, for two stores on the same data, as two instances of the service have. */
export function describeStoreContract(name: string, open: (clock: Clock) => Promise<Store>): void {
  describe(`the store's promises: ${name}`, () => {
    const clock = createMovableClock();
    let first: Store;
    let second: Store;
    const subject = { one: () => first, two: () => second, clock };

    beforeAll(async () => {
      first = await open(clock.read);
      second = await open(clock.read);
    });
    afterAll(async () => {
      await Promise.all([first.close(), second.close()]);
    });

    describe('records', () => {
      recordPromises(subject);
    });
    describe('sets', () => {
      setPromises(subject);
    });
    describe('logs', () => {
      logPromises(subject);
    });
    describe('names and text', () => {
      namePromises(subject);
    });

    test('check resolves on a healthy store', async () => {
      await expect(first.check()).resolves.toBeUndefined();
    });
  });
}
