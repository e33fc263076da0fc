/** How many keys still wait for their hash to be renewed under the first pepper. */
import type { Clock } from '../store/store.ts';
import { livingSecrets, statusOf } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Vault } from './vault.ts';

export interface PepperReport {
  /** The pepper that new hashes are made with, by its id. */
  readonly current: string;
  /** Secrets of keys that could still be used, by pepper; one that is not configured verifies nothing. */
  readonly peppers: readonly {
    readonly id: string;
    readonly configured: boolean;
    readonly secrets: number;
  }[];
  /** Secrets under another pepper than the current one. */
  readonly waiting: number;
}

/** Looks at every key: takes as long as there are keys. */
export async function reportPeppers(apiKeys: ApiKeys, vault: Vault, clock: Clock): Promise<PepperReport> {
  const counts = new Map(vault.pepperIds.map(id => [id, 0]));
  for await (const key of apiKeys.all()) {
    if (statusOf(key, clock()) === 'revoked') continue;
    for (const { pepper } of livingSecrets(key, clock())) counts.set(pepper, (counts.get(pepper) ?? 0) + 1);
  }
  const peppers = [...counts].map(([id, secrets]) => ({
    id,
    configured: vault.pepperIds.includes(id),
    secrets,
  }));
  const waiting = peppers
    .filter(({ id }) => id !== vault.pepperId)
    .reduce((sum, { secrets }) => sum + secrets, 0);
  return { current: vault.pepperId, peppers, waiting };
}
