/** Every credential that a request may carry, read once, wherever it stands. */
import { parseGuid } from './guid.ts';

export interface Credentials {
  readonly authorization: string | undefined;
  /** Each `sc_apikey`: the header's, and those of the query. What is empty comes of clients that were given no key. */
  readonly apiKeys: readonly string[];
  /** `X-SF-Access-Key`. */
  readonly accessKey: string | undefined;
  /** A token in the query is never read (RFC 9700 section 4.3.2), but beside another credential it is one too many. */
  readonly tokenInQuery: boolean;
}

/**
 * @param headers by lower-case name; a field that stood twice is a list, or was joined: then it is no credential
 * @param search the query, without its question mark
 */
export function readCredentials(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  search: string,
): Credentials {
  const header = single(headers['sc_apikey']);
  const query = search === '' ? nothing : readQuery(search);
  return {
    authorization: single(headers['authorization']),
    apiKeys: [...(header === undefined ? [] : [header]), ...query.apiKeys].filter(text => text !== ''),
    accessKey: single(headers['x-sf-access-key']),
    tokenInQuery: query.tokenInQuery,
  };
}

/** The keys that are meant by all that was sent as `sc_apikey`: one GUID has many forms. */
export function distinctApiKeys({ apiKeys }: Credentials): ReadonlySet<string> {
  return new Set(apiKeys.map(text => parseGuid(text) ?? text));
}

/** Those beside `Authorization`: where the one door is the token, each is one too many. */
export function countOtherCredentials({ apiKeys, accessKey, tokenInQuery }: Credentials): number {
  return [apiKeys.length > 0, accessKey !== undefined, tokenInQuery].filter(Boolean).length;
}

/** Whether a parameter of the query is an `sc_apikey`: its case does not matter, nor how it is percent-encoded. */
function isApiKeyParameter(name: string): boolean {
  return name.toLowerCase() === 'sc_apikey';
}

const nothing = { apiKeys: [] as readonly string[], tokenInQuery: false };

function readQuery(search: string): typeof nothing {
  const parameters = [...new URLSearchParams(search)];
  return {
    apiKeys: parameters.filter(([name]) => isApiKeyParameter(name)).map(([, value]) => value),
    tokenInQuery: parameters.some(([name]) => name === 'access_token'),
  };
}

function single(field: string | readonly string[] | undefined): string | undefined {
  return typeof field === 'object' ? field.join(', ') : field;
}
