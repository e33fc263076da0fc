/** A deployment always has an owner: one record counts them, so that of two who leave at once only one can. */
import { Problem } from '../protocol/errors.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Records } from './records.ts';

export async function addOwner(records: Records, id: string): Promise<void> {
  await changeOwners(records, owners => (owners.includes(id) ? owners : [...owners, id]));
}

/** @throws {Problem} `conflict` for the last one */
export async function removeOwner(records: Records, id: string): Promise<void> {
  await changeOwners(records, owners => {
    const others = owners.filter(other => other !== id);
    if (others.length === 0)
      throw new Problem('conflict', 'The last owner cannot be removed, nor given another role.');
    return others;
  });
}

const recordName = 'owners';

async function changeOwners(
  records: Records,
  change: (owners: readonly string[]) => readonly string[],
): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const stored = await records.get<readonly string[]>(recordName);
    const next = change(stored?.value ?? []);
    if (stored === undefined) {
      if (await records.create(recordName, next)) return;
    } else if (next === stored.value || (await records.replace(recordName, stored, next)) !== undefined)
      return;
  }
  throw new StoreUnavailable('the owners are being changed by others again and again');
}
