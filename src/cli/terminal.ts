/** What a command says, and where: secrets and results to stdout (or a file made 0600), talk to stderr. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { hasCode } from '../protocol/system-error.ts';
import { CommandFailed } from './exit-codes.ts';

export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Empty where absent. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly clock?: () => number;
}

export interface OutputOptions {
  /** Print one JSON value. */
  readonly json?: boolean;
  /** Where the secret goes instead of stdout. */
  readonly out?: string;
}

export function say(terminal: Terminal, text: string): void {
  terminal.stderr.write(`${text}\n`);
}

export function print(terminal: Terminal, text: string): void {
  terminal.stdout.write(`${text}\n`);
}

export function printJson(terminal: Terminal, value: unknown): void {
  print(terminal, JSON.stringify(value, undefined, 2));
}

/** All of stdin. */
export async function readInput({ stdin }: Terminal): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stdin ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** One thing that the admin API shows: a line for each of its members. */
export function printRecord(
  terminal: Terminal,
  record: Readonly<Record<string, unknown>>,
  { json }: OutputOptions,
): void {
  if (json === true) return printJson(terminal, record);
  for (const [name, value] of Object.entries(record)) print(terminal, `${name}: ${wordFor(value)}`);
}

/** A list: one line each, as it comes in; with `--json` one array. */
export async function printList<T>(
  terminal: Terminal,
  items: AsyncIterable<T>,
  { json }: OutputOptions,
  lineFor: (item: T) => readonly unknown[],
): Promise<void> {
  const all: T[] = [];
  for await (const item of items) {
    if (json === true) all.push(item);
    else print(terminal, lineFor(item).map(wordFor).join('\t'));
  }
  if (json === true) printJson(terminal, all);
}

/** What was done and left nothing to show: said, and with `--json` told. */
export function report(
  terminal: Terminal,
  { json }: OutputOptions,
  words: string,
  value: Readonly<Record<string, unknown>>,
): void {
  if (json === true) printJson(terminal, value);
  else say(terminal, words);
}

/** A secret that is shown once, and what else its command answers. */
export interface Secret {
  /** Its member in the JSON value. */
  readonly name: string;
  readonly text: string;
  readonly rest: Record<string, unknown>;
}

/**
 * Has a secret made, and hands it over. The file of `--out` is made before the secret: one that exists and has no
 * place to go would be lost.
 *
 * @throws {CommandFailed} where the file is there already: nothing is overwritten, and no secret made
 */
export async function handOver(
  terminal: Terminal,
  options: OutputOptions,
  make: () => Promise<Secret>,
): Promise<void> {
  const { out, json } = options;
  if (out !== undefined) {
    const { rest } = await writeSecret(out, make);
    say(terminal, `Written to ${out}, readable by you alone.`);
    if (json === true) printJson(terminal, rest);
    return;
  }
  const { name, text, rest } = await make();
  if (json === true) printJson(terminal, { ...rest, [name]: text });
  else print(terminal, text);
}

async function writeSecret(path: string, make: () => Promise<Secret>): Promise<Secret> {
  const file = await openNewFile(path);
  try {
    const secret = await make();
    await file.writeFile(`${secret.text}\n`);
    await file.sync();
    return secret;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function wordFor(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '-');
}

async function openNewFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new CommandFailed(`${path} is there already: name a new file, for nothing is overwritten.`);
  }
}
