/** `keyturn accounts` and `keyturn access-keys`: who may administer, and with which key. */
import { type Command, Option } from 'commander';
import { ROLES } from '../../config/catalogue.ts';
import { openAdminClient } from '../admin-client.ts';
import { warnOfWildcards } from '../discouraged.ts';
import { changeHolder, deleteHolder } from '../holders.ts';
import { withIfMatch, withJson, withSecret } from '../options.ts';
import {
  handOver,
  type OutputOptions,
  printList,
  printRecord,
  report,
  say,
  type Terminal,
} from '../terminal.ts';

export function addAccountsCommands(program: Command, terminal: Terminal): void {
  const accounts = program.command('accounts').description('make, list, change and delete accounts');
  withAccountFields(withJson(accounts.command('create').argument('<id>')))
    .description('make an account; it has no access key yet')
    .action((id: string, options) => createAccount(terminal, id, options));
  withJson(accounts.command('list'))
    .description('list accounts, by name')
    .action(options => listAccounts(terminal, options));
  withJson(accounts.command('show').argument('<id>'))
    .description('show an account')
    .action((id: string, options) => showAccount(terminal, id, options));
  withAccountFields(withIfMatch(withJson(accounts.command('update').argument('<id>'))))
    .description('change an account; what takes rights away ends its tokens')
    .action((id: string, options) => changeHolder(terminal, accountPath(id), accountBody(options), options));
  withIfMatch(withJson(accounts.command('delete').argument('<id>')))
    .description('delete an account and its access key; the last owner stays')
    .action((id: string, options) =>
      deleteHolder(terminal, accountPath(id), { id, title: `Account "${id}"` }, options),
    );
}

export function addAccessKeysCommands(program: Command, terminal: Terminal): void {
  const accessKeys = program.command('access-keys').description('give accounts their keys, and take them');
  withSecret(accessKeys.command('create').argument('<account>'))
    .description('make an access key in place of the old one; it is shown this once')
    .action((account: string, options) => createAccessKey(terminal, account, options));
  withJson(accessKeys.command('revoke').argument('<account>'))
    .description('end the access key of an account, and all its tokens')
    .action((account: string, options) => revokeAccessKey(terminal, account, options));
}

interface AccountOptions extends OutputOptions {
  readonly role?: string;
  readonly permissions?: string;
  readonly provider?: string;
  readonly origins?: string;
}

function withAccountFields(command: Command): Command {
  return command
    .addOption(new Option('--role <role>', 'member where a new account has none').choices(ROLES))
    .option('--permissions <scopes>', "beside the role's, separated by spaces; none where empty")
    .addOption(
      new Option('--provider <provider>', 'external: signs in elsewhere, and gets no access key').choices([
        'local',
        'external',
      ]),
    )
    .option('--origins <list>', 'browser origins, separated by semicolons; none where empty');
}

function accountBody({ role, permissions, provider, origins }: AccountOptions): object {
  return {
    ...(role !== undefined && { role }),
    ...(permissions !== undefined && { permissions: permissions.split(' ').filter(scope => scope !== '') }),
    ...(provider !== undefined && { provider }),
    ...(origins !== undefined && { corsOrigins: origins }),
  };
}

function accountPath(id: string): string {
  return `/admin/accounts/${encodeURIComponent(id)}`;
}

async function createAccount(terminal: Terminal, id: string, options: AccountOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  const account = await admin.call('POST', '/admin/accounts', { body: { id, ...accountBody(options) } });
  warnOfWildcards(terminal, account);
  printRecord(terminal, account, options);
}

async function listAccounts(terminal: Terminal, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  await printList(terminal, admin.items('/admin/accounts'), options, account => [
    account['id'],
    account['role'],
    account['provider'],
    account['accessKey'] ?? 'no access key',
  ]);
}

async function showAccount(terminal: Terminal, id: string, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  printRecord(terminal, await admin.call('GET', accountPath(id)), options);
}

async function createAccessKey(terminal: Terminal, id: string, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  await handOver(terminal, options, async () => {
    const { account, accessKey } = await admin.make(`${accountPath(id)}/access-key`);
    say(terminal, `Account "${id}" has a new access key; an older one is dead. It is shown this once:`);
    return { name: 'accessKey', text: String(accessKey), rest: { account } };
  });
}

async function revokeAccessKey(terminal: Terminal, id: string, options: OutputOptions): Promise<void> {
  const admin = await openAdminClient(terminal.env);
  await admin.call('DELETE', `${accountPath(id)}/access-key`);
  report(terminal, options, `The access key of "${id}" is dead.`, { account: id, revoked: true });
}
