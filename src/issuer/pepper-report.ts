/** How many keys still wait for their hash to be renewed under the first pepper. */
import { type Static, Type } from 'typebox';
import type { Frozen } from '../config/frozen.ts';
import type { Clock } from '../store/store.ts';
import { livingSecrets, statusOf } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Vault } from './vault.ts';

export const pepperReportSchema = Type.Object({
  current: Type.String({ description: 'The pepper that new hashes are made with, by its id.' }),
  peppers: Type.Array(
    Type.Object({
      id: Type.String(),
      configured: Type.Boolean({ description: 'One that is not configured verifies nothing.' }),
      secrets: Type.Integer({ description: 'Secrets of keys that could still be used.' }),
    }),
  ),
  waiting: Type.Integer({ description: 'Secrets under another pepper than the current one.' }),
});

export type PepperReport = Frozen<Static<typeof pepperReportSchema>>;

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
