/** A whole set, in the order of its members, a page at a time. */
import type { Store } from './store.ts';

const pageSize = 1000;

/** The members that start with `prefix`. What is added or removed meanwhile may be among them or not. */
export async function* eachMember(store: Store, set: string, prefix = ''): AsyncGenerator<string> {
  let after: string | undefined;
  for (;;) {
    const members = await store.listMembers(set, { prefix, after, limit: pageSize });
    yield* members;
    after = members.at(-1);
    if (members.length < pageSize) return;
  }
}
