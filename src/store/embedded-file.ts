/**
 * The embedded store's data file: made whole or not at all, and looked at before LMDB maps it, because LMDB
 * takes an empty file for a new one and dies of a truncated one.
 */
import { randomUUID } from 'node:crypto';
import { chmod, link, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { open as openLmdb, type Database, type RootDatabase } from 'lmdb';
import { hasCode } from '../protocol/system-error.ts';
import { openDataDirectory } from './data-directory.ts';
import { StoreUnavailable } from './store.ts';

export interface EmbeddedFile {
  readonly root: RootDatabase<string, Buffer>;
  readonly meta: Table;
  readonly records: Table;
  readonly expiries: Table;
  readonly members: Table;
  /** The last id of each log, and the notes of its readers. */
  readonly logs: Table;
  readonly entries: Table;
}

export type Table = Database<string, Buffer>;

/** Opens the data file in `directory`, making both where there are none. @throws StoreUnavailable */
export async function openEmbeddedFile(directory: string): Promise<EmbeddedFile> {
  const file = path.join(directory, 'keyturn.lmdb');
  try {
    await openDataDirectory(directory);
    if (!(await exists(file))) await makeFile(directory, file);
    await checkShape(file);
    const opened = openTables(file, false);
    await chmod(`${file}-lock`, 0o600);
    return opened;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreUnavailable(`cannot open the data file ${file}: ${reason}`, { cause: error });
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'r');
    await handle.close();
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * A new data file gets its name only when it is complete, so an incomplete one under that name is a damaged
 * one. Of two processes that make it at once, one wins and both use it.
 */
async function makeFile(directory: string, file: string): Promise<void> {
  const draft = path.join(directory, `new-${randomUUID()}.lmdb`);
  try {
    const { root, meta } = openTables(draft, true);
    await meta.put(formatKey, format);
    await root.close();
    await chmod(draft, 0o600);
    await link(draft, file).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
    await syncDirectory(directory);
  } finally {
    await rm(draft, { force: true });
    await rm(`${draft}-lock`, { force: true });
  }
}

/**
 * Without `overlappingSync` a commit has been synced before its promise resolves. With `eventTurnBatching` a failed commit
 * would reject a promise that nobody can hear, which ends the process.
 */
function openTables(file: string, create: boolean): EmbeddedFile {
  const root = openLmdb<string, Buffer>({
    path: file,
    noSubdir: true,
    maxDbs: 6,
    overlappingSync: false,
    eventTurnBatching: false,
    keyEncoding: 'binary',
    encoding: 'string',
  });
  const table = (name: string) => openTable(root, name, create);
  try {
    const meta = table('meta');
    if (!create && meta.get(formatKey) !== format) throw new Error(notOurs);
    return {
      root,
      meta,
      records: table('records'),
      expiries: table('expiries'),
      members: table('members'),
      logs: table('logs'),
      entries: table('entries'),
    };
  } catch (error) {
    void root.close();
    throw error;
  }
}

function openTable(root: RootDatabase<string, Buffer>, name: string, create: boolean): Table {
  // `create` is not among the declared options, but keeps LMDB from making what should be there.
  const options = { keyEncoding: 'binary', encoding: 'string', create } as const;
  const table: Table | undefined = root.openDB<string, Buffer>(name, options);
  if (table === undefined) throw new Error(notOurs);
  return table;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync();
  await handle.close();
}

async function checkShape(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const head = Buffer.alloc(metaPage.length);
    const { bytesRead } = await handle.read(head, 0, metaPage.length, 0);
    if (bytesRead < metaPage.length || head.readUInt32LE(metaPage.magicAt) !== metaPage.magic)
      throw new Error(notOurs);
    if (head.readUInt32LE(metaPage.versionAt) !== metaPage.version) throw new Error(notOurs);
    const needed = Number(head.readBigUInt64LE(metaPage.lastPageAt)) * head.readUInt32LE(metaPage.pageSizeAt);
    const { size } = await handle.stat();
    if (size + tail < needed) throw new Error('it is damaged: its end is missing');
  } finally {
    await handle.close();
  }
}

/** The first page of an LMDB file, as far as it concerns us. */
const metaPage = {
  length: 152,
  magicAt: 24,
  magic: 0xbeefc0de,
  versionAt: 28,
  version: 2,
  pageSizeAt: 48,
  lastPageAt: 144,
} as const;

/** Pages at the end that were taken and given back within a transaction need never have been written. */
const tail = 1024 * 1024;

const formatKey = Buffer.from('format');
const format = 'keyturn 1';
const notOurs = 'it is damaged, or no data file of this version of Keyturn';
