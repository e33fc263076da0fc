/** API keys: the record, its life, and what of it is ever shown again. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type ApiKeyString, generateApiKey } from '../protocol/api-key.ts';
import { Problem } from '../protocol/errors.ts';
import { type Clock, type Store, StoreUnavailable } from '../store/store.ts';
import type { Records, Stored } from './records.ts';
import type { RevocationLog } from './revocation-log.ts';
import type { SecretHash, Vault } from './vault.ts';

export type KeyDoor = 'token' | 'sc_apikey';
export type KeyStatus = 'draft' | 'active' | 'disabled' | 'expired' | 'revoked';

/** A key as the store keeps it. What is absent has its default; times are milliseconds since the epoch. */
export interface ApiKey {
  /** Dashed lower-case UUID: the client id. */
  readonly id: string;
  readonly name: string;
  /** The feature of a key; an access key has its account instead. */
  readonly feature?: string;
  /** Whose access key this is. */
  readonly account?: string;
  /** Narrower than the feature's. */
  readonly scopes?: readonly string[];
  /** Absent: the feature's. Empty: none. */
  readonly allowedControllers?: readonly string[];
  readonly corsOrigins?: readonly string[];
  readonly impersonationUser?: string;
  readonly customData?: Readonly<Record<string, string>>;
  readonly customDataInToken?: readonly string[];
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Absent: the deployment's default audience. */
  readonly audiences?: readonly string[];
  /** Absent: `token` alone. */
  readonly doors?: readonly KeyDoor[];
  /** The account that owns the key. */
  readonly owner?: string;
  /** `expired` is not written: it follows from `expiresAt`. */
  readonly status: Exclude<KeyStatus, 'expired'>;
  readonly notBefore?: number;
  readonly expiresAt?: number;
  /** Seconds. */
  readonly tokenTtl?: number;
  readonly version: number;
  readonly secrets: readonly KeySecret[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface KeySecret extends SecretHash {
  readonly last4: string;
  readonly createdAt: number;
}

/** What a new key is made of; already checked by `check-key.ts`. */
export type NewApiKey = Omit<ApiKey, 'id' | 'version' | 'secrets' | 'createdAt' | 'updatedAt'>;

export interface CreatedKey {
  readonly key: ApiKey;
  /** The whole key string: handed to the caller once, kept nowhere. */
  readonly apiKey: string;
}

export interface ApiKeys {
  create(key: NewApiKey): Promise<CreatedKey>;
  /** The key, or undefined. Read from the store each time: never stale. */
  find(id: string): Promise<Stored<ApiKey> | undefined>;
  /** A key that administrators may see: no access key, for those belong to their accounts. @throws {Problem} `not_found` */
  get(id: string): Promise<ApiKey>;
  list(query: KeyQuery): Promise<KeyPage>;
  /** Ends the key and every token of it. Idempotent. @throws {Problem} `not_found` */
  revoke(id: string): Promise<ApiKey>;
  /** The active keys that list this origin (or `*`), as a stream of pages. */
  withOrigin(origin: string): AsyncGenerator<ApiKey>;
}

export interface KeyQuery {
  /** From the page before. */
  readonly cursor?: string;
  /** 1 to 100. */
  readonly limit: number;
  readonly feature?: string;
  readonly owner?: string;
  readonly status?: KeyStatus;
  /** Part of the name, in any case, or the id. */
  readonly q?: string;
}

export interface KeyPage {
  /** Newest first. May be fewer than `limit` where a filter is narrow, while `next` says that there are more. */
  readonly items: readonly ApiKey[];
  readonly next?: string;
}

export interface ApiKeysOptions {
  readonly store: Store;
  readonly records: Records;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly revocationLog: RevocationLog;
}

export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const find = (id: string) => options.records.get<ApiKey>(recordName(id));
  const get = async (id: string): Promise<ApiKey> => {
    const stored = await find(id);
    if (stored === undefined || stored.value.account !== undefined) throw noSuchKey();
    return stored.value;
  };
  return {
    find,
    get,
    create: key => createKey(key, options),
    list: query => listKeys(query, options),
    revoke: id => revokeKey(id, options),
    withOrigin: origin => keysWithOrigin(origin, options),
  };
}

/** The status as of now. */
export function statusOf(key: ApiKey, now: number): KeyStatus {
  const over = key.expiresAt !== undefined && key.expiresAt <= now;
  return over && key.status !== 'revoked' ? 'expired' : key.status;
}

/** A key as the admin API shows it: never a secret, never a hash. */
export function presentKey(key: ApiKey, now: number): Record<string, unknown> {
  const { version, secrets, ...rest } = key;
  return {
    ...rest,
    corsOrigins: key.corsOrigins ?? [],
    doors: key.doors ?? ['token'],
    status: statusOf(key, now),
    keyVersion: version,
    notBefore: isoTime(key.notBefore),
    expiresAt: isoTime(key.expiresAt),
    createdAt: isoTime(key.createdAt),
    updatedAt: isoTime(key.updatedAt),
    secrets: secrets.map(secret => ({
      state: 'active',
      last4: secret.last4,
      createdAt: isoTime(secret.createdAt),
    })),
  };
}

const keyIndex = 'keys';
const originIndex = 'key-origins';

function recordName(id: string): string {
  return `key/${id}`;
}

/** Byte order is the order of creation. */
function indexMember({ id, createdAt }: Pick<ApiKey, 'id' | 'createdAt'>): string {
  return `${createdAt.toString(36).padStart(9, '0')}/${id}`;
}

function isoTime(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}

/** Indexes first: an entry without a record is passed over, a record without an entry would be lost to every list. */
async function createKey(
  input: NewApiKey,
  { store, records, vault, clock }: ApiKeysOptions,
): Promise<CreatedKey> {
  const id = randomUUID();
  const text: ApiKeyString = generateApiKey(id, randomBytes);
  const now = clock();
  const secret = { ...vault.hashSecret(id, text.secret), last4: text.last4, createdAt: now };
  const key: ApiKey = { id, ...input, version: 1, secrets: [secret], createdAt: now, updatedAt: now };
  await Promise.all([
    ...(key.account === undefined ? [store.addMember(keyIndex, indexMember(key))] : []),
    ...(key.corsOrigins ?? []).map(origin => store.addMember(originIndex, `${origin} ${id}`)),
  ]);
  if (!(await records.create(recordName(id), key))) throw new Error('a random UUID came twice');
  return { key, apiKey: text.text };
}

function noSuchKey(): Problem {
  return new Problem('not_found', 'There is no API key of this id.');
}

/** Records that one call looks at, at most; where a filter passes few, the caller goes on from `next`. */
const longestWalk = 1000;

async function listKeys(query: KeyQuery, { store, records, clock }: ApiKeysOptions): Promise<KeyPage> {
  const items: ApiKey[] = [];
  let after = query.cursor;
  for (let walked = 0; walked < longestWalk;) {
    const members = await store.listMembers(keyIndex, { after, limit: query.limit, reverse: true });
    const page = await records.getMany<ApiKey>(members.map(member => recordName(member.slice(10))));
    for (const [place, stored] of page.entries()) {
      after = members[place];
      if (stored !== undefined && matches(stored.value, query, clock())) items.push(stored.value);
      if (items.length === query.limit) return { items, next: after };
    }
    if (members.length < query.limit) return { items };
    walked += members.length;
  }
  return { items, next: after };
}

function matches(key: ApiKey, { feature, owner, status, q }: KeyQuery, now: number): boolean {
  if (feature !== undefined && key.feature !== feature) return false;
  if (owner !== undefined && key.owner !== owner) return false;
  if (status !== undefined && statusOf(key, now) !== status) return false;
  return q === undefined || key.id === q.toLowerCase() || key.name.toLowerCase().includes(q.toLowerCase());
}

/**
 * The log first, the record after it: if the process dies in between, the tokens are dead and the key is not yet, and
 * the next call mends that. The other way round a key would be gone and its tokens alive.
 */
async function revokeKey(
  id: string,
  { store, records, clock, revocationLog }: ApiKeysOptions,
): Promise<ApiKey> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const stored = await records.get<ApiKey>(recordName(id));
    if (stored === undefined) throw noSuchKey();
    const key = stored.value;
    const version = key.status === 'revoked' ? key.version : key.version + 1;
    await revocationLog.revokeKey(id, version);
    if (key.status === 'revoked') return key;
    const revoked: ApiKey = { ...key, status: 'revoked', version, updatedAt: clock() };
    if (!(await records.replace(recordName(id), stored, revoked))) continue;
    await Promise.all(
      (key.corsOrigins ?? []).map(origin => store.removeMember(originIndex, `${origin} ${id}`)),
    );
    return revoked;
  }
  throw new StoreUnavailable('the key is being changed by others again and again');
}

async function* keysWithOrigin(
  origin: string,
  { store, records, clock }: ApiKeysOptions,
): AsyncGenerator<ApiKey> {
  const prefix = `${origin} `;
  let after: string | undefined;
  for (;;) {
    const members = await store.listMembers(originIndex, { prefix, after, limit: 100 });
    const page = await records.getMany<ApiKey>(
      members.map(member => recordName(member.slice(prefix.length))),
    );
    for (const stored of page) {
      if (stored !== undefined && statusOf(stored.value, clock()) === 'active') yield stored.value;
    }
    if (members.length < 100) return;
    after = members.at(-1);
  }
}
