/** One attempt to get a token: the key is read, the service is asked, and what comes of it is put into one of three words. */
import { faultCode } from '../protocol/http-answer.ts';
import { type Clock, startAge } from './clock.ts';
import { requestToken, type TokenAnswer, TokenRefused } from './request-token.ts';
import type { UnavailableCode } from './token-unavailable.ts';

/** The key, or what gives it: it is called for each token, not for each use of one. */
export type ApiKey = string | (() => string | Promise<string>);

export interface AttemptOptions {
  readonly issuer: string;
  readonly apiKey: ApiKey;
  /** What the token is to be for: empty parameters have been left out. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Milliseconds for all of it. */
  readonly timeout: number;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
}

export type Outcome = Obtained | Refusal | Failure;

export interface Obtained {
  readonly kind: 'obtained';
  readonly answer: TokenAnswer;
  /** Milliseconds since before the request was sent. */
  readonly age: () => number;
}

/** It is no use to ask again with the same key. */
export interface Refusal {
  readonly kind: 'refused';
  readonly key: string;
  readonly error: TokenRefused;
}

/** It may work another time. */
export interface Failure {
  readonly kind: 'failed';
  readonly code: UnavailableCode;
  readonly message: string;
  readonly status?: number;
  /** Milliseconds for which the service asks not to be asked. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Never rejects.
 *
 * @param known a refusal that need not be heard again: with the same key it is the outcome, and nobody is asked
 */
export async function obtainToken(options: AttemptOptions, known: Refusal | undefined): Promise<Outcome> {
  const { clock, timeout } = options;
  const controller = new AbortController();
  let cancel: (() => void) | undefined;
  const tooLong = new Promise<Outcome>(resolve => {
    const giveUp = () => {
      resolve({ kind: 'failed', code: 'unreachable', message: describeSilence(options) });
      controller.abort();
    };
    cancel = clock.setTimer(giveUp, timeout, false);
  });
  // A key function, and somebody's own fetch, may not know of signals.
  const outcome = await Promise.race([attempt(options, known, controller.signal), tooLong]);
  cancel?.();
  return outcome;
}

/** A key that was changed while it was on its way is no refused key: the new one is tried at once. */
async function attempt(
  options: AttemptOptions,
  known: Refusal | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const key = await readKey(options.apiKey);
  if (typeof key !== 'string') return key;
  if (key === known?.key) return known;
  const outcome = await ask(options, key, signal);
  if (outcome.kind !== 'refused' || outcome.error.code !== 'invalid_client') return outcome;
  const next = await readKey(options.apiKey);
  return typeof next !== 'string' || next === key ? outcome : ask(options, next, signal);
}

async function readKey(apiKey: ApiKey): Promise<string | Failure> {
  try {
    const key: unknown = typeof apiKey === 'function' ? await apiKey() : apiKey;
    if (typeof key === 'string' && key.trim() !== '') return key.trim();
    return { kind: 'failed', code: 'key_unavailable', message: 'The function for the API key gave none.' };
  } catch (cause) {
    const message = 'The function for the API key failed: see the cause.';
    return { kind: 'failed', code: 'key_unavailable', message, cause };
  }
}

async function ask(options: AttemptOptions, apiKey: string, signal: AbortSignal): Promise<Outcome> {
  const { issuer, parameters, fetch, clock } = options;
  const age = startAge(clock);
  try {
    const answer = await requestToken({ issuer, apiKey, ...parameters, signal, fetch, now: clock.now });
    return { kind: 'obtained', answer, age };
  } catch (error) {
    if (!(error instanceof TokenRefused)) return describeFault(error, options);
    return isPassing(error.status)
      ? describePassing(error, options)
      : { kind: 'refused', key: apiKey, error };
  }
}

/** RFC 9110 sections 15.5.9 and 15.6, RFC 6585 section 4, RFC 8470 section 5.2: the same request may succeed later. */
function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

function describePassing({ status, retryAfter, message }: TokenRefused, options: AttemptOptions): Failure {
  return {
    kind: 'failed',
    code: 'temporarily_unavailable',
    message: `${nameOf(options)} cannot serve now (${status}): ${message}`,
    status,
    retryAfter: retryAfter === undefined ? undefined : retryAfter * 1000,
  };
}

function describeFault(error: unknown, options: AttemptOptions): Failure {
  const code = faultCode(error);
  const reason = code === undefined ? '' : ` (${code})`;
  const message = `${nameOf(options)} cannot be reached${reason}: check the address, and that the service runs.`;
  return { kind: 'failed', code: 'unreachable', message, cause: error };
}

function describeSilence(options: AttemptOptions): string {
  return `${nameOf(options)} does not answer within ${options.timeout} ms.`;
}

function nameOf({ issuer }: AttemptOptions): string {
  return `The token endpoint of ${issuer}`;
}
