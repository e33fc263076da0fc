/** One token request (RFC 6749 section 4.4): an API key in, an access token out. No dependency, no cache. */
import { readRetryAfter, readText } from '../protocol/http-answer.ts';
import { systemClock } from './clock.ts';

export interface TokenRequestOptions {
  /** The service's base URL. */
  readonly issuer: string;
  /** The whole key string. */
  readonly apiKey: string;
  /** Space-separated; absent: all that the key has. */
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  /** Separated by semicolons; absent or empty: all that the key has. */
  readonly controllers?: string | undefined;
  /** As `controllers`. */
  readonly origins?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface TokenAnswer {
  readonly accessToken: string;
  readonly tokenType: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly scope: string;
}

/**
 * The service refused: `code` is OAuth's, or `invalid_response` where what answers speaks no OAuth; `message` says what
 * to do.
 */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
  readonly status: number;
  readonly code: string;
  /** Seconds for which the service asks not to be asked; undefined where it does not say. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, description: string, retryAfter?: number) {
    super(description);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/**
 * @throws {TokenRefused} where the service answers with an error
 * @throws {TypeError} where it cannot be reached, as `fetch` does
 */
export async function requestToken(options: TokenRequestOptions): Promise<TokenAnswer> {
  const { issuer, apiKey, scope, audience, controllers, origins, signal } = options;
  const { fetch = globalThis.fetch, now = systemClock.now } = options;
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_secret: apiKey });
  for (const [name, value] of Object.entries({ scope, audience, controllers, origins }))
    if (value !== undefined) form.set(name, value);
  const response = await fetch(`${issuer}/oauth/token`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    signal: signal ?? null,
  });
  const answer = parse((await readText(response, longestAnswer)) ?? '');
  return response.ok ? readAnswer(response.status, answer) : refuse(response, answer, options.apiKey, now);
}

/** Characters of a whole answer: more is no answer of a token endpoint. */
const longestAnswer = 65_536;
/** Milliseconds: a client that is told more, and believes it, is out of order for a day. */
const longestPause = 300_000;

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** As much as the servers that are sent it take in a header, in the characters of RFC 6750 section 2.1. */
const sendable = /^[\w.~+/-]{1,8192}={0,2}$/;

function readAnswer(status: number, answer: Record<string, unknown>): TokenAnswer {
  const { access_token, token_type, expires_in, scope } = answer;
  if (
    typeof access_token !== 'string' ||
    !sendable.test(access_token) ||
    typeof token_type !== 'string' ||
    token_type.toLowerCase() !== 'bearer' ||
    typeof expires_in !== 'number' ||
    !(expires_in > 0 && expires_in < Infinity)
  ) {
    throw new TokenRefused(
      status,
      'invalid_response',
      'The answer is not that of an OAuth token endpoint: check the address of the issuer.',
    );
  }
  return {
    accessToken: access_token,
    tokenType: token_type,
    expiresIn: expires_in,
    scope: typeof scope === 'string' ? scope : '',
  };
}

function refuse(
  { status, headers }: Response,
  { error, error_description }: Record<string, unknown>,
  apiKey: string,
  now: () => number,
): never {
  const code = typeof error === 'string' ? error : 'invalid_response';
  const description = typeof error_description === 'string' ? error_description : describeStatus(status);
  const pause = readRetryAfter(headers, longestPause, now);
  throw new TokenRefused(
    status,
    code,
    // Whoever answers has been sent the key, and may say it back.
    description.replaceAll(apiKey, '…').slice(0, 500),
    pause === undefined ? undefined : Math.ceil(pause / 1000),
  );
}

function describeStatus(status: number): string {
  if (status >= 300 && status < 400)
    return `The answer was ${status}, and a key is sent no further: set the issuer to the address that answers itself.`;
  if (status >= 400 && status < 500)
    return `The answer was ${status}, and not that of an OAuth token endpoint: check the address of the issuer.`;
  return `The answer was ${status}.`;
}
