/** The sets that keys are found by: newest first, by feature, by owner, by origin. A page is a page, however many keys there are. */
import type { Clock, Store } from '../store/store.ts';
import { type ApiKey, type KeyStatus, statusOf } from './api-key.ts';
import { eachRecord } from './each-record.ts';
import type { Listing } from './listings.ts';
import type { Records } from './records.ts';

export interface KeyListOptions {
  readonly store: Store;
  readonly records: Records;
  readonly clock: Clock;
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

/** Records after which a call ends, with the page that it is at; where a filter passes few, the caller goes on from `next`. */
const longestWalk = 1000;

export async function listKeys(query: KeyQuery, { store, records, clock }: KeyListOptions): Promise<KeyPage> {
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

/** The active keys that list this origin (or `*`), read by the page. What the set has too many is passed over. */
export async function* keysWithOrigin(origin: string, options: KeyListOptions): AsyncGenerator<ApiKey> {
  const prefix = `${origin} `;
  const recordOf = (member: string) => recordName(member.slice(prefix.length));
  for await (const key of eachRecord<ApiKey>({ set: originIndex, prefix, recordOf }, options))
    if (statusOf(key, options.clock()) === 'active' && key.corsOrigins?.includes(origin) === true) yield key;
}

/** Every key, access keys included: for reports, at the speed of the store. */
export async function* allKeys(options: KeyListOptions): AsyncGenerator<ApiKey> {
  const recordOf = (member: string) => recordName(idOfMember(member));
  for (const set of [accessKeyIndex, allIndex]) yield* eachRecord<ApiKey>({ set, recordOf }, options);
}

const allIndex = 'keys';
const accessKeyIndex = 'access-keys';
const originIndex = 'key-origins';

/** The record of a key. */
export function recordName(id: string): string {
  return `key/${id}`;
}

/** Byte order is the order of creation. */
function indexMember({ id, createdAt }: Pick<ApiKey, 'id' | 'createdAt'>): string {
  return `${createdAt.toString(36).padStart(memberIdAt - 1, '0')}/${id}`;
}

const memberIdAt = 10;

/** The key's id, of a member that is in its order of creation. */
export function idOfMember(member: string): string {
  return member.slice(memberIdAt);
}

/** Every set that a key belongs in, with its member there. */
export function listingsOf(key: ApiKey): readonly Listing[] {
  const member = indexMember(key);
  if (key.account !== undefined) return [[accessKeyIndex, member]];
  const isLive = key.status === 'active';
  return [
    [allIndex, member],
    [featureIndex(key.feature ?? ''), member],
    ...(key.owner === undefined ? [] : [[ownerIndex(key.owner), member] as const]),
    ...(isLive ? (key.corsOrigins ?? []) : []).map(origin => [originIndex, `${origin} ${key.id}`] as const),
  ];
}

function featureIndex(feature: string): string {
  return `keys-of-feature/${feature}`;
}

export function ownerIndex(owner: string): string {
  return `keys-of-owner/${owner}`;
}
