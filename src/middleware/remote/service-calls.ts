/** Calls to the Keyturn service in the name of this resource server, which authenticates with its own API key. */
import { faultCode, readRetryAfter, readText } from '../../protocol/http-answer.ts';

/** The service cannot be asked, or gives no answer that can be used. What it would have said is unknown. */
export class IssuerUnreachable extends Error {
  override readonly name = 'IssuerUnreachable';
  /** What it answered, if it did. */
  readonly status: number | undefined;
  /** Seconds that it asks to be left alone for. */
  readonly retryAfter: number;

  constructor(message: string, options: { status?: number; retryAfter?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.retryAfter = options.retryAfter ?? 0;
  }
}

/** A key string, or what reads it: asked again where the service refuses the key, so that a rotated one is picked up. */
export type ApiKeySource = string | (() => string | Promise<string>);

export interface ServiceCallsOptions {
  /** The service's base URL. */
  readonly url: string;
  readonly apiKey: ApiKeySource;
  readonly fetch: typeof globalThis.fetch;
  /** Milliseconds within which an answer has to begin, and one that is read whole to end. */
  readonly timeout: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface ServiceCalls {
  /** `POST` of a form, by this server's key: the JSON object that it is answered with. @throws {IssuerUnreachable} */
  post(path: string, form: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>>;
  /** `GET` of a public JSON object. @throws {IssuerUnreachable} */
  get(path: string): Promise<Readonly<Record<string, unknown>>>;
  /** `GET` by this server's key, of what does not end: its body. @throws {IssuerUnreachable} */
  open(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
}

export function createServiceCalls(options: ServiceCallsOptions): ServiceCalls {
  const call = createAuthenticatedCall(options);
  return {
    async post(path, form) {
      const body = new URLSearchParams(form).toString();
      const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
      const signal = AbortSignal.timeout(options.timeout);
      return readObject(path, await call(path, { method: 'POST', headers, body, signal }));
    },
    async get(path) {
      // What a cache on the way still holds may lack the very key that is asked for.
      const headers = { accept: 'application/json', 'cache-control': 'no-cache' };
      const signal = AbortSignal.timeout(options.timeout);
      return readObject(path, await send(path, { headers, signal }, options));
    },
    async open(path, headers, signal) {
      const begun = new AbortController();
      const late = () => begun.abort(new DOMException('no answer in time', 'TimeoutError'));
      const end = () => begun.abort(signal.reason);
      const timer = setTimeout(late, options.timeout);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
      try {
        const response = await call(path, { headers, signal: begun.signal });
        if (response.body === null) throw new IssuerUnreachable(`${path} was answered without a body`);
        return response.body;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

type Call = (path: string, init: SignalledRequest) => Promise<Response>;
type SignalledRequest = Omit<RequestInit, 'signal'> & { readonly signal: AbortSignal };

/** Whether the key is wrong, or is not one for this: trying again will not help before somebody sees to it. */
export function isKeyRefused(error: unknown): boolean {
  return error instanceof IssuerUnreachable && (error.status === 401 || error.status === 403);
}

/** Once more where the key was refused and there is another by now. */
function createAuthenticatedCall(options: ServiceCallsOptions): Call {
  let known: string | undefined;
  const attempt = (path: string, init: SignalledRequest, key: string) =>
    send(path, { ...init, headers: { ...init.headers, authorization: basic(key) } }, options);
  return async (path, init) => {
    const key = (known ??= await readKey(options.apiKey, init.signal));
    try {
      return await attempt(path, init, key);
    } catch (error) {
      if (!isKeyRefused(error)) throw error;
      known = await readKey(options.apiKey, init.signal);
      if (known === key) throw error;
      return attempt(path, init, known);
    }
  };
}

/** A function that reads the key may fail, and may take as long as it likes: nobody waits for it longer than for the service. */
async function readKey(apiKey: ApiKeySource, signal: AbortSignal): Promise<string> {
  if (typeof apiKey === 'string') return apiKey.trim();
  const given = Promise.resolve()
    .then(apiKey)
    .catch((cause: unknown) => {
      throw new IssuerUnreachable('the function for the API key failed: see the cause', { cause });
    });
  const key: unknown = await Promise.race([given, rejectWhenAborted(signal)]);
  if (typeof key === 'string') return key.trim();
  throw new IssuerUnreachable('the function for the API key gave none');
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const late = () => reject(new IssuerUnreachable('the function for the API key gave none in time'));
    if (signal.aborted) late();
    else signal.addEventListener('abort', late, { once: true });
  });
}

/** A key is of ASCII alone. What the error of `btoa` says of another is kept from those who read the log. */
function basic(key: string): string {
  if (/[^\x20-\x7e]/.test(key)) throw new IssuerUnreachable('the API key is none', { status: 401 });
  return `Basic ${btoa(`:${key}`)}`;
}

async function send(
  path: string,
  init: SignalledRequest,
  { url, fetch, now }: ServiceCallsOptions,
): Promise<Response> {
  const response = await fetch(url + path, { ...init, redirect: 'manual' }).catch((cause: unknown) => {
    throw new IssuerUnreachable(`${path} is not answered: ${reasonOf(cause)}`, { cause });
  });
  if (response.ok) return response;
  // A body that nobody reads, broken or not; what is wrong is told by the status.
  response.body?.cancel().catch(() => undefined);
  throw new IssuerUnreachable(`${path} is answered with ${response.status}`, {
    status: response.status,
    retryAfter: (readRetryAfter(response.headers, longestRest, now) ?? 0) / 1000,
  });
}

/** Milliseconds: whoever asks for more would be taken for lost. */
const longestRest = 30_000;

/** Of a timeout the name says it. */
function reasonOf(error: unknown): string {
  return faultCode(error) ?? (error instanceof Error ? error.name : typeof error);
}

/** @throws {IssuerUnreachable} */
async function readObject(path: string, response: Response): Promise<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse((await readText(response, longestAnswer)) ?? '');
  } catch (cause) {
    throw new IssuerUnreachable(`${path} broke off, was too long, or was not answered in JSON`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new IssuerUnreachable(`${path} was not answered with an object`);
}

/** Characters of a whole answer. */
const longestAnswer = 1_048_576;
