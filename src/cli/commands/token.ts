/** `keyturn token`: exchanges the key in KEYTURN_API_KEY and prints the token. */
import type { Command } from 'commander';
import { requestToken } from '../../client/request-token.ts';
import { readConnection } from '../admin-client.ts';
import { withSecret } from '../options.ts';
import { handOver, type OutputOptions, type Terminal } from '../terminal.ts';

export function addTokenCommand(program: Command, terminal: Terminal): void {
  withSecret(program.command('token'))
    .description('exchange the key for an access token, and print it')
    .option('--scope <scopes>', 'narrower than the key has, separated by spaces')
    .option('--audience <audience>', 'one that the key may have')
    .action(options => token(terminal, options));
}

async function token(
  terminal: Terminal,
  options: OutputOptions & { scope?: string; audience?: string },
): Promise<void> {
  const { url, apiKey } = readConnection(terminal.env);
  await handOver(terminal, options, async () => {
    const { accessToken, ...rest } = await requestToken({
      issuer: url,
      apiKey,
      scope: options.scope,
      audience: options.audience,
    });
    return { name: 'accessToken', text: accessToken, rest };
  });
}
