/** Taking a store into service: signing keys, the deployment, and its first owner. Works once per deployment. */
import type { SigningAlgorithm } from '../protocol/token-header.ts';
import type { Clock } from '../store/store.ts';
import type { Account } from './account.ts';
import type { Accounts } from './accounts.ts';
import type { CreatedKey } from './api-keys.ts';
import { claimDeployment, createDeployment, finishClaim } from './deployment.ts';
import type { Records } from './records.ts';
import { createSigningKeys } from './signing-keys.ts';
import type { Vault } from './vault.ts';

export interface NewDeployment {
  readonly records: Records;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly alg: SigningAlgorithm;
}

/** Makes what every deployment has. Safe to repeat, and to do at once with others: the first one's work stays. */
export async function prepareDeployment(options: NewDeployment): Promise<void> {
  await createSigningKeys(options);
  await createDeployment(options.records, options.vault, options.clock);
}

export type Initialised =
  | { readonly outcome: 'initialised'; readonly account: Account; readonly accessKey: CreatedKey }
  /** Once before. */
  | { readonly outcome: 'done' }
  /** Another is at it, or broke off less than the patience ago. */
  | { readonly outcome: 'under way' };

/**
 * Makes the first owner. The secret exists nowhere but in the answer.
 *
 * @param patience milliseconds after which an attempt that was not finished is taken over
 */
export async function createFirstOwner(
  accountId: string,
  { records, clock, accounts }: { records: Records; clock: Clock; accounts: Accounts },
  patience: number,
): Promise<Initialised> {
  const claim = await claimDeployment(records, clock, patience);
  if (typeof claim === 'string') return { outcome: claim };
  const owner = await accounts.createOwner(accountId);
  return (await finishClaim(records, claim.claim))
    ? { outcome: 'initialised', ...owner }
    : { outcome: 'under way' };
}
