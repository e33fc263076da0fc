/** What the port promises of records. */
import { expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { fresh, type ContractSubject } from './contract-subject.ts';

export function recordPromises({ one, two, clock }: ContractSubject): void {
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
