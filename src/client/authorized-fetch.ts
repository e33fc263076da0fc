/** `fetch` with a token: what the caller asked for, and once more with a new token where a server refuses the old one. */

type Fetch = typeof globalThis.fetch;
type Input = Parameters<Fetch>[0];

export interface AuthorizedFetchOptions {
  /** The living token; where that one is `rejected`, the next one, or the same where there is to be none yet. */
  readonly getToken: (call: { rejected?: string; signal: AbortSignal | undefined }) => Promise<string>;
  readonly fetch: Fetch;
}

/** @throws what `getToken` and `fetch` throw */
export async function fetchAuthorized(
  { getToken, fetch }: AuthorizedFetchOptions,
  input: Input,
  given: RequestInit | null | undefined,
): Promise<Response> {
  const init = given ?? {};
  const request = asRequest(input);
  const signal = init.signal ?? request?.signal;
  const send = (to: Input, token: string) => fetch(to, { ...init, headers: withToken(token, request, init) });
  const token = await getToken({ signal });
  const copy = copyForLater(request, init);
  const first = await send(input, token);
  if (first.status !== 401 || isStream(init.body) || !isOfThisRequest(first, input, init)) {
    discard(copy);
    return first;
  }
  const next = await getToken({ rejected: token, signal }).catch((error: unknown) => {
    discard(copy);
    discard(first);
    throw error;
  });
  discard(next === token ? copy : first);
  return next === token ? first : send(copy ?? input, next);
}

function asRequest(input: Input): Request | undefined {
  return typeof input === 'object' && 'headers' in input ? input : undefined;
}

/** In place of any credential that the caller has set. */
function withToken(token: string, request: Request | undefined, init: RequestInit): Headers {
  const headers = new Headers(init.headers ?? request?.headers);
  headers.set('authorization', `Bearer ${token}`);
  return headers;
}

/** The body of a `Request` can be read once. Until the answer has come, what was sent of it is kept for a second time. */
function copyForLater(request: Request | undefined, init: RequestInit): Request | undefined {
  return (request?.body ?? null) === null || (init.body ?? null) !== null ? undefined : request?.clone();
}

/** It is gone once it is sent. Node takes anything that can be iterated in time for a stream. */
function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body);
}

/**
 * A redirect to another origin drops the token, so a 401 from there says nothing of it. And what was redirected was
 * heeded: only what changes nothing is sent again.
 */
function isOfThisRequest({ redirected, url }: Response, input: Input, init: RequestInit): boolean {
  if (!redirected) return true;
  const { url: target, method = 'GET' } = asRequest(input) ?? { url: input as string | URL };
  const isSafe = /^(?:get|head)$/i.test(init.method ?? method);
  return isSafe && new URL(target, url).origin === new URL(url).origin;
}

/** Lets go of a body that nobody reads, so that its connection can be used again. It may take as long as it likes. */
function discard(unread: Request | Response | undefined): void {
  unread?.body?.cancel().catch(() => undefined);
}
