/** The one place where things are wired: settings in, a running service out. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createGuard } from './access/guard.ts';
import { createTokenVerifier } from './access/verify-token.ts';
import type { LoadedSettings } from './config/load.ts';
import { resolveIssuer, type Settings } from './config/settings.ts';
import { createCollections } from './gateway/collections.ts';
import { type Accounts, createAccounts } from './issuer/accounts.ts';
import { type ApiKeys, createApiKeys } from './issuer/api-keys.ts';
import { createKeyAuthenticator } from './issuer/authenticate-key.ts';
import { confirmDeployment, readDeployment, WrongSecrets } from './issuer/deployment.ts';
import { createExchange } from './issuer/exchange.ts';
import { createFirstOwner, type Initialised, prepareDeployment } from './issuer/initialise.ts';
import { markInService, openDataDirectory, openLocalSecrets, wasInService } from './issuer/local-secrets.ts';
import { createRecords, type Records } from './issuer/records.ts';
import { createRevocationLog, longestTokenLife, type RevocationLog } from './issuer/revocation-log.ts';
import { createRevoker } from './issuer/revoke.ts';
import { openSigningKeys, type SigningKeys } from './issuer/signing-keys.ts';
import { createThrottle } from './issuer/throttle.ts';
import { createVault, type Vault } from './issuer/vault.ts';
import { type AppServices, createApp } from './server/app.ts';
import { listen } from './server/http-server.ts';
import { createInitialisingApp } from './server/initialising-app.ts';
import { openStore } from './store/open-store.ts';
import { type Clock, type Store, StoreUnavailable } from './store/store.ts';

export interface Surroundings {
  readonly logger: Logger;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly clock?: Clock;
}

/** What a deployment stands on, once its store is open and its secrets are known to be the right ones. */
export interface Foundation {
  readonly store: Store;
  readonly vault: Vault;
  readonly records: Records;
  readonly clock: Clock;
  /** The store is the embedded one, and this process has just taken it into service. */
  readonly isNew: boolean;
  /** Undefined where the store holds no deployment. */
  readonly epoch: string | undefined;
}

/** Opens the store. The embedded one is taken into service where it is new; Redis is only by `keyturn init`. */
export async function openFoundation(
  settings: Settings,
  { logger, clock = Date.now }: Surroundings,
): Promise<Foundation> {
  const { redisUrl, dataDir } = settings;
  if (redisUrl === undefined) await openDataDirectory(dataDir);
  const onWarning = (warning: string) => logger.warn(warning);
  const store = await openStore({ ...(redisUrl !== undefined && { redisUrl }), dataDir, clock, onWarning });
  try {
    return redisUrl === undefined
      ? await openEmbedded(store, settings, clock)
      : await openShared(store, settings, clock);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openEmbedded(store: Store, settings: Settings, clock: Clock): Promise<Foundation> {
  const { dataDir, signingAlg } = settings;
  const isNew = (await store.get('deployment')) === undefined;
  if (isNew && (await wasInService(dataDir))) {
    throw new WrongSecrets(
      `the store in ${dataDir} was in service and is empty now: restore it, or begin anew in another directory`,
    );
  }
  const vault = createVault(await openLocalSecrets(dataDir, settings, isNew));
  const records = createRecords(store, vault);
  if (isNew) await prepareDeployment({ records, vault, clock, alg: signingAlg });
  const deployment = await readDeployment(records, vault);
  if (deployment !== undefined) await markInService(dataDir, deployment.epoch);
  return { store, vault, records, clock, isNew, epoch: deployment?.epoch };
}

async function openShared(store: Store, { peppers, masterKey }: Settings, clock: Clock): Promise<Foundation> {
  if (peppers === undefined || masterKey === undefined)
    throw new WrongSecrets('KEYTURN_PEPPER and KEYTURN_MASTER_KEY are needed');
  const vault = createVault({ peppers, masterKey });
  const records = createRecords(store, vault);
  const deployment = await readDeployment(records, vault);
  return { store, vault, records, clock, isNew: false, epoch: deployment?.epoch };
}

/** Makes the first owner of a deployment, and of Redis the deployment itself: `keyturn init`. */
export async function initialise(
  accountId: string,
  settings: Settings,
  foundation: Foundation,
): Promise<Initialised> {
  const { records, vault, clock, store } = foundation;
  await prepareDeployment({ records, vault, clock, alg: settings.signingAlg });
  const { accounts } = createKeysAndAccounts(foundation, createLog(foundation));
  // An embedded store has one owner, the person at its machine; over Redis two may be at it.
  return createFirstOwner(accountId, { records, clock, accounts }, store.kind === 'embedded' ? 0 : 60_000);
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
export async function openService(
  { settings, catalogue }: LoadedSettings,
  surroundings: Surroundings,
): Promise<Service> {
  const { logger } = surroundings;
  let foundation = await openFoundation(settings, surroundings);
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  const shutDown = async () => {
    stop.abort();
    await Promise.all(running);
    await foundation.store.close();
  };
  try {
    const welcome = await welcomeOwner(settings, foundation);
    let callback: ReturnType<ReturnType<typeof createApp>['callback']> =
      createInitialisingApp(logger).callback();
    let issuer = '';
    const server = await listen(settings, async port => {
      issuer = resolveIssuer(settings, port).issuer;
      const serve = async (epoch: string) => {
        const app = await openApp({
          settings,
          catalogue,
          port,
          epoch,
          foundation,
          logger,
          stop: stop.signal,
          running,
        });
        callback = app.callback();
      };
      if (foundation.epoch !== undefined) await serve(foundation.epoch);
      else running.push(waitForDeployment(foundation, logger, stop.signal, serve));
      return (req, res) => void callback(req, res);
    });
    return {
      issuer,
      port: server.port,
      welcome,
      async close(grace = 9000) {
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

function createLog(
  { store, clock, epoch }: Foundation,
  onMalformedEntry: (id: string) => void = () => {},
): RevocationLog {
  const confirm = async () => {
    if (epoch !== undefined) await confirmDeployment(store, epoch);
  };
  return createRevocationLog({ store, clock, confirm, monotonic: () => performance.now(), onMalformedEntry });
}

function createKeysAndAccounts(
  foundation: Foundation,
  revocationLog: RevocationLog,
): { apiKeys: ApiKeys; accounts: Accounts } {
  const apiKeys = createApiKeys({ ...foundation, revocationLog });
  return { apiKeys, accounts: createAccounts({ ...foundation, apiKeys }) };
}

interface AppOptions {
  readonly settings: Settings;
  readonly catalogue: LoadedSettings['catalogue'];
  readonly port: number;
  readonly epoch: string;
  readonly foundation: Foundation;
  readonly logger: Logger;
  readonly stop: AbortSignal;
  /** Loops that end when `stop` says so. */
  readonly running: Promise<void>[];
}

async function openApp(options: AppOptions): Promise<ReturnType<typeof createApp>> {
  const { settings, catalogue, epoch, logger } = options;
  const foundation = { ...options.foundation, epoch };
  const { store, vault, records, clock } = foundation;
  const { issuer, audience } = resolveIssuer(settings, options.port);

  const signingKeys = await openSigningKeys({ records, vault, clock, alg: settings.signingAlg });
  const revocationLog = createLog(foundation, id =>
    logger.error({ entry: id }, 'an entry of the revocation log cannot be read'),
  );
  await revocationLog.catchUp();
  options.running.push(follow(revocationLog, signingKeys, logger, options.stop));

  const { apiKeys, accounts } = createKeysAndAccounts(foundation, revocationLog);
  const authenticator = createKeyAuthenticator({
    apiKeys,
    vault,
    confirm: () => confirmDeployment(store, epoch),
  });
  const { revocations } = revocationLog;
  const verifier = createTokenVerifier({
    issuer,
    findKey: kid => signingKeys.find(kid),
    refreshKeys: kid => signingKeys.refreshFor(kid),
    now: clock,
    longestLife: longestTokenLife,
  });
  const services: AppServices = {
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
    signingKeys,
    guard: createGuard({ verifier, revocations, now: clock, maxStaleness: settings.maxStaleness }),
    exchange: createExchange({
      issuer,
      audience,
      tokenTtl: settings.tokenTtl,
      catalogue,
      authenticator,
      accounts,
      signer: () => signingKeys.signer(),
      clock,
    }),
    revoker: createRevoker({ authenticator, apiKeys, verifier, revocationLog, clock }),
    collections: createCollections({ store, clock, baseUrl: issuer }),
    throttle: createThrottle({ limit: 12_000, window: 60, now: clock }),
    readiness: () => findObstacle(store, epoch, revocations.age() / 1000, settings.maxStaleness),
  };
  return createApp(services);
}

async function findObstacle(
  store: Store,
  epoch: string,
  age: number,
  maxStaleness: number,
): Promise<string | undefined> {
  if (age > maxStaleness) return 'The revocation state is too old.';
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

/** Milliseconds between two looks at the revocation log. */
const followInterval = 100;
/** Looks at the log for each look at the ring of signing keys. */
const looksPerRefresh = 50;

/** Keeps what this instance knows up to date. What fails is tried again; meanwhile the guard counts the age. */
async function follow(
  log: RevocationLog,
  signingKeys: SigningKeys,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  let isAway = false;
  for (let look = 1; !stop.aborted; look += 1) {
    try {
      await log.catchUp();
      if (look % looksPerRefresh === 0) await signingKeys.refresh();
      if (isAway) logger.info('the store is back');
      isAway = false;
    } catch (error) {
      if (!isAway) logger.error({ err: error }, 'the revocation log cannot be followed');
      isAway = true;
    }
    await pause(followInterval, stop);
  }
}

/** A store that no deployment has been made on: says so, and waits for `keyturn init`. */
async function waitForDeployment(
  { records, vault }: Foundation,
  logger: Logger,
  stop: AbortSignal,
  serve: (epoch: string) => Promise<void>,
): Promise<void> {
  logger.warn(
    'the store holds no deployment: run "keyturn init" once; until then everything is answered with 503',
  );
  while (!stop.aborted) {
    try {
      const deployment = await readDeployment(records, vault);
      if (deployment !== undefined) return await serve(deployment.epoch);
    } catch (error) {
      logger.error({ err: error }, 'the deployment cannot be read');
    }
    await pause(followInterval, stop);
  }
}

async function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}
