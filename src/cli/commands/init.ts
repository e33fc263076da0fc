/** `keyturn init`: makes the first owner, straight in the store. Works once per deployment. */
import { initialise, openFoundation } from '../../compose.ts';
import { loadSettings } from '../../config/load.ts';
import { presentAccount } from '../../issuer/accounts.ts';
import { createLogger } from '../../server/logger.ts';
import { CommandFailed } from '../exit-codes.ts';
import { handOver, type OutputOptions, say, type Terminal } from '../terminal.ts';

export async function init(terminal: Terminal, options: OutputOptions & { account: string }): Promise<void> {
  const { settings } = loadSettings(terminal.env);
  if (!/^[^\u0000-\u001f\u007f]{1,200}$/.test(options.account))
    throw new CommandFailed('An account name has 1 to 200 characters.');
  const logger = createLogger('warn', { write: text => terminal.stderr.write(text) });
  const foundation = await openFoundation(settings, { logger });
  try {
    const result = await initialise(options.account, settings, foundation);
    if (result.outcome === 'done')
      throw new CommandFailed('This deployment has its first owner already: init works once.');
    if (result.outcome === 'under way')
      throw new CommandFailed('Another init is under way, or broke off: try again in a minute.');
    say(
      terminal,
      `The account "${options.account}" owns this deployment. Its access key is shown this once:`,
    );
    const account = presentAccount(result.account);
    await handOver(terminal, options, 'accessKey', result.accessKey.apiKey, { account });
  } finally {
    await foundation.store.close();
  }
}
