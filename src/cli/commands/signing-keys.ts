/** `keyturn signing-keys`: the keys that sign tokens. */
import type { Command } from 'commander';
import { type JsonObject, openAdminClient } from '../admin-client.ts';
import { withJson } from '../options.ts';
import { type OutputOptions, printList, type Terminal } from '../terminal.ts';

export function addSigningKeysCommands(program: Command, terminal: Terminal): void {
  const signingKeys = program.command('signing-keys').description('the keys that sign tokens');
  withJson(signingKeys.command('list'))
    .description('list the keys of the ring, oldest first; never a private key')
    .action(options => listSigningKeys(terminal, options));
}

async function listSigningKeys(terminal: Terminal, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  // The ring is no list of pages.
  const { items } = await admin.call('GET', '/admin/signing-keys');
  await printList(terminal, ringOf(items), options, key => [
    key['kid'],
    key['alg'],
    key['state'],
    key['createdAt'],
  ]);
}

async function* ringOf(items: unknown): AsyncGenerator<JsonObject> {
  yield* items as JsonObject[];
}
