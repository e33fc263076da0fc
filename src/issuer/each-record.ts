/** The records that a set names, a page at a time: one question for the names, and one for all that they name. */
import type { Store } from '../store/store.ts';
import type { Records } from './records.ts';

export interface RecordList {
  readonly set: string;
  /** Of the members that are asked for; all where absent. */
  readonly prefix?: string;
  /** The record that a member stands for. */
  readonly recordOf: (member: string) => string;
}

/** What is added or removed meanwhile may be among them or not. */
export async function* eachRecord<T>(
  { set, prefix = '', recordOf }: RecordList,
  { store, records }: { readonly store: Store; readonly records: Records },
): AsyncGenerator<T> {
  let after: string | undefined;
  for (;;) {
    const members = await store.listMembers(set, { prefix, after, limit: pageSize });
    if (members.length === 0) return;
    for (const stored of await records.getMany<T>(members.map(recordOf)))
      if (stored !== undefined) yield stored.value;
    if (members.length < pageSize) return;
    after = members.at(-1);
  }
}

/** Records that are checked and read in one go: a few milliseconds, for which all else waits. */
const pageSize = 500;
