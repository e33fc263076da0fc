/** The commands, their options and their help. */
import { Command, InvalidArgumentError } from 'commander';
import { init } from './commands/init.ts';
import { createKey, listKeys, revokeKey, showKey } from './commands/keys.ts';
import { serve } from './commands/serve.ts';
import { token } from './commands/token.ts';
import { type ExitCode, exitCodes, explainFailure } from './exit-codes.ts';
import { say, type Terminal } from './terminal.ts';

/** Runs one command to its end. Never rejects; never ends the process. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    await createProgram(terminal).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    const { exitCode, message } = explainFailure(error);
    if (message !== '') say(terminal, message);
    return exitCode;
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('keyturn')
    .description('Turns API keys into short-lived tokens, and guards routes with them.')
    .exitOverride()
    .configureOutput({
      writeOut: text => void terminal.stdout.write(text),
      writeErr: text => void terminal.stderr.write(text),
    })
    .addHelpText(
      'after',
      '\nKEYTURN_URL and KEYTURN_API_KEY say which server to talk to, and with which key.',
    );

  program
    .command('serve')
    .description('run the service')
    .action(() => serve(terminal));

  withSecret(program.command('init'))
    .description('make the first owner, straight in the store; works once per deployment')
    .option('--account <name>', 'the name of the account', 'owner')
    .action(options => init(terminal, options));

  withSecret(program.command('token'))
    .description('exchange the key for an access token, and print it')
    .option('--scope <scopes>', 'narrower than the key has, separated by spaces')
    .option('--audience <audience>', 'one that the key may have')
    .action(options => token(terminal, options));

  const keys = program.command('keys').description('make, list, show and revoke API keys');
  addCreateKey(keys, terminal);
  withJson(keys.command('list'))
    .description('list keys, newest first')
    .option('--feature <name>')
    .option('--owner <account>')
    .option('--status <status>', 'draft, active, disabled, expired or revoked')
    .option('--query <text>', 'part of the name, or the id')
    .action(options => listKeys(terminal, options));
  withJson(keys.command('show').argument('<id>'))
    .description('show a key; never its secret')
    .action((id: string, options) => showKey(terminal, id, options));
  withJson(keys.command('revoke').argument('<id>'))
    .description('end a key and all its tokens, for good')
    .action((id: string, options) => revokeKey(terminal, id, options));
  return program;
}

function addCreateKey(keys: Command, terminal: Terminal): void {
  withSecret(keys.command('create'))
    .description('make a key; the key string is shown this once')
    .requiredOption('--name <name>')
    .requiredOption('--feature <name>')
    .option('--scope <scopes...>', "narrower than the feature's")
    .option('--controllers <list>', "separated by semicolons; the feature's where absent, none where empty")
    .option('--origins <list>', 'browser origins, separated by semicolons; * is discouraged')
    .option('--impersonation-user <user>', 'whom the key acts as')
    .option('--custom-data <name=value...>')
    .option('--custom-data-in-token <names...>', 'which of them go into the token')
    .option('--claim <uri=value...>', 'extra claims; a value that is JSON is taken as such')
    .option('--audience <audiences...>')
    .option('--door <doors...>', 'token, sc_apikey')
    .option('--owner <account>')
    .option('--draft', 'not live until published')
    .option('--not-before <time>', 'RFC 3339')
    .option('--expires-at <time>', 'RFC 3339')
    .option('--token-ttl <seconds>', 'how long its tokens live', readSeconds)
    .action(options => createKey(terminal, options));
}

function readSeconds(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number of seconds.');
}

function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON value');
}

function withSecret(command: Command): Command {
  return withJson(command).option(
    '--out <file>',
    'write the secret to this new file (0600) instead of stdout',
  );
}
