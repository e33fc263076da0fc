/** Whether a token says all that its key may have. One that was narrowed must not be a way to the whole key. */
import type { GenuineToken } from '../access/verify-token.ts';
import { allowsController } from '../protocol/controllers.ts';
import { anyOrigin } from '../protocol/origin.ts';
import { scopesBeyond } from '../protocol/scope.ts';
import type { ApiKeys } from './api-keys.ts';
import { findGrant, type FindGrantOptions } from './find-grant.ts';
import type { Grant } from './grant.ts';

export type IsWholeToken = (token: GenuineToken) => Promise<boolean>;

export interface WholeTokenOptions extends FindGrantOptions {
  readonly apiKeys: ApiKeys;
}

export function createWholeTokenCheck(options: WholeTokenOptions): IsWholeToken {
  return async token => {
    const key = (await options.apiKeys.find(token.claims.client_id))?.value;
    if (key === undefined) return false;
    const grant = await findGrant(key, options);
    return grant !== undefined && saysAllOf(grant, token);
  };
}

function saysAllOf(grant: Grant, { scopes, controllers, origins }: GenuineToken): boolean {
  return (
    scopesBeyond([...scopes], grant.scopes).length === 0 &&
    grant.controllers.every(name => allowsController(controllers, name)) &&
    (origins.has(anyOrigin) || grant.origins.every(origin => origins.has(origin)))
  );
}
