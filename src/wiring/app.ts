/** The application of one instance: every service that its routes ask. */
import { createCollections } from '../gateway/collections.ts';
import { createForwardAuth } from '../gateway/forward-auth.ts';
import { createReverseProxy } from '../gateway/reverse-proxy.ts';
import { createUpstreamAccess } from '../gateway/upstream-access.ts';
import { createExchange } from '../issuer/exchange.ts';
import { createForwardTokens, type ForwardTokensOptions } from '../issuer/forward-token.ts';
import { createIdempotency } from '../issuer/idempotency.ts';
import { createIntrospector } from '../issuer/introspect.ts';
import { reportPeppers } from '../issuer/pepper-report.ts';
import { createRevoker } from '../issuer/revoke.ts';
import { createSigningKeyChanges } from '../issuer/signing-key-changes.ts';
import { presentRing } from '../issuer/signing-key-view.ts';
import { createThrottle } from '../issuer/throttle.ts';
import { createTokenForms } from '../issuer/token-forms.ts';
import { createWholeTokenCheck } from '../issuer/whole-token.ts';
import { type AppServices, createApp } from '../server/app.ts';
import type { InstanceFigures } from '../server/metrics.ts';
import { StoreUnavailable } from '../store/store.ts';
import { createGuards, type Guards } from './guards.ts';
import { describeInstance, type Instance, type InstanceOptions } from './instance.ts';
import { createKeys, type Keys } from './keys.ts';
import { type Memory, openMemory } from './memory.ts';

/** Reads what the instance has to know, and starts following it. @throws {StoreUnavailable} */
export async function openApp(options: InstanceOptions): Promise<ReturnType<typeof createApp>> {
  const instance = describeInstance(options);
  const memory = await openMemory(instance);
  const keys = createKeys(instance, memory);
  const guards = createGuards(instance, memory, keys);
  const { settings, foundation } = instance;
  const { clock } = foundation;
  const readiness = () => findObstacle(instance, memory);
  instance.metrics.follow(figuresOf(memory, readiness));
  return createApp({
    ...instance,
    ...keys,
    ...guards,
    ...signingServices(instance, memory),
    ...oauthServices(instance, memory, keys, guards),
    ...gatewayServices(instance, memory, guards),
    clock,
    forbiddenUsers: settings.forbiddenUsers,
    trustedProxies: settings.trustedProxies,
    usage: memory.usage,
    idempotency: createIdempotency(foundation.records, foundation.vault, clock),
    settle: era => memory.revocationLog.settle(era),
    era: () => foundation.store.era(),
    pepperReport: () => reportPeppers(keys.apiKeys, foundation.vault, clock),
    throttle: createThrottle({ limit: instance.failuresPerMinute, window: 60, now: clock }),
    readiness,
  });
}

function signingServices({ foundation }: Instance, { signingKeys, revocationLog }: Memory) {
  const { vault, clock } = foundation;
  return {
    signingAlgs: signingKeys.algs,
    publishedKeys: () => signingKeys.published(),
    listSigningKeys: () => presentRing(signingKeys.ring(), clock(), signingKeys.rules),
    signingKeyChanges: createSigningKeyChanges({ signingKeys, vault, clock, revocationLog }),
  } satisfies Partial<AppServices>;
}

function oauthServices(instance: Instance, memory: Memory, keys: Keys, guards: Guards) {
  const { settings, foundation } = instance;
  const { clock } = foundation;
  return {
    exchange: createExchange({
      ...instance,
      ...keys,
      clock,
      ...tokenSigning(instance, memory),
      tokenTtl: settings.tokenTtl,
    }),
    revoker: createRevoker({ ...memory, ...keys, verifier: guards.timelessVerifier, clock }),
    introspector: createIntrospector({ ...guards, revocations: memory.revocationLog.revocations }),
    revocationFeed: memory.revocationFeed,
    isWholeToken: createWholeTokenCheck({ ...instance, ...keys }),
  } satisfies Partial<AppServices>;
}

function gatewayServices(instance: Instance, memory: Memory, { doorGuard }: Guards) {
  const { issuer, catalogue, settings, ending } = instance;
  const { store, clock } = instance.foundation;
  const proxy = createReverseProxy({ controllers: catalogue.controllers.values(), ending });
  instance.stop.addEventListener('abort', () => proxy.close(), { once: true });
  const forwardTokens = createForwardTokens({ issuer, ...tokenSigning(instance, memory), clock });
  return {
    collections: createCollections({ store, clock, baseUrl: issuer }),
    proxy,
    upstreamTimeout: settings.upstreamTimeout,
    upstreamAccess: createUpstreamAccess({ forwardTokens, doorGuard, catalogue }),
    forwardAuth: createForwardAuth(),
  } satisfies Partial<AppServices>;
}

/** In which form a token is made, and with which key. */
function tokenSigning({ catalogue, settings }: Instance, { signingKeys }: Memory) {
  return {
    forms: createTokenForms(catalogue, settings.signingAlg),
    signer: alg => signingKeys.signer(alg),
  } satisfies Partial<ForwardTokensOptions>;
}

function figuresOf(
  { revocationLog, revocationFeed }: Memory,
  readiness: AppServices['readiness'],
): InstanceFigures {
  const { revocations } = revocationLog;
  return {
    isReady: async () => (await readiness()) === undefined,
    revocationAge: () => revocations.age() / 1000,
    revocations: () => revocations.size,
    listeners: () => revocationFeed.listenerCount(),
  };
}

async function findObstacle(
  { foundation, confirm }: Instance,
  { revocationLog, signingKeys }: Memory,
): Promise<string | undefined> {
  if (revocationLog.revocations.isStale()) return 'The revocation state is too old.';
  if (!signingKeys.canSign()) return 'No signing key is active.';
  try {
    await foundation.store.check();
    await confirm();
    return undefined;
  } catch (error) {
    if (error instanceof StoreUnavailable)
      return 'The store is not reachable, or is not the one this instance knows.';
    throw error;
  }
}
