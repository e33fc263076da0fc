/** What the port promises of names, members and values. */
import { expect, test } from 'vitest';
import { fresh, type ContractSubject } from './contract-subject.ts';

export function namePromises({ one }: ContractSubject): void {
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
    expect(await one().readLog(name, { limit: 2 })).toEqual([{ id, value: 'b' }]);
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
    expect((await one().readLog(name, { limit: 9 })).map(({ value }) => value)).toEqual(['e']);
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
      () => store.readLog(name, { limit: 1 }),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(TypeError);
  });

  test('a value that is no text, an expiry that is no moment and an id that is none are TypeErrors', async () => {
    const store = one();
    await expect(store.create(fresh('r'), 'a\ud800')).rejects.toThrow(TypeError);
    await expect(store.append(fresh('l'), '\udc00', { retention: 1 })).rejects.toThrow(TypeError);
    await expect(store.create(fresh('r'), 'a', { expiresAt: Number.NaN })).rejects.toThrow(TypeError);
    await expect(store.readLog(fresh('l'), { from: 'no id', limit: 1 })).rejects.toThrow(TypeError);
  });
}
