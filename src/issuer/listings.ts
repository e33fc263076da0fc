/**
 * The sets that records are found by. Nothing spans a set and a record atomically: a set may hold more than the records
 * say, so whoever reads it looks at the record, but it must never hold less.
 */
import type { Store } from '../store/store.ts';

/** A set, and the member that stands there for a record. */
export type Listing = readonly [set: string, member: string];

/**
 * Writes a record that is to be found by more than before. Listed first: a record that no list knows would be lost. And
 * once more when it is written: who changed the record before may only now have taken the same away, having looked at
 * the record while it was not written yet.
 */
export async function writeListed<T>(
  store: Store,
  added: readonly Listing[],
  write: () => Promise<T>,
): Promise<T> {
  await enlist(store, added);
  const written = await write();
  await enlist(store, added);
  return written;
}

/**
 * Takes away what a record is not found by any more, and puts back what it is found by again: another may have changed
 * it since.
 *
 * @param findListings those of the record as it is by now; none where it is gone
 */
export async function delist(
  store: Store,
  removed: readonly Listing[],
  findListings: () => Promise<readonly Listing[]>,
): Promise<void> {
  if (removed.length === 0) return;
  await Promise.all(removed.map(([set, member]) => store.removeMember(set, member)));
  const present = await findListings();
  await enlist(
    store,
    removed.filter(listing => isAmong(listing, present)),
  );
}

/** What is in the one and not in the other. */
export function listingsBeyond(ones: readonly Listing[], others: readonly Listing[]): Listing[] {
  return ones.filter(listing => !isAmong(listing, others));
}

async function enlist(store: Store, listings: readonly Listing[]): Promise<void> {
  await Promise.all(listings.map(([set, member]) => store.addMember(set, member)));
}

/** A record has a few hundred listings at most. */
function isAmong([set, member]: Listing, listings: readonly Listing[]): boolean {
  return listings.some(other => other[0] === set && other[1] === member);
}
