/** Whether a token says all that its key may have. One that was narrowed must not be a way to the whole key. */
import type { GenuineToken } from '../access/verify-token.ts';
import { scopesBeyond } from '../protocol/scope.ts';
import type { ApiKeys } from './api-keys.ts';
import { findGrant, type FindGrantOptions } from './find-grant.ts';

export type IsWholeToken = (token: GenuineToken) => Promise<boolean>;

export interface WholeTokenOptions extends FindGrantOptions {
  readonly apiKeys: ApiKeys;
}

export function createWholeTokenCheck(options: WholeTokenOptions): IsWholeToken {
  return async ({ claims, scopes }) => {
    const key = (await options.apiKeys.find(claims.client_id))?.value;
    if (key === undefined) return false;
    const grant = await findGrant(key, options);
    return grant !== undefined && scopesBeyond([...scopes], grant.scopes).length === 0;
  };
}
