/** What a key may have, as of now: its account, where it has one, is read each time. */
import type { Catalogue } from '../config/catalogue.ts';
import type { Accounts } from './accounts.ts';
import type { ApiKey } from './api-key.ts';
import { type Audiences, type Grant, resolveGrant } from './grant.ts';

export interface FindGrantOptions extends Audiences {
  readonly accounts: Accounts;
  readonly catalogue: Catalogue;
}

/**
 * @returns undefined where the key's feature, or its account, is not there any more
 * @throws {StoreUnavailable} where the account cannot be read
 */
export async function findGrant(key: ApiKey, options: FindGrantOptions): Promise<Grant | undefined> {
  const account = key.account === undefined ? undefined : await options.accounts.find(key.account);
  return resolveGrant(key, account?.value, options.catalogue, options);
}
