/** The token client: the tokens of one API key, one source for each purpose, and `fetch` with one of them. */
import { checkNames } from '../protocol/known-names.ts';
import { parseWebUrl } from '../protocol/web-url.ts';
import { fetchAuthorized } from './authorized-fetch.ts';
import { type Clock, type SetTimer, systemClock } from './clock.ts';
import type { ApiKey } from './obtain-token.ts';
import { createSharedPause } from './pauses.ts';
import { type TokenCall, TokenSource } from './token-source.ts';

/** What a token is to be for. What is absent is all that the key has. */
export interface TokenPurpose {
  /** Space-separated; narrower than the key has. */
  readonly scope?: string | undefined;
  /** One that the key may have. */
  readonly audience?: string | undefined;
  /** Fewer than the key has, separated by semicolons. */
  readonly controllers?: string | undefined;
  /** As `controllers`. */
  readonly origins?: string | undefined;
}

export interface TokenClientOptions extends TokenPurpose {
  /** The service's base URL. */
  readonly issuer: string;
  /**
   * The whole key string, or a function that gives it. It is called when a token is requested, and again where the service
   * refuses the key: that is how a rotated key is picked up. White space around the key does not count.
   */
  readonly apiKey: ApiKey;
  /** Milliseconds that a caller waits for its token while the service cannot be had: 0 to 2^31 - 1, 10,000 by default. */
  readonly patience?: number;
  /** Milliseconds for one attempt, to read the key and have the service's answer: 1 to 2^31 - 1, 5,000 by default. */
  readonly timeout?: number;
  /** For token requests and for the client's own `fetch`; by default that of the platform. */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds since the epoch. It, and what follows, is there for tests. */
  readonly now?: () => number;
  /** Milliseconds of a clock that no one sets; `now`, where that is given. */
  readonly monotonic?: () => number;
  readonly setTimer?: SetTimer;
  /** From 0 to 1, without 1. */
  readonly random?: () => number;
}

/** A purpose where it differs from that of the client, and what is of this call alone. */
export interface TokenRequest extends TokenPurpose, TokenCall {}

/** Its functions need no `this`. */
export interface TokenClient {
  /**
   * A living token: at once where there is one, which is always so for who asks often and while the service can be had.
   *
   * @throws {TokenRefused} where the service refuses the key or what is asked for: `code` says why
   * @throws {TokenUnavailable} where no token can be had now: `retryAfter` says when to try again
   * @throws {TypeError} where the request has another name, or a blank one: it would be for more than was meant
   * @throws what `signal` says, where it is aborted
   */
  getToken(request?: TokenRequest): Promise<string>;
  /**
   * As the platform's `fetch`, with a token as `Authorization: Bearer`, and one repetition with a new token after a 401,
   * unless the body is a stream. Throws what {@link getToken} throws, too.
   */
  fetch(
    input: Parameters<typeof globalThis.fetch>[0],
    init?: RequestInit,
    purpose?: TokenPurpose,
  ): Promise<Response>;
}

/** Asks nobody until a token is asked for. @throws {TypeError} where an option makes no sense */
export function createTokenClient(options: TokenClientOptions): TokenClient {
  checkNames(options, optionNames, 'a token client');
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const sourceFor = createSources(options, fetch);
  return {
    async getToken(request = {}) {
      checkNames(request, requestNames, 'a token request');
      const { signal, rejected } = request;
      return sourceFor(request).get({ signal, rejected });
    },
    async fetch(input, init, purpose = {}) {
      checkNames(purpose, purposeNames, 'the purpose of a token');
      const source = sourceFor(purpose);
      return fetchAuthorized({ fetch, getToken: call => source.get(call) }, input, init);
    },
  };
}

/** How many purposes are kept in mind: a purpose that is made up for each call is not to fill the memory. */
const mostSources = 1000;

function createSources(
  options: TokenClientOptions,
  fetch: typeof globalThis.fetch,
): (purpose: TokenPurpose) => TokenSource {
  const { apiKey, patience = 10_000, timeout = 5000, random = Math.random } = options;
  const clock = readClock(options);
  const issuer = readIssuer(options.issuer);
  const shared = { issuer, apiKey, patience, timeout, random, clock, fetch };
  const quiet = createSharedPause(clock.monotonic);
  const sources = new Map<string, TokenSource>();
  checkKey(apiKey);
  checkMilliseconds('patience', patience, 0);
  checkMilliseconds('timeout', timeout, 1);
  if (typeof fetch !== 'function') throw new TypeError('fetch has to be a function.');
  readParameters(options);
  return purpose => {
    const parameters = readParameters(purpose, options);
    const name = JSON.stringify(parameters);
    const source = sources.get(name) ?? new TokenSource({ ...shared, quiet, parameters });
    // What was used last comes last, so that what goes is what nobody uses.
    sources.delete(name);
    sources.set(name, source);
    if (sources.size > mostSources) forgetFirst(sources);
    return source;
  };
}

function forgetFirst(sources: Map<string, TokenSource>): void {
  for (const [name, source] of sources) {
    source.close();
    sources.delete(name);
    return;
  }
}

function readClock({ now, monotonic, setTimer }: TokenClientOptions): Clock {
  return {
    now: now ?? systemClock.now,
    monotonic: monotonic ?? now ?? systemClock.monotonic,
    setTimer: setTimer ?? systemClock.setTimer,
  };
}

/** As the service writes its own: without a slash at the end. */
function readIssuer(text: string): string {
  if (parseWebUrl(text) !== undefined) return text.replace(/\/+$/, '');
  throw new TypeError(
    'issuer has to be the base URL of the service, as https://keys.example.com: http or https, without user, query or fragment.',
  );
}

const purposeNames = ['scope', 'audience', 'controllers', 'origins'] satisfies (keyof TokenPurpose)[];

const requestNames = [...purposeNames, 'signal', 'rejected'] satisfies (keyof TokenRequest)[];

const optionNames = [
  'issuer',
  'apiKey',
  ...purposeNames,
  'patience',
  'timeout',
  'fetch',
  'now',
  'monotonic',
  'setTimer',
  'random',
] satisfies (keyof TokenClientOptions)[];

function checkKey(apiKey: unknown): void {
  if (typeof apiKey === 'function' || (typeof apiKey === 'string' && apiKey.trim() !== '')) return;
  throw new TypeError('apiKey has to be the key string, or a function that gives it.');
}

/** Timers take as much as 2^31 - 1, and what is more for nothing at all. */
function checkMilliseconds(name: string, value: unknown, least: number): void {
  if (typeof value === 'number' && value >= least && value < 2 ** 31) return;
  throw new TypeError(`${name} has to be milliseconds, from ${least} to ${2 ** 31 - 1}.`);
}

/** @throws {TypeError} where one is blank: to the service it would be none, and the token one for all that the key has */
function readParameters(purpose: TokenPurpose, defaults: TokenPurpose = {}): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const name of purposeNames) {
    const value = purpose[name] ?? defaults[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value.trim() === '')
      throw new TypeError(`${name} is blank: say what the token is to be for, or leave it out.`);
    parameters[name] = value;
  }
  return parameters;
}
