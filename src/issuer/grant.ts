/** What a key may have at most: its own settings as far as its feature, or its account's role, allows them. */
import type { Catalogue, Feature } from '../config/catalogue.ts';
import { effectiveControllers } from '../protocol/controllers.ts';
import { bindingFields } from '../protocol/custom-data.ts';
import { intersectScopes } from '../protocol/scope.ts';
import type { Account } from './account.ts';
import type { ApiKey } from './api-key.ts';

export interface Grant {
  readonly feature: string;
  readonly scopes: readonly string[];
  readonly controllers: readonly string[];
  readonly origins: readonly string[];
  readonly audiences: readonly string[];
  /** Names in the key's custom data that restrict what is read with it: every token says them, asked for or not. */
  readonly bindingData: readonly string[];
  /** Whom the key acts as, where that is not itself. */
  readonly actsAs: string | undefined;
}

export interface Audiences {
  readonly issuer: string;
  readonly audience: string;
}

/** @returns undefined where the key's feature, or its account, is not there any more */
export function resolveGrant(
  key: ApiKey,
  account: Account | undefined,
  catalogue: Catalogue,
  { issuer, audience }: Audiences,
): Grant | undefined {
  if (key.account !== undefined) {
    if (account === undefined || account.accessKey !== key.id) return undefined;
    const feature = featureOfRole(catalogue, account);
    return feature && { ...accountGrant(account, feature, catalogue), audiences: [issuer] };
  }
  const feature = catalogue.features.get(key.feature ?? '');
  if (feature === undefined || feature.role !== undefined) return undefined;
  return {
    feature: feature.name,
    scopes: key.scopes === undefined ? feature.scopes : intersectScopes(key.scopes, feature.scopes),
    controllers: effectiveControllers(key.allowedControllers, feature.controllers),
    origins: key.corsOrigins ?? [],
    audiences: key.audiences ?? [audience],
    bindingData: bindingFields(feature.requiredCustomData),
    actsAs: key.impersonationUser,
  };
}

function featureOfRole({ features }: Catalogue, { role }: Account): Feature | undefined {
  return [...features.values()].find(feature => feature.role === role);
}

function accountGrant(account: Account, feature: Feature, catalogue: Catalogue): Omit<Grant, 'audiences'> {
  return {
    feature: feature.name,
    scopes: [...new Set([...feature.scopes, ...account.permissions])],
    controllers: [...new Set([...feature.controllers, ...controllersForAccounts(catalogue)])],
    origins: account.corsOrigins,
    bindingData: [],
    actsAs: account.id,
  };
}

/** Where accounts are let in as such: what they may do there is said by their permissions. */
function controllersForAccounts({ controllers }: Catalogue): string[] {
  return [...controllers.values()]
    .filter(({ doors }) => doors.includes('x-sf-access-key'))
    .map(({ name }) => name);
}
