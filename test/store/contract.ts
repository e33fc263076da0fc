/** Every promise of the store's port, as one suite that any store can be held to. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock, Store } from '../../src/store/store.ts';
import { createMovableClock } from './movable-clock.ts';

/** `open` is called twice, for two stores on the same data, as two instances of the service have. */
export function describeStoreContract(name: string, open: (clock: Clock) => Promise<Store>): void {
  describe(`the store's promises: ${name}`, () => {
    const clock = createMovableClock();
    let first: Store;
    let second: Store;
    const one = () => first;
    const two = () => second;

    beforeAll(async () => {
      first = await open(clock.read);
      second = await open(clock.read);
    });
    afterAll(async () => {
      await Promise.all([first.close(), second.close()]);
    });

    describe('records', () => {
      recordPromises(one, two, clock);
    });
    describe('sets', () => {
      setPromises(one, two);
    });
    describe('logs', () => {
      logPromises(one, two, clock);
    });
    describe('names and text', () => {
      namePromises(one);
    });

    test('check resolves on a healthy store', async () => {
      await expect(one().check()).resolves.toBeUndefined();
    });
  });
}

type Get = () => Store;
type MovableClock = ReturnType<typeof createMovableClock>;

/** Each test has names of its own, so that the suites need not empty a store. */
function fresh(kind: string): string {
  return `${kind}:${randomUUID()}`;
}

function recordPromises(one: Get, two: Get, clock: MovableClock): void {
  test('what was never written is absent', async () => {
    expect(await one().get(fresh('r'))).toBeUndefined();
  });

  test('a created record is read by every instance, at once', async () => {
    const name = fresh('r');
    expect(await one().create(name, 'a')).toBe(true);
    expect(await one().get(name)).toBe('a');
    expect(await two().get(name)).toBe('a');
  });

  test('create changes nothing where there is a record', async () => {
    const name = fresh('r');
    await one().create(name, 'a');
    expect(await two().create(name, 'b')).toBe(false);
    expect(await one().get(name)).toBe('a');
  });

  test('getMany answers in the order of the names, with gaps and repetitions', async () => {
    const [a, b, c] = [fresh('r'), fresh('r'), fresh('r')];
    await one().create(a, '1');
    await one().create(c, '3');
    expect(await one().getMany([c, b, a, c])).toEqual(['3', undefined, '1', '3']);
    expect(await one().getMany([])).toEqual([]);
  });

  test('replace writes only over exactly what is expected', async () => {
    const name = fresh('r');
    expect(await one().replace(name, 'a', 'b')).toBe(false);
    expect(await one().get(name)).toBeUndefined();
    await one().create(name, 'a');
    expect(await one().replace(name, 'A', 'b')).toBe(false);
    expect(await one().replace(name, '', 'b')).toBe(false);
    expect(await one().get(name)).toBe('a');
    expect(await one().replace(name, 'a', 'b')).toBe(true);
    expect(await two().get(name)).toBe('b');
  });

  test('remove takes only exactly what is expected', async () => {
    const name = fresh('r');
    expect(await one().remove(name, 'a')).toBe(false);
    await one().create(name, 'a');
    expect(await one().remove(name, 'b')).toBe(false);
    expect(await one().get(name)).toBe('a');
    expect(await one().remove(name, 'a')).toBe(true);
    expect(await two().get(name)).toBeUndefined();
    expect(await two().create(name, 'c')).toBe(true);
  });

  test.each([
    ['empty', ''],
    ['with colons', ':1:2:'],
    ['with digits and a colon', '1234:x'],
    ['beyond ASCII', 'Zürich – 東京 – 🦊'],
    ['with zero bytes and line ends', 'a\0b\r\n{c}'],
    ['long', 'ü'.repeat(50_000)],
  ])('a value comes back as it was: %s', async (_, value) => {
    const name = fresh('r');
    expect(await one().create(name, value)).toBe(true);
    expect(await two().get(name)).toBe(value);
    expect(await one().replace(name, value, `${value}!`)).toBe(true);
    expect(await one().remove(name, `${value}!`)).toBe(true);
  });

  test('a record is absent from expiresAt on, by the clock, for every operation', async () => {
    const name = fresh('r');
    const expiresAt = clock.now + 1000;
    await one().create(name, 'a', { expiresAt });
    clock.now = expiresAt - 1;
    expect(await two().get(name)).toBe('a');
    expect(await two().create(name, 'b')).toBe(false);
    clock.now = expiresAt;
    expect(await two().get(name)).toBeUndefined();
    expect(await two().getMany([name])).toEqual([undefined]);
    expect(await two().replace(name, 'a', 'b')).toBe(false);
    expect(await two().remove(name, 'a')).toBe(false);
    expect(await two().create(name, 'b')).toBe(true);
    expect(await one().get(name)).toBe('b');
  });

  test('a clock put back brings back what a little earlier had expired', async () => {
    const name = fresh('r');
    await one().create(name, 'a', { expiresAt: clock.now + 500 });
    clock.now += 1000;
    expect(await one().get(name)).toBeUndefined();
    await Promise.all(Array.from({ length: 20 }, () => one().create(fresh('r'), 'x')));
    clock.now -= 1000;
    expect(await one().get(name)).toBe('a');
  });

  test('a replacement has the expiry it is given, and none where none is given', async () => {
    const name = fresh('r');
    const start = clock.now;
    await one().create(name, 'a', { expiresAt: start + 1000 });
    await one().replace(name, 'a', 'b', { expiresAt: start + 2000 });
    clock.now = start + 1500;
    expect(await one().get(name)).toBe('b');
    await one().replace(name, 'b', 'c');
    clock.now = start + 100 * 24 * 3_600_000;
    await Promise.all(Array.from({ length: 20 }, () => one().create(fresh('r'), 'x')));
    expect(await two().get(name)).toBe('c');
  });

  test('a record may be born expired', async () => {
    const name = fresh('r');
    expect(await one().create(name, 'a', { expiresAt: 1 })).toBe(true);
    expect(await one().get(name)).toBeUndefined();
    expect(await one().create(name, 'b')).toBe(true);
  });

  test('of a hundred concurrent creates exactly one wins', async () => {
    const name = fresh('r');
    const won = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? one() : two()).create(name, `v${i}`)),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await one().get(name)).toBe(`v${won.indexOf(true)}`);
  });

  test('of a hundred concurrent replacements of the same value exactly one wins', async () => {
    const name = fresh('r');
    await one().create(name, 'start');
    const won = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? one() : two()).replace(name, 'start', `v${i}`)),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await one().get(name)).toBe(`v${won.indexOf(true)}`);
  });

  test('concurrent compare-and-set loops lose no step', async () => {
    const name = fresh('r');
    await one().create(name, '0');
    await Promise.all(Array.from({ length: 8 }, (_, i) => countUp(i % 2 ? one() : two(), name, 10)));
    expect(await one().get(name)).toBe('80');
  });

  test('of a replacement and a removal of the same value exactly one wins', async () => {
    for (let round = 0; round < 10; round++) {
      const name = fresh('r');
      await one().create(name, 'a');
      const [replaced, removed] = await Promise.all([one().replace(name, 'a', 'b'), two().remove(name, 'a')]);
      expect(replaced).not.toBe(removed);
      expect(await one().get(name)).toBe(replaced ? 'b' : undefined);
    }
  });

  test('operations that were started together do not mix their answers up', async () => {
    const names = Array.from({ length: 200 }, () => fresh('r'));
    await Promise.all(names.map(name => one().create(name, `value of ${name}`)));
    const values = await Promise.all(names.map(name => two().get(name)));
    expect(values).toEqual(names.map(name => `value of ${name}`));
  });
}

async function countUp(store: Store, name: string, steps: number): Promise<void> {
  for (let done = 0; done < steps;) {
    const value = (await store.get(name)) ?? '';
    if (await store.replace(name, value, String(Number(value) + 1))) done++;
  }
}

function setPromises(one: Get, two: Get): void {
  test('an empty set has no members, and adding twice is adding once', async () => {
    const set = fresh('s');
    expect(await one().listMembers(set, { limit: 10 })).toEqual([]);
    await one().addMember(set, 'a');
    await two().addMember(set, 'a');
    expect(await two().listMembers(set, { limit: 10 })).toEqual(['a']);
  });

  test('removing takes a member out, and only that one', async () => {
    const set = fresh('s');
    await addAll(one(), set, ['a', 'b']);
    await two().removeMember(set, 'a');
    await two().removeMember(set, 'never there');
    expect(await one().listMembers(set, { limit: 10 })).toEqual(['b']);
  });

  test('members come in the order of their UTF-8 bytes, which is not that of UTF-16', async () => {
    const set = fresh('s');
    await addAll(one(), set, inByteOrder.toReversed());
    expect(await one().listMembers(set, { limit: 100 })).toEqual(inByteOrder);
    expect(await one().listMembers(set, { limit: 100, reverse: true })).toEqual(inByteOrder.toReversed());
  });

  test('every page of every query is what a filter over all members gives', async () => {
    const set = fresh('s');
    await addAll(one(), set, inByteOrder);
    for (const query of allQueries()) {
      expect([query, await one().listMembers(set, query)]).toEqual([query, listFrom(inByteOrder, query)]);
    }
  });

  test('pages joined by their last member give the whole set once', async () => {
    const set = fresh('s');
    const all = Array.from({ length: 25 }, (_, i) => `m${String(i).padStart(3, '0')}`);
    await addAll(one(), set, all);
    expect(await allPages(two(), set, false)).toEqual(all);
    expect(await allPages(two(), set, true)).toEqual(all.toReversed());
  });

  test('sets whose names begin alike do not see each other', async () => {
    const set = fresh('s');
    await addAll(one(), set, ['a', 'ab']);
    await addAll(one(), `${set}a`, ['b', 'c']);
    await addAll(one(), `${set} `, ['x']);
    expect(await one().listMembers(set, { limit: 10 })).toEqual(['a', 'ab']);
    expect(await one().listMembers(`${set}a`, { limit: 10, reverse: true })).toEqual(['c', 'b']);
  });

  test('concurrent additions are all there', async () => {
    const set = fresh('s');
    const all = Array.from({ length: 100 }, (_, i) => String(i).padStart(3, '0'));
    await Promise.all(all.map((member, i) => (i % 2 ? one() : two()).addMember(set, member)));
    expect(await one().listMembers(set, { limit: 1000 })).toEqual(all);
  });

  test('members and queries may be as long as they may', async () => {
    const set = `${fresh('s')}${'s'.repeat(470)}`;
    const long = 'm'.repeat(512);
    await addAll(one(), set, [long, 'n']);
    expect(await one().listMembers(set, { limit: 10, prefix: 'm'.repeat(512) })).toEqual([long]);
    expect(await one().listMembers(set, { limit: 10, after: 'm'.repeat(5000) })).toEqual(['n']);
    expect(await one().listMembers(set, { limit: 10, prefix: 'm'.repeat(5000) })).toEqual([]);
    expect(await one().listMembers(set, { limit: 10, after: 'm'.repeat(5000), reverse: true })).toEqual([
      long,
    ]);
  });
}

const inByteOrder = Array.from(
  '! (a + - 10 2 A [a a a_b aa ab a{b} b z { } ~ ß ä äa ü ÿ Ā \u07ff \u0800 東 東京 \ud7ff \ue000 \uffff 😀 🦊'.split(
    ' ',
  ),
  member => member.replace('_', ' '),
).sort(byBytes);

function* allQueries() {
  for (const limit of [0, 1, 3, 100]) {
    for (const reverse of [undefined, true]) {
      for (const prefix of [undefined, '', 'a', 'ab', 'ä', '東', '\ud7ff', '😀', 'no such']) {
        for (const after of [undefined, '!', 'a', 'a a', 'ab', 'ä', '東京', '\uffff', '🦊', '\u{10ffff}']) {
          yield { limit, reverse: reverse ?? false, prefix: prefix ?? '', ...(after && { after }) };
        }
      }
    }
  }
}

/** What the port says, said once more and slowly. */
export function listFrom(
  members: readonly string[],
  query: { limit: number; reverse?: boolean; prefix?: string; after?: string },
): string[] {
  const sign = query.reverse ? -1 : 1;
  const { prefix = '', after } = query;
  return members
    .filter(member => member.startsWith(prefix))
    .filter(member => after === undefined || sign * byBytes(member, after) > 0)
    .sort((a, b) => sign * byBytes(a, b))
    .slice(0, query.limit);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function addAll(store: Store, set: string, members: readonly string[]): Promise<void> {
  await Promise.all(members.map(member => store.addMember(set, member)));
}

async function allPages(store: Store, set: string, reverse: boolean): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const after = all.at(-1);
    const page = await store.listMembers(set, { limit: 7, reverse, ...(after !== undefined && { after }) });
    if (page.length === 0) return all;
    all.push(...page);
  }
}

function logPromises(one: Get, two: Get, clock: MovableClock): void {
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

function namePromises(one: Get): void {
  test.each([
    ['a space', 'a b'],
    ['braces', '{a}'],
    ['braces the wrong way', '}a{'],
    ['empty braces', '{}a'],
    ['percent signs', '%7Ba%7D'],
    ['beyond ASCII', 'ключ-鍵-🔑'],
    ['512 bytes', 'n'.repeat(475)],
  ])('a name may have %s', async (_, text) => {
    const name = `${text}${fresh('')}`;
    expect(await one().create(name, 'a')).toBe(true);
    expect(await one().get(name)).toBe('a');
    await one().addMember(name, name);
    expect(await one().listMembers(name, { limit: 2 })).toEqual([name]);
    const id = await one().append(name, 'b', { retention: 1000 });
    expect(await one().readLog(name, undefined, 2)).toEqual([{ id, value: 'b' }]);
  });

  test('names that differ in their braces are different names', async () => {
    const a = fresh('{x}');
    await one().create(a, '1');
    expect(await one().get(a.replace('{x}', '%7Bx%7D'))).toBeUndefined();
    expect(await one().get(a.replace('{x}', 'x'))).toBeUndefined();
  });

  test('a record, a set and a log of the same name do not meet', async () => {
    const name = fresh('same');
    await one().create(name, 'a');
    await one().addMember(name, 'm');
    await one().append(name, 'e', { retention: 1000 });
    expect(await one().get(name)).toBe('a');
    expect(await one().listMembers(name, { limit: 9 })).toEqual(['m']);
    expect((await one().readLog(name, undefined, 9)).map(({ value }) => value)).toEqual(['e']);
  });

  test.each([
    ['empty', ''],
    ['too long', 'n'.repeat(513)],
    ['too long in bytes', 'ü'.repeat(257)],
    ['with a zero byte', 'a\0b'],
    ['with a line end', 'a\r\nb'],
    ['with half a surrogate pair', 'a\ud800'],
  ])('a name that is none is a TypeError: %s', async (_, name) => {
    const store = one();
    const calls = [
      () => store.get(name),
      () => store.getMany([name]),
      () => store.create(name, 'a'),
      () => store.replace(name, 'a', 'b'),
      () => store.remove(name, 'a'),
      () => store.addMember(name, 'a'),
      () => store.addMember('s', name),
      () => store.removeMember('s', name),
      () => store.listMembers(name, { limit: 1 }),
      () => store.append(name, 'a', { retention: 1 }),
      () => store.readLog(name, undefined, 1),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(TypeError);
  });

  test('a value that is no text, an expiry that is no moment and an id that is none are TypeErrors', async () => {
    const store = one();
    await expect(store.create(fresh('r'), 'a\ud800')).rejects.toThrow(TypeError);
    await expect(store.append(fresh('l'), '\udc00', { retention: 1 })).rejects.toThrow(TypeError);
    await expect(store.create(fresh('r'), 'a', { expiresAt: Number.NaN })).rejects.toThrow(TypeError);
    await expect(store.readLog(fresh('l'), 'no id', 1)).rejects.toThrow(TypeError);
  });
}
