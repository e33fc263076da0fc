/**
 * Whose key string is this? Whoever holds no valid secret learns nothing from the answer, neither in words nor in
 * time: an unknown key is hashed against nothing, and every failure asks the store the same questions.
 */
import { parseApiKey } from '../protocol/api-key.ts';
import { parseGuid } from '../protocol/guid.ts';
import type { Clock } from '../store/store.ts';
import { type ApiKey, type KeySecret, livingSecrets, statusOf } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Vault } from './vault.ts';

export interface AuthenticatedKey {
  readonly key: ApiKey;
  /** The one of its secrets that was presented. */
  readonly secret: KeySecret;
}

export interface KeyAuthenticator {
  /**
   * The key whose secret this is, or undefined: no key string, not the secret of the key that it names, or another key
   * than the request names beside it.
   *
   * @param clientId as the request has it, where it has one
   * @throws {StoreUnavailable} where it cannot be told
   */
  authenticate(text: string, clientId?: string): Promise<AuthenticatedKey | undefined>;
}

export interface KeyAuthenticatorOptions {
  readonly apiKeys: ApiKeys;
  readonly vault: Vault;
  readonly clock: Clock;
  /** Rejects where the store is not the one that this instance knows: then a missing key proves nothing. */
  readonly confirm: () => Promise<void>;
  /** Whether that was confirmed a moment ago: then a key that is there need not wait for it. */
  readonly isConfirmed: () => boolean;
}

export function createKeyAuthenticator({
  apiKeys,
  vault,
  clock,
  confirm,
  isConfirmed,
}: KeyAuthenticatorOptions): KeyAuthenticator {
  return {
    async authenticate(text, clientId) {
      const presented = parseApiKey(text);
      if (presented === undefined) return undefined;
      const key = (await apiKeys.find(presented.id))?.value;
      const secrets = key === undefined ? [] : livingSecrets(key, clock());
      const secret = secrets.find(known => vault.verifySecret(presented.id, presented.secret, known));
      if (key !== undefined && secret !== undefined && isNamed(presented.id, clientId)) {
        if (!isConfirmed()) await confirm();
        return { key, secret };
      }
      for (let hashed = secrets.length; hashed < mostSecrets; hashed += 1) {
        vault.verifySecret(presented.id, presented.secret, undefined);
      }
      await confirm();
      return undefined;
    },
  };
}

/** Whether the client that a request names beside its credential, if it names one, is the key: in any form of a GUID. */
export function isNamed(id: string, clientId: string | undefined): boolean {
  return clientId === undefined || parseGuid(clientId) === id;
}

/** Secrets that a key has at most; every failure costs as many hashes. */
const mostSecrets = 2;

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
