/** The program: its commands, in the order in which its help names them. */
import { Command } from 'commander';
import { addAccessKeysCommands, addAccountsCommands } from './commands/accounts.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addCheckCommand } from './commands/check.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addInitCommand } from './commands/init.ts';
import { addKeysCommands } from './commands/keys.ts';
import { addScanCommand } from './commands/scan.ts';
import { addServeCommand } from './commands/serve.ts';
import { addSigningKeysCommands } from './commands/signing-keys.ts';
import { addTokenCommand } from './commands/token.ts';
import { readVersion } from '../server/version.ts';
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
    .version(readVersion(), '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: text => void terminal.stdout.write(text),
      writeErr: text => void terminal.stderr.write(text),
    })
    .addHelpText(
      'after',
      '\nKEYTURN_URL and KEYTURN_API_KEY say which server to talk to, and with which key.',
    );
  addServeCommand(program, terminal);
  addInitCommand(program, terminal);
  addKeysCommands(program, terminal);
  addAccountsCommands(program, terminal);
  addAccessKeysCommands(program, terminal);
  addSigningKeysCommands(program, terminal);
  addTokenCommand(program, terminal);
  addCheckCommand(program, terminal);
  addScanCommand(program, terminal);
  addAuditCommands(program, terminal);
  addDoctorCommand(program, terminal);
  addCompletionCommand(program, terminal);
  return program;
}
