/** Calls to the Keyturn service in the name of this resource server, which authenticates with its own API key. */

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
      return readObject(await call(path, { method: 'POST', headers, body, signal }));
    },
    async get(path) {
      const signal = AbortSignal.timeout(options.timeout);
      return readObject(await send(path, { headers: { accept: 'application/json' }, signal }, options));
    },
    async open(path, headers, signal) {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), options.timeout);
      try {
        const response = await call(path, { headers, signal: AbortSignal.any([signal, late.signal]) });
        if (response.body === null) throw new IssuerUnreachable('the answer has no body');
        return response.body;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

type Call = (path: string, init: RequestInit) => Promise<Response>;

/** Once more where the key was refused and there is another by now. */
function createAuthenticatedCall(options: ServiceCallsOptions): Call {
  const { apiKey } = options;
  const read = async () => (typeof apiKey === 'string' ? apiKey : await apiKey()).trim();
  let known: string | undefined;
  const attempt = (path: string, init: RequestInit, key: string) => {
    const headers = { ...init.headers, authorization: `Basic ${btoa(`:${key}`)}` };
    return send(path, { ...init, headers }, options);
  };
  return async (path, init) => {
    const key = (known ??= await read());
    try {
      return await attempt(path, init, key);
    } catch (error) {
      if (!(error instanceof IssuerUnreachable) || error.status !== 401) throw error;
      known = await read();
      if (known === key) throw error;
      return attempt(path, init, known);
    }
  };
}

async function send(
  path: string,
  init: RequestInit,
  { url, fetch }: Pick<ServiceCallsOptions, 'url' | 'fetch'>,
): Promise<Response> {
  const response = await fetch(url + path, { ...init, redirect: 'manual' }).catch((cause: unknown) => {
    throw new IssuerUnreachable(`${url} cannot be reached`, { cause });
  });
  if (response.ok) return response;
  await response.body?.cancel();
  const seconds = Number(response.headers.get('retry-after'));
  throw new IssuerUnreachable(`${url}${path} answered ${response.status}`, {
    status: response.status,
    retryAfter: seconds > 0 ? seconds : 0,
  });
}

async function readObject(response: Response): Promise<Readonly<Record<string, unknown>>> {
  try {
    const value: unknown = await response.json();
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new IssuerUnreachable(`${response.url} broke off, or did not answer in JSON`, { cause });
  }
  throw new IssuerUnreachable(`${response.url} did not answer with an object`);
}
