/** The one place where things are wired: settings in, a running service out. What one instance is made of stands in wiring/. */
import type { Logger } from 'pino';
import type { LoadedSettings } from './config/load.ts';
import { findSample, type Sample } from './config/sample-route.ts';
import { resolveIssuer, type Settings } from './config/settings.ts';
import { type Account, presentAccount } from './issuer/account.ts';
import { createAudit } from './issuer/audit.ts';
import { type Foundation, openDeployment } from './issuer/foundation.ts';
import { createFirstOwner, type Initialised, prepareDeployment } from './issuer/initialise.ts';
import { listen } from './server/http-server.ts';
import { serveMetrics } from './server/metrics-server.ts';
import type { Clock } from './store/store.ts';
import { createKeysAndAccounts } from './wiring/keys.ts';
import { createLifetime } from './wiring/lifetime.ts';
import { createLog } from './wiring/memory.ts';
import { takeStage } from './wiring/stage.ts';

export interface Surroundings {
  readonly logger: Logger;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly clock?: Clock;
  /** Ends the wait for Redis while the service opens: it is open then, answers 503, and goes on waiting until it is closed. */
  readonly signal?: AbortSignal;
  /** Failed authentications of one address in a minute, after which it is slowed down: 12,000 by default. */
  readonly failuresPerMinute?: number;
}

/** Opens the store with this machine's clock, or the one that is given. @throws as {@link openDeployment} */
export function openFoundation(
  settings: Settings,
  { logger, clock = Date.now, signal }: Surroundings,
): Promise<Foundation> {
  return openDeployment(settings, { clock, onWarning: warning => logger.warn(warning), signal });
}

/**
 * Makes the first owner of a deployment, and of Redis the deployment itself: `keyturn init`.
 *
 * @throws {StoreUnavailable} where it is not known what took place: ask again
 */
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

export interface Welcome {
  readonly ownerKey: string;
  /** Absent where the catalogue has no feature for keys. */
  readonly sampleKey?: string;
  readonly sample: Sample | undefined;
}

export interface Service {
  readonly issuer: string;
  readonly port: number;
  /** What a new embedded deployment shows once. */
  readonly welcome: Welcome | undefined;
  /**
   * Rejects where the service was still waiting for what it is to serve, and has found what no waiting heals: wrong
   * secrets, say. Where nobody listens to it, it ends the process, as every rejection does.
   */
  readonly failure: Promise<never>;
  /** Finishes what is in flight, within `grace` milliseconds, and lets go of everything. */
  close(grace?: number): Promise<void>;
}

/**
 * Opens the store, and serves. Where Redis is away it serves all the same: `/livez`, and 503 until Redis is there.
 *
 * @throws {ConfigurationError} where there can be no data directory
 * @throws {WrongSecrets} where the store is not that of these secrets, or the embedded one was lost
 * @throws {VaultError} where the master key does not open a signing key
 * @throws {StoreUnavailable} where the embedded store cannot be used, or of Redis {@link StoreUnfit}: no waiting heals it
 * @throws the system's error where there can be no listening, as `EADDRINUSE`
 */
export async function openService(loaded: LoadedSettings, surroundings: Surroundings): Promise<Service> {
  const { settings } = loaded;
  const { logger, signal, failuresPerMinute = 12_000 } = surroundings;
  const lifetime = createLifetime(logger);
  const open = async (hurry?: AbortSignal) => {
    const until = hurry === undefined ? lifetime.stop : AbortSignal.any([lifetime.stop, hurry]);
    const foundation = await openFoundation(settings, { ...surroundings, signal: until });
    lifetime.closeLater(foundation.store);
    return foundation;
  };
  try {
    const counted = await serveMetrics(settings, logger);
    lifetime.closeLater(counted);
    let welcome: Service['welcome'];
    const server = await listen(settings, async (port, answerWith) => {
      const instance = { ...loaded, ...counted, port, logger, failuresPerMinute };
      const served = await takeStage({ ...instance, lifetime, open, hurry: signal, answerWith });
      // Only now: keys that are shown once must not be made by a start that fails.
      if (served !== undefined) welcome = await welcomeOwner(loaded, served);
    });
    return {
      issuer: resolveIssuer(settings, server.port).issuer,
      port: server.port,
      welcome,
      failure: lifetime.failure,
      async close(grace = 7000) {
        lifetime.endAnswers();
        await server.close(grace);
        await lifetime.end();
      },
    };
  } catch (error) {
    await lifetime.end();
    throw error;
  }
}

/** On an embedded store whose first owner has not been made yet: makes them, and a sample key. */
async function welcomeOwner(
  { settings, catalogue }: LoadedSettings,
  foundation: Foundation,
): Promise<Welcome | undefined> {
  if (foundation.store.kind !== 'embedded') return undefined;
  const owner = await initialise('owner', settings, foundation);
  if (owner.outcome !== 'initialised') return undefined;
  const ownerKey = owner.accessKey.apiKey;
  const sample = findSample(catalogue);
  if (sample === undefined) return { ownerKey, sample };
  const { apiKeys } = createKeysAndAccounts(foundation, createLog(foundation));
  const { feature } = sample;
  const { apiKey } = await apiKeys.create({ name: 'Sample', feature, owner: 'owner', status: 'active' });
  return { ownerKey, sampleKey: apiKey, sample };
}
