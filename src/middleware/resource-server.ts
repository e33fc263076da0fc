/**
 * The guard of a resource server elsewhere, put together: it verifies with the service's published keys, hears of
 * revocations on an event stream, looks keys up at the service, and decides as the service would.
 */
import { createDoorGuard } from '../access/doors.ts';
import { Revocations } from '../access/revocations.ts';
import { createTokenVerifier } from '../access/verify-token.ts';
import { longestTokenLife } from '../protocol/claims.ts';
import type { GuardOptions } from './guard-options.ts';
import type { JudgeOptions } from './judge.ts';
import { createRemoteDoorKeys } from './remote/door-keys.ts';
import { createIntrospection } from './remote/introspection.ts';
import { openNews } from './remote/news.ts';
import { createRemoteGuard } from './remote/remote-guard.ts';
import { createServiceCalls } from './remote/service-calls.ts';
import { createRemoteSigningKeys } from './remote/signing-keys.ts';

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

export function openResourceServer(options: GuardOptions): ResourceServer {
  const { issuer, audience, stale = 'refuse', maxStaleness = 10, listen = true } = options;
  checkOptions({ ...options, maxStaleness });
  const url = (options.url ?? issuer).replace(/\/$/, '');
  const { fetch = globalThis.fetch.bind(globalThis), timeout = 2000 } = options;
  const service = createServiceCalls({ url, apiKey: options.apiKey, fetch, timeout });
  const revocations = new Revocations(monotonic, maxStaleness);
  const signingKeys = createRemoteSigningKeys({ service, monotonic });
  const introspection = createIntrospection({ service, monotonic });
  const news = openNews({ ...options, service, revocations, signingKeys, listen, url, now, monotonic });
  const verifier = createTokenVerifier({
    issuer,
    findKey: kid => signingKeys.find(kid),
    refreshKeys: () => signingKeys.refresh(),
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

const now = () => Date.now();
const monotonic = () => performance.now();

/** @throws {TypeError} */
function checkOptions({ issuer, audience, maxStaleness = 10, listen = true, stale }: GuardOptions): void {
  if (!URL.canParse(issuer)) throw new TypeError('issuer: the URL of the service');
  if (typeof audience !== 'string' || audience === '')
    throw new TypeError('audience: what tokens call this server');
  if (!(maxStaleness >= 2 && maxStaleness <= 3600)) throw new TypeError('maxStaleness: 2 to 3600 seconds');
  if (!listen && stale !== 'introspect')
    throw new TypeError("listen: false leaves nothing to know of revocations by but stale: 'introspect'");
}
