/**
 * What the use of a secret does to its key. The first use of a new secret starts the clock of the old one; a hash under a
 * retired pepper is renewed; a version that lags behind the revocation log catches up. In all other uses nothing is
 * written: the time and place are noted in memory.
 */
import type { KeyRevocation, Revocations } from '../access/revocations.ts';
import { parseApiKey } from '../protocol/api-key.ts';
import type { Clock } from '../store/store.ts';
import type { ApiKey, KeySecret } from './api-key.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Audit } from './audit.ts';
import type { AuthenticatedKey, KeyAuthenticator } from './authenticate-key.ts';
import type { KeyUsage } from './key-usage.ts';
import { noteFirstUse } from './rotation.ts';
import type { Vault } from './vault.ts';

/** The key as it is after the use; undefined where it was ended in that moment. */
export type SettleUse = (
  used: AuthenticatedKey,
  text: string,
  address: string,
) => Promise<AuthenticatedKey | undefined>;

export interface SettleUseOptions {
  readonly apiKeys: ApiKeys;
  readonly authenticator: KeyAuthenticator;
  readonly vault: Vault;
  readonly revocations: Revocations;
  readonly usage: KeyUsage;
  readonly audit: Audit;
  readonly clock: Clock;
  /** Told where a hash could not be renewed: the key works all the same, and the next use tries again. */
  readonly onRenewalFailed: (error: unknown) => void;
}

export function createSettleUse(options: SettleUseOptions): SettleUse {
  const { authenticator, usage, vault, clock } = options;
  return async (used, text, address) => {
    let settled: AuthenticatedKey | undefined = used;
    if ((await catchUp(used.key, options)) !== used.key) settled = await authenticator.authenticate(text);
    if (settled?.secret.firstUseGrace !== undefined) {
      await startClock(settled, address, options);
      settled = await authenticator.authenticate(text);
    }
    if (settled === undefined) return undefined;
    usage.note(settled.key.id, { secret: settled.secret.createdAt, at: clock(), from: address });
    if (settled.secret.pepper !== vault.pepperId)
      renewHash(settled, text, options).catch(options.onRenewalFailed);
    return settled;
  };
}

/**
 * The key, its record changed where a change had been written to the revocation log alone; the same object where none
 * had. Undefined where it was removed in that moment.
 */
export async function catchUp(
  key: ApiKey,
  { apiKeys, revocations, clock }: Pick<SettleUseOptions, 'apiKeys' | 'revocations' | 'clock'>,
): Promise<ApiKey | undefined> {
  const news = revocations.ofKey(key.id);
  if (news === undefined || key.version >= news.min_key_version) return key;
  return (await apiKeys.changeIfThere(key.id, current => catchUpWith(news, current, clock())))?.value;
}

/** A change whose log entry was written and whose record was not, or was lost: the record follows the log. */
export function catchUpWith({ min_key_version, status }: KeyRevocation, key: ApiKey, now: number): ApiKey {
  if (key.version >= min_key_version) return key;
  return { ...key, version: min_key_version, ...(status && { status }), updatedAt: now };
}

async function startClock(
  { key, secret }: AuthenticatedKey,
  address: string,
  { apiKeys, audit, clock }: SettleUseOptions,
) {
  const announce = () =>
    audit.record({
      actor: { clientId: key.id, address, requestId: '' },
      action: 'key.rotation.first-used',
      target: `key/${key.id}`,
      outcome: 'done',
    });
  const start = (current: ApiKey): ApiKey => {
    const now = sameSecret(current, secret);
    return now === undefined ? current : noteFirstUse(current, now, clock());
  };
  await apiKeys.changeIfThere(key.id, start, { announce });
}

async function renewHash(
  { key, secret }: AuthenticatedKey,
  text: string,
  { apiKeys, vault }: SettleUseOptions,
) {
  const presented = parseApiKey(text);
  if (presented === undefined) return;
  const renewed = vault.hashSecret(key.id, presented.secret);
  await apiKeys.changeIfThere(key.id, current => {
    if (sameSecret(current, secret)?.hash !== secret.hash) return current;
    const secrets = current.secrets.map(other =>
      other.createdAt === secret.createdAt ? { ...other, ...renewed } : other,
    );
    return { ...current, secrets };
  });
}

/** The secret as the key has it now: another use may have been first. */
function sameSecret(key: ApiKey, { createdAt }: KeySecret): KeySecret | undefined {
  return key.secrets.find(secret => secret.createdAt === createdAt);
}
