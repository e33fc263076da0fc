/** The one place where things are wired: settings in, a running service out. */
import type { Logger } from 'pino';
import { createDoorGuard } from './access/doors.ts';
import { createGuard } from './access/guard.ts';
import { createTokenVerifier } from './access/verify-token.ts';
import type { LoadedSettings } from './config/load.ts';
import { resolveIssuer, type Settings } from './config/settings.ts';
import { createForwardAuth } from './gateway/forward-auth.ts';
import { createUpstreamAccess } from './gateway/upstream-access.ts';
import { createCollections } from './gateway/collections.ts';
import { createReverseProxy } from './gateway/reverse-proxy.ts';
import { type Account, presentAccount } from './issuer/account.ts';
import { type Accounts, createAccounts } from './issuer/accounts.ts';
import { type ApiKeys, createApiKeys } from './issuer/api-keys.ts';
import { createAudit } from './issuer/audit.ts';
import { createAssertionAuthenticator } from './issuer/authenticate-assertion.ts';
import { createKeyAuthenticator } from './issuer/authenticate-key.ts';
import { confirmDeployment } from './issuer/deployment.ts';
import { createDoorKeys } from './issuer/door-keys.ts';
import { createExchange } from './issuer/exchange.ts';
import { awaitDeployment, follow } from './issuer/follow.ts';
import { createForwardTokens } from './issuer/forward-token.ts';
import { type Foundation, openDeployment } from './issuer/foundation.ts';
import { createIdempotency } from './issuer/idempotency.ts';
import { createFirstOwner, type Initialised, prepareDeployment } from './issuer/initialise.ts';
import { createIntrospector } from './issuer/introspect.ts';
import { createKeyGuard } from './issuer/key-guard.ts';
import { createKeyUsage } from './issuer/key-usage.ts';
import { reportPeppers } from './issuer/pepper-report.ts';
import { createRevocationFeed } from './issuer/revocation-feed.ts';
import {
  createRevocationLog,
  longestTokenLife,
  type RevocationLog,
  type RevocationLogOptions,
} from './issuer/revocation-log.ts';
import { createRevoker } from './issuer/revoke.ts';
import { createSettleUse } from './issuer/settle-use.ts';
import { createSigningKeyChanges } from './issuer/signing-key-changes.ts';
import { presentRing } from './issuer/signing-key-view.ts';
import { openSigningKeys, type SigningKeys } from './issuer/signing-keys.ts';
import { createThrottle } from './issuer/throttle.ts';
import { createTokenForms } from './issuer/token-forms.ts';
import { createWholeTokenCheck } from './issuer/whole-token.ts';
import { createApp } from './server/app.ts';
import { listen } from './server/http-server.ts';
import { createInitialisingApp } from './server/initialising-app.ts';
import { type Clock, type Store, StoreUnavailable } from './store/store.ts';

export interface Surroundings {
  readonly logger: Logger;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly clock?: Clock;
}

/** Opens the store with this machine's clock, or the one that is given. */
export function openFoundation(
  settings: Settings,
  { logger, clock = Date.now }: Surroundings,
): Promise<Foundation> {
  return openDeployment(settings, clock, warning => logger.warn(warning));
}

/** Makes the first owner of a deployment, and of Redis the deployment itself: `keyturn init`. */
export async function initialise(
  accountId: string,
  settings: Settings,
  foundation: Foundation,
): Promise<Initialised> {
  const { records, vault, clock, store } = foundation;
  const era = store.era();
  await prepareDeployment({ records, vault, clock, alg: settings.signingAlg });
  const { accounts } = createKeysAndAccounts(foundation, createLog(foundation));
  // An embedded store has one owner, the person at its machine; over Redis two may be at it.
  const result = await createFirstOwner(
    accountId,
    { records, clock, accounts },
    store.kind === 'embedded' ? 0 : 60_000,
  );
  if (result.outcome === 'initialised') await auditFirstOwner(result, foundation);
  await store.settle(era);
  return result;
}

async function auditFirstOwner(
  { account }: { account: Account },
  { records, clock }: Foundation,
): Promise<void> {
  const audit = createAudit(records, clock, async () => undefined);
  const actor = { address: 'local', requestId: '' };
  const after = presentAccount(account);
  await audit.record({
    actor,
    action: 'deployment.initialise',
    target: `account/${account.id}`,
    outcome: 'done',
    after,
  });
}

export interface Service {
  readonly issuer: string;
  readonly port: number;
  /** What a new embedded deployment shows once. */
  readonly welcome: { readonly ownerKey: string; readonly sampleKey: string } | undefined;
  /** Finishes what is in flight, within `grace` milliseconds, and lets go of everything. */
  close(grace?: number): Promise<void>;
}

/** Opens the store, and serves. */
export async function openService(loaded: LoadedSettings, surroundings: Surroundings): Promise<Service> {
  const { settings } = loaded;
  const { logger } = surroundings;
  const foundation = await openFoundation(settings, surroundings);
  const stop = new AbortController();
  const ending = new AbortController();
  const running: Promise<void>[] = [];
  const shutDown = async () => {
    stop.abort();
    await Promise.allSettled(running);
    await foundation.store.close();
  };
  try {
    let welcome: Service['welcome'];
    const server = await listen(settings, async (port, answerWith) => {
      const serve = async (epoch: string) => {
        const app = await openApp({
          ...loaded,
          port,
          foundation: { ...foundation, epoch },
          logger,
          ending: ending.signal,
          stop: stop.signal,
          running,
        });
        answerWith(app.callback());
      };
      if (foundation.epoch !== undefined) {
        await serve(foundation.epoch);
        // Only now: keys that are shown once must not be made by a start that fails.
        welcome = await welcomeOwner(settings, foundation);
        return;
      }
      answerWith(createInitialisingApp(logger).callback());
      running.push(awaitDeployment({ ...foundation, logger }, serve, stop.signal));
    });
    return {
      issuer: resolveIssuer(settings, server.port).issuer,
      port: server.port,
      welcome,
      async close(grace = 8000) {
        ending.abort();
        await server.close(grace);
        await shutDown();
      },
    };
  } catch (error) {
    await shutDown();
    throw error;
  }
}

/** On an embedded store whose first owner has not been made yet: makes them, and a sample key. */
async function welcomeOwner(settings: Settings, foundation: Foundation): Promise<Service['welcome']> {
  if (foundation.store.kind !== 'embedded') return undefined;
  const owner = await initialise('owner', settings, foundation);
  if (owner.outcome !== 'initialised') return undefined;
  const { apiKeys } = createKeysAndAccounts(foundation, createLog(foundation));
  const sample = await apiKeys.create({
    name: 'Sample',
    feature: 'connections',
    owner: 'owner',
    status: 'active',
  });
  return { ownerKey: owner.accessKey.apiKey, sampleKey: sample.apiKey };
}

type LogHooks = Pick<
  RevocationLogOptions,
  'maxStaleness' | 'onRingChanged' | 'listener' | 'onMalformedEntry' | 'onLogLost'
>;

function createLog({ store, clock, epoch }: Foundation, hooks: LogHooks = writingOnly): RevocationLog {
  const confirm = async () => {
    if (epoch !== undefined) await confirmDeployment(store, epoch);
  };
  return createRevocationLog({ store, clock, confirm, monotonic: () => performance.now(), ...hooks });
}

/** For a log that is written to and not followed. */
const writingOnly: LogHooks = {
  maxStaleness: 0,
  onRingChanged: async () => {},
  onMalformedEntry: () => {},
  onLogLost: () => {},
};

function createKeysAndAccounts(
  foundation: Foundation,
  revocationLog: RevocationLog,
): { apiKeys: ApiKeys; accounts: Accounts } {
  const apiKeys = createApiKeys({ ...foundation, revocationLog });
  return { apiKeys, accounts: createAccounts({ ...foundation, apiKeys }) };
}

interface AppOptions extends LoadedSettings {
  readonly port: number;
  readonly foundation: Foundation & { readonly epoch: string };
  readonly logger: Logger;
  /** Says that answers which would never end are to end now. */
  readonly ending: AbortSignal;
  readonly stop: AbortSignal;
  /** Loops that end when `stop` says so. */
  readonly running: Promise<void>[];
}

async function openApp(options: AppOptions): Promise<ReturnType<typeof createApp>> {
  const { settings, catalogue, foundation, logger } = options;
  const { store, vault, records, clock, epoch } = foundation;
  const { issuer, audience } = resolveIssuer(settings, options.port);
  const audiences = [...catalogue.audiences.values()];

  const revocationFeed = createRevocationFeed({
    store,
    revocations: () => revocationLog.revocations,
    monotonic: () => performance.now(),
    onFailure: error => logger.warn({ err: error }, 'a listener to revocations could not be served'),
  });
  options.ending.addEventListener('abort', () => revocationFeed.close(), { once: true });
  const revocationLog: RevocationLog = createLog(foundation, {
    maxStaleness: settings.maxStaleness,
    onRingChanged: () => signingKeys.refresh(),
    listener: revocationFeed,
    onMalformedEntry: id => logger.error({ entry: id }, 'an entry of the revocation log cannot be read'),
    onLogLost: putBack =>
      logger.error({ putBack }, 'the store had lost revocations that are in force: they were put back'),
  });
  const signingKeys = await openSigningKeys({
    records,
    vault,
    clock,
    algs: [...new Set([settings.signingAlg, ...audiences.flatMap(({ alg }) => alg ?? [])])],
    lead: settings.signingLead,
    period: settings.signingPeriod,
    revocationLog,
    onChange: facts => logger.info(facts, 'the ring of signing keys has changed'),
  });
  await revocationLog.catchUp();
  await signingKeys.maintain();
  const { revocations } = revocationLog;
  const usage = createKeyUsage(records);
  options.running.push(follow({ revocationLog, signingKeys, usage, logger }, options.stop));

  const { apiKeys, accounts } = createKeysAndAccounts(foundation, revocationLog);
  const confirm = () => confirmDeployment(store, epoch);
  const audit = createAudit(records, clock, confirm);
  const isConfirmed = () => revocations.age() < lately;
  // A master that was replaced may go on answering, and know nothing of what has ended since.
  const confirmCurrent = async () => {
    await confirm();
    if (revocations.age() > settings.maxStaleness * 1000)
      throw new StoreUnavailable('the store has not been heard of for too long to know what has ended');
  };
  const authenticator = createKeyAuthenticator({
    apiKeys,
    vault,
    clock,
    confirm: confirmCurrent,
    isConfirmed,
  });
  const assertions = createAssertionAuthenticator({
    issuer,
    apiKeys,
    store,
    revocations,
    usage,
    clock,
    confirm: confirmCurrent,
    isConfirmed,
  });
  const onRenewalFailed = (error: unknown) =>
    logger.warn({ err: error }, 'the hash of a key could not be renewed');
  const settleUse = createSettleUse({
    apiKeys,
    authenticator,
    vault,
    revocations,
    usage,
    audit,
    clock,
    onRenewalFailed,
  });
  const verifierOptions = {
    issuer,
    findKey: (kid: string) => signingKeys.find(kid),
    refreshKeys: (kid: string) => signingKeys.refreshFor(kid),
    now: clock,
    longestLife: longestTokenLife,
    plainAudiences: new Set(audiences.filter(({ typ }) => typ === 'JWT').map(rule => rule.audience)),
  };
  const verifier = createTokenVerifier(verifierOptions);
  // Whatever this instance's clock says: a token that is to die may be alive elsewhere.
  const timelessVerifier = createTokenVerifier({ ...verifierOptions, now: () => Infinity, cacheSize: 100 });
  const { maxStaleness } = settings;
  const guard = createGuard({ verifier, revocations, now: clock, maxStaleness });
  const doorKeys = createDoorKeys({
    apiKeys,
    accounts,
    authenticator,
    settleUse,
    revocations,
    catalogue,
    issuer,
    audience,
    clock,
    confirm,
    anonymousUser: settings.anonymousUser,
  });
  const keyGuard = createKeyGuard({
    issuer,
    audience,
    catalogue,
    accounts,
    authenticator,
    assertions,
    settleUse,
    revocations,
    maxStaleness,
    clock,
  });
  const proxy = createReverseProxy({ controllers: catalogue.controllers.values(), ending: options.ending });
  options.stop.addEventListener('abort', () => proxy.close(), { once: true });
  const doorGuard = createDoorGuard({
    guard,
    keys: doorKeys,
    issuer,
    revocations,
    maxStaleness: settings.maxStaleness,
  });
  const forwardTokens = createForwardTokens({
    issuer,
    forms: createTokenForms(catalogue, settings.signingAlg),
    signer: alg => signingKeys.signer(alg),
    clock,
  });
  return createApp({
    issuer,
    audience,
    forbiddenUsers: settings.forbiddenUsers,
    trustedProxies: settings.trustedProxies,
    catalogue,
    clock,
    logger,
    apiKeys,
    accounts,
    authenticator,
    assertions,
    settleUse,
    isWholeToken: createWholeTokenCheck({ apiKeys, accounts, catalogue, issuer, audience }),
    usage,
    audit,
    signingAlgs: signingKeys.algs,
    publishedKeys: () => signingKeys.published(),
    listSigningKeys: () => presentRing(signingKeys.ring(), clock(), signingKeys.rules),
    signingKeyChanges: createSigningKeyChanges({ signingKeys, vault, clock, revocationLog }),
    idempotency: createIdempotency(records, vault, clock),
    settle: era => revocationLog.settle(era),
    era: () => store.era(),
    pepperReport: () => reportPeppers(apiKeys, vault, clock),
    guard,
    doorGuard,
    keyGuard,
    introspector: createIntrospector({ guard, keyGuard }),
    revocationFeed,
    exchange: createExchange({
      issuer,
      audience,
      tokenTtl: settings.tokenTtl,
      catalogue,
      authenticator,
      assertions,
      settleUse,
      accounts,
      signingAlg: settings.signingAlg,
      signer: alg => signingKeys.signer(alg),
      clock,
    }),
    revoker: createRevoker({
      authenticator,
      apiKeys,
      verifier: timelessVerifier,
      revocationLog,
      audit,
      clock,
    }),
    collections: createCollections({ store, clock, baseUrl: issuer }),
    proxy,
    upstreamTimeout: settings.upstreamTimeout,
    forwardAuth: createForwardAuth(),
    upstreamAccess: createUpstreamAccess({ forwardTokens, doorGuard, catalogue, audience }),
    throttle: createThrottle({ limit: 12_000, window: 60, now: clock }),
    readiness: () => findObstacle(store, epoch, revocations.age() / 1000, settings.maxStaleness, signingKeys),
  });
}

/** Milliseconds. Each look at the revocation log confirms the deployment; a few may be missed. */
const lately = 500;

async function findObstacle(
  store: Store,
  epoch: string,
  age: number,
  maxStaleness: number,
  signingKeys: SigningKeys,
): Promise<string | undefined> {
  if (age > maxStaleness) return 'The revocation state is too old.';
  if (!signingKeys.canSign()) return 'No signing key is active.';
  try {
    await store.check();
    await confirmDeployment(store, epoch);
    return undefined;
  } catch (error) {
    if (error instanceof StoreUnavailable)
      return 'The store is not reachable, or is not the one this instance knows.';
    throw error;
  }
}
