/** What the port promises of sets. */
import { expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { fresh, type ContractSubject } from './contract-subject.ts';

export function setPromises({ one, two }: ContractSubject): void {
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
function listFrom(
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
