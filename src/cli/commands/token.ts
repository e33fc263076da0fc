/** `keyturn token`: exchanges the key in KEYTURN_API_KEY and prints the token. */
import { requestToken } from '../../client/request-token.ts';
import { readConnection } from '../admin-client.ts';
import { handOver, type OutputOptions, type Terminal } from '../terminal.ts';

export async function token(
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
