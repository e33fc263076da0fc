/** `keyturn init`: makes the first owner, straight in the store. Works once per deployment. */
import type { Command } from 'commander';
import type { Settings } from '../../config/settings.ts';
import { CommandFailed, exitCodes } from '../exit-codes.ts';
import { withSecret } from '../options.ts';
import { handOver, type OutputOptions, say, type Secret, type Terminal } from '../terminal.ts';

export function addInitCommand(program: Command, terminal: Terminal): void {
  withSecret(program.command('init'))
    .description('make the first owner, straight in the store; works once per deployment')
    .option('--account <name>', 'the name of the account', 'owner')
    .action(options => init(terminal, options));
}

type InitOptions = OutputOptions & { account: string };

async function init(terminal: Terminal, options: InitOptions): Promise<void> {
  // The store is much to load, and the other commands need none of it.
  const [{ loadSettings }, { isAccountName }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../issuer/account.ts'),
  ]);
  const { settings } = loadSettings(terminal.env);
  if (!isAccountName(options.account)) {
    throw new CommandFailed('That cannot be the name of an account: see docs/admin-api.md.', exitCodes.usage);
  }
  await handOver(terminal, options, () => makeOwner(terminal, options.account, settings));
}

async function makeOwner(terminal: Terminal, accountId: string, settings: Settings): Promise<Secret> {
  const [{ initialise, openFoundation }, { presentAccount }, { createLogger }] = await Promise.all([
    import('../../compose.ts'),
    import('../../issuer/account.ts'),
    import('../../server/logger.ts'),
  ]);
  const logger = createLogger('warn', { write: text => terminal.stderr.write(text) });
  const foundation = await openFoundation(settings, { logger });
  try {
    const result = await initialise(accountId, settings, foundation);
    if (result.outcome === 'done')
      throw new CommandFailed('This deployment has its first owner already: init works once.');
    if (result.outcome === 'under way')
      throw new CommandFailed('Another init is under way, or broke off: try again in a minute.');
    say(terminal, `The account "${accountId}" owns this deployment. Its access key is shown this once:`);
    const rest = { account: presentAccount(result.account) };
    return { name: 'accessKey', text: result.accessKey.apiKey, rest };
  } finally {
    await foundation.store.close();
  }
}
