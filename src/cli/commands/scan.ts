/** `keyturn scan`: looks for key strings that lie about in files. */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { CommandFailed } from '../exit-codes.ts';
import { findKeys, maskKeys } from '../find-keys.ts';
import { withJson } from '../options.ts';
import { type OutputOptions, printList, say, type Terminal } from '../terminal.ts';

export function addScanCommand(program: Command, terminal: Terminal): void {
  withJson(program.command('scan').argument('<files...>', 'files and folders, or - for stdin'))
    .description('find key strings by pattern and checksum; exits with 1 where there are any')
    .action((files: string[], options) => scan(terminal, files, options));
}

async function scan(terminal: Terminal, names: readonly string[], output: OutputOptions): Promise<void> {
  const tally = { found: 0, unread: 0 };
  await printList(terminal, search(terminal, names, tally), output, describeFinding);
  const { found, unread } = tally;
  say(
    terminal,
    found === 0 ? 'No key strings found.' : `Key strings found: ${found}. Revoke or rotate these keys.`,
  );
  if (found + unread > 0) throw new CommandFailed('');
}

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly id: string;
  readonly last4: string;
}

/** A file that cannot be read is said to be so, and the others are looked at: but then the end is not a good one. */
async function* search(
  terminal: Terminal,
  names: readonly string[],
  tally: { found: number; unread: number },
): AsyncGenerator<Finding> {
  const complain = (file: string, error: unknown): void => {
    tally.unread += 1;
    say(terminal, `${showName(file)}: not read: ${reasonOf(error)}`);
  };
  for await (const file of listFiles(names, complain)) {
    try {
      for await (const { line, column, key } of findKeys(open(file, terminal))) {
        tally.found += 1;
        yield { file: showName(file), line, column, id: key.id, last4: key.last4 };
      }
    } catch (error) {
      complain(file, error);
    }
  }
}

const standardInput = '-';

function open(file: string, { stdin }: Terminal): AsyncIterable<Uint8Array> {
  return file === standardInput && stdin !== undefined ? stdin : createReadStream(file);
}

/** What is named is read, whatever it is. Of what is found in folders: regular files, and no links. */
async function* listFiles(
  names: readonly string[],
  complain: (file: string, error: unknown) => void,
): AsyncGenerator<string> {
  for (const name of names) {
    try {
      if (name !== standardInput && (await stat(name)).isDirectory()) yield* walk(name, complain);
      else yield name;
    } catch (error) {
      complain(name, error);
    }
  }
}

const passedOver: ReadonlySet<string> = new Set(['.git', 'node_modules']);

async function* walk(
  folder: string,
  complain: (file: string, error: unknown) => void,
): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    complain(folder, error);
    return [];
  });
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const name = path.join(folder, entry.name);
    if (entry.isFile()) yield name;
    else if (entry.isDirectory() && !passedOver.has(entry.name)) yield* walk(name, complain);
  }
}

function describeFinding({ file, line, column, id, last4 }: Finding): string[] {
  return [`${file}:${line}:${column} key ${id} …${last4}`];
}

/** A name may hold a key string, and what would steer a terminal. */
function showName(file: string): string {
  return maskKeys(file).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
