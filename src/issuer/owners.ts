/** A deployment always has an owner: one record counts them, so that of two who leave at once only one can. */
import { Problem } from '../protocol/errors.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Records } from './records.ts';

export async function addOwner(records: Records, id: string): Promise<void> {
  await changeOwners(records, async owners => (owners.includes(id) ? owners : [...owners, id]));
}

/**
 * @param isOwner whether an account has the role: one that broke off while it was given it is counted, but does not count
 * @throws {Problem} `conflict` for the last one
 */
export async function removeOwner(
  records: Records,
  id: string,
  isOwner: (id: string) => Promise<boolean>,
): Promise<void> {
  await changeOwners(records, async owners => {
    const others: string[] = [];
    for (const other of owners) if (other !== id && (await isOwner(other))) others.push(other);
    if (others.length === 0)
      throw new Problem('conflict', 'The last owner cannot be removed, nor given another role.');
    return others;
  });
}

/** @throws {Problem} `conflict` where no other owner is as `isFit` asks: nobody could get in any more */
export async function requireOtherOwner(
  records: Records,
  id: string,
  isFit: (id: string) => Promise<boolean>,
): Promise<void> {
  const owners = (await records.get<readonly string[]>(recordName))?.value ?? [];
  for (const other of owners) if (other !== id && (await isFit(other))) return;
  throw new Problem(
    'conflict',
    'No other owner has an access key: give one to another owner first, or make a new one here.',
  );
}

const recordName = 'owners';

async function changeOwners(
  records: Records,
  change: (owners: readonly string[]) => Promise<readonly string[]>,
): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const stored = await records.get<readonly string[]>(recordName);
    const next = await change(stored?.value ?? []);
    if (stored === undefined) {
      if (await records.create(recordName, next)) return;
    } else if (next === stored.value || (await records.replace(recordName, stored, next)) !== undefined)
      return;
  }
  throw new StoreUnavailable('the owners are being changed by others again and again');
}
