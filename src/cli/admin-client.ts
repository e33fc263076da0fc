/** The admin API as the command line calls it: with a token for the access key in KEYTURN_API_KEY, or as that key itself. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { requestToken } from '../client/request-token.ts';
import { loadClientSettings } from '../config/client-settings.ts';
import { CommandFailed, exitCodeOf, exitCodes, explainFailure, isNetworkError } from './exit-codes.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Each call throws {@link CommandFailed} with the problem's own words. */
export interface AdminClient {
  /** The answer; its `ETag`, where it has one, is the member `etag`. */
  call(method: string, path: string, request?: AdminRequest): Promise<JsonObject>;
  /** A `POST` that makes a secret: where its answer is lost, it is asked for once more, and done once. */
  make(path: string, body?: object): Promise<JsonObject>;
  /** Every item of a list, page after page. Filters that are undefined are none. */
  items(path: string, filters?: Readonly<Record<string, string | undefined>>): AsyncGenerator<JsonObject>;
}

export interface AdminRequest {
  readonly body?: object | undefined;
  /** An entity tag, with or without its quotes. */
  readonly ifMatch?: string | undefined;
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
  return createClient(url, `Bearer ${accessToken}`);
}

/** The caller is the key itself, by HTTP Basic: no account, no role. */
export function createSelfClient(env: NodeJS.ProcessEnv): AdminClient {
  const { url, apiKey } = readConnection(env);
  return createClient(url, `Basic ${Buffer.from(`:${apiKey}`).toString('base64')}`);
}

function createClient(url: string, authorization: string): AdminClient {
  const send = (method: string, path: string, request?: SentRequest) =>
    sendRequest(url + path, method, authorization, request);
  const call: AdminClient['call'] = async (method, path, request) =>
    requireSuccess(await send(method, path, request));
  return {
    call,
    make(path, body) {
      const idempotencyKey = randomUUID();
      return insist(() => send('POST', path, { body, idempotencyKey }));
    },
    async *items(path, filters = {}) {
      const query = Object.entries(filters).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      let cursor: unknown;
      do {
        const search = new URLSearchParams([['limit', '100'], ...query]);
        if (typeof cursor === 'string') search.set('cursor', cursor);
        const page = await call('GET', `${path}?${search.toString()}`);
        yield* page['items'] as JsonObject[];
        cursor = page['next'];
      } while (typeof cursor === 'string');
    },
  };
}

interface SentRequest extends AdminRequest {
  readonly idempotencyKey?: string;
}

interface Reply {
  readonly status: number;
  readonly answer: JsonObject;
}

async function sendRequest(
  url: string,
  method: string,
  authorization: string,
  { body, ifMatch, idempotencyKey }: SentRequest = {},
): Promise<Reply> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      authorization,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch !== undefined && { 'if-match': quote(ifMatch) }),
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = parseAnswer(response.status, await response.text());
  const etag = response.headers.get('etag');
  return { status: response.status, answer: etag === null ? answer : { ...answer, etag } };
}

/** Shells eat the quotes of an entity tag. */
function quote(etag: string): string {
  return etag === '*' || etag.includes('"') ? etag : `"${etag}"`;
}

function parseAnswer(status: number, text: string): JsonObject {
  if (status === 204) return {};
  try {
    return JSON.parse(text) as JsonObject;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `The answer (${status}) is not that of the admin API: is KEYTURN_URL right?`;
    throw new CommandFailed(message, exitCodeOf(status));
  }
}

function requireSuccess({ status, answer }: Reply): JsonObject {
  if (status >= 200 && status < 300) return answer;
  const { detail } = answer;
  const words = typeof detail === 'string' ? detail : `The answer was ${status}.`;
  throw new CommandFailed(words, exitCodeOf(status));
}

/** Milliseconds: what the server says in `Retry-After`, and the first try has time to end. */
const betweenTries = 1000;

/** Twice at most. A secret that was made and never seen would be live, and nobody's. */
async function insist(send: () => Promise<Reply>): Promise<JsonObject> {
  const first = await unlessLost(send);
  if (first !== undefined) return requireSuccess(first);
  await pause(betweenTries);
  try {
    return requireSuccess(await send());
  } catch (error) {
    const { message, exitCode } = explainFailure(error);
    throw new CommandFailed(
      `${message}\nThe answer to a first try was lost before that: look whether it was done.`,
      exitCode,
    );
  }
}

/** Undefined where nobody can say whether it was done. */
async function unlessLost(send: () => Promise<Reply>): Promise<Reply | undefined> {
  try {
    const reply = await send();
    return reply.status === 503 ? undefined : reply;
  } catch (error) {
    if (isNetworkError(error)) return undefined;
    throw error;
  }
}
