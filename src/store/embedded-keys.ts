/**
 * Keys of the embedded store, as bytes, so that LMDB's order is the order of UTF-8 bytes. A zero byte ends a
 * name: names have no control characters, so no name runs into another.
 */
import { smaller, successor } from './byte-order.ts';
import type { MemberQuery } from './store.ts';
import type { LogId } from './log-id.ts';

export function expiryKey(expiresAt: number, name: string): Buffer {
  return Buffer.concat([bigEndian(expiresAt), Buffer.from(name)]);
}

export function nameInExpiryKey(key: Uint8Array): string {
  return Buffer.from(key).toString('utf8', 8);
}

export function momentInExpiryKey(key: Uint8Array): number {
  return Number(Buffer.from(key).readBigUInt64BE());
}

/** The first key of what belongs to a set or a log. */
export function firstKey(name: string): Buffer {
  return Buffer.from(`${name}\0`);
}

/** The key behind the last one of what belongs to a set or a log. */
export function endKey(name: string): Buffer {
  return Buffer.from(`${name}\x01`);
}

export function memberKey(set: string, member: string): Buffer {
  return Buffer.from(`${set}\0${member}`);
}

export function memberInKey(set: string, key: Uint8Array): string {
  return Buffer.from(key).toString('utf8', Buffer.byteLength(set) + 1);
}

/** The range of a query, in its direction: from `start`, without it where `exclusiveStart`, up to before `end`. */
export function memberRange(set: string, query: MemberQuery) {
  const first = clipped(`${set}\0${query.prefix ?? ''}`);
  const behind = query.prefix ? successor(first) : endKey(set);
  const after = query.after === undefined ? undefined : clipped(`${set}\0${query.after}`);
  if (query.reverse) {
    const start = after === undefined ? behind : smaller(after, behind);
    return { start, end: first, exclusiveStart: true, inclusiveEnd: true, reverse: true };
  }
  const exclusiveStart = after !== undefined && after.compare(first) >= 0;
  return { start: exclusiveStart ? after : first, end: behind, exclusiveStart };
}

export function entryKey(log: string, id: LogId): Buffer {
  return Buffer.concat([firstKey(log), bigEndian(id.ms), bigEndian(id.sequence)]);
}

export function idInEntryKey(log: string, key: Uint8Array): LogId {
  const id = Buffer.from(key).subarray(Buffer.byteLength(log) + 1);
  return { ms: Number(id.readBigUInt64BE()), sequence: Number(id.readBigUInt64BE(8)) };
}

function bigEndian(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

/** LMDB takes keys of up to 1978 bytes. No key here is longer than 1025, so cutting at 1026 keeps the order. */
function clipped(text: string): Buffer {
  return Buffer.from(text).subarray(0, 1026);
}
