/** API keys: how they are made, found, listed, changed and ended. */
import { randomBytes, randomUUID } from 'node:crypto';
import { generateApiKey } from '../protocol/api-key.ts';
import { Problem } from '../protocol/errors.ts';
import { type Clock, type Store, StoreUnavailable } from '../store/store.ts';
import { type ApiKey, type KeySecret, type KeyStatus, statusOf } from './api-key.ts';
import type { Evidence } from './idempotency.ts';
import { type Records, requireMatch, type Stored } from './records.ts';
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
  /** Ends the key and every token of it, and forgets it. @throws {Problem} `not_found` */
  remove(id: string, options?: ChangeOptions): Promise<void>;
  /** Takes every key from an account that is going. */
  disown(owner: string): Promise<void>;
  /** The active keys that list this origin (or `*`), page by page. */
  withOrigin(origin: string): AsyncGenerator<ApiKey>;
  /** Every key, access keys included: for reports, at the speed of the store. */
  all(): AsyncGenerator<ApiKey>;
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
  return {
    find,
    async get(id) {
      const stored = await find(id);
      if (stored === undefined || stored.value.account !== undefined) throw noSuchKey();
      return stored;
    },
    makeSecret: key => makeSecret(key, options),
    create: (key, announce) => createKey(key, options, announce),
    createWithoutSecret: (key, announce) =>
      insertKey({ id: randomUUID(), ...key, secrets: [] }, options, announce),
    list: query => listKeys(query, options),
    change: (id, change, how = {}) => changeKey(id, change, how, options),
    remove: (id, how = {}) => removeKey(id, how, options),
    disown: owner => disown(owner, options),
    withOrigin: origin => keysWithOrigin(origin, options),
    all: () => allKeys(options),
  };
}

/** That the key has its newest secret; of one without any, that it is there. */
export function evidenceOf({ id, secrets }: ApiKey): Evidence {
  return { record: recordName(id), holds: secrets.at(-1)?.hash ?? '' };
}

const allIndex = 'keys';
const accessKeyIndex = 'access-keys';
const originIndex = 'key-origins';

function recordName(id: string): string {
  return `key/${id}`;
}

/** Byte order is the order of creation. */
function indexMember({ id, createdAt }: Pick<ApiKey, 'id' | 'createdAt'>): string {
  return `${createdAt.toString(36).padStart(memberIdAt - 1, '0')}/${id}`;
}

const memberIdAt = 10;

function idOfMember(member: string): string {
  return member.slice(memberIdAt);
}

/** Every set that a key belongs in, with its member there. */
function indexEntries(key: ApiKey): [set: string, member: string][] {
  const member = indexMember(key);
  if (key.account !== undefined) return [[accessKeyIndex, member]];
  const isLive = key.status === 'active';
  return [
    [allIndex, member],
    [featureIndex(key.feature ?? ''), member],
    ...(key.owner === undefined ? [] : [[ownerIndex(key.owner), member] as [string, string]]),
    ...(isLive ? (key.corsOrigins ?? []) : []).map((origin): [string, string] => [
      originIndex,
      `${origin} ${key.id}`,
    ]),
  ];
}

function featureIndex(feature: string): string {
  return `keys-of-feature/${feature}`;
}

function ownerIndex(owner: string): string {
  return `keys-of-owner/${owner}`;
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
  options: ApiKeysOptions,
  announce?: (created: CreatedKey) => Promise<void>,
): Promise<CreatedKey> {
  const id = randomUUID();
  const { secret, apiKey } = makeSecret({ id, secrets: [] }, options);
  const key = await insertKey({ id, ...input, secrets: [secret] }, options, async made =>
    announce?.({ key: made, apiKey }),
  );
  return { key, apiKey };
}

/** Indexes first: an entry without a record is passed over, a record without an entry would be lost to every list. */
async function insertKey(
  made: Omit<ApiKey, 'version' | 'createdAt' | 'updatedAt'>,
  { store, records, clock }: ApiKeysOptions,
  announce?: (created: ApiKey) => Promise<void>,
): Promise<ApiKey> {
  const now = clock();
  const key: ApiKey = { ...made, version: 1, createdAt: now, updatedAt: now };
  await announce?.(key);
  await Promise.all(indexEntries(key).map(([set, member]) => store.addMember(set, member)));
  if (!(await records.create(recordName(key.id), key))) throw new Error('a random UUID came twice');
  return key;
}

/** Records that one call looks at, at most; where a filter passes few, the caller goes on from `next`. */
const longestWalk = 1000;

async function listKeys(query: KeyQuery, { store, records, clock }: ApiKeysOptions): Promise<KeyPage> {
  const set = smallestIndex(query);
  const items: ApiKey[] = [];
  let after = query.cursor;
  for (let walked = 0; walked < longestWalk;) {
    const members = await store.listMembers(set, { after, limit: query.limit, reverse: true });
    const page = await records.getMany<ApiKey>(members.map(member => recordName(idOfMember(member))));
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

function smallestIndex({ owner, feature }: KeyQuery): string {
  if (owner !== undefined) return ownerIndex(owner);
  return feature === undefined ? allIndex : featureIndex(feature);
}

function matches(key: ApiKey, { feature, owner, status, q }: KeyQuery, now: number): boolean {
  if (feature !== undefined && key.feature !== feature) return false;
  if (owner !== undefined && key.owner !== owner) return false;
  if (status !== undefined && statusOf(key, now) !== status) return false;
  return q === undefined || key.id === q.toLowerCase() || key.name.toLowerCase().includes(q.toLowerCase());
}

/**
 * Read, decide, write; decided anew where somebody else was faster. Where the version rises, the revocation log comes
 * before the record: if the process dies in between, the tokens are dead and the key is not yet, and its next use mends
 * that (`exchange.ts`). The other way round a key would be ended and its tokens alive.
 */
async function changeKey(
  id: string,
  change: KeyChange,
  { announce, ifMatch }: ChangeOptions,
  { store, records, revocationLog }: ApiKeysOptions,
): Promise<Stored<ApiKey>> {
  let isAnnounced = false;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const stored = await records.get<ApiKey>(recordName(id));
    if (stored === undefined) throw noSuchKey();
    requireMatch(stored, ifMatch);
    const before = stored.value;
    const after = change(before);
    if (after === before) return stored;
    if (!isAnnounced) await announce?.(before, after);
    isAnnounced = true;
    const [old, fresh] = [indexEntries(before), indexEntries(after)];
    await Promise.all(without(fresh, old).map(([set, member]) => store.addMember(set, member)));
    if (after.version > before.version) await revocationLog.revokeKey(id, after.version, endOf(after));
    const written = await records.replace(recordName(id), stored, after);
    if (written === undefined) continue;
    await Promise.all(without(old, fresh).map(([set, member]) => store.removeMember(set, member)));
    return written;
  }
  throw new StoreUnavailable('the key is being changed by others again and again');
}

/** What the log says of the key itself, so that its record can be mended by it. */
function endOf({ status }: ApiKey): 'disabled' | 'revoked' | undefined {
  return status === 'disabled' || status === 'revoked' ? status : undefined;
}

function without<T extends readonly string[]>(list: readonly T[], other: readonly T[]): T[] {
  const known = new Set(other.map(entry => entry.join('\n')));
  return list.filter(entry => !known.has(entry.join('\n')));
}

/** Ended first, forgotten then: whatever happens in between, it is dead. Whoever changes it meanwhile changes nothing. */
async function removeKey(id: string, how: ChangeOptions, options: ApiKeysOptions): Promise<void> {
  const { store, records, clock } = options;
  const end: KeyChange = key => ({ ...key, status: 'revoked', version: key.version + 1, updatedAt: clock() });
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const ended = await changeKey(id, end, attempt === 0 ? how : {}, options);
    if (!(await records.remove(recordName(id), ended))) continue;
    await Promise.all(indexEntries(ended.value).map(([set, member]) => store.removeMember(set, member)));
    return;
  }
  throw new StoreUnavailable('the key is being changed by others again and again');
}

async function disown(owner: string, options: ApiKeysOptions): Promise<void> {
  for await (const member of membersOf(options.store, ownerIndex(owner), '')) {
    const id = idOfMember(member);
    const release: KeyChange = key => {
      const { owner: current, ...released } = key;
      return current === owner ? { ...released, updatedAt: options.clock() } : key;
    };
    if ((await options.records.get<ApiKey>(recordName(id))) !== undefined)
      await changeKey(id, release, {}, options);
  }
}

async function* keysWithOrigin(
  origin: string,
  { store, records, clock }: ApiKeysOptions,
): AsyncGenerator<ApiKey> {
  const prefix = `${origin} `;
  for await (const member of membersOf(store, originIndex, prefix)) {
    const stored = await records.get<ApiKey>(recordName(member.slice(prefix.length)));
    if (stored !== undefined && statusOf(stored.value, clock()) === 'active') yield stored.value;
  }
}

async function* allKeys({ store, records }: ApiKeysOptions): AsyncGenerator<ApiKey> {
  for (const set of [accessKeyIndex, allIndex]) {
    for await (const member of membersOf(store, set, '')) {
      const stored = await records.get<ApiKey>(recordName(idOfMember(member)));
      if (stored !== undefined) yield stored.value;
    }
  }
}

async function* membersOf(store: Store, set: string, prefix: string): AsyncGenerator<string> {
  let after: string | undefined;
  for (;;) {
    const members = await store.listMembers(set, { prefix, after, limit: 500 });
    yield* members;
    after = members.at(-1);
    if (members.length < 500) return;
  }
}
