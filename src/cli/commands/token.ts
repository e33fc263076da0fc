/** `keyturn token`: exchanges the key in KEYTURN_API_KEY and prints the token. */
import { type Command, InvalidArgumentError } from 'commander';
import { requestToken, type TokenRequestOptions } from '../../client/request-token.ts';
import { readConnection } from '../admin-client.ts';
import { withSecret } from '../options.ts';
import { handOver, type OutputOptions, type Terminal } from '../terminal.ts';

export function addTokenCommand(program: Command, terminal: Terminal): void {
  withSecret(program.command('token'))
    .description('exchange the key for an access token, and print it')
    .option('--scope <scopes>', 'narrower than the key has, separated by spaces')
    .option('--audience <audience>', 'one that the key may have')
    .option('--controllers <list>', 'fewer than the key has, separated by semicolons', readNames)
    .option('--origins <list>', 'fewer than the key has, separated by semicolons', readNames)
    .action(options => token(terminal, options));
}

async function token(
  terminal: Terminal,
  options: OutputOptions & Pick<TokenRequestOptions, 'scope' | 'audience' | 'controllers' | 'origins'>,
): Promise<void> {
  const { url, apiKey } = readConnection(terminal.env);
  const { scope, audience, controllers, origins } = options;
  await handOver(terminal, options, async () => {
    const { accessToken, ...rest } = await requestToken({
      issuer: url,
      apiKey,
      scope,
      audience,
      controllers,
      origins,
    });
    return { name: 'accessToken', text: accessToken, rest };
  });
}

/** An empty parameter is none, and would get the whole key's token. */
function readNames(list: string): string {
  if (list.trim() !== '') return list;
  throw new InvalidArgumentError('Name one at least, or leave it out.');
}
