/** The admin API as the command line calls it: with a token for the access key in KEYTURN_API_KEY. */
import { requestToken } from '../client/request-token.ts';
import { loadClientSettings } from '../config/load.ts';
import { CommandFailed, exitCodeOf, exitCodes } from './exit-codes.ts';

export interface AdminClient {
  /** @throws {CommandFailed} with the problem's own words */
  call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
}

export interface Connection {
  readonly url: string;
  readonly apiKey: string;
}

/** @throws {CommandFailed} where no key is set */
export function readConnection(env: NodeJS.ProcessEnv): Connection {
  const { url, apiKey } = loadClientSettings(env);
  if (apiKey === undefined)
    throw new CommandFailed(
      'Set KEYTURN_API_KEY to an access key, or to an API key.',
      exitCodes.configuration,
    );
  return { url, apiKey };
}

export async function openAdminClient(env: NodeJS.ProcessEnv): Promise<AdminClient> {
  const { url, apiKey } = readConnection(env);
  const { accessToken } = await requestToken({ issuer: url, apiKey });
  return {
    async call(method, path, body) {
      const response = await fetch(url + path, {
        method,
        redirect: 'manual',
        headers: {
          authorization: `Bearer ${accessToken}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const answer = await readAnswer(response);
      if (response.ok) return answer;
      const { detail } = answer;
      throw new CommandFailed(
        typeof detail === 'string' ? detail : `The answer was ${response.status}.`,
        exitCodeOf(response.status),
      );
    },
  };
}

async function readAnswer(response: Response): Promise<Record<string, unknown>> {
  try {
    return (await response.json()) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `The answer (${response.status}) is not that of the admin API: is KEYTURN_URL right?`;
    throw new CommandFailed(message, exitCodeOf(response.status));
  }
}
