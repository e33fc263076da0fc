/**
 * Whose key string is this? Whoever holds no valid secret learns nothing from the answer, neither in words nor in
 * time: an unknown key is hashed against nothing, and every failure asks the store the same questions.
 */
import { type ApiKeyString, parseApiKey } from '../protocol/api-key.ts';
import { type ApiKey, type ApiKeys, statusOf } from './api-keys.ts';
import type { Stored } from './records.ts';
import type { Vault } from './vault.ts';

export type Authentication =
  | { readonly outcome: 'genuine'; readonly stored: Stored<ApiKey>; readonly presented: ApiKeyString }
  /** No key string, or not the secret of the key that it names. */
  | { readonly outcome: 'refused' };

export interface KeyAuthenticator {
  /** @throws {StoreUnavailable} where it cannot be told */
  authenticate(text: string): Promise<Authentication>;
}

export interface KeyAuthenticatorOptions {
  readonly apiKeys: ApiKeys;
  readonly vault: Vault;
  /** Rejects where the store is not the one that this instance knows: then a missing key proves nothing. */
  readonly confirm: () => Promise<void>;
}

export function createKeyAuthenticator({
  apiKeys,
  vault,
  confirm,
}: KeyAuthenticatorOptions): KeyAuthenticator {
  return {
    async authenticate(text) {
      const presented = parseApiKey(text);
      if (presented === undefined) return { outcome: 'refused' };
      const stored = await apiKeys.find(presented.id);
      const secrets = stored?.value.secrets ?? [];
      const matches = secrets.map(secret => vault.verifySecret(presented.id, presented.secret, secret));
      if (secrets.length === 0) vault.verifySecret(presented.id, presented.secret, undefined);
      if (stored !== undefined && matches.includes(true)) return { outcome: 'genuine', stored, presented };
      await confirm();
      return { outcome: 'refused' };
    },
  };
}

/** Why a key that is genuine may not be used now, for its holder's eyes; undefined where it may. */
export function unusableBecause(key: ApiKey, now: number): string | undefined {
  const status = statusOf(key, now);
  if (status !== 'active') return unusableReasons[status];
  return key.notBefore !== undefined && key.notBefore > now
    ? `The API key is not valid before ${new Date(key.notBefore).toISOString()}.`
    : undefined;
}

/** By status, for whoever holds a valid secret. */
export const unusableReasons = {
  draft: 'The API key is a draft: publish it first.',
  disabled: 'The API key is disabled: an administrator has to enable it.',
  expired: 'The API key has expired: create a new one, or have its expiry moved.',
  revoked: 'The API key has been revoked: create a new one.',
};
