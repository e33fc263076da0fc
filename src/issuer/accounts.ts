/** Accounts: who may own keys and change them. Each has a role, permissions of its own, and at most one access key. */
import { createHash } from 'node:crypto';
import { invalidValues, Problem } from '../protocol/errors.ts';
import { type Clock, type Store, StoreUnavailable } from '../store/store.ts';
import { type Account, type AccountPatch, checkAccount, isAccountName } from './account.ts';
import type { ApiKey } from './api-key.ts';
import type { ApiKeys, CreatedKey } from './api-keys.ts';
import { eachRecord } from './each-record.ts';
import { delist, type Listing, listingsBeyond, writeListed } from './listings.ts';
import { addOwner, removeOwner, requireOtherOwner } from './owners.ts';
import type { Records, Stored } from './records.ts';

/** Called before anything is written; where it rejects, nothing is. */
type Announce = (before: Account | undefined, after: Account | undefined) => Promise<void>;

export interface Accounts {
  find(id: string): Promise<Stored<Account> | undefined>;
  /** @throws {Problem} `not_found` */
  get(id: string): Promise<Stored<Account>>;
  /** By name. */
  list(query: { cursor?: string; limit: number }): Promise<{ items: readonly Account[]; next?: string }>;
  /** Those that list this origin (or `*`), whatever else is true of them. */
  withOrigin(origin: string): AsyncGenerator<Account>;
  /** Counts what was changed here of the pages that may use an account's access key. */
  originChanges(): number;
  /** Makes the first owner, with an access key; in place of one that was not finished. */
  createOwner(id: string): Promise<{ account: Account; accessKey: CreatedKey }>;
  /** @throws {Problem} `conflict` where there is one of this name */
  create(id: string, fields: AccountPatch, announce: Announce): Promise<Account>;
  /** What takes rights away ends the tokens of the access key. @throws {Problem} `conflict` for the last owner */
  change(
    id: string,
    patch: AccountPatch,
    announce: Announce,
    ifMatch?: (stored: Stored<Account>) => void,
  ): Promise<Stored<Account>>;
  /** Ends its access key too. @throws {Problem} `conflict` for the last owner */
  remove(id: string, announce: Announce): Promise<void>;
  /** A new access key in place of the old one. @throws {Problem} `conflict` for an external account */
  createAccessKey(id: string, announce: Announce): Promise<{ account: Account; accessKey: string }>;
  /** @throws {Problem} `not_found` where it has none */
  removeAccessKey(id: string, announce: Announce): Promise<Account>;
}

export interface AccountsOptions {
  readonly store: Store;
  readonly records: Records;
  readonly clock: Clock;
  readonly apiKeys: ApiKeys;
}

export function createAccounts(options: AccountsOptions): Accounts {
  const { store, records, clock, apiKeys } = options;
  let originChanges = 0;
  /** Also where it is not known whether the change took place. */
  const noteOrigins = (before: Account | undefined, after: Account | undefined): void => {
    if (describeOpening(before) !== describeOpening(after)) originChanges += 1;
  };
  const find = async (id: string) => (isAccountName(id) ? records.get<Account>(recordName(id)) : undefined);
  const isOwner = async (id: string) => {
    const stored = await find(id);
    return stored !== undefined && administers(stored.value);
  };
  const get = async (id: string): Promise<Stored<Account>> => {
    const stored = await find(id);
    if (stored === undefined) throw new Problem('not_found', 'There is no account of this name.');
    return stored;
  };
  const write = async (before: Stored<Account>, after: Account): Promise<Stored<Account>> => {
    const written = await records
      .replace(recordName(after.id), before, after)
      .finally(() => noteOrigins(before.value, after));
    if (written === undefined) throw changedMeanwhile();
    return written;
  };
  const endAccessKey = async ({ accessKey }: Account): Promise<void> => {
    if (accessKey !== undefined) await apiKeys.removeIfThere(accessKey);
  };
  const settle = async (stored: Stored<Account>): Promise<Stored<Account>> => {
    const { unsettled: _, ...account } = stored.value;
    const { accessKey, ...without } = account;
    if (account.provider === 'external') {
      await endAccessKey(account);
      return write(stored, without);
    }
    if (accessKey !== undefined) {
      const end = (key: ApiKey) => ({ ...key, version: key.version + 1, updatedAt: clock() });
      await apiKeys.changeIfThere(accessKey, end);
    }
    return write(stored, account);
  };
  /** After a change that was to end an owner's role, and failed: whoever was faster may have ended it, or not. */
  const stillAnOwner =
    (id: string) =>
    async (error: unknown): Promise<never> => {
      if (await isOwner(id)) await addOwner(records, id);
      throw error;
    };
  const forget = async (stored: Stored<Account>): Promise<void> => {
    const { id } = stored.value;
    await endAccessKey(stored.value);
    // Whoever is given the name later must not own what this one owned.
    await apiKeys.disown(id);
    const remove = records.remove(recordName(id), stored);
    if (!(await remove.finally(() => noteOrigins(stored.value, undefined)))) throw changedMeanwhile();
    await delist(store, listingsOf(stored.value), () => findListings(id));
  };
  const findListings = async (id: string): Promise<readonly Listing[]> => {
    const stored = await find(id);
    return stored === undefined ? [] : listingsOf(stored.value);
  };
  return {
    find,
    get,
    async *withOrigin(origin) {
      const prefix = prefixOf(origin);
      const recordOf = (member: string) => recordName(member.slice(prefix.length));
      for await (const account of eachRecord<Account>({ set: originIndex, prefix, recordOf }, options))
        if (account.corsOrigins.includes(origin)) yield account;
    },
    originChanges: () => originChanges,
    async list({ cursor, limit }) {
      const ids = await store.listMembers(accountIndex, { after: cursor, limit });
      const page = await records.getMany<Account>(ids.map(recordName));
      const items = page.filter(stored => stored !== undefined).map(stored => stored.value);
      return ids.length < limit ? { items } : { items, next: ids.at(-1) };
    },

    async createOwner(id) {
      const accessKey = await apiKeys.create(accessKeyOf(id));
      const account: Account = { ...plainAccount(id, clock()), role: 'owner', accessKey: accessKey.key.id };
      const unfinished = await find(id);
      const written = await writeListed<unknown>(store, listingsOf(account), () =>
        unfinished === undefined
          ? records.create(recordName(id), account)
          : records.replace(recordName(id), unfinished, account),
      );
      if (written === undefined || written === false)
        throw new StoreUnavailable('the account is being made by somebody else');
      await addOwner(records, id);
      return { account, accessKey };
    },

    async create(id, fields, announce) {
      if (!isAccountName(id)) throw nameTooLong();
      const account = checkAccount({ ...plainAccount(id, clock()), ...fields });
      if ((await find(id)) !== undefined) throw nameTaken();
      await announce(undefined, account);
      const create = () =>
        records.create(recordName(id), account).finally(() => noteOrigins(undefined, account));
      if (!(await writeListed(store, listingsOf(account), create))) throw nameTaken();
      if (administers(account)) await addOwner(records, id);
      return account;
    },

    async change(id, patch, announce, ifMatch) {
      const stored = await get(id);
      ifMatch?.(stored);
      const { unsettled = false, ...before } = stored.value;
      const after = checkAccount({ ...before, ...patch });
      if (!unsettled && JSON.stringify(after) === JSON.stringify(before)) return stored;
      await announce(before, after);
      if (administers(before) && !administers(after)) await removeOwner(records, id, isOwner);
      const ends = before.accessKey !== undefined && (unsettled || takesAway(before, after));
      const [old, fresh] = [listingsOf(before), listingsOf(after)];
      const written = await writeListed(store, listingsBeyond(fresh, old), () =>
        write(stored, ends ? { ...after, unsettled: true } : after),
      ).catch(stillAnOwner(id));
      if (administers(after)) await addOwner(records, id);
      await delist(store, listingsBeyond(old, fresh), () => findListings(id));
      return ends ? settle(written) : written;
    },

    async remove(id, announce) {
      const stored = await get(id);
      await announce(stored.value, undefined);
      if (administers(stored.value)) await removeOwner(records, id, isOwner);
      await forget(stored).catch(stillAnOwner(id));
    },

    async createAccessKey(id, announce) {
      const stored = await get(id);
      const before = stored.value;
      if (before.provider === 'external') {
        throw new Problem('conflict', 'The account belongs to an external provider: it gets no access key.');
      }
      await announce(before, before);
      const { key, apiKey } = await apiKeys.create(accessKeyOf(id));
      const written = await write(stored, { ...before, accessKey: key.id });
      await endAccessKey(before);
      return { account: written.value, accessKey: apiKey };
    },

    async removeAccessKey(id, announce) {
      const stored = await get(id);
      const { accessKey, ...without } = stored.value;
      if (accessKey === undefined) throw new Problem('not_found', 'The account has no access key.');
      if (administers(stored.value))
        await requireOtherOwner(records, id, async other => hasAccessKey(await find(other)));
      await announce(stored.value, without);
      await endAccessKey(stored.value);
      return (await write(stored, without)).value;
    },
  };
}

/** All that makes a difference to the pages that may use its access key; the same where none may. */
function describeOpening(account: Account | undefined): string {
  return account?.accessKey === undefined ? '' : account.corsOrigins.join(' ');
}

/** An owner of an external provider has no way in, and counts for nobody. */
function administers({ role, provider }: Account): boolean {
  return role === 'owner' && provider === 'local';
}

function hasAccessKey(stored: Stored<Account> | undefined): boolean {
  return stored !== undefined && administers(stored.value) && stored.value.accessKey !== undefined;
}

const accountIndex = 'accounts';
const originIndex = 'account-origins';

/** Every set that an account belongs in, with its member there. */
function listingsOf({ id, corsOrigins }: Account): readonly Listing[] {
  return [[accountIndex, id], ...corsOrigins.map(origin => [originIndex, prefixOf(origin) + id] as const)];
}

/** Origins and names may be too long to stand in one member. */
function prefixOf(origin: string): string {
  return `${createHash('sha256').update(origin).digest('base64url')} `;
}

function recordName(id: string): string {
  return `account/${id}`;
}

function plainAccount(id: string, now: number): Account {
  return { id, role: 'member', permissions: [], provider: 'local', corsOrigins: [], createdAt: now };
}

function accessKeyOf(account: string) {
  return { name: `Access key of ${account}`, account, status: 'active' } as const;
}

function nameTooLong(): Problem {
  return invalidValues([{ pointer: '/id', detail: 'A name has at most 400 bytes in UTF-8.' }]);
}

function changedMeanwhile(): Problem {
  return new Problem(
    'conflict',
    'The account was changed by somebody else at the same moment: read it again.',
  );
}

function nameTaken(): Problem {
  return new Problem('conflict', 'There is an account of this name already.');
}

/** Whether a token of the account as it was may say more than one of the account as it is. */
function takesAway(before: Account, after: Account): boolean {
  return (
    before.role !== after.role ||
    before.provider !== after.provider ||
    before.permissions.some(scope => !after.permissions.includes(scope)) ||
    before.corsOrigins.some(origin => !after.corsOrigins.includes(origin))
  );
}
