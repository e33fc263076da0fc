/** The embedded store: one LMDB data file, shared safely by several processes on one machine. */
import { EventEmitter } from 'node:events';
import type { RangeOptions } from 'lmdb';
import { createEmbeddedWriter, type EmbeddedWriter } from './embedded-writer.ts';
import { openEmbeddedFile, type EmbeddedFile, type Table } from './embedded-file.ts';
import * as keys from './embedded-keys.ts';
import { formatLogId, nextLogId, parseLogId } from './log-id.ts';
import { checkName, checkText } from './names.ts';
import { encodeRecord, expiryOf, livingValue } from './record-text.ts';
import {
  type Clock,
  type LogEntry,
  type LogQuery,
  type LogReader,
  type MemberQuery,
  type RecordOptions,
  type Store,
  StoreUnavailable,
} from './store.ts';

export interface EmbeddedStoreOptions {
  /** Where the data file is, or is to be. Made with mode 0700 where there is none. */
  readonly directory: string;
  readonly clock: Clock;
  /** Bytes of free space below which nothing is written: 64 MiB unless told. */
  readonly minimumFreeBytes?: number;
}

/** @throws StoreUnavailable where the data file cannot be opened, is damaged, or is none of ours. */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { directory, clock, minimumFreeBytes = 64 * 1024 * 1024 } = options;
  const file = await openEmbeddedFile(directory);
  const writer = createEmbeddedWriter({ root: file.root, directory, minimumFreeBytes });
  let closed = false;

  return {
    kind: 'embedded',
    ...recordOperations(file, writer, clock),
    ...memberOperations(file, writer),
    ...logOperations(file, writer, clock),

    async check() {
      const meta = file.meta;
      await writer.write(() => meta.putSync(checkKey, String(clock())));
      read(meta, () => meta.get(checkKey));
    },

    async close() {
      if (closed) return;
      closed = true;
      await file.root.close();
    },
  };
}

const checkKey = Buffer.from('check');

/**
 * Resolves when this turn of the event loop ends, for all that ask in it at once. Requests that wait together are then
 * answered together, with fewer system calls: docs/performance.md has the figures.
 */
function createEndOfTurn(): () => Promise<void> {
  let turn: Promise<void> | undefined;
  return () => {
    turn ??= new Promise(resolve => {
      setImmediate(() => {
        turn = undefined;
        resolve();
      });
    });
    return turn;
  };
}

function recordOperations(file: EmbeddedFile, writer: EmbeddedWriter, clock: Clock) {
  const records = file.records;
  const expiries = file.expiries;
  const living = (name: string) => livingValue(records.get(Buffer.from(name)), clock());
  const endOfTurn = createEndOfTurn();

  function put(name: string, text: string, expiresAt: number | undefined): void {
    forget(name);
    if (expiresAt !== undefined) expiries.putSync(keys.expiryKey(expiresAt, name), '');
    records.putSync(Buffer.from(name), text);
    sweepRecords(records, expiries, clock() - sweepSlack);
  }

  function forget(name: string): void {
    const held = records.get(Buffer.from(name));
    const expiresAt = held === undefined ? undefined : expiryOf(held);
    if (expiresAt !== undefined) expiries.removeSync(keys.expiryKey(expiresAt, name));
    records.removeSync(Buffer.from(name));
  }

  return {
    async get(name: string) {
      checkName(name);
      await endOfTurn();
      return read(records, () => living(name));
    },

    async getMany(names: readonly string[]) {
      names.forEach(checkName);
      await endOfTurn();
      return read(records, () => names.map(living));
    },

    async create(name: string, value: string, { expiresAt }: RecordOptions = {}) {
      checkName(name);
      checkText(value);
      const text = encodeRecord(value, expiresAt);
      return writer.write(() => {
        if (living(name) !== undefined) return false;
        put(name, text, expiresAt);
        return true;
      });
    },

    async replace(name: string, expected: string, value: string, { expiresAt }: RecordOptions = {}) {
      checkName(name);
      checkText(expected);
      checkText(value);
      const text = encodeRecord(value, expiresAt);
      return writer.write(() => {
        if (living(name) !== expected) return false;
        put(name, text, expiresAt);
        return true;
      });
    },

    async remove(name: string, expected: string) {
      checkName(name);
      checkText(expected);
      return writer.write(() => {
        if (living(name) !== expected) return false;
        forget(name);
        return true;
      });
    },
  };
}

/** Read as of now, not as of the beginning of this turn of the event loop. */
function read<T>(table: Table, reading: () => T): T {
  try {
    table.resetReadTxn();
    return reading();
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error;
    throw new StoreUnavailable('the data file could not be read', { cause: error });
  }
}

/** A clock that has run ahead and is put back must not have cost a record: what is swept is long expired. */
const sweepSlack = 3_600_000;

/** A few at each write: more than come in, so none pile up, and no write pays for many. */
function sweepRecords(records: Table, expiries: Table, before: number): void {
  const end = keys.expiryKey(Math.max(0, before), '');
  for (const key of Array.from(expiries.getKeys({ start: keys.expiryKey(0, ''), end, limit: 4 }))) {
    const name = Buffer.from(keys.nameInExpiryKey(key));
    const held = records.get(name);
    if (held?.startsWith(`${keys.momentInExpiryKey(key)}:`)) records.removeSync(name);
    expiries.removeSync(key);
  }
}

function memberOperations(file: EmbeddedFile, writer: EmbeddedWriter) {
  const members = file.members;

  return {
    async addMember(set: string, member: string) {
      checkName(set);
      checkName(member);
      await writer.write(() => members.putSync(keys.memberKey(set, member), ''));
    },

    async removeMember(set: string, member: string) {
      checkName(set);
      checkName(member);
      await writer.write(() => members.removeSync(keys.memberKey(set, member)));
    },

    async listMembers(set: string, query: MemberQuery) {
      checkName(set);
      checkText(query.prefix ?? '');
      checkText(query.after ?? '');
      if (query.limit < 1) return [];
      const range = { ...keys.memberRange(set, query), limit: query.limit };
      return read(members, () => Array.from(members.getKeys(range), key => keys.memberInKey(set, key)));
    },
  };
}

function logOperations(file: EmbeddedFile, writer: EmbeddedWriter, clock: Clock) {
  const logs = file.logs;
  const entries = file.entries;
  /** Other processes on the same file are heard of only when the log is read. */
  const news = new EventEmitter().setMaxListeners(0);

  function readEntries(log: string, range: RangeOptions): LogEntry[] {
    return read(entries, () =>
      Array.from(entries.getRange(range), ({ key, value }) => ({
        id: formatLogId(keys.idInEntryKey(log, key)),
        value,
      })),
    );
  }

  /** A note that stands already costs no write. */
  async function takeNote(log: string, { id, note }: LogReader): Promise<void> {
    checkName(id);
    checkText(note);
    const key = keys.memberKey(log, id);
    if (read(logs, () => logs.get(key)) !== note) await writer.write(() => logs.putSync(key, note));
  }

  return {
    async append(log: string, value: string, { retention }: { retention: number }) {
      checkName(log);
      checkText(value);
      const appended = await writer.write(() => {
        const last = logs.get(Buffer.from(log));
        const id = nextLogId(last === undefined ? undefined : parseLogId(last), clock());
        entries.putSync(keys.entryKey(log, id), value);
        logs.putSync(Buffer.from(log), formatLogId(id));
        // Whoever has read up to the last one goes on from there.
        const before = last === undefined ? Infinity : parseLogId(last).ms;
        sweepLog(entries, log, Math.min(clock() - retention, before));
        return formatLogId(id);
      });
      news.emit(log);
      return appended;
    },

    async readLog(log: string, { from, limit, reader }: LogQuery) {
      checkName(log);
      const start = from === undefined ? keys.firstKey(log) : keys.entryKey(log, parseLogId(from));
      if (limit < 1) return [];
      if (reader !== undefined) await takeNote(log, reader);
      return readEntries(log, { start, end: keys.endKey(log), limit });
    },

    async lastEntry(log: string) {
      checkName(log);
      const range = { start: keys.endKey(log), end: keys.firstKey(log), reverse: true, limit: 1 };
      return readEntries(log, range)[0];
    },

    async listReaders(log: string) {
      checkName(log);
      const range = { start: keys.firstKey(log), end: keys.endKey(log) };
      return read(logs, () =>
        Array.from(logs.getRange(range), ({ key, value }) => ({
          id: keys.memberInKey(log, key),
          note: value,
        })),
      );
    },

    async removeReader(log: string, { id, note }: LogReader) {
      checkName(log);
      checkName(id);
      const key = keys.memberKey(log, id);
      await writer.write(() => {
        if (logs.get(key) === note) logs.removeSync(key);
      });
    },

    watchLog(log: string, onNews: () => void) {
      checkName(log);
      news.on(log, onNews);
      return () => news.off(log, onNews);
    },

    era: () => 0,

    /** What has been written has been synced. */
    async settle() {},
  };
}

function sweepLog(entries: Table, log: string, before: number): void {
  const end = keys.entryKey(log, { ms: Math.max(0, before), sequence: 0 });
  for (const key of Array.from(entries.getKeys({ start: keys.firstKey(log), end, limit: 16 }))) {
    entries.removeSync(key);
  }
}
