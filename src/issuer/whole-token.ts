/** Whether a token says all that its key may have. One that was narrowed must not be a way to the whole key. */
import type { GenuineToken } from '../access/verify-token.ts';
import type { Catalogue } from '../config/catalogue.ts';
import { scopesBeyond } from '../protocol/scope.ts';
import type { Accounts } from './accounts.ts';
import type { ApiKeys } from './api-keys.ts';
import { type Audiences, resolveGrant } from './grant.ts';

export type IsWholeToken = (token: GenuineToken) => Promise<boolean>;

export interface WholeTokenOptions extends Audiences {
  readonly apiKeys: ApiKeys;
  readonly accounts: Accounts;
  readonly catalogue: Catalogue;
}

export function createWholeTokenCheck(options: WholeTokenOptions): IsWholeToken {
  return async ({ claims, scopes }) => {
    const key = (await options.apiKeys.find(claims.client_id))?.value;
    if (key === undefined) return false;
    const account = key.account === undefined ? undefined : await options.accounts.find(key.account);
    const grant = resolveGrant(key, account?.value, options.catalogue, options);
    return grant !== undefined && scopesBeyond([...scopes], grant.scopes).length === 0;
  };
}
