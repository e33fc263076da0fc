/**
 * A memory for what anybody may ask, at no cost to himself, and what takes much reading: it is read once for all who ask
 * meanwhile, and then known for a moment. What is changed at this instance counts from then on. What is changed at another
 * counts within a second: no news of it goes round, so that the time has to bound it. Where reading takes long, the moment
 * is ten times as long, a minute at most, so that whoever asks without end has this instance read for a tenth of its time.
 */
import { Recent } from '../access/recent.ts';
import type { Clock } from '../store/store.ts';

export interface ShortMemoryOptions<T> {
  readonly read: (name: string) => Promise<T>;
  /** Counts what was changed at this instance: what was read before the latest change is not known any more. */
  readonly changes: () => number;
  readonly clock: Clock;
}

/** @returns what answers by name: as of the question, or of a moment before at which nothing here was otherwise */
export function createShortMemory<T>(options: ShortMemoryOptions<T>): (name: string) => Promise<T> {
  const { changes, clock } = options;
  const known = new Recent<Reading<T>>(1000);
  const underWay = new Map<string, Promise<Reading<T>>>();
  const read = async (name: string): Promise<Reading<T>> => {
    const reading = await measure(name, options);
    known.set(name, reading);
    return reading;
  };
  const readOnce = (name: string): Promise<Reading<T>> => {
    const others = underWay.get(name);
    if (others !== undefined) return others;
    const reading = read(name).finally(() => underWay.delete(name));
    underWay.set(name, reading);
    return reading;
  };
  return async name => {
    const asked = changes();
    const remembered = known.get(name);
    if (remembered !== undefined && remembered.asOf === asked && holds(remembered, clock()))
      return remembered.value;
    const reading = await readOnce(name);
    // It may have begun before a change that was there when this was asked.
    return reading.asOf >= asked ? reading.value : (await readOnce(name)).value;
  };
}

interface Reading<T> {
  readonly value: T;
  /** How many changes it knows at least. */
  readonly asOf: number;
  /** The moment at which it was done, and for how long it holds; milliseconds. */
  readonly at: number;
  readonly life: number;
}

async function measure<T>(
  name: string,
  { read, changes, clock }: ShortMemoryOptions<T>,
): Promise<Reading<T>> {
  const [asOf, begun] = [changes(), clock()];
  const value = await read(name);
  const at = clock();
  return { value, asOf, at, life: Math.min(Math.max(shortest, (at - begun) * 10), longest) };
}

/** Milliseconds. */
const [shortest, longest] = [1000, 60_000];

/** A clock that was put back says nothing of how long ago it was. */
function holds({ at, life }: Reading<unknown>, now: number): boolean {
  return now >= at && now - at < life;
}
