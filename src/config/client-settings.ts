/** What the command line reads of the environment to talk to a server: little, and at once. */
import { formats } from './formats.ts';
import { ConfigurationError, showValue } from './problems.ts';

/** Where the command line finds the server, and its key. */
export interface ClientSettings {
  /** Without a slash at its end. */
  readonly url: string;
  readonly apiKey?: string;
}

/** @throws {ConfigurationError} where KEYTURN_URL is no base URL */
export function loadClientSettings(env: NodeJS.ProcessEnv): ClientSettings {
  const url = (env['KEYTURN_URL'] || 'http://127.0.0.1:8080').replace(/\/+$/, '');
  const apiKey = env['KEYTURN_API_KEY'] || undefined;
  if (formats.upstream(url)) return Object.freeze({ url, ...(apiKey === undefined ? {} : { apiKey }) });
  const expected = 'an http or https URL without user, password, query and fragment';
  throw new ConfigurationError([{ where: 'KEYTURN_URL', was: showValue(url), expected }]);
}
