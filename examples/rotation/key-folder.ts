/** The key file and what stands beside it: the journal and the lock. Everything in it is written whole, and to the disk. */
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

/** Why it cannot go on, for people. */
export class Failure extends Error {}

/** A key string, and what of it may be shown. */
export interface Key {
  readonly text: string;
  readonly id: string;
  readonly last4: string;
}

export type Journal = {
  /** The key that was there when it began: its id and last characters. */
  readonly old: string;
  readonly idempotencyKey: string;
  /** The body of the request. */
  readonly request: string;
} &
  /** The request may have gone out; repeated with the same Idempotency-Key, it gets the same answer. */
  (
    | { readonly phase: 'asked' }
    /** The new key is in the journal; the key file still has the old one. */
    | { readonly phase: 'answered'; readonly fresh: Key }
    /** The new key is in the key file; what is left is to see the old one out. */
    | { readonly phase: 'placed' }
  );

export function findKey(text: string): Key | undefined {
  const [key, id, last4] = /kt_([0-9a-f]{32})_[0-9A-Za-z]{34}([0-9A-Za-z]{4})/.exec(text) ?? [];
  return key === undefined || id === undefined || last4 === undefined ? undefined : { text: key, id, last4 };
}

export function nameOf({ id, last4 }: Key): string {
  return `${id} ${last4}`;
}

/**
 * A symbolic link is made in one piece, with what it says. Where a dead owner's lock is taken over by two at once,
 * nothing is lost: the journal is made once, and all that follows from it is the same for both.
 */
export function takeLock(file: string): void {
  const lock = `${file}.rotation.lock`;
  const identity = `${process.pid}:${startOf(process.pid)}`;
  while (!succeeds('EEXIST', () => symlinkSync(identity, lock))) {
    const holder = readlinkSync(lock);
    if (isRunning(holder))
      throw new Failure(`Another copy (process ${holder.split(':', 1)[0]}) is rotating this key.`);
    rmSync(lock, { force: true });
  }
  process.once('exit', () => {
    succeeds('ENOENT', () => readlinkSync(lock) === identity && rmSync(lock));
  });
  process.once('SIGTERM', () => process.exit(143));
  process.once('SIGINT', () => process.exit(130));
}

/** The new file is its owner's alone, and the owner is who runs this: so must the old one be, or its reader is shut out. */
export function readKeyFile(file: string): { key: Key; text: string } {
  const status = lstatSync(file);
  if (!status.isFile() || status.uid !== process.getuid?.())
    throw new Failure(`${file} must be a file, not a link, and belong to you.`);
  if ((status.mode & 0o177) !== 0) throw new Failure(`${file} must be readable by you alone: chmod 600.`);
  const text = readFileSync(file, 'utf8');
  const key = findKey(text);
  if (key === undefined) throw new Failure(`${file} holds no key.`);
  if (findKey(text.replaceAll(key.text, '')) !== undefined)
    throw new Failure(`${file} holds several keys: each needs a file of its own.`);
  return { key, text };
}

/** Undefined where nothing has begun. */
export function readJournal(file: string): Journal | undefined {
  let text = '';
  if (
    !succeeds('ENOENT', () => {
      text = readFileSync(journalOf(file), 'utf8');
    })
  )
    return undefined;
  const fields = new Map(text.split('\n').map(line => [line.split('=', 1)[0], line.replace(/^[^=]*=/, '')]));
  const [old = '', idempotencyKey = '', request = ''] = ['old', 'idempotency-key', 'request'].map(name =>
    fields.get(name),
  );
  const phase = fields.get('phase');
  const fresh = findKey(fields.get('new') ?? '');
  if (phase === 'asked' || phase === 'placed') return { phase, old, idempotencyKey, request };
  if (phase === 'answered' && fresh !== undefined) return { phase, old, idempotencyKey, request, fresh };
  throw new Failure(`${journalOf(file)} is not a journal of this script.`);
}

/** Makes the journal, which must not be there yet. */
export function beginJournal(file: string, journal: Journal): void {
  const temporary = writeTemporary(file, printJournal(journal));
  if (!succeeds('EEXIST', () => linkSync(temporary, journalOf(file))))
    throw new Failure('Another copy has just begun to rotate this key.');
  rmSync(temporary);
  syncFolder(file);
}

export function writeJournal(file: string, journal: Journal): void {
  writeDurably(file, journalOf(file), printJournal(journal));
}

export function removeJournal(file: string): void {
  rmSync(journalOf(file));
  syncFolder(file);
}

export function writeKeyFile(file: string, text: string): void {
  writeDurably(file, file, text);
}

export function journalOf(file: string): string {
  return `${file}.rotation`;
}

/** A number is given to another process some day; a number and a start are not. */
function isRunning(identity: string): boolean {
  const [pid, start] = identity.split(':', 2);
  if (start) return startOf(Number(pid)) === start;
  return succeeds('ESRCH', () => process.kill(Number(pid), 0));
}

/** When a process that lives was started, where /proc says so: its 22nd field; the second is its name in brackets. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

function printJournal(journal: Journal): string {
  const { phase, old, idempotencyKey, request } = journal;
  const fresh = journal.phase === 'answered' ? journal.fresh.text : '';
  return `phase=${phase}\nold=${old}\nidempotency-key=${idempotencyKey}\nrequest=${request}\nnew=${fresh}\n`;
}

/** Whoever reads the target finds the old text or the new one, whole; and after a power cut too. */
function writeDurably(file: string, target: string, text: string): void {
  renameSync(writeTemporary(file, text), target);
  syncFolder(file);
}

/** A new file, 0600, on disk before it gets its name. */
function writeTemporary(file: string, text: string): string {
  const temporary = `${file}.rotation.tmp`;
  rmSync(temporary, { force: true });
  const handle = openSync(temporary, 'wx', 0o600);
  writeFileSync(handle, text);
  fsyncSync(handle);
  closeSync(handle);
  return temporary;
}

function syncFolder(file: string): void {
  const handle = openSync(path.dirname(file), 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** Does the deed; false where it fails with this code. */
function succeeds(code: string, deed: () => unknown): boolean {
  try {
    deed();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return false;
    throw error;
  }
}
