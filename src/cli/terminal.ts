/** What a command says, and where: secrets and results to stdout (or a file made 0600), talk to stderr. */
import { open } from 'node:fs/promises';

export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

export interface OutputOptions {
  /** Print one JSON value. */
  readonly json?: boolean;
  /** Where the secret goes instead of stdout. */
  readonly out?: string;
}

export function say(terminal: Terminal, text: string): void {
  terminal.stderr.write(`${text}\n`);
}

export function print(terminal: Terminal, text: string): void {
  terminal.stdout.write(`${text}\n`);
}

export function printJson(terminal: Terminal, value: unknown): void {
  print(terminal, JSON.stringify(value, undefined, 2));
}

/**
 * Hands over a secret that is shown once.
 *
 * @param name its member in the JSON value
 * @throws where the file of `--out` is there already: nothing is overwritten
 */
export async function handOver(
  terminal: Terminal,
  options: OutputOptions,
  name: string,
  secret: string,
  rest: Record<string, unknown>,
): Promise<void> {
  if (options.out !== undefined) {
    const file = await open(options.out, 'wx', 0o600);
    await file.writeFile(`${secret}\n`);
    await file.close();
    say(terminal, `Written to ${options.out}, readable by you alone.`);
    if (options.json === true) printJson(terminal, rest);
  } else if (options.json === true) printJson(terminal, { ...rest, [name]: secret });
  else print(terminal, secret);
}
