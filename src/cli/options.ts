/** The options that several commands share, and how values on a command line are read. */
import { type Command, InvalidArgumentError } from 'commander';
import { CommandFailed, exitCodes } from './exit-codes.ts';

export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON value');
}

export function withSecret(command: Command): Command {
  return withJson(command).option(
    '--out <file>',
    'write the secret to this new file (0600) instead of stdout',
  );
}

export function withIfMatch(command: Command): Command {
  return command.option('--if-match <etag>', 'only where nobody has changed it since; show prints the etag');
}

export function readWholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a whole number.');
}

/** @throws {CommandFailed} where there is no name before a `=` */
export function splitPair(option: string, pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new CommandFailed(`${option} takes NAME=VALUE, not "${pair}".`, exitCodes.usage);
  return [pair.slice(0, at), pair.slice(at + 1)];
}
