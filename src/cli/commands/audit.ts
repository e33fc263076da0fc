/** `keyturn audit`: who did what, and whether the record of it is whole. */
import type { Command } from 'commander';
import type { AuditVerification } from '../../issuer/audit.ts';
import { type AdminClient, type JsonObject, openAdminClient } from '../admin-client.ts';
import { CommandFailed, exitCodes } from '../exit-codes.ts';
import { readWholeNumber, withJson } from '../options.ts';
import { type OutputOptions, print, printJson, printList, type Terminal } from '../terminal.ts';

export function addAuditCommands(program: Command, terminal: Terminal): void {
  const audit = program.command('audit').description('who did what, and whether the record of it is whole');
  withJson(audit.command('list'))
    .description('list entries, newest first')
    .option('--key <id>', 'of this key, or done with it')
    .option('--account <name>', 'of this account, or done by it')
    .option('--action <action>', 'such as key.create')
    .option('--limit <entries>', 'how many at most', readWholeNumber, 50)
    .action(options => listAudit(terminal, options));
  withJson(audit.command('verify'))
    .description('check the chain of entries from the first to the last')
    .option(
      '--anchor <entry:hash>',
      'an anchor that an earlier verify printed: that entry must still be there',
    )
    .action(options => verifyAudit(terminal, options));
}

interface AuditListOptions extends OutputOptions {
  readonly key?: string;
  readonly account?: string;
  readonly action?: string;
  readonly limit: number;
}

async function listAudit(terminal: Terminal, options: AuditListOptions): Promise<void> {
  const { key, account, action, limit, ...output } = options;
  const admin = await openAdminClient(terminal.env);
  const entries = atMost(limit, admin.items('/admin/audit', { key, account, action }));
  await printList(terminal, entries, output, entry => [
    entry['seq'],
    entry['at'],
    entry['account'] ?? entry['clientId'] ?? 'nobody known',
    entry['action'],
    entry['target'],
    entry['outcome'],
  ]);
}

async function* atMost<T>(limit: number, items: AsyncIterable<T>): AsyncGenerator<T> {
  let left = limit;
  if (left === 0) return;
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left === 0) return;
  }
}

export async function requestVerification(admin: AdminClient): Promise<AuditVerification> {
  return (await admin.call('GET', '/admin/audit/verification')) as JsonObject & AuditVerification;
}

async function verifyAudit(
  terminal: Terminal,
  { anchor, json }: OutputOptions & { anchor?: string },
): Promise<void> {
  const wanted = anchor === undefined ? undefined : parseAnchor(anchor);
  const admin = await openAdminClient(terminal.env);
  const { entries, head, faults } = await requestVerification(admin);
  const missing = wanted === undefined || (await holds(admin, wanted)) ? [] : [missingAnchor(wanted)];
  const all = [...faults, ...missing].toSorted((one, other) => one.seq - other.seq);
  const verification = { entries, head, anchor: `${entries}:${head}`, faults: all };
  if (json === true) printJson(terminal, verification);
  else printVerification(terminal, verification);
  const [first] = all;
  if (first !== undefined)
    throw new CommandFailed(
      `The chain does not verify. The first bad entry is ${first.seq}: ${first.fault}.`,
    );
}

function printVerification(
  terminal: Terminal,
  { entries, head, anchor, faults }: AuditVerification & { anchor: string },
): void {
  for (const { seq, fault } of faults) print(terminal, `entry ${seq}: ${fault}`);
  print(terminal, `entries: ${entries}`);
  print(terminal, `head: ${head}`);
  if (faults.length === 0) print(terminal, `anchor, to keep elsewhere: ${anchor}`);
}

interface Anchor {
  readonly seq: number;
  readonly hash: string;
}

function parseAnchor(text: string): Anchor {
  const match = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text);
  if (match === null)
    throw new CommandFailed(
      '--anchor takes what verify printed: a number, a colon, a hash.',
      exitCodes.usage,
    );
  return { seq: Number(match[1]), hash: String(match[2]) };
}

async function holds(admin: AdminClient, { seq, hash }: Anchor): Promise<boolean> {
  const { items } = await admin.call('GET', `/admin/audit?cursor=${seq}&limit=1`);
  const [entry] = items as JsonObject[];
  return entry?.['seq'] === seq && entry['hash'] === hash;
}

function missingAnchor({ seq }: Anchor): { seq: number; fault: string } {
  return { seq, fault: 'the entry is not the one that the anchor names' };
}
