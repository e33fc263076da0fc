/**
 * The guard of a resource server elsewhere, put together: it verifies with the service's published keys, hears of
 * revocations on an event stream, looks keys up at the service, and decides as the service would.
 */
import { createDoorGuard } from '../access/doors.ts';
import { Revocations } from '../access/revocations.ts';
import { createTokenVerifier } from '../access/verify-token.ts';
import { longestTokenLife } from '../protocol/claims.ts';
import { checkNames } from '../protocol/known-names.ts';
import { tokenTypes } from '../protocol/token-header.ts';
import { parseUrl } from '../protocol/url.ts';
import { isIssuer, parseWebUrl } from '../protocol/web-url.ts';
import type { GuardOptions } from './guard-options.ts';
import type { JudgeOptions } from './judge.ts';
import { createRemoteDoorKeys } from './remote/door-keys.ts';
import { createIntrospection } from './remote/introspection.ts';
import { openNews } from './remote/news.ts';
import { createRemoteGuard } from './remote/remote-guard.ts';
import { createServiceCalls } from './remote/service-calls.ts';
import { createRemoteSigningKeys } from './remote/signing-keys.ts';
import { createSleeplessClock, type TwoClocks } from './remote/sleepless-clock.ts';
import { createTurnstile } from './remote/turnstile.ts';

export interface ResourceServer extends JudgeOptions {
  readonly audience: string;
  /**
   * Resolves when the guard knows what it has to know. Not needed: the first calls wait a moment for it.
   *
   * @throws {Error} where the service does not accept this server's key; it goes on trying
   */
  ready(): Promise<void>;
  /** Ends the connection to the service. Calls are then decided as `stale` says. */
  close(): void;
}

/** @param surroundings for tests, which move the clocks @throws {TypeError} where an option is wrong */
export function openResourceServer(
  options: GuardOptions,
  surroundings: TwoClocks = systemClocks,
): ResourceServer {
  checkOptions(options);
  const { issuer, audience, apiKey, stale = 'refuse', maxStaleness = 10, listen = true } = options;
  const url = (options.url ?? issuer).replace(/\/+$/, '');
  const { fetch = globalThis.fetch.bind(globalThis), timeout = 2000 } = options;
  const { now } = surroundings;
  const monotonic = createSleeplessClock(surroundings);
  const service = createServiceCalls({ url, apiKey, fetch, timeout, now });
  const revocations = new Revocations(monotonic, maxStaleness);
  const signingKeys = createRemoteSigningKeys({ service, monotonic });
  const turnstile = createTurnstile({ monotonic, patience: timeout });
  const introspection = createIntrospection({ service, turnstile });
  const { warn } = options;
  const news = openNews({
    service,
    revocations,
    signingKeys,
    maxStaleness,
    listen,
    probe: () => introspection.isActive('none'),
    url,
    warn,
    now,
    monotonic,
  });
  const verifier = createTokenVerifier({
    issuer,
    findKey: kid => signingKeys.find(kid),
    refreshKeys: kid => signingKeys.refresh(kid),
    now,
    longestLife: longestTokenLife,
    plainAudiences: new Set(options.tokenType === 'JWT' ? [audience] : []),
  });
  const isKeyRevoked = revocations.isKeyRevoked.bind(revocations);
  const doorGuard = createDoorGuard({
    issuer,
    guard: createRemoteGuard({ verifier, revocations, now, introspection, stale }),
    keys: createRemoteDoorKeys({
      introspection,
      revocations,
      isLastAnswerEnough: stale === 'accept',
      now,
      monotonic,
    }),
    revocations: {
      isKeyRevoked,
      isRevoked: token => revocations.isRevoked(token),
      // A key is asked about where the state is too old, and so needs no other proof; but for `refuse`.
      isStale: () => stale === 'refuse' && revocations.isStale(),
    },
  });
  return {
    audience,
    resourceMetadata: options.resourceMetadata ?? `${issuer}/.well-known/oauth-protected-resource`,
    doorGuard: {
      async authorize(request, demand, address) {
        await news.firstHeard();
        return doorGuard.authorize(request, demand, address);
      },
    },
    ready: () => news.ready(),
    close: () => news.close(),
  };
}

const systemClocks: TwoClocks = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** @throws {TypeError} */
function checkOptions(options: GuardOptions): void {
  checkNames(options, optionNames, 'a guard');
  const { issuer, url = issuer, audience, apiKey, maxStaleness = 10, timeout = 2000 } = options;
  const { listen = true, stale, tokenType, resourceMetadata } = options;
  if (!isIssuer(issuer))
    throw new TypeError(
      'issuer: the KEYTURN_ISSUER of the service, to the letter: no slash at its end, no user, query or fragment',
    );
  if (parseWebUrl(url) === undefined)
    throw new TypeError('url: where the service is reached, without user, query or fragment');
  if (typeof audience !== 'string' || audience === '')
    throw new TypeError('audience: what tokens call this server');
  if (typeof apiKey !== 'function' && (typeof apiKey !== 'string' || apiKey.trim() === ''))
    throw new TypeError('apiKey: the key of this server, or a function that gives it');
  if (!(typeof maxStaleness === 'number' && maxStaleness >= 3 && maxStaleness <= 3600))
    throw new TypeError('maxStaleness: 3 to 3600 seconds');
  if (!(Number.isInteger(timeout) && timeout >= 1 && timeout <= 60_000))
    throw new TypeError('timeout: 1 to 60000 milliseconds, whole ones');
  if (stale !== undefined && !['refuse', 'introspect', 'accept'].includes(stale))
    throw new TypeError("stale: 'refuse', 'introspect' or 'accept'");
  if (tokenType !== undefined && !tokenTypes.includes(tokenType))
    throw new TypeError(`tokenType: ${tokenTypes.join(' or ')}`);
  if (resourceMetadata !== undefined && !isQuotableUrl(resourceMetadata))
    throw new TypeError('resourceMetadata: a whole http or https URL, percent-encoded, without quotes');
  if (!listen && stale !== 'introspect')
    throw new TypeError("listen: false leaves nothing to know of revocations by but stale: 'introspect'");
}

const optionNames = [
  'issuer',
  'audience',
  'apiKey',
  'url',
  'stale',
  'maxStaleness',
  'listen',
  'tokenType',
  'resourceMetadata',
  'timeout',
  'warn',
  'fetch',
] satisfies (keyof GuardOptions)[];

/** It is quoted in a header field (RFC 9728 section 5.1). */
function isQuotableUrl(text: unknown): boolean {
  return typeof text === 'string' && /^https?:\/\/[!#-[\]-~]+$/i.test(text) && parseUrl(text) !== undefined;
}
