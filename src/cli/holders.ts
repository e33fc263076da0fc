/** What is done alike to a key and to an account: changed, and deleted, where nobody has changed it since. */
import { openAdminClient } from './admin-client.ts';
import { warnOfWildcards } from './discouraged.ts';
import { CommandFailed, exitCodes } from './exit-codes.ts';
import { type OutputOptions, printRecord, report, type Terminal } from './terminal.ts';

export interface IfMatchOption {
  readonly ifMatch?: string | undefined;
}

/** @throws {CommandFailed} where nothing is to change: it would be answered as something that is done */
export async function changeHolder(
  terminal: Terminal,
  path: string,
  body: object,
  { ifMatch, ...output }: OutputOptions & IfMatchOption,
): Promise<void> {
  if (Object.keys(body).length === 0)
    throw new CommandFailed('Say what is to change: --help lists the options.', exitCodes.usage);
  const admin = await openAdminClient(terminal.env);
  const holder = await admin.call('PATCH', path, { body, ifMatch });
  warnOfWildcards(terminal, holder);
  printRecord(terminal, holder, output);
}

/** @param title of what is deleted, for the words that say so */
export async function deleteHolder(
  terminal: Terminal,
  path: string,
  { id, title }: { readonly id: string; readonly title: string },
  { ifMatch, ...output }: OutputOptions & IfMatchOption,
): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  await admin.call('DELETE', path, { ifMatch });
  report(terminal, output, `${title} is deleted.`, { id, deleted: true });
}
