/**
 * Rotates an API key without an outage, as the key itself: no administrator is needed. See docs/rotation.md. It needs
 * nothing but Node.js, and keeps the same journal and lock as rotate.sh: either finishes what the other began.
 *
 * The journal beside the key file says how far it got (`asked`, `answered`, `placed`), and is on disk before the step that
 * it speaks of. Every step can be repeated, so a run that was killed anywhere is finished by the next one.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  beginJournal,
  Failure,
  findKey,
  type Journal,
  journalOf,
  type Key,
  nameOf,
  readJournal,
  readKeyFile,
  removeJournal,
  takeLock,
  writeJournal,
  writeKeyFile,
} from './key-folder.ts';
import {
  askForSecret,
  describeReply,
  exchange,
  lookAtOldSecret,
  readKey,
  readLifetime,
} from './service-calls.ts';

const usage = `Usage: rotate.ts [--grace SECONDS] [--mode overlap|first-use] [--poll SECONDS] [--quiet SECONDS] KEY_FILE

Gives the key in KEY_FILE a new secret and puts it there. The old one works on for the grace.

  --grace   how long both secrets work: 1 to 31536000 (86400)
  --mode    overlap: the grace runs at once; first-use: from the first use of the new secret on (overlap)
  --poll    how often to look whether the old secret is still used (30)
  --quiet   how long it must not have been used (as long as a token of the key lives)

  KEYTURN_URL      the service (http://127.0.0.1:8080)
  KEYTURN_API_KEY  the access key of an account that may read keys: then this waits until the old secret is out of use

Run it again after any interruption. Exit codes: 0 rotated, 1 not (yet), 2 usage.`;

class Misuse extends Error {}

interface Options {
  readonly url: string;
  readonly file: string;
  /** Seconds, as `poll` and `quiet`. */
  readonly grace: number;
  readonly mode: string;
  readonly poll: number;
  readonly quiet: number | undefined;
  /** An account's access key. */
  readonly watcher: string | undefined;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(`${usage}\n`);
  else await rotate(options);
} catch (error) {
  process.stderr.write(`rotate: ${(error as Error).message}\n`);
  if (error instanceof Misuse) process.stderr.write(`\n${usage}\n`);
  process.exitCode = error instanceof Misuse ? 2 : 1;
}

async function rotate(options: Options): Promise<void> {
  const { file } = options;
  takeLock(file);
  const { key, text } = readKeyFile(file);
  let journal = continueFrom(readJournal(file), key, file);
  if (journal === undefined) {
    await tryEverything(key, options);
    journal = await ask(begin(key, options), key, { ...options, isNew: true });
  } else if (journal.phase === 'asked') {
    journal = await ask(journal, key, { ...options, isNew: false });
  }
  const current = journal.phase === 'answered' ? await place(journal, key, text, options) : key;
  await watchOldSecret(current, options);
  removeJournal(file);
  say('Rotated.');
}

/** Undefined where there is nothing to go on with. */
function continueFrom(journal: Journal | undefined, key: Key, file: string): Journal | undefined {
  if (journal === undefined || journal.phase === 'placed' || journal.old === nameOf(key)) return journal;
  if (journal.phase === 'asked') {
    say(`${file} holds another key than the one that was to be rotated: beginning anew.`);
    removeJournal(file);
    return undefined;
  }
  if (journal.fresh.text === key.text) return journal;
  throw new Failure(
    `${file} holds neither the old key nor the new one: put one there, or delete ${journalOf(file)}.`,
  );
}

/** Whatever would stand in the way later is to stand in the way now, while nothing has been changed. */
async function tryEverything(key: Key, { url, file, watcher }: Options): Promise<void> {
  const own = await exchange(url, key.text);
  if (own.status !== 200)
    throw new Failure(`The service does not take the key in ${file} ${describeReply(own)}`);
  if (watcher === undefined) return;
  const { reply } = await lookAtOldSecret(url, key, watcher);
  if (reply.status !== 200)
    throw new Failure(`The key cannot be watched with KEYTURN_API_KEY ${describeReply(reply)}`);
}

function begin(key: Key, { file, mode, grace }: Options): Journal {
  const request = JSON.stringify({ mode, grace });
  const journal: Journal = { phase: 'asked', old: nameOf(key), idempotencyKey: randomUUID(), request };
  beginJournal(file, journal);
  return journal;
}

async function ask(
  journal: Journal,
  key: Key,
  { url, file, isNew }: Options & { isNew: boolean },
): Promise<Journal> {
  const reply = await askForSecret(url, key, journal);
  // Refused at once: nothing has been done, and nothing is left to repeat.
  if (isNew && reply.tries === 1 && reply.status >= 400) removeJournal(file);
  if (reply.status !== 201) {
    throw new Failure(
      `No new secret ${describeReply(reply)} ${file} is unchanged; run this again.\nIf a rotation is under way and its ` +
        `answer is lost: keyturn keys cancel-rotation ${key.id}, and delete ${journalOf(file)}.`,
    );
  }
  const fresh = readKey(reply);
  if (fresh?.id !== key.id) throw new Failure('The answer holds no key.');
  const answered: Journal = { ...journal, phase: 'answered', fresh };
  writeJournal(file, answered);
  return answered;
}

/** The answer may be an old one, repeated: of a rotation that has been cancelled since. So the new key is tried first. */
async function place(
  journal: Journal & { phase: 'answered' },
  key: Key,
  text: string,
  { url, file }: Options,
): Promise<Key> {
  const { fresh, ...rest } = journal;
  if (fresh.text !== key.text) {
    const reply = await exchange(url, fresh.text);
    if (reply.status === 401) await giveUp(key, url, file);
    if (reply.status !== 200)
      throw new Failure(`The new key could not be tried ${describeReply(reply)} Run this again.`);
    writeKeyFile(file, text.replaceAll(key.text, fresh.text));
  }
  writeJournal(file, { ...rest, phase: 'placed' });
  say(`${file} holds the new key.`);
  return fresh;
}

/** That the new key is refused proves nothing while the old one is too: the key may be disabled for a while. */
async function giveUp(key: Key, url: string, file: string): Promise<never> {
  const reply = await exchange(url, key.text);
  if (reply.status !== 200)
    throw new Failure(`Neither key is taken ${describeReply(reply)} Both are kept; run this again.`);
  removeJournal(file);
  throw new Failure(`The rotation was cancelled: ${file} keeps its key. Run this again for another one.`);
}

/** The new key must work; the old secret is out of use when nobody has used it for as long as a token may be kept. */
async function watchOldSecret(key: Key, { url, watcher, poll, ...options }: Options): Promise<void> {
  const reply = await exchange(url, key.text);
  if (reply.status !== 200)
    throw new Failure(`The new key could not be tried ${describeReply(reply)} Run this again.`);
  if (watcher === undefined) return say('The new key works; the old secret ends at its deadline.');
  const quiet = options.quiet ?? readLifetime(reply);
  let seen: string | undefined;
  for (let since = performance.now(); ; await sleep(poll * 1000)) {
    const { reply, oldSecret } = await lookAtOldSecret(url, key, watcher);
    if (reply.status >= 400 && reply.status < 410)
      throw new Failure(`The key cannot be watched ${describeReply(reply)} It is rotated.`);
    if (reply.status !== 200) continue;
    if (oldSecret === undefined) return say('The old secret has ended.');
    if (oldSecret !== seen) {
      if (seen !== undefined) say(`The old secret is still in use: ${oldSecret}`);
      [seen, since] = [oldSecret, performance.now()];
    } else if (performance.now() - since >= quiet * 1000) {
      return say(`The old secret has not been used for ${quiet} seconds: ${oldSecret}`);
    }
  }
}

function readOptions(args: string[]): Options | undefined {
  const { values, positionals } = parseOptions(args);
  if (values.help === true) return undefined;
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse('One key file.');
  const { grace = '86400', mode = 'overlap', poll = '30', quiet = '' } = values;
  const { KEYTURN_URL: url = 'http://127.0.0.1:8080', KEYTURN_API_KEY: watcher = '' } = process.env;
  const rules: [boolean, string][] = [
    [/^[1-9]\d{0,7}$/.test(grace) && Number(grace) <= 31_536_000, '--grace: 1 to 31536000 seconds.'],
    [/^(?:overlap|first-use)$/.test(mode), '--mode: overlap or first-use.'],
    [/^\d{1,5}(?:\.\d{1,3})?$/.test(poll), '--poll: seconds.'],
    [/^\d{0,8}$/.test(quiet), '--quiet: whole seconds.'],
    [/^https?:\/\/[^\s"\\@]+$/.test(url), 'KEYTURN_URL: an http or https URL without a user.'],
    [watcher === '' || findKey(watcher)?.text === watcher, 'KEYTURN_API_KEY holds no key.'],
  ];
  for (const [holds, rule] of rules) if (!holds) throw new Misuse(rule);
  return {
    url: url.replace(/\/$/, ''),
    file,
    grace: Number(grace),
    mode,
    poll: Number(poll),
    quiet: quiet === '' ? undefined : Number(quiet),
    watcher: watcher || undefined,
  };
}

function parseOptions(args: string[]) {
  const text = { type: 'string' } as const;
  const options = { grace: text, mode: text, poll: text, quiet: text, help: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Misuse((error as Error).message, { cause: error });
  }
}

function say(text: string): void {
  process.stdout.write(`rotate: ${text}\n`);
}
