/** Accounts: who may own keys and change them. Each has a role, permissions of its own, and at most one access key. */
import type { Role } from '../config/catalogue.ts';
import { type Clock, type Store, StoreUnavailable } from '../store/store.ts';
import type { ApiKeys, CreatedKey } from './api-keys.ts';
import type { Records, Stored } from './records.ts';

/** An account as the store keeps it; times are milliseconds since the epoch. */
export interface Account {
  /** Any name of up to 200 characters. */
  readonly id: string;
  readonly role: Role;
  /** Scopes beside those of the role. */
  readonly permissions: readonly string[];
  readonly provider: 'local' | 'external';
  /** Origins whose pages may use the access key. */
  readonly corsOrigins: readonly string[];
  /** The id of its access key. */
  readonly accessKey?: string;
  readonly createdAt: number;
}

export interface Accounts {
  find(id: string): Promise<Stored<Account> | undefined>;
  /** Makes the first owner, with an access key; in place of one that was not finished. */
  createOwner(id: string): Promise<{ account: Account; accessKey: CreatedKey }>;
}

export interface AccountsOptions {
  readonly store: Store;
  readonly records: Records;
  readonly clock: Clock;
  readonly apiKeys: ApiKeys;
}

export function createAccounts({ store, records, clock, apiKeys }: AccountsOptions): Accounts {
  return {
    find: id => records.get<Account>(recordName(id)),
    async createOwner(id) {
      const accessKey = await apiKeys.create({ name: `Access key of ${id}`, account: id, status: 'active' });
      const account: Account = {
        id,
        role: 'owner',
        permissions: [],
        provider: 'local',
        corsOrigins: [],
        accessKey: accessKey.key.id,
        createdAt: clock(),
      };
      await store.addMember(accountIndex, id);
      const unfinished = await records.get<Account>(recordName(id));
      const written =
        unfinished === undefined
          ? await records.create(recordName(id), account)
          : await records.replace(recordName(id), unfinished, account);
      if (!written) throw new StoreUnavailable('the account is being made by somebody else');
      return { account, accessKey };
    },
  };
}

/** An account as the admin API shows it. */
export function presentAccount(account: Account): Record<string, unknown> {
  return { ...account, createdAt: new Date(account.createdAt).toISOString() };
}

const accountIndex = 'accounts';

function recordName(id: string): string {
  return `account/${id}`;
}
