/** What the port promises of logs. */
import { expect, test } from 'vitest';
import { fresh, type ContractSubject } from './contract-subject.ts';

export function logPromises({ one, two, clock }: ContractSubject): void {
  const retention = 60_000;

  test('an empty log has no entries', async () => {
    expect(await one().readLog(fresh('l'), undefined, 10)).toEqual([]);
    expect(await one().readLog(fresh('l'), '5-0', 10)).toEqual([]);
  });

  test('entries come back in order, with their values and ids', async () => {
    const log = fresh('l');
    const ids = [];
    for (const value of ['a', '', 'ü\0\r\n']) ids.push(await one().append(log, value, { retention }));
    const entries = await two().readLog(log, undefined, 10);
    expect(entries.map(({ value }) => value)).toEqual(['a', '', 'ü\0\r\n']);
    expect(entries.map(({ id }) => id)).toEqual(ids);
  });

  test('reading goes on strictly after an id, up to the limit', async () => {
    const log = fresh('l');
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await one().append(log, String(i), { retention }));
    expect((await one().readLog(log, undefined, 2)).map(({ value }) => value)).toEqual(['0', '1']);
    expect((await one().readLog(log, ids[1], 2)).map(({ value }) => value)).toEqual(['2', '3']);
    expect(await one().readLog(log, ids[4], 2)).toEqual([]);
    expect(await one().readLog(log, undefined, 0)).toEqual([]);
  });

  test('an id is the time by the clock, with a sequence', async () => {
    const log = fresh('l');
    expect(await one().append(log, 'a', { retention })).toBe(`${clock.now}-0`);
    expect(await two().append(log, 'b', { retention })).toBe(`${clock.now}-1`);
    clock.now += 1;
    expect(await one().append(log, 'c', { retention })).toBe(`${clock.now}-0`);
  });

  test('ids increase also when the clock goes back', async () => {
    const log = fresh('l');
    const ids = [await one().append(log, 'a', { retention })];
    clock.now -= 5000;
    ids.push(await one().append(log, 'b', { retention }), await two().append(log, 'c', { retention }));
    clock.now += 6000;
    ids.push(await one().append(log, 'd', { retention }));
    expect(ids).toEqual(increasing(ids));
    expect((await one().readLog(log, undefined, 10)).map(({ id }) => id)).toEqual(ids);
    expect((await one().readLog(log, ids[0], 10)).map(({ value }) => value)).toEqual(['b', 'c', 'd']);
  });

  test('concurrent appends are all there, in one order for everybody', async () => {
    const log = fresh('l');
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? one() : two()).append(log, String(i), { retention })),
    );
    const entries = await one().readLog(log, undefined, 1000);
    expect(entries.map(({ id }) => id)).toEqual(increasing(ids));
    expect(entries).toHaveLength(100);
    expect(entries.every(({ id, value }) => ids[Number(value)] === id)).toBe(true);
    expect(await two().readLog(log, undefined, 1000)).toEqual(entries);
  });

  test('nothing younger than the retention is ever swept, and what is older is in the end', async () => {
    const log = fresh('l');
    const start = clock.now;
    const count = 400;
    for (let i = 0; i < count; i += 50) {
      clock.now = start + i * 1000;
      await Promise.all(Array.from({ length: 50 }, () => one().append(log, 'x', { retention })));
      const kept = await one().readLog(log, undefined, 1000);
      const young = kept.filter(({ id }) => Number.parseInt(id, 10) >= clock.now - retention);
      expect(young).toHaveLength(Math.min(i + 50, 100));
    }
    expect((await one().readLog(log, undefined, 1000)).length).toBeLessThan(count);
  });

  test('after everything has been swept, ids still increase', async () => {
    const log = fresh('l');
    const first = await one().append(log, 'a', { retention: 10 });
    clock.now += 3_600_000;
    const second = await one().append(log, 'b', { retention: 10 });
    clock.now -= 3_600_000;
    const third = await one().append(log, 'c', { retention: 10 });
    expect([first, second, third]).toEqual(increasing([first, second, third]));
  });
}

/** The ids once each and in order, as numbers are ordered. */
function increasing(ids: readonly string[]): string[] {
  const numbers = ids.map(id => id.split('-').map(Number));
  numbers.sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d);
  return [...new Set(numbers.map(number => number.join('-')))];
}
