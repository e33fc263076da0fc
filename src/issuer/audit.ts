/**
 * The audit: who changed what, and who was refused. One chain for the deployment: each entry carries the hash of the one
 * before, and stands under its number, with the authentication code that every record has. An entry that was changed, put
 * elsewhere or taken out is found; what was cut off the end is found as long as the head record is not set back too.
 */
import { createHash } from 'node:crypto';
import { type Clock, StoreUnavailable } from '../store/store.ts';
import { RecordNotAuthentic, type Records, type Stored } from './records.ts';
import { createTurns } from './turns.ts';

/** Who does something, as far as it is known. */
export interface Actor {
  /** Absent where no account was identified. */
  readonly account?: string;
  readonly clientId?: string;
  readonly address: string;
  readonly requestId: string;
}

export interface AuditNews {
  readonly actor: Actor;
  /** `key.create`, `account.update`, … */
  readonly action: string;
  /** `key/<id>`, `account/<id>`, or the address of a refused call. */
  readonly target: string;
  /** `done` is written before the deed: a deed that then fails is followed by a `failed`. */
  readonly outcome: 'done' | 'failed' | 'refused';
  /** Never a secret or a hash of one. */
  readonly before?: unknown;
  readonly after?: unknown;
  /** Why it was refused, or failed. */
  readonly reason?: string;
}

export interface AuditEntry extends AuditNews {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The hash of the entry before; of the first, 64 zeros. */
  readonly prev: string;
  /** SHA-256 (hex) of this entry without this member. */
  readonly hash: string;
}

export interface AuditQuery {
  /** From the page before. */
  readonly cursor?: number;
  readonly limit: number;
  readonly key?: string;
  readonly account?: string;
  readonly action?: string;
}

export interface Audit {
  /** @throws {StoreUnavailable} then nothing may be changed */
  record(news: AuditNews): Promise<void>;
  /** Newest first; may be fewer than `limit` where `next` says that there are more. */
  list(query: AuditQuery): Promise<{ items: readonly AuditEntry[]; next?: number }>;
  verify(): Promise<AuditVerification>;
}

export interface AuditVerification {
  readonly entries: number;
  /** The hash of the last entry: kept elsewhere, it anchors the chain. */
  readonly head: string;
  /** By the number of the entry; 0 is the head record. */
  readonly faults: readonly { readonly seq: number; readonly fault: string }[];
}

/** @param confirm rejects where the store is not the deployment's any more: nothing is written into another's */
export function createAudit(records: Records, clock: Clock, confirm: () => Promise<void>): Audit {
  let last: Head | undefined;
  const inTurn = createTurns();
  const append = async (news: AuditNews): Promise<void> => {
    await confirm();
    last = await findEnd(records, last ?? (await readHead(records)));
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const entry = seal({ ...news, seq: last.seq + 1, at: clock(), prev: last.hash });
      if (await records.create(entryName(entry.seq), entry)) {
        last = { seq: entry.seq, hash: entry.hash };
        return moveHead(records, last);
      }
      last = await findEnd(records, last);
    }
    throw new StoreUnavailable('the audit is being written by others again and again');
  };
  return {
    record: news => inTurn(() => append(news)),
    list: query => listEntries(records, query),
    verify: () => verifyChain(records),
  };
}

/**
 * Does a deed under audit: announced before anything is written, and if it fails after that, said to have failed.
 *
 * @throws what the deed throws; {@link StoreUnavailable} where it could not be announced, and nothing was done
 */
export async function underAudit<T>(
  audit: Audit,
  what: Pick<AuditNews, 'actor' | 'action' | 'target'>,
  deed: (announce: (before: unknown, after: unknown) => Promise<void>) => Promise<T>,
): Promise<T> {
  let isAnnounced = false;
  try {
    return await deed(async (before, after) => {
      await audit.record({ ...what, outcome: 'done', before, after });
      isAnnounced = true;
    });
  } catch (error) {
    if (isAnnounced)
      await audit.record({ ...what, outcome: 'failed', reason: error instanceof Error ? error.message : '' });
    throw error;
  }
}

interface Head {
  readonly seq: number;
  readonly hash: string;
}

const headName = 'audit-head';
const start: Head = { seq: 0, hash: '0'.repeat(64) };
const pageSize = 100;
/** Entries that one call looks at, at most. */
const longestWalk = 2000;

function entryName(seq: number): string {
  return `audit/${seq}`;
}

function hashOf(entry: Omit<AuditEntry, 'hash'>): string {
  return createHash('sha256').update(JSON.stringify(entry)).digest('hex');
}

function seal(entry: Omit<AuditEntry, 'hash'>): AuditEntry {
  return { ...entry, hash: hashOf(entry) };
}

async function readHead(records: Records): Promise<Head> {
  return (await records.get<Head>(headName))?.value ?? start;
}

/** The head record may lag behind: entries are written before it. */
async function findEnd(records: Records, from: Head): Promise<Head> {
  let end = from;
  for (;;) {
    const next = await records.get<AuditEntry>(entryName(end.seq + 1));
    if (next === undefined) return end;
    end = { seq: next.value.seq, hash: next.value.hash };
  }
}

/** Forward only. Who loses, loses against a later head. */
async function moveHead(records: Records, head: Head): Promise<void> {
  const stored = await records.get<Head>(headName);
  if (stored === undefined) await records.create(headName, head);
  else if (stored.value.seq < head.seq) await records.replace(headName, stored, head);
}

async function listEntries(
  records: Records,
  query: AuditQuery,
): Promise<{ items: readonly AuditEntry[]; next?: number }> {
  const items: AuditEntry[] = [];
  let seq = query.cursor ?? (await findEnd(records, await readHead(records))).seq;
  const floor = Math.max(0, seq - longestWalk);
  while (seq > floor) {
    const numbers = Array.from({ length: Math.min(pageSize, seq - floor) }, (_, place) => seq - place);
    for (const stored of await records.getMany<AuditEntry>(numbers.map(entryName))) {
      if (stored !== undefined && matches(stored.value, query)) items.push(stored.value);
      seq -= 1;
      if (items.length === query.limit) return seq > 0 ? { items, next: seq } : { items };
    }
  }
  return seq > 0 ? { items, next: seq } : { items };
}

function matches({ target, actor, action }: AuditEntry, query: AuditQuery): boolean {
  if (query.key !== undefined && target !== `key/${query.key}` && actor.clientId !== query.key) return false;
  if (query.account !== undefined && target !== `account/${query.account}` && actor.account !== query.account)
    return false;
  return query.action === undefined || action === query.action;
}

async function verifyChain(records: Records): Promise<AuditVerification> {
  const faults: { seq: number; fault: string }[] = [];
  const head = await readPart<Head>(records, headName);
  const named = typeof head === 'object' ? head.value : start;
  if (head === 'changed') faults.push({ seq: 0, fault: 'the head was changed' });
  let prev = start.hash;
  let seq = 1;
  for (; ; seq += 1) {
    const entry = await readPart<AuditEntry>(records, entryName(seq));
    if (entry === undefined && seq > named.seq) break;
    const fault = faultOf(entry, seq, prev);
    if (fault !== undefined) faults.push({ seq, fault });
    // Behind a fault the chain is judged from what the next entry says was before it.
    prev = typeof entry === 'object' ? entry.value.hash : 'unknown';
    if (seq === named.seq && fault === undefined && prev !== named.hash)
      faults.push({ seq, fault: 'the entry is not the one that the head names' });
  }
  // Only the very first entry may be without one: it is written a moment earlier.
  if (head === undefined && seq > 2) faults.push({ seq: 0, fault: 'the head is missing' });
  return { entries: seq - 1, head: prev, faults };
}

async function readPart<T>(records: Records, name: string): Promise<Stored<T> | 'changed' | undefined> {
  try {
    return await records.get<T>(name);
  } catch (error) {
    if (error instanceof RecordNotAuthentic) return 'changed';
    throw error;
  }
}

function faultOf(
  entry: Stored<AuditEntry> | 'changed' | undefined,
  seq: number,
  prev: string,
): string | undefined {
  if (entry === undefined) return 'the entry is missing';
  if (entry === 'changed') return 'the entry was changed, or belongs elsewhere';
  const { hash, ...rest } = entry.value;
  if (entry.value.seq !== seq || hashOf(rest) !== hash) return 'the entry was changed, or belongs elsewhere';
  return prev === 'unknown' || entry.value.prev === prev
    ? undefined
    : 'the entry does not follow the one before it';
}
