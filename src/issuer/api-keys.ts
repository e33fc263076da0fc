/** API keys: how they are made, found, listed, changed and ended. */
import { randomBytes, randomUUID } from 'node:crypto';
import { generateApiKey } from '../protocol/api-key.ts';
import { Problem } from '../protocol/errors.ts';
import { eachMember } from '../store/each-member.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { ApiKey, KeySecret } from './api-key.ts';
import type { Evidence } from './idempotency.ts';
import {
  allKeys,
  idOfMember,
  type KeyListOptions,
  type KeyPage,
  type KeyQuery,
  keysWithOrigin,
  listingsOf,
  listKeys,
  ownerIndex,
  recordName,
} from './key-lists.ts';
import { delist, type Listing, listingsBeyond, writeListed } from './listings.ts';
import { requireMatch, type Stored } from './records.ts';
import type { RevocationLog } from './revocation-log.ts';
import type { Vault } from './vault.ts';

/** What a new key is made of; already checked by `check-key.ts`. */
export type NewApiKey = Omit<ApiKey, 'id' | 'version' | 'secrets' | 'createdAt' | 'updatedAt'>;

export interface CreatedKey {
  readonly key: ApiKey;
  /** The whole key string: handed to the caller once, kept nowhere. */
  readonly apiKey: string;
}

/** From the key as it is to the key as it is to be; the same object where nothing changes. */
export type KeyChange = (key: ApiKey) => ApiKey;

export interface ChangeOptions {
  /** Called once, before anything is written; where it rejects, nothing is. */
  readonly announce?: (before: ApiKey, after: ApiKey) => Promise<void>;
  /** The ETag that the key must have. @throws {Problem} `precondition_failed` */
  readonly ifMatch?: string | undefined;
}

export interface ApiKeys {
  /** @param announce called before anything is written; where it rejects, nothing is */
  create(key: NewApiKey, announce?: (created: CreatedKey) => Promise<void>): Promise<CreatedKey>;
  /** Makes a key that has no secret, for it signs for itself. @param announce as above */
  createWithoutSecret(key: NewApiKey, announce?: (created: ApiKey) => Promise<void>): Promise<ApiKey>;
  /** A new secret for a key, and its string. */
  makeSecret(key: ApiKey): { secret: KeySecret; apiKey: string };
  /** The key, or undefined. Read from the store each time: never stale. */
  find(id: string): Promise<Stored<ApiKey> | undefined>;
  /** A key that administrators may see: no access key, for those belong to their accounts. @throws {Problem} `not_found` */
  get(id: string): Promise<Stored<ApiKey>>;
  list(query: KeyQuery): Promise<KeyPage>;
  /** Changes a key; where its version rises, its older tokens are dead before this resolves. @throws {Problem} `not_found` */
  change(id: string, change: KeyChange, options?: ChangeOptions): Promise<Stored<ApiKey>>;
  /** As {@link ApiKeys.change}; undefined where there is no such key, as where one is removed while it is used. */
  changeIfThere(id: string, change: KeyChange, options?: ChangeOptions): Promise<Stored<ApiKey> | undefined>;
  /** Ends the key and every token of it, and forgets it. @throws {Problem} `not_found` */
  remove(id: string, options?: ChangeOptions): Promise<void>;
  /** As {@link ApiKeys.remove}; nothing where there is no such key. */
  removeIfThere(id: string): Promise<void>;
  /** Takes every key from an account that is going. */
  disown(owner: string): Promise<void>;
  /** The active keys that list this origin (or `*`), page by page. */
  withOrigin(origin: string): AsyncGenerator<ApiKey>;
  /** Counts what was changed here of the pages that may use a key: their origins, where they may use it, and when. */
  originChanges(): number;
  /** Every key, access keys included: for reports, at the speed of the store. */
  all(): AsyncGenerator<ApiKey>;
}

export interface ApiKeysOptions extends KeyListOptions {
  readonly vault: Vault;
  readonly revocationLog: RevocationLog;
}

export function createApiKeys(given: ApiKeysOptions): ApiKeys {
  let originChanges = 0;
  const noteOrigins: Workings['noteOrigins'] = (before, after) => {
    if (describeOpening(before) !== describeOpening(after)) originChanges += 1;
  };
  const options: Workings = { ...given, noteOrigins };
  const find = (id: string) => options.records.get<ApiKey>(recordName(id));
  return {
    find,
    async get(id) {
      const stored = await requireKey(find(id));
      if (stored.value.account !== undefined) throw noSuchKey();
      return stored;
    },
    makeSecret: key => makeSecret(key, options),
    create: (key, announce) => createKey(key, options, announce),
    createWithoutSecret: (key, announce) =>
      insertKey({ id: randomUUID(), ...key, secrets: [] }, options, announce),
    list: query => listKeys(query, options),
    change: (id, change, how = {}) => requireKey(changeKey(id, change, how, options)),
    changeIfThere: (id, change, how = {}) => changeKey(id, change, how, options),
    async remove(id, how = {}) {
      if (!(await removeKey(id, how, options))) throw noSuchKey();
    },
    async removeIfThere(id) {
      await removeKey(id, {}, options);
    },
    disown: owner => disown(owner, options),
    withOrigin: origin => keysWithOrigin(origin, options),
    originChanges: () => originChanges,
    all: () => allKeys(options),
  };
}

interface Workings extends ApiKeysOptions {
  /** To be called when a key was written, also where that is not known. */
  readonly noteOrigins: (before: ApiKey | undefined, after: ApiKey) => void;
}

/** All that makes a difference to the pages that may use it; the same for all keys that no page may use. */
function describeOpening(key: ApiKey | undefined): string {
  if (key === undefined || key.status !== 'active' || (key.corsOrigins ?? []).length === 0) return '';
  const { corsOrigins, feature, allowedControllers, notBefore, expiresAt } = key;
  return JSON.stringify([corsOrigins, feature, allowedControllers, notBefore, expiresAt]);
}

/** That the key has its newest secret; of one without any, that it is there. */
export function evidenceOf({ id, secrets }: ApiKey): Evidence {
  return { record: recordName(id), holds: secrets.at(-1)?.hash ?? '' };
}

async function requireKey<T>(found: Promise<T | undefined>): Promise<T> {
  const key = await found;
  if (key === undefined) throw noSuchKey();
  return key;
}

function noSuchKey(): Problem {
  return new Problem('not_found', 'There is no API key of this id.');
}

function makeSecret(
  key: Pick<ApiKey, 'id' | 'secrets'>,
  { vault, clock }: ApiKeysOptions,
): { secret: KeySecret; apiKey: string } {
  const made = generateApiKey(key.id, randomBytes);
  // The time of its making tells a secret from the key's others, so no two may share it.
  const createdAt = Math.max(clock(), ...key.secrets.map(other => other.createdAt + 1));
  return {
    secret: { ...vault.hashSecret(key.id, made.secret), last4: made.last4, createdAt },
    apiKey: made.text,
  };
}

async function createKey(
  input: NewApiKey,
  options: Workings,
  announce?: (created: CreatedKey) => Promise<void>,
): Promise<CreatedKey> {
  const id = randomUUID();
  const { secret, apiKey } = makeSecret({ id, secrets: [] }, options);
  const key = await insertKey({ id, ...input, secrets: [secret] }, options, async made =>
    announce?.({ key: made, apiKey }),
  );
  return { key, apiKey };
}

async function insertKey(
  made: Omit<ApiKey, 'version' | 'createdAt' | 'updatedAt'>,
  { store, records, clock, noteOrigins }: Workings,
  announce?: (created: ApiKey) => Promise<void>,
): Promise<ApiKey> {
  const now = clock();
  const key: ApiKey = { ...made, version: 1, createdAt: now, updatedAt: now };
  await announce?.(key);
  const write = () => records.create(recordName(key.id), key).finally(() => noteOrigins(undefined, key));
  if (!(await writeListed(store, listingsOf(key), write))) throw new Error('a random UUID came twice');
  return key;
}

/**
 * Read, decide, write; decided anew where somebody else was faster. Where the version rises, the revocation log comes
 * before the record: if the process dies in between, the tokens are dead and the key is not yet, and its next use mends
 * that (`settle-use.ts`). The other way round a key would be ended and its tokens alive.
 *
 * @returns the key as it then is; undefined where there is none
 */
async function changeKey(
  id: string,
  change: KeyChange,
  { announce, ifMatch }: ChangeOptions,
  options: Workings,
): Promise<Stored<ApiKey> | undefined> {
  const { store, records, revocationLog, noteOrigins } = options;
  let isAnnounced = false;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const stored = await records.get<ApiKey>(recordName(id));
    if (stored === undefined) return undefined;
    requireMatch(stored, ifMatch);
    const before = stored.value;
    const after = change(before);
    if (after === before) return stored;
    if (!isAnnounced) await announce?.(before, after);
    isAnnounced = true;
    const [old, fresh] = [listingsOf(before), listingsOf(after)];
    const written = await writeListed(store, listingsBeyond(fresh, old), async () => {
      if (after.version > before.version) await revocationLog.revokeKey(id, after.version, endOf(after));
      return records.replace(recordName(id), stored, after).finally(() => noteOrigins(before, after));
    });
    if (written === undefined) continue;
    await delist(store, listingsBeyond(old, fresh), () => findListings(id, options));
    return written;
  }
  throw new StoreUnavailable('the key is being changed by others again and again');
}

/** What the log says of the key itself, so that its record can be mended by it. */
function endOf({ status }: ApiKey): 'disabled' | 'revoked' | undefined {
  return status === 'disabled' || status === 'revoked' ? status : undefined;
}

async function findListings(id: string, { records }: ApiKeysOptions): Promise<readonly Listing[]> {
  const stored = await records.get<ApiKey>(recordName(id));
  return stored === undefined ? [] : listingsOf(stored.value);
}

/**
 * Ended first, forgotten then: whatever happens in between, it is dead. Whoever changes it meanwhile changes nothing.
 *
 * @returns whether it was there
 */
async function removeKey(id: string, how: ChangeOptions, options: Workings): Promise<boolean> {
  const { store, records, clock } = options;
  const end: KeyChange = key => ({ ...key, status: 'revoked', version: key.version + 1, updatedAt: clock() });
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const ended = await changeKey(id, end, attempt === 0 ? how : {}, options);
    if (ended === undefined) return false;
    if (!(await records.remove(recordName(id), ended))) continue;
    await delist(store, listingsOf(ended.value), () => findListings(id, options));
    return true;
  }
  throw new StoreUnavailable('the key is being changed by others again and again');
}

async function disown(owner: string, options: Workings): Promise<void> {
  for await (const member of eachMember(options.store, ownerIndex(owner))) {
    const id = idOfMember(member);
    const release: KeyChange = key => {
      const { owner: current, ...released } = key;
      return current === owner ? { ...released, updatedAt: options.clock() } : key;
    };
    await changeKey(id, release, {}, options);
  }
}
