/** What the port promises of logs. */
import { expect, test, vi } from 'vitest';
import { fresh, type ContractSubject } from './contract-subject.ts';

export function logPromises({ one, two, clock }: ContractSubject): void {
  const retention = 60_000;

  test('an empty log has no entries', async () => {
    expect(await one().readLog(fresh('l'), { limit: 10 })).toEqual([]);
    expect(await one().readLog(fresh('l'), { from: '5-0', limit: 10 })).toEqual([]);
  });

  test('entries come back in order, with their values and ids', async () => {
    const log = fresh('l');
    const ids = [];
    for (const value of ['a', '', 'ü\0\r\n']) ids.push(await one().append(log, value, { retention }));
    const entries = await two().readLog(log, { limit: 10 });
    expect(entries.map(({ value }) => value)).toEqual(['a', '', 'ü\0\r\n']);
    expect(entries.map(({ id }) => id)).toEqual(ids);
  });

  test('reading goes on from an id, that one included, up to the limit', async () => {
    const log = fresh('l');
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await one().append(log, String(i), { retention }));
    expect((await one().readLog(log, { limit: 2 })).map(({ value }) => value)).toEqual(['0', '1']);
    expect((await one().readLog(log, { from: ids[1], limit: 3 })).map(({ value }) => value)).toEqual([
      '1',
      '2',
      '3',
    ]);
    expect((await one().readLog(log, { from: ids[4], limit: 2 })).map(({ value }) => value)).toEqual(['4']);
    expect(await one().readLog(log, { limit: 0 })).toEqual([]);
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
    expect((await one().readLog(log, { limit: 10 })).map(({ id }) => id)).toEqual(ids);
    expect((await one().readLog(log, { from: ids[1], limit: 10 })).map(({ value }) => value)).toEqual([
      'b',
      'c',
      'd',
    ]);
  });

  test('concurrent appends are all there, in one order for everybody', async () => {
    const log = fresh('l');
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? one() : two()).append(log, String(i), { retention })),
    );
    const entries = await one().readLog(log, { limit: 1000 });
    expect(entries.map(({ id }) => id)).toEqual(increasing(ids));
    expect(entries).toHaveLength(100);
    expect(entries.every(({ id, value }) => ids[Number(value)] === id)).toBe(true);
    expect(await two().readLog(log, { limit: 1000 })).toEqual(entries);
  });

  test('nothing younger than the retention is ever swept, and what is older is in the end', async () => {
    const log = fresh('l');
    const start = clock.now;
    const count = 400;
    for (let i = 0; i < count; i += 50) {
      clock.now = start + i * 1000;
      await Promise.all(Array.from({ length: 50 }, () => one().append(log, 'x', { retention })));
      const kept = await one().readLog(log, { limit: 1000 });
      const young = kept.filter(({ id }) => Number.parseInt(id, 10) >= clock.now - retention);
      expect(young).toHaveLength(Math.min(i + 50, 100));
    }
    expect((await one().readLog(log, { limit: 1000 })).length).toBeLessThan(count);
  });

  test('a thousand ids of one millisecond are followed by those of the next', async () => {
    const log = fresh('l');
    const ids = await Promise.all(Array.from({ length: 1001 }, () => one().append(log, 'x', { retention })));
    expect(ids).toContain(`${clock.now}-999`);
    expect(ids).toContain(`${clock.now + 1}-0`);
    expect(new Set(ids).size).toBe(1001);
    clock.now += 1;
    expect(await two().append(log, 'y', { retention })).toBe(`${clock.now}-1`);
  });

  test('the newest entry is told without the others', async () => {
    const log = fresh('l');
    expect(await one().lastEntry(log)).toBeUndefined();
    await one().append(log, 'a', { retention });
    const id = await two().append(log, 'b', { retention });
    expect(await one().lastEntry(log)).toEqual({ id, value: 'b' });
  });

  test('a reader is known to everybody by its latest note, until it is removed', async () => {
    const log = fresh('l');
    expect(await one().listReaders(log)).toEqual([]);
    await one().readLog(log, { limit: 1, reader: { id: 'x', note: '1' } });
    await two().readLog(log, { limit: 1, reader: { id: 'y', note: '' } });
    await one().readLog(log, { limit: 1, reader: { id: 'x', note: '2' } });
    await one().readLog(log, { limit: 1, reader: { id: 'x', note: '2' } });
    const byId = async () => new Map((await two().listReaders(log)).map(({ id, note }) => [id, note]));
    expect(await byId()).toEqual(
      new Map([
        ['x', '2'],
        ['y', ''],
      ]),
    );
    await two().removeReader(log, { id: 'x', note: '1' });
    expect((await byId()).get('x')).toBe('2');
    await two().removeReader(log, { id: 'x', note: '2' });
    await two().removeReader(log, { id: 'nobody', note: '' });
    expect(await byId()).toEqual(new Map([['y', '']]));
    await one().readLog(log, { limit: 1, reader: { id: 'x', note: '2' } });
    expect((await byId()).size).toBe(2);
  });

  test('nobody who is not among the readers has missed an entry that was there', async () => {
    const log = fresh('l');
    await one().append(log, 'first', { retention });
    const rounds = Array.from({ length: 30 }, async (_, round) => {
      const reader = { id: `r${round}`, note: '' };
      const [seen, readers] = await Promise.all([
        two().readLog(log, { limit: 1000, reader }),
        one()
          .append(log, `e${round}`, { retention })
          .then(() => one().listReaders(log)),
      ]);
      const isListed = readers.some(({ id }) => id === reader.id);
      return isListed || seen.some(({ value }) => value === `e${round}`);
    });
    expect(await Promise.all(rounds)).not.toContain(false);
  });

  test('who watches a log hears of what is appended', async () => {
    const log = fresh('l');
    let heard = (): void => {};
    const end = one().watchLog(log, () => heard());
    // The watch may begin a moment after it was asked for: what is appended until it does, is for the reader to find.
    await vi.waitFor(
      async () => {
        const news = new Promise<boolean>(resolve => {
          heard = () => resolve(true);
          setTimeout(resolve, 200, false);
        });
        await one().append(log, 'x', { retention });
        expect(await news).toBe(true);
      },
      { timeout: 10_000 },
    );
    end();
    heard = () => expect.unreachable();
    await one().append(log, 'y', { retention });
  });

  test('what was written settles', async () => {
    await one().append(fresh('l'), 'x', { retention });
    await expect(one().settle()).resolves.toBeUndefined();
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
